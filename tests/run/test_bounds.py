"""What a run may use: each bound is tried by a runbook that wants more, in kernels of both origins."""

from __future__ import annotations

import os
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from checks.model import RunState, Status
from checks.run import _control_group, _warden, bounds
from tests.run.project import CHECK, Project

pytestmark = pytest.mark.usefixtures("origin")

# Each of these stops by itself far below what could harm the machine that it is tried on: a bomb after 250 processes at most
# and 12 seconds, a hog at 600 MB.
BOMB = """\
```bash
bomb() { [ "$1" -gt 0 ] || exec sleep 12; bomb $(($1 - 1)) | bomb $(($1 - 1)) & wait; }
bomb 6
```
"""
# Each leaves the group and the session of the one before; each needs one of 250 tokens.
SCATTERED_BOMB = """\
```python
import os, time
ends_at = time.monotonic() + 12
tokens, there = os.pipe()
os.write(there, b"." * 250)
os.set_blocking(tokens, False)
def bomb():
    while time.monotonic() < ends_at:
        try:
            os.read(tokens, 1)
        except BlockingIOError:
            break
        if os.fork() == 0:
            os.setsid()
        else:
            time.sleep(0.01)
    time.sleep(max(0, ends_at - time.monotonic()))
    os._exit(0)
bomb()
```
"""
THREADS = """\
```python
import threading, time
for _ in range(200):
    threading.Thread(target=time.sleep, args=[12], daemon=True).start()
time.sleep(12)
```
"""
FAMILY = """\
```python
import subprocess, sys
code = "import time; kept = bytearray(150_000_000); time.sleep(12)"
for child in [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]:
    child.wait()
```
"""
BUSY = "```python\nimport time\nends_at = time.monotonic() + 15\nwhile time.monotonic() < ends_at: pass\n```\n"
TOO_MANY = r"(it had \d+ processes and threads, |it wanted )more than the 40 "
CASES = {
    "processes": (BOMB, {"processes": 40}, TOO_MANY),
    "scattered processes": (SCATTERED_BOMB, {"processes": 40}, TOO_MANY),
    "threads": (THREADS, {"processes": 40}, TOO_MANY),
    "memory of one": ("```python\nkept = bytearray(600_000_000)\n```\n", {"memory": 400 << 20}, "MemoryError"),
    "memory of all": (FAMILY, {"memory": 400 << 20}, "more than the 400 MB that a run may use"),
    "memory in bash": (
        "```bash\nhead -c 600M /dev/zero | tail\n```\n",
        {"memory": 400 << 20},
        "memory exhausted|than the 400 MB",
    ),
    "time": (BUSY, {"cpu": 3}, "used more time of a processor than a run may have"),
    "file": ("```python\nopen('big', 'wb').write(b'x' * 3_000_000)\n```\n", {"file-size": 1_000_000}, "File too large"),
    "files": ("```python\nkept = [open('/dev/null') for _ in range(500)]\n```\n", {"files": 200}, "Too many open files"),
}


