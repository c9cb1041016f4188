"""Several schedulers: a slot is executed once."""

from __future__ import annotations

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
