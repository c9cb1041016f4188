from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import icalendar
import pytest

from checks.catalogue import Catalogue
from checks.journal import Journal, open_journal
from checks.journal.periods import periods
from checks.site import agenda, feeds, incidents, reports
from checks.site.facts import Facts, gather
from checks.site.fragments import Page, fragment
from checks.site.live import Place
from tests.site.history import record
from tests.site.people import NAME, told, with_people


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """The small project with what people answer for."""
    return with_people(tmp_path / "project")


@pytest.fixture
def journal(catalogue: Catalogue) -> Any:
    """Its journal, empty."""
    catalogue.settings.state.mkdir(parents=True, exist_ok=True)
    with open_journal(catalogue.settings.journal) as opened:
        yield opened


def facts(catalogue: Catalogue, journal: Journal, now: datetime) -> Facts:
    """What a publication knows of it."""
    return gather(catalogue, journal, "staging", now)


def shown(known: Facts, kind: str, argument: str = "", page: str = "index.html") -> str:
    """What a live element says, without its tags."""
    html = str(fragment(known, Page(page), Place(kind, argument)))
    assert "<script" not in html
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_clocks_are_held_against_what_was_promised(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """A late acknowledgement is told with how late it was; the clock that still runs is told with the time it ends at."""
    told(catalogue, journal, now)
    row = incidents.row(facts(catalogue, journal, now), catalogue.incident(NAME))
    assert (row.acknowledge.pace, row.acknowledge.took, row.acknowledge.late) == (incidents.Pace.BROKEN, "20 min", "5 min")
    assert (row.resolve.pace, row.resolve.due) == (incidents.Pace.RUNNING, datetime(2024, 11, 12, 13, 30, tzinfo=UTC))
    later = incidents.row(facts(catalogue, journal, now + timedelta(hours=5)), catalogue.incident(NAME))
    assert (later.resolve.pace, later.resolve.late) == (incidents.Pace.LATE, "2 h")


def test_an_incident_is_told_by_the_journal(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """Its story has what people said and how the system's metrics turned, in the order of time, with links to evidence."""
    record(catalogue, journal, now - timedelta(hours=8), {"error-rate": 0.4}, run_id="01A")
    # That the latency is well when it is measured for the first time is no turn.
    record(catalogue, journal, now - timedelta(minutes=70), {"error-rate": 12.4, "latency": 90.0}, run_id="01B")
    told(catalogue, journal, now)
    known = facts(catalogue, journal, now)
    story = incidents.story(known, catalogue.incident(NAME))
    assert [moment.what for moment in story] == ["opened", "Error rate", "acknowledged", "noted"]
    said = shown(known, "incident", NAME, f"incidents/{NAME}.html")
    assert "&lt;script&gt;flour()&lt;/script&gt; is out" in said
    assert "Critical Error rate : 12.4 % breaks &gt; 10 % evidence" in said
    assert "after 20 min, 5 min late" in said


def test_an_open_incident_is_no_well_answer(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """While an incident is not over, Home does not say that everything is well, however well it measures."""
    record(catalogue, journal, now, {"error-rate": 0.4, "latency": 90.0, "backup-age": 4.0})
    known = facts(catalogue, journal, now)
    assert shown(known, "answer") == "1 thing needs someone"
    assert "Acknowledged Nobody gets &lt;b&gt;bread&lt;/b&gt; of Corner shop" in shown(known, "needs")
    assert "nothing needs anyone" not in shown(known, "needs")


def test_a_word_is_shown_and_ends(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """A signed item says who signed it until when; past that, or once it is reworded, it is open and says why."""
    told(catalogue, journal, now)
    known = facts(catalogue, journal, now)
    assert shown(known, "sign", "shop/bread") == "Signed by baker until Fri 15 Nov 10:42 UTC : smelled it"
    assert 'aria-label="ticked"' in fragment(known, Page("index.html"), Place("sign", "shop/bread"))
    assert shown(known, "sign", "shop/oven") == "By hand proofbook checklist sign shop oven"
    late = facts(catalogue, journal, now + timedelta(days=4))
    assert "baker signed it; it held until 2024-11-15 10:42 UTC" in shown(late, "sign", "shop/bread")
    page = catalogue.root / "docs/systems/shop/checklist.md"
    page.write_text(page.read_text().replace("smells right", "smells"))
    from checks.catalogue import load

    reworded = facts(load(catalogue.root), journal, now)
    assert "the item was reworded since" in shown(reworded, "sign", "shop/bread")
    assert 'aria-label="open, by hand"' in fragment(reworded, Page("index.html"), Place("sign", "shop/bread"))


def test_checklists_are_summed_up(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """A system's page says how many items evidence ticks and how many people signed, of those with a name."""
    told(catalogue, journal, now)
    record(catalogue, journal, now, {"error-rate": 12.4, "latency": 90.0, "backup-age": 4.0})
    assert "Checklist 1 of 3 1 of 2" in shown(facts(catalogue, journal, now), "checklist", "shop")


def test_the_calendar_has_machines_and_people(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """To come are runs, planned work, the end of a word and an incident's promise, each on its day and soonest first."""
    told(catalogue, journal, now)
    known = facts(catalogue, journal, now)
    found = [(entry.at, entry.title) for entry in agenda.entries(known, timedelta(days=6)) if entry.title != "Morning check"]
    assert found == [
        (datetime(2024, 11, 12, 13, 30, tzinfo=UTC), "Resolve: Nobody gets <b>bread</b>"),
        (datetime(2024, 11, 14, 10, tzinfo=UTC), "A new till"),
        (datetime(2024, 11, 15, 10, 42, 10, tzinfo=UTC), "Sign again"),
        (datetime(2024, 11, 17, 3, tzinfo=UTC), "The oven is swept"),
    ]
    said = shown(known, "calendar", "6")
    assert "Thursday 14 November 07:00 Morning check of Corner shop by itself 10:00 A new till" in said
    assert "Corner shop: 1 item The oven is clean and cold" in said
    assert "planned The oven is swept Sun 17 Nov 03:00 UTC to Sun 17 Nov 03:30 UTC" in shown(known, "needs", "shop")


def test_feeds_tell_of_people(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """The Atom feed has each step of an incident, the calendar what people must do."""
    told(catalogue, journal, now)
    known = facts(catalogue, journal, now)
    assert re.findall(r"<title>(Incident \w+)", feeds.atom(known)) == ["Incident acknowledged", "Incident opened"]
    events: list[Any] = icalendar.Calendar.from_ical(feeds.calendar(known)).walk("VEVENT")
    names = [str(event["SUMMARY"]) for event in events]
    assert "A new till (Corner shop)" in names
    assert "Sign again (Corner shop)" in names


def test_a_report_compares(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """A report holds this period beside the last with the change, and the periods before; what was not measured is a dash."""
    for days, value in ((0, 0.6), (1, 0.2), (7, 0.4), (8, 0.4), (40, 5.0)):
        record(catalogue, journal, now - timedelta(days=days), {"error-rate": value, "latency": 100.0}, run_id=f"01{days:03d}")
    known = facts(catalogue, journal, now)
    line = reports.report(known, "shop", "weekly").lines[0]
    assert (line.shown[:3], line.change) == (("0.4 %", "0.4 %", ""), "the same")
    daily = reports.report(known, "shop", "daily").lines[0]
    assert (daily.shown[:3], daily.change, daily.sign) == (("0.6 %", "0.2 %", ""), "up 0.4 points", "up")
    said = shown(known, "report", "shop/monthly")
    assert "Nov 2024, so far Oct 2024" in said
    assert "Incidents opened 1 0" in said
    assert "Newest backup \u2013 \u2013" in said


@pytest.mark.parametrize(
    ("name", "day", "start", "end"),
    [
        ("daily", date(2024, 2, 29), date(2024, 2, 29), date(2024, 3, 1)),
        ("weekly", date(2024, 12, 31), date(2024, 12, 30), date(2025, 1, 6)),
        ("monthly", date(2024, 12, 31), date(2024, 12, 1), date(2025, 1, 1)),
        ("quarterly", date(2024, 11, 12), date(2024, 10, 1), date(2025, 1, 1)),
    ],
)
def test_periods_are_whole(name: str, day: date, start: date, end: date) -> None:
    """A period is whole days of the calendar, over the ends of months and years; each follows the one before."""
    spans = periods(name, day)
    assert (spans[0].start, spans[0].end) == (start, end)
    assert all(after.start == before.end for after, before in pairwise(spans))


def test_an_answer_holds_while_its_metric_is_well(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """An entry of a FAQ says whether it still holds, and that nobody can tell where nothing was measured."""
    assert "Nobody can tell whether this answer holds" in shown(facts(catalogue, journal, now), "holds", "shop/error-rate")
    record(catalogue, journal, now, {"error-rate": 12.4}, run_id="01A")
    assert "This answer may not hold: Error rate is 12.4 %" in shown(facts(catalogue, journal, now), "holds", "shop/error-rate")
    record(catalogue, journal, now + timedelta(minutes=1), {"error-rate": 0.4}, run_id="01B")
    later = facts(catalogue, journal, now + timedelta(minutes=1))
    assert "This answer holds while Error rate is well: 0.4 %" in shown(later, "holds", "shop/error-rate")


def test_plots_mark_incidents_and_tell_exact_values(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """A plot says what each value was to who points at it, and bears a band over the time of an incident."""
    record(catalogue, journal, now - timedelta(hours=3), {"latency": 123.4})
    html = str(fragment(facts(catalogue, journal, now), Page("index.html"), Place("plots", "shop/latency")))
    assert "<title>2024-11-12 07:42:10 UTC: 123 ms</title>" in html
    assert html.count("<title>P1: Nobody gets &lt;b&gt;bread&lt;/b&gt;, from 2024-11-12 09:30:00 UTC, not over</title>") == 3
