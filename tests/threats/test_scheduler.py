"""The scheduler that stays, driven as an operator or a service manager would: it runs, samples, signs, ends, and dies."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from checks.journal import open_journal
from checks.model import RunState, Status
from tests.run.project import SYSTEM
from tests.threats.shop import FINE, Shop, open_shop

SAMPLED = SYSTEM.replace('critical: "< 5 kg"', 'critical: "< 5 kg"\n    every: 1s')


def _shop(tmp_path: Path) -> Shop:
    shop = open_shop(tmp_path / "site")
    shop.project.describe(SAMPLED)
    alive = f"  - proofbook: {{environment: test, alive: {shop.root}/alive}}"
    mkdocs = (shop.root / "mkdocs.yml").read_text()
    (shop.root / "mkdocs.yml").write_text(mkdocs.replace("  - proofbook: {environment: test}", alive))
    return shop


def _wait(until: Callable[[], Any], seconds: float = 90) -> None:
    ends = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < ends
        time.sleep(0.2)


def _journal(shop: Shop) -> Path:
    return shop.root / ".proofbook" / "journal.db"


def _ask(shop: Shop, question: str) -> int:
    if not _journal(shop).exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{_journal(shop)}?mode=ro", uri=True, timeout=5)) as raw:
            return int(raw.execute(question).fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # it is just being made


def test_a_scheduler_runs_samples_signs_and_ends_cleanly(tmp_path: Path) -> None:
    """It runs what is due, samples between runs, sees a value turn critical, and on SIGTERM ends with 0, all journaled."""
    shop = _shop(tmp_path)
    shop.project.write(FINE, "morning", 'schedule: {cron: "* * * * *"}\n')
    with shop.start("schedule", "run", "--jobs", "1") as scheduler:
        _wait(lambda: _ask(shop, "SELECT count(*) FROM run_ends") >= 1)
        _wait(lambda: _ask(shop, "SELECT count(*) FROM observations JOIN series ON id = series WHERE metric = 'flour'") >= 3)
        assert "samples here" in shop.call("schedule", "sample").err
        (shop.root / "shop" / "flour").write_text("3\n")
        _wait(lambda: _ask(shop, "SELECT count(*) FROM results WHERE status = 'critical' AND run_id IS NULL") >= 1)
        scheduler.send_signal(signal.SIGTERM)
        _, said = scheduler.communicate(timeout=60)
    assert scheduler.returncode == 0, said
    assert "shop/morning finished" in said
    assert "critical shop/flour (sampled, was ok): 3 kg breaks < 5 kg" in said
    assert said.splitlines()[-1].startswith("stopped")
    assert datetime.now(UTC) - datetime.fromisoformat((shop.root / "alive").read_text().strip()) < timedelta(minutes=5)
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        assert {run.state for run in journal.runs()} <= {RunState.FINISHED, RunState.CANCELLED}
        assert journal.latest_results("test")["shop/flour"].result.status is Status.CRITICAL
        assert [sign.until <= datetime.now(UTC) for sign in journal.signs("test")] == [True]


def test_41_a_scheduler_that_is_killed_is_missed(tmp_path: Path) -> None:
    """After kill -9 the sign of life stands still, the file of `alive` too, and the next scheduler ends what was lost."""
    shop = _shop(tmp_path)
    shop.project.write("```python\nimport time\ntime.sleep(99)\n```\n", "slow", 'schedule: {cron: "0 0 * * *"}\n')
    with shop.start("schedule", "run") as scheduler:
        _wait(lambda: _ask(shop, "SELECT count(*) FROM leases") >= 1 and (shop.root / "alive").exists())
        os.kill(scheduler.pid, signal.SIGKILL)
    stood = (shop.root / "alive").read_text()
    assert "no scheduler is at work here; the last sign of life of" in shop.call("schedule", "next").err
    shop.project.write(FINE, "slow", 'schedule: {cron: "0 0 * * *"}\n')
    with shop.start("schedule", "run") as scheduler:
        _wait(lambda: _ask(shop, "SELECT count(*) FROM run_ends WHERE state = 'finished'") >= 1)
        _wait(lambda: (shop.root / "alive").read_text() != stood, 100)
        scheduler.send_signal(signal.SIGINT)
        _, said = scheduler.communicate(timeout=60)
    assert scheduler.returncode == 0, said
    assert "lost shop/slow" in said
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        assert [run.state for run in journal.runs()] == [RunState.FINISHED, RunState.LOST]


def test_39_three_days_down_is_made_up_for_as_declared(tmp_path: Path) -> None:
    """After three days each runbook that is due runs once at most: the last time, none, or the oldest, as it says."""
    shop = open_shop(tmp_path / "site")
    policies = {"last": "", "skip": ", catch-up: skip", "all": ", catch-up: all"}
    at = datetime.now(UTC) - timedelta(hours=2)  # no policy takes a time two hours ago for one that is on time
    for name, policy in policies.items():
        shop.project.write(FINE, name, f'schedule: {{cron: "{at.minute} {at.hour} * * *"{policy}}}\n')
    gone = (at - timedelta(days=3)).replace(second=0, microsecond=0)
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        for name in policies:
            assert journal.pass_slot(f"shop/{name}", "test", gone, gone, "one that went down", "it was done")
    ended, runs = shop.run("--due")
    assert ended.code == 0, ended.err
    assert set(runs) == {"last", "all"}
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        slots = journal.last_slots("test")
    today = at.replace(second=0, microsecond=0)
    assert slots == {"shop/last": today, "shop/skip": gone, "shop/all": gone + timedelta(days=1)}


def test_samples_can_be_taken_from_cron(tmp_path: Path) -> None:
    """Without a scheduler one call samples what is due, tells it by its exit status, and leaves alone what is not due."""
    shop = _shop(tmp_path)
    shop.project.describe(SAMPLED.replace("every: 1s", "every: 1d"))
    first = shop.call("schedule", "sample")
    assert (first.code, "flour" in first.out) == (0, True), first.said
    assert "no sample is due" in shop.call("schedule", "sample").err
    assert _ask(shop, "SELECT count(*) FROM observations") == 1
