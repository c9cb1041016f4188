"""What a run may use: each bound is tried by a runbook that wants more, in kernels of both origins."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from checks.model import RunState, Status
from checks.run import bounds
from tests.run.project import CHECK, Project

pytestmark = pytest.mark.usefixtures("origin")

BOMB = "```bash\nbomb() { bomb | bomb & }; bomb; sleep 50\n```\n"
# Each leaves the group and the session of the one before.
SCATTERED_BOMB = """\
```python
import os, time
def bomb():
    while True:
        if os.fork() == 0:
            os.setsid()
        else:
            time.sleep(0.01)
bomb()
```
"""
FAMILY = """\
```python
import subprocess, sys
code = "import time; kept = bytearray(150_000_000); time.sleep(50)"
for child in [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]:
    child.wait()
```
"""
CASES = {
    "processes": (BOMB, {"processes": 80}, "more than the 80 that a run may have"),
    "scattered processes": (SCATTERED_BOMB, {"processes": 80}, "more than the 80 that a run may have"),
    "threads": (
        "```python\nimport threading, time\nfor _ in range(200): threading.Thread(target=time.sleep, args=[50], daemon=True).start()\ntime.sleep(50)\n```\n",
        {"processes": 80},
        "more than the 80 that a run may have",
    ),
    "memory of one": ("```python\nkept = bytearray(900_000_000)\n```\n", {"memory": 400 << 20}, "MemoryError"),
    "memory of all": (FAMILY, {"memory": 400 << 20}, "more than the 400 MB that a run may use"),
    "memory in bash": ("```bash\ntail /dev/zero\n```\n", {"memory": 400 << 20}, "memory exhausted"),
    "time": ("```python\nwhile True: pass\n```\n", {"cpu": 3}, "used more time of a processor than a run may have"),
    "file": ("```python\nopen('big', 'wb').write(b'x' * 3_000_000)\n```\n", {"file-size": 1_000_000}, "File too large"),
    "files": ("```python\nkept = [open('/dev/null') for _ in range(500)]\n```\n", {"files": 200}, "Too many open files"),
}


def _strangers(before: set[int]) -> list[str]:
    """The processes that are here now and were not before, and belong to no test."""
    return [
        " ".join(process.info["cmdline"] or [])
        for process in psutil.process_iter(["cmdline"])
        if process.pid not in before and "bomb" in " ".join(process.info["cmdline"] or [])
    ]


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_wants_too_much_ends(case: str, project: Project) -> None:
    """A run that breaks a bound is failed and unknown, with the reason; what it had judged stays; nothing of it lives on."""
    body, limits, why = CASES[case]
    before = set(psutil.pids())
    begun = time.monotonic()
    outcome = project.run(f"{CHECK}\n## Want more\n\n{body}", limits=limits)
    assert (outcome.run.state, outcome.run.status) == (RunState.FAILED, Status.UNKNOWN)
    assert why in outcome.run.reason
    assert [result.status for result in outcome.results] == [Status.OK]
    assert time.monotonic() - begun < 40
    assert _strangers(before) == []


def test_a_run_within_its_bounds_notices_nothing(project: Project) -> None:
    """The bounds that hold where nobody declares any let numerical libraries and many children work."""
    body = "```python\nimport subprocess\nimport numpy\nassert numpy.zeros((4000, 4000)).sum() == 0\n"
    body += "for child in [subprocess.Popen(['true']) for _ in range(40)]: assert child.wait() == 0\n```\n"
    outcome = project.run(f"{body}\n{CHECK}")
    assert outcome.run.status is Status.OK, outcome.run.reason


def test_a_declared_bound_is_the_one_that_holds(project: Project) -> None:
    """What mkdocs.yml says under `limits` holds for every run, and the run says what held."""
    mkdocs = project.root / "mkdocs.yml"
    mkdocs.write_text(mkdocs.read_text().replace("{environment: test}", "{environment: test, limits: {files: 300, memory: 1 GB}}"))
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
assert resource.getrlimit(resource.RLIMIT_CORE) == (1, 1)
assert not [name for name in os.listdir() if name.startswith("core")]
```
"""
    outcome = project.run(f"{body}\n{CHECK}")
    assert outcome.run.status is Status.OK, outcome.run.reason


def test_a_group_of_control_is_made_and_gone(project: Project) -> None:
    """Where a control group may be made a run has one of its own, which is gone when the run is."""
    above = bounds._own_group()
    if not above or not os.access(above, os.W_OK):
        pytest.skip("no control group of version 2 may be made here")
    outcome = project.run("```python\nprint(open('/proc/self/cgroup').read())\n```\n")
    assert outcome.evidence is not None
    assert "/proofbook-" in outcome.evidence.decode()
    mine = [path.name for path in Path(above).glob("proofbook-*") if not Path(f"/proc/{path.name.removeprefix('proofbook-')}").exists()]
    assert mine == []


def test_bounds_travel_as_text() -> None:
    """What is written as a variable's value is read back."""
    assert bounds.from_text(bounds.to_text(bounds.defaults())) == bounds.defaults()
    assert bounds.from_text("") == {}
