"""Reports of periods that are over: written down once, shown as they were, comparable."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from checks.catalogue import Catalogue, load
from checks.journal import Journal, open_journal
from checks.journal import _tables as t
from checks.journal.periods import FROZEN, PERIODS, Frozen, Period, detail_of, periods, read
from checks.respond import archive
from checks.site import further
from checks.site.facts import Facts, Publication, gather
from checks.site.fragments import Page, fragment
from checks.site.live import Place
from tests.site.history import record
from tests.site.project import SYSTEM
from tests.site.test_incremental import MOMENT

TODAY = MOMENT.replace(hour=9)
PAGE = Page("systems/shop/report.html")


@pytest.fixture
def past(catalogue: Catalogue, journal: Journal) -> None:
    """Three days of measurements, the last of them today."""
    for back, value in ((2, 100.0), (1, 200.0), (0, 300.0)):
        record(catalogue, journal, TODAY - timedelta(days=back), {"latency": value}, run_id=f"01DAY{back}")


def _facts(catalogue: Catalogue, journal: Journal) -> Facts:
    return gather(catalogue, journal, "staging", TODAY, Publication(1))


def _cells(facts: Facts) -> list[str]:
    shown = str(fragment(facts, PAGE, Place("report", "shop/daily")))
    row = re.search(r"<tr><td><a [^>]*>Latency</a>.*?</tr>", shown, re.DOTALL)
    assert row is not None
    return [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r'<td class="pb-n">(.*?)</td>', row.group(), re.DOTALL)]


@pytest.mark.usefixtures("past")
def test_what_is_over_stays_as_it_was(catalogue: Catalogue, journal: Journal) -> None:
    """A day that was written down is shown as it was then: not a late result, nor another limit, nor an edit of it changes it."""
    assert archive.freeze(catalogue, journal, "staging", TODAY) == 4 * archive._BACK
    assert _cells(_facts(catalogue, journal)) == ["300 ms", "200 ms", "up 50 %"]
    record(catalogue, journal, TODAY - timedelta(days=1, hours=1), {"latency": 900.0}, run_id="01LATE")
    assert archive.freeze(catalogue, journal, "staging", TODAY + timedelta(minutes=5)) == 0
    path = catalogue.root / "docs/systems/shop/system.yml"
    path.write_text(SYSTEM.replace("> 500 ms", "> 50 ms"))
    facts = _facts(load(catalogue.root), journal)
    assert _cells(facts) == ["300 ms", "200 ms", "up 50 %"]
    assert "09:42:10 UTC</span></time>; nothing alters it." in str(fragment(facts, PAGE, Place("report", "shop/daily")))
    kept = facts.frozen["report/staging/shop/daily/2024-11-11"].metrics["latency"]
    assert (kept.critical, kept.figure.count, kept.figure.mean) == ("> 500 ms", 1, 200.0)
    # Somebody writes into the database: the document is no longer what its digest says, and is not believed.
    with journal._engine.begin() as connection:
        rows = connection.execute(sa.select(t.events).where(t.events.c.subject == "report/staging/shop/daily/2024-11-11")).all()
        detail = rows[0].detail
        detail["document"]["incidents"] = 7
        connection.execute(sa.update(t.events).where(t.events.c.id == rows[0].id).values(detail=detail))
    assert "report/staging/shop/daily/2024-11-11" not in _facts(catalogue, journal).frozen


@pytest.mark.usefixtures("past")
def test_periods_stand_side_by_side(catalogue: Catalogue, journal: Journal) -> None:
    """The archive has each period that is over beside the one before it with the change; each page is reached by a link."""
    archive.freeze(catalogue, journal, "staging", TODAY)
    facts = _facts(catalogue, journal)
    pages = {page.address: page.make(facts).decode() for page in further.pages(facts)}
    assert sorted(pages) == [
        "systems/shop/reports/daily-2024-11.html",
        "systems/shop/reports/monthly-2024.html",
        "systems/shop/reports/quarterly-2022.html",
        "systems/shop/reports/quarterly-2023.html",
        "systems/shop/reports/quarterly-2024.html",
        "systems/shop/reports/weekly-2024-Q3.html",
        "systems/shop/reports/weekly-2024-Q4.html",
    ]
    days = pages["systems/shop/reports/daily-2024-11.html"]
    assert "Mon 11 Nov" in days
    assert "Tue 12 Nov" not in days
    row = re.search(r"Latency</a>.*?</tr>", days, re.DOTALL)
    assert row is not None
    assert re.findall(r'pb-n">([^<]*)<', row.group())[:2] == ["200 ms ", "100 ms"]
    assert 'pb-trend-up">100 %' in row.group()
    shown = str(fragment(facts, PAGE, Place("report", "shop/daily")))
    assert 'href="reports/daily-2024-11.html"' in shown


@pytest.mark.usefixtures("past")
def test_nothing_is_written_down_twice_or_too_early(catalogue: Catalogue, journal: Journal) -> None:
    """A period waits an hour for what is on its way; after a pause each that has ended since is written down, once."""
    early = TODAY.replace(hour=0, minute=30)
    archive.freeze(catalogue, journal, "staging", early)
    subjects = {event.subject for event in journal.events(FROZEN, limit=1_000)}
    assert "report/staging/shop/daily/2024-11-10" in subjects
    assert "report/staging/shop/daily/2024-11-11" not in subjects
    later = TODAY + timedelta(days=20)
    archive.freeze(catalogue, journal, "staging", later)
    events = [event.subject for event in journal.events(FROZEN, limit=1_000)]
    assert len(events) == len(set(events))
    assert {f"report/staging/shop/daily/2024-11-{day}" for day in range(11, 31)} <= set(events)


CHANGED = SYSTEM.replace("> 500 ms", "> 50 ms").replace("unit: ms", "unit: s").partition("  backup-age:")[0]
"""The shop as it is declared a month later: another limit, another unit, a metric less."""
DAYS = 34


def _documents(journal: Journal) -> dict[str, Frozen]:
    found = {event.subject: read(event.detail) for event in journal.events(FROZEN, limit=1_000)}
    return {subject: replace(one, at=TODAY, digest="") for subject, one in found.items() if one is not None}


def test_written_down_late_it_is_the_same(catalogue: Catalogue, tmp_path: Path) -> None:
    """A period that nobody wrote down in time has the figures, days, limits and runs that it would have had, however late."""
    begin = TODAY - timedelta(days=DAYS)
    book = catalogue.root / "notebooks/shop/clear-cache.md"
    book.write_text(book.read_text().replace("kind: procedure", "kind: report"))
    catalogue = load(catalogue.root)
    catalogue.settings.state.mkdir(parents=True)
    url = "sqlite:///{}/{}.db".format
    with open_journal(url(tmp_path, "late")) as late, open_journal(url(tmp_path, "in-time")) as in_time:
        for number, days in enumerate(range(0, DAYS, 3)):
            at = begin + timedelta(days=days)
            values: dict[str, float | str] = {"latency": 100.0 + number % 7, "backup-age": 4.0, "error-rate": number * 1.0}
            if number % 9 == 0:
                values["latency"] = "no answer"
            for journal in (late, in_time):
                record(catalogue, journal, at, values, run_id=f"01RUN{number:03}")
                record(catalogue, journal, at, {}, run_id=f"01REPORT{number:03}", runbook="shop/clear-cache", cells=[])
            archive.freeze(catalogue, in_time, "staging", at)
        path = catalogue.root / "docs/systems/shop/system.yml"
        path.write_text(CHANGED)
        changed = load(catalogue.root)
        archive.freeze(catalogue, late, "staging", begin)
        assert archive.freeze(changed, late, "staging", TODAY) > DAYS
        archive.freeze(catalogue, in_time, "staging", TODAY)
        documents = [_documents(journal) for journal in (late, in_time)]
    assert documents[0].keys() == documents[1].keys()
    for subject, one in documents[0].items():
        other = documents[1][subject]
        figures, others = ({name: kept for name, kept in of.metrics.items() if kept.figure.count} for of in (one, other))
        assert (figures, one.days, one.incidents, one.runs) == (others, other.days, other.incidents, other.runs), subject
    october = documents[0]["report/staging/shop/monthly/2024-10-01"]
    assert october.metrics["latency"].critical == "> 500 ms"
    assert len(october.runs) > 6


def test_a_document_is_read_as_it_was_written(catalogue: Catalogue, journal: Journal, tmp_path: Path) -> None:
    """What was written down is read as it was; of anything else nothing is believed."""
    archive.freeze(catalogue, journal, "staging", TODAY)
    event = journal.events(FROZEN, limit=1)[0]
    known = read(event.detail)
    assert known is not None
    assert detail_of(replace(known, digest="")) == event.detail
    assert read({}) is None
    assert read({"document": {"version": 1}, "digest": ""}) is None
    assert tmp_path.is_dir()


@pytest.mark.parametrize("name", PERIODS)
def test_periods_follow_each_other(name: str) -> None:
    """Each period begins on the day on which the one before it ends, and holds exactly its days."""
    some: list[Period] = periods(name, TODAY.date(), 30)
    assert [one.end for one in some[1:]] == [one.start for one in some[:-1]]
    assert all(PERIODS[name](one.start) == PERIODS[name](one.end - timedelta(days=1)) == one for one in some)
