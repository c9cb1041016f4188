"""An engine that is killed or stopped in the middle of a run: what the next one makes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from checks.journal import open_journal
from checks.model import Run, RunState, Status
from checks.run.evidence import path_of
from checks.run.kernels import Origin
from checks.schedule import claim_due
from tests.threats.shop import FINE, Shop, open_shop

pytestmark = pytest.mark.slow

DAILY = 'schedule: {cron: "0 0 * * *"}\n'
SECRET = "a-token-that-nobody-may-see"
# The first time it says something and hangs; when it is executed again it is well.
HANGS_ONCE = f"""\
## Judge

{FINE}
## Hang

```python
import os, subprocess, time
from pathlib import Path
print("said before the end, to", os.environ["TOKEN"])
met = Path(os.environ["FOLDER"], "met")
if not met.exists():
    child = subprocess.Popen(["setsid", "sleep", "77"])
    met.with_suffix(".part").write_text(f"{{os.getpid()}} {{child.pid}}")
    print("and while it hung", flush=True)
    time.sleep(2.5)
    met.with_suffix(".part").rename(met)
    time.sleep(60)
```
"""
# The command, which kills itself right before or right after one thing that it tells the journal.
DIES = """
import os, signal, sys
from checks.cli import main
from checks.journal.store import Journal
name, when = sys.argv.pop(1), sys.argv.pop(1)
inherited = getattr(Journal, name)
def and_dies(*args, **options):
    if when == "after":
        inherited(*args, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(Journal, name, and_dies)
main()
"""


def _shop(folder: Path, body: str) -> Shop:
    shop = open_shop(folder / "site")
    shop.project.variables["SHOP_TOKEN"] = SECRET
    shop.project.write(body, "watch", DAILY)
    return shop


def _runs(shop: Shop) -> list[Run]:
    """Every run, the first one first."""
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        return sorted(journal.runs(), key=lambda run: run.id)


def _nothing_is_due(shop: Shop) -> bool:
    catalogue = shop.project.catalogue
    with open_journal(catalogue.settings.journal) as journal:
        return claim_due(catalogue, journal, "test", datetime.now(UTC)) == []


def _start_and_meet(shop: Shop) -> tuple[subprocess.Popen[str], list[int]]:
    """An engine that hangs in a cell, and the processes that the cell knows of."""
    process = shop.start("run", "--due")
    met = shop.root / "shop" / "met"
    ends = time.monotonic() + 90
    while not met.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends
        time.sleep(0.05)
    return process, [int(word) for word in met.read_text().split()]


def _rooms_in(folder: Path) -> list[str]:
    """Where kernels live, or lived."""
    return [path.parent.name for path in folder.glob("*/context.json")]


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("origin", [one.value for one in Origin])
def test_01_a_run_whose_engine_was_killed_in_a_cell_is_lost_and_done_again_once(tmp_path: Path, origin: str) -> None:
    """After kill -9 in a cell nothing is left of it; two engines then end it as lost, with what it said, and redo it once."""
    shop = _shop(tmp_path, HANGS_ONCE)
    rooms = tmp_path / "t"
    rooms.mkdir()
    shop.more["TMPDIR"] = str(rooms)
    shop.more["PROOFBOOK_KERNELS"] = origin
    engine, started = _start_and_meet(shop)
    with engine:
        os.kill(engine.pid, signal.SIGKILL)
    ends = time.monotonic() + 30
    while (any(map(_lives, started)) or _rooms_in(rooms)) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not any(map(_lives, started))
    assert _rooms_in(rooms) == []
    assert shop.call("status").code == 3
    assert [run.state for run in _runs(shop)] == [RunState.RUNNING]

    both = [shop.start("run", "--due") for _ in range(2)]
    said = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    lost, again = _runs(shop)
    assert (lost.state, lost.status, again.state, again.status) == (RunState.LOST, Status.UNKNOWN, RunState.FINISHED, Status.OK)
    assert f":{engine.pid} is gone" in lost.reason
    assert _nothing_is_due(shop)
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        assert journal.results(lost.id) == []
        assert [result.status for result in journal.results(again.id)] == [Status.OK]

    assert lost.evidence is not None
    evidence = path_of(shop.root / ".proofbook", lost.evidence).read_text(encoding="utf-8")
    assert "said before the end, to •••\\nand while it hung" in evidence
    assert '"outcome": "lost"' in evidence
    assert '"outcome": "executed"' in evidence
    assert SECRET not in evidence
    assert list((shop.root / ".proofbook" / "partial").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "when", "left"),
    [
        ("claim_slot", "after", []),
        ("start_run", "before", []),
        ("start_run", "after", [RunState.LOST]),
        ("finish_run", "before", [RunState.LOST]),
        ("finish_run", "after", [RunState.FINISHED]),
    ],
)
def test_01_killed_at_any_moment_a_slot_is_done_once(tmp_path: Path, name: str, when: str, left: list[RunState]) -> None:
    """Killed at its claim, its start or its end, a run is whole, lost or was never there, and its slot has one whole run."""
    shop = _shop(tmp_path, FINE)
    command = [sys.executable, "-c", DIES, name, when, "run", "--due", "--root", str(shop.root)]
    killed = subprocess.run(command, env=shop.surroundings, capture_output=True, text=True, timeout=100, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = shop.call("run", "--due")
    assert again.code == 0, again.said
    runs = _runs(shop)
    finished = [run for run in runs if run.state is RunState.FINISHED]
    assert len(finished) == 1
    assert [run.state for run in runs] == left if left == [RunState.FINISHED] else [*left, RunState.FINISHED]
    assert _nothing_is_due(shop)
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        assert {run.id: len(journal.results(run.id)) for run in runs} == {run.id: int(run in finished) for run in runs}


def test_18_a_worker_that_comes_back_too_late_is_refused(tmp_path: Path) -> None:
    """An engine that stood still beyond its lease finds its run lost and its slot taken over, and writes nothing."""
    shop = _shop(tmp_path, HANGS_ONCE.replace("time.sleep(60)", "time.sleep(3)"))
    engine, _ = _start_and_meet(shop)
    with engine:
        engine.send_signal(signal.SIGSTOP)
        _let_leases_expire(shop)
        other = shop.call("run", "--due")
        assert other.code == 0, other.said
        engine.send_signal(signal.SIGCONT)
        out, err = engine.communicate(timeout=100)
    assert engine.returncode == 3, (out, err)
    assert "lost" in out
    late, done = _runs(shop)
    assert (late.state, done.state) == (RunState.LOST, RunState.FINISHED)
    assert "gave no sign of life" in late.reason
    assert _nothing_is_due(shop)
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        assert journal.results(late.id) == []
        assert journal.latest_results("test")["shop/error-rate"].run_id == done.id


def _let_leases_expire(shop: Shop) -> None:
    """Make it so late that every lease is over."""
    from checks.journal import _tables

    engine = sa.create_engine(shop.project.catalogue.settings.journal)
    past = datetime.now(UTC) - timedelta(seconds=1)
    with engine.begin() as connection:
        assert connection.execute(sa.update(_tables.leases).values(expires_at=past)).rowcount == 1
        connection.execute(sa.update(_tables.slots).values(expires_at=past))
    engine.dispose()