@pytest.fixture
def rooms(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder below which runs of this test have their rooms, and nobody else's."""
    folder = tmp_path_factory.mktemp("r")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _left(rooms: Path) -> list[psutil.Process]:
    """The processes that work in a room, also in one that is gone."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if str(Path(f"/proc/{process.pid}/cwd").readlink()).startswith(f"{rooms}/"):
                found.append(process)
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_wants_too_much_ends(case: str, project: Project, rooms: Path) -> None:
    """A run that breaks a bound is failed and unknown, with the reason; what it had judged stays; nothing of it lives on."""
    body, limits, why = CASES[case]
    begun = time.monotonic()
    outcome = project.run(f"{CHECK}\n## Want more\n\n{body}", limits=limits)
    took = time.monotonic() - begun
    assert _left(rooms) == []
    assert list(rooms.iterdir()) == []
    assert (outcome.run.state, outcome.run.status) == (RunState.FAILED, Status.UNKNOWN)
    assert re.search(why, outcome.run.reason), outcome.run.reason
    assert [result.status for result in outcome.results] == [Status.OK]
    # Those that would end by themselves do so later than this.
    assert took < 11


def test_a_run_within_its_bounds_notices_nothing(project: Project) -> None:
    """The bounds that hold where nobody declares any let numerical libraries and many children work."""
    body = "```python\nimport subprocess\nimport numpy\nassert numpy.zeros((4000, 4000)).sum() == 0\n"
    body += "for child in [subprocess.Popen(['true']) for _ in range(40)]: assert child.wait() == 0\n```\n"
    outcome = project.run(f"{body}\n{CHECK}")
    assert outcome.run.status is Status.OK, outcome.run.reason


def test_a_declared_bound_is_the_one_that_holds(project: Project) -> None:
    """What mkdocs.yml says under `limits` holds for every run, and the run says what held."""
    mkdocs = project.root / "mkdocs.yml"
    declared = "{environment: test, limits: {files: 300, memory: 1 GB}}"
    mkdocs.write_text(mkdocs.read_text().replace("{environment: test}", declared))
    told = "```python\nimport resource\nassert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == 300\n```\n"
    outcome = project.run(f"{told}\n{CHECK}")
    assert outcome.run.status is Status.OK, outcome.run.reason
    limits = outcome.run.made_with["limits"]
    assert isinstance(limits, dict)
    assert (limits["files"], limits["memory"]) == (300, 1_000_000_000)


def test_a_crash_leaves_no_core(project: Project) -> None:
    """A program that crashes in a run dumps no core, whatever the caller allows."""
    body = """\
```python
import os, resource
child = os.fork()
if child == 0:
    os.kill(os.getpid(), 11)
assert not os.WCOREDUMP(os.waitpid(child, 0)[1])
assert max(resource.getrlimit(resource.RLIMIT_CORE)) <= 1
assert not [name for name in os.listdir() if name.startswith("core")]
```
"""
    outcome = project.run(f"{body}\n{CHECK}")
    assert outcome.run.status is Status.OK, outcome.run.reason


def test_a_group_of_control_is_made_and_gone(project: Project) -> None:
    """Where a control group may be made a run has one of its own, which is gone when the run is."""
    places = [place for place in _control_group.places() if os.access(place, os.W_OK)]
    if not places:
        pytest.skip("no control group may be made here")
    outcome = project.run("```python\nprint('groups', open('/proc/self/cgroup').read())\n```\n")
    assert outcome.evidence is not None
    names = re.findall(r"/proofbook-(\d+)", outcome.evidence.decode())
    assert len(names) == len(places)
    assert not [place for place in places for name in names if Path(place, f"proofbook-{name}").exists()]


def test_a_group_that_counts_memory_is_told_the_bound_and_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a group of version 2 is handed memory, it gets the run's bounds, ends as a whole, and why it ended is told.

    Of files as such a group has them: on machines that count memory by version 1 there is no such group to try it with.
    """
    group = tmp_path / "own" / f"proofbook-{os.getpid()}"
    group.mkdir(parents=True)
    for name in ("cgroup.procs", "cgroup.kill", "memory.max", "memory.oom.group", "pids.max"):
        (group / name).touch()
    (group / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 1\noom_kill 3\n")
    (group / "pids.events").write_text("max 0\n")
    monkeypatch.setattr(_control_group, "places", lambda: [str(group.parent)])
    surroundings = {
        bounds.VARIABLE: bounds.to_text({"memory": 400 << 20, "processes": 40}),
        "PROOFBOOK_CONTEXT": str(tmp_path / "context.json"),
    }
    made = _control_group.ControlGroup.make(os.getpid(), _warden._limits_of_a_group(surroundings))
    said = {name: (group / name).read_text() for name in ("cgroup.procs", "memory.max", "memory.oom.group", "pids.max")}
    assert said == {"cgroup.procs": str(os.getpid()), "memory.max": str(400 << 20), "memory.oom.group": "1", "pids.max": "40"}
    watch = bounds.Watch(surroundings, list, lambda: _warden._refused(made))
    assert watch.last_words() == "it wanted more than the 400 MB that a run may use"
    assert (tmp_path / bounds.TOLD).read_text() == watch.last_words()
    made.kill()
    assert (group / "cgroup.kill").read_text() == "1"


def test_bounds_travel_as_text() -> None:
    """What is written as a variable's value is read back."""
    assert bounds.from_text(bounds.to_text(bounds.defaults())) == bounds.defaults()
    assert bounds.from_text("") == {}
