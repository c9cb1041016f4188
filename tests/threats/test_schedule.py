"""Several schedulers, and one that is killed: a slot is executed once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from checks.journal import open_journal
from tests.threats.shop import FINE, Shop, open_shop

DAILY = 'schedule: {cron: "0 0 * * *"}\n'


def _runs(shop: Shop) -> list[str]:
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        return sorted(run.runbook for run in journal.runs())


def test_37_of_three_schedulers_one_runs_a_slot(tmp_path: Path) -> None:
    """Three processes that ask at the same moment run each due runbook once between them, and all end well."""
    shop = open_shop(tmp_path / "site")
    slugs = sorted(shop.project.write(FINE, name, DAILY) for name in ("one", "two", "three"))
    started = [shop.start("run", "--due") for _ in range(3)]
    ended = [process.communicate(timeout=100) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], ended
    assert _runs(shop) == slugs


def test_41_a_scheduler_that_was_killed_leaves_nothing_green(tmp_path: Path) -> None:
    """After kill -9 in a cell, nothing is half there: no result counts, the metric is unknown, and no process is left."""
    shop = open_shop(tmp_path / "site")
    shop.project.write(
        f"{FINE}\n```python\nimport os, time\n"
        "open(os.environ['FOLDER'] + '/pid', 'w').write(str(os.getpid()))\ntime.sleep(99)\n```\n",
        "slow",
        DAILY,
    )
    pid_file = shop.root / "shop" / "pid"
    with shop.start("run", "--due") as process:
        ends = time.monotonic() + 60
        while not (pid_file.exists() and pid_file.read_text()):
            assert time.monotonic() < ends
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    kernel = int(pid_file.read_text())
    ends = time.monotonic() + 20
    while Path(f"/proc/{kernel}").exists() and time.monotonic() < ends:
        time.sleep(0.1)
    assert not Path(f"/proc/{kernel}").exists()
    status = shop.call("status")
    assert status.code == 3
    assert shop.call("run", "--due").code == 0  # the slot stays taken: see the table
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        assert journal.latest_results("test") == {}
