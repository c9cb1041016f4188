"""Very many results: a page stays one that a browser opens, and grows with what it shows and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.catalogue import Catalogue, load
from checks.journal import open_journal
from checks.site.facts import Publication, gather
from checks.site.fragments import Page, fragment
from checks.site.live import Place
from tests.site.history import record
from tests.site.project import small_project

NOW = datetime(2024, 11, 12, 10, 42, 10, tzinfo=UTC)
MANY = 200
A_ROW = 2_000
"""The most bytes that a metric's row takes: its title, value, limits, and line of a day."""
A_HISTORY = 30_000
"""The most bytes that a runbook's history takes, however many runs there were."""


def _house(root: Path, count: int) -> Catalogue:
    loaded = load(small_project(root))
    system = loaded.systems["shop"]
    like = system.metrics["latency"]
    metrics = {f"m-{number}": replace(like, name=f"m-{number}", title=f"Latency {number}") for number in range(count)}
    return replace(loaded, systems={"shop": replace(system, metrics=metrics)})


def test_51_many_results_on_a_page(tmp_path: Path) -> None:
    """The table of results has a bounded row for each, and each is told with its value; the history of runs is bounded."""
    catalogue = _house(tmp_path / "project", MANY)
    catalogue.settings.state.mkdir(parents=True)
    with open_journal(catalogue.settings.journal) as journal:
        values: dict[str, float | str] = {f"m-{number}": 90.0 + number for number in range(MANY)}
        record(catalogue, journal, NOW - timedelta(minutes=2), values)
        for number in range(22):
            at = NOW - timedelta(hours=1 + number)
            record(catalogue, journal, at, {}, run_id=f"01A{number:02}")
        facts = gather(catalogue, journal, "staging", NOW, Publication(1, ""))
        page = Page("systems/shop/index.html")
        table = str(fragment(facts, page, Place("metrics", "shop")))
        history = str(fragment(facts, page, Place("runs", "shop/morning")))
    assert table.count("<tr") >= MANY
    assert all(f"Latency {number}<" in table for number in range(MANY))
    assert len(table) < MANY * A_ROW
    assert len(history) < A_HISTORY
