"""Publications around moments at which pages change by themselves: each is what a clean build of that moment is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from checks.journal import open_journal
from checks.respond import archive
from tests.site.history import drawn, morning_cells, png, record
from tests.site.people import told, with_people
from tests.site.test_incremental import MOMENT, Shop, tree

pytestmark = pytest.mark.slow

BORDERS = {
    "ten minutes": "2024-11-12T10:50:00+00:00",
    "an hour": "2024-11-12T11:00:00+00:00",
    "what was measured is too old": "2024-11-12T11:40:10+00:00",
    "an incident should be resolved": "2024-11-12T13:30:00+00:00",
    "the readers' day": "2024-11-12T23:00:00+00:00",
    "a day of the journal": "2024-11-13T00:00:00+00:00",
    "a runbook is due": "2024-11-13T07:00:00+00:00",
    "planned work begins": "2024-11-14T10:00:00+00:00",
    "a word is over": "2024-11-15T10:42:10+00:00",
    "a week": "2024-11-18T00:00:00+00:00",
    "a month": "2024-12-01T00:00:00+00:00",
    "a quarter and a year": "2025-01-01T00:00:00+00:00",
    "the hour that summer skips": "2025-03-30T01:00:00+00:00",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with everything that time changes, for readers who are an hour ahead."""
    root = tmp_path_factory.mktemp("borders")
    loaded = with_people(root / "project")
    catalogue = replace(loaded, settings=replace(loaded.settings, timezone="Europe/Berlin"))
    catalogue.settings.state.mkdir()
    with open_journal(catalogue.settings.journal) as journal:
        for days in (40, 1):
            record(catalogue, journal, MOMENT - timedelta(days=days), {"latency": 90.0 + days}, run_id=f"01A{days}")
        values: dict[str, float | str] = {"error-rate": 0.4, "latency": 90.0, "backup-age": 4.0}
        cells = [*morning_cells(), *morning_cells()[2:3]]
        cells[-1]["outputs"] = [drawn(png())]
        record(catalogue, journal, MOMENT - timedelta(minutes=2), values, cells=cells)
        told(catalogue, journal, MOMENT)
        archive.freeze(catalogue, journal, "staging", MOMENT)
        opened = Shop(catalogue, journal, root / "public")
        opened.publish()
        yield opened


@pytest.mark.parametrize("what", BORDERS)
def test_a_border_of_time_is_crossed_as_a_clean_build_crosses_it(shop: Shop, what: str, tmp_path: Path) -> None:
    """On a border of time, a publication made of the one of a second before has the bytes of one that is made anew."""
    shop.now = datetime.fromisoformat(BORDERS[what])
    shop.publish(timedelta(seconds=-1))
    made = shop.publish(timedelta(seconds=1))
    clean, again = tree(shop.clean(made.number, tmp_path)), tree(made.folder)
    assert again.keys() == clean.keys()
    assert [address for address in clean if again[address] != clean[address]] == []
