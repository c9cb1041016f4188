"""Runs that want all of the machine, beside one that does not: each is bounded, and the engine notices little of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from checks.run import bounds
from checks.run._warden import STOPPED
from checks.run.evidence import KEPT_CHARACTERS, path_of
from checks.run.provisioner import WARDEN
from tests.run.test_bounds import BOMB, FAMILY, SCATTERED_BOMB
from tests.threats.shop import FINE, Ended, Shop, open_shop

pytestmark = pytest.mark.slow

MB = 1 << 20
LIMITS = "limits: {processes: 40, memory: 400 MB}"
FLOOD = """\
```python
import os
line = b"x" * 999_999 + b"\\n"
for _ in range(100):
    os.write(1, line)
print("y" * 150_000_000)
```

```bash
head -c 250M /dev/zero | tr '\\0' z
```
"""
ENDLESS = """\
```bash
yes
```
"""
GREEDY = {
    "bomb": (BOMB, r"more than the 40 processes and threads"),
    "scattered": (SCATTERED_BOMB, r"more than the 40 processes and threads"),
    "hog": ("```python\nkept = bytearray(600_000_000)\n```\n", "MemoryError"),
    "hogs": (FAMILY, r"more than the 381 MB that a run may use"),
}


@dataclass(frozen=True, slots=True)
class Watched:
    """A command that has ended, with the most memory that it had itself, in bytes."""

    ended: Ended
    runs: dict[str, Any]
    most: int


def _watched(shop: Shop, *arguments: str) -> Watched:
    most = 0
    with shop.start("run", *arguments, "--format", "json") as process:
        engine = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                break
            found = re.search(r"VmHWM:\s+(\d+) kB", status)
            most = max(most, int(found.group(1)) * 1024 if found else 0)
            time.sleep(0.05)
            if not engine.is_running():
                break
        out, err = process.communicate(timeout=110)
    runs = json.loads(out)["runs"] if out else []
    return Watched(Ended(process.returncode, out, err), {run["runbook"].partition("/")[2]: run for run in runs}, most)


def _shop(folder: Path, limits: str) -> Shop:
    shop = open_shop(folder)
    mkdocs = shop.root / "mkdocs.yml"
    mkdocs.write_text(mkdocs.read_text().replace("{environment: test}", f"{{environment: test, {limits}}}"))
    return shop


def _evidence(shop: Shop, run: dict[str, Any]) -> Any:
    return json.loads(path_of(shop.root / ".proofbook", run["evidence"]).read_bytes())


@pytest.fixture(scope="module")
def greedy(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """A bomb of each kind, a hog of each kind, and a runbook that wants nothing, two at once."""
    shop = _shop(tmp_path_factory.mktemp("greedy") / "site", LIMITS)
    for name, (body, _) in GREEDY.items():
        shop.project.write(f"{FINE}\n## Want more\n\n{body}", name)
    shop.project.write(FINE, "modest")
    return _watched(shop, "--all", "--jobs", "2")


@pytest.mark.parametrize("name", GREEDY)
def test_04_05_what_wants_too_much_ends(greedy: Watched, name: str) -> None:
    """A fork bomb (in one session, in many) and a memory hog (one process, several) end by their bound, with the reason."""
    run = greedy.runs[name]
    assert (run["state"], run["status"]) == ("failed", "unknown")
    assert re.search(GREEDY[name][1], run["reason"]), run["reason"]
    assert [result["status"] for result in run["results"]] == ["ok"]


def test_04_05_the_engine_and_the_other_runs_live_on(greedy: Watched) -> None:
    """Beside all of them a modest run is ok, and the command ends as commands do."""
    assert greedy.ended.code == 3, greedy.ended.err
    assert greedy.runs["modest"]["status"] == "ok"
    assert greedy.most < 300 * MB


@pytest.mark.parametrize("bomb", [BOMB, SCATTERED_BOMB], ids=["bash", "python"])
def test_04_a_bomb_of_a_user_without_rights_is_bounded_too(bomb: str) -> None:
    """Where no control group can be made and nobody may hurry, the warden ends a bomb all the same, and nothing of it is left."""
    setpriv, python = shutil.which("setpriv"), shutil.which("python3", path="/usr/bin")
    if os.getuid() != 0 or setpriv is None or python is None:
        pytest.skip("only root can become somebody without rights")
    marker = f"PROOFBOOK_TEST=bomb-{time.time_ns()}"
    begins, body = bomb.split("\n", 1)
    program = ["bash" if "bash" in begins else python, "-c", body.replace("```", "")]
    as_nobody = [setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    told = f"{bounds.VARIABLE}=processes=40 memory=400000000"
    begun = time.monotonic()
    ended = subprocess.run(
        [*as_nobody, "env", marker, told, python, "-I", "-S", WARDEN, str(os.getpid()), *program],
        cwd="/",
        timeout=60,
        check=False,
    )
    took = time.monotonic() - begun
    assert [pid for pid in psutil.pids() if _was_told(pid, marker)] == []
    assert ended.returncode == STOPPED
    # It would have ended by itself after 12 seconds.
    assert took < 11


def _was_told(pid: int, marker: str) -> bool:
    try:
        return marker.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def test_06_a_flood_is_cut_and_memory_stays_flat(tmp_path: Path) -> None:
    """500 MB of output, and a flood without end, are kept up to a bound with a marker; the engine does not grow by them."""
    shop = _shop(tmp_path / "site", "limits: {}")
    shop.project.write(FINE, "quiet")
    quiet = _watched(shop, "shop/quiet")
    shop.project.write(f"{FINE}\n{FLOOD}", "flood")
    shop.project.write(f"{FINE}\n{ENDLESS}", "endless", "cell-deadline: 2s\n")
    flood = _watched(shop, "shop/flood")
    endless = _watched(shop, "shop/endless")
    assert (flood.runs["flood"]["status"], endless.runs["endless"]["state"]) == ("ok", "timed-out")
    for watched in (flood, endless):
        assert watched.most < quiet.most + 100 * MB
    cells = [cell for cell in _evidence(shop, flood.runs["flood"])["cells"] if cell["cell_type"] == "code"]
    for cell, missing in zip(cells[1:], (250_000_000, 250 * MB), strict=True):
        text = "".join("".join(output["text"]) for output in cell["outputs"])
        assert len(text) < KEPT_CHARACTERS + 200
        marked = re.search(r"\[proofbook: ([\d,]+) characters more were cut here\]", text)
        assert marked is not None
        assert abs(int(marked.group(1).replace(",", "")) - (missing - KEPT_CHARACTERS)) < 1000
