"""When runbooks are due."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.model import CatchUp, Cron, Overlap, Runbook
from checks.schedule import Slot, due, next_due, occurrences
from checks.schedule.due import admit, latest
from tests.golden import cases
from tests.journal.samples import a_runbook


def _moment(text: str) -> datetime | None:
    return None if text == "never" else datetime.fromisoformat(text)


@pytest.mark.parametrize("case", cases("schedule"))
def test_schedule(case: dict[str, Any]) -> None:
    """What is due now, in which order, and when each runbook is due next."""
    now = datetime.fromisoformat(case["now"])
    books = {
        name: a_runbook(name, told.get("cron"), told.get("timezone", "UTC"), environments=tuple(told.get("environments", ())))
        for name, told in case["runbooks"].items()
    }
    for name, told in case["runbooks"].items():
        if books[name].schedule is not None:
            books[name] = with_policy(books[name], CatchUp(told.get("catch-up", "last")))
    last = {f"shop/{name}": datetime.fromisoformat(text) for name, text in case["last"].items()}
    found = due(now, books.values(), last, "sandbox")
    assert found == [Slot(f"shop/{name}", "sandbox", datetime.fromisoformat(text)) for name, text in case["due"].items()]
    assert {name: next_due(books[name], now) for name in case["next"]} == {
        name: _moment(text) for name, text in case["next"].items()
    }


CRONS = st.builds(
    Cron,
    st.sampled_from(
        ["* * * * *", "*/15 * * * *", "0 * * * *", "30 2 * * *", "15,45 1-3 * * *", "0 9 * * MON", "0 0 1 * *", "0 */6 * * *"]
    ),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]),
)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  the zone is added


def with_policy(book: Runbook, catch_up: CatchUp = CatchUp.LAST, overlap: Overlap = Overlap.WAIT) -> Runbook:
    assert book.schedule is not None
    return replace(book, schedule=replace(book.schedule, catch_up=catch_up, overlap=overlap))


@pytest.mark.parametrize(
    ("overlap", "begins", "given_up"), [(Overlap.WAIT, 0, 0), (Overlap.SKIP, 0, 1), (Overlap.ALLOW, 1, 0)], ids=lambda x: str(x)
)
def test_a_run_that_is_still_going_on_is_met_as_declared(overlap: Overlap, begins: int, given_up: int) -> None:
    """While the run before goes on, the next waits, is given up, or begins beside it; another runbook's begins anyway."""
    books = {
        book.slug: book
        for book in (with_policy(a_runbook("slow", "* * * * *"), overlap=overlap), a_runbook("quick", "* * * * *"))
    }
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    slots = due(now, books.values(), {}, "sandbox")
    begin, give_up = admit(slots, books, {"shop/slow"})
    assert [slot.runbook for slot in begin] == ["shop/quick", *["shop/slow"] * begins]
    assert [slot.runbook for slot in give_up] == ["shop/slow"] * given_up
    assert admit(slots, books, set()) == (slots, [])


@given(CRONS, MOMENTS, st.integers(1, 60 * 24 * 2))
@settings(deadline=None)
def test_every_missed_time_is_made_up_for_once(cron: Cron, start: datetime, minutes: int) -> None:
    """With ``catch-up: all`` asking again and again gives each time since the last run, the oldest first, and then no more."""
    book, now = with_policy(a_runbook("any", cron.expression, cron.timezone), CatchUp.ALL), start + timedelta(minutes=minutes)
    last, found = {"shop/any": start}, []
    while slots := due(now, [book], last, "sandbox"):
        found.append(slots[0].due_at)
        last["shop/any"] = slots[0].due_at
        if len(found) == 40:
            break
    assert found == list(islice(takewhile(lambda moment: moment <= now, occurrences(cron, start)), 40))


@given(CRONS, MOMENTS)
def test_moments_rise_and_each_comes_once(cron: Cron, after: datetime) -> None:
    """The moments of a schedule rise strictly from any start, in UTC, through any change of clocks."""
    found = list(islice(occurrences(cron, after), 30))
    assert after < found[0]
    assert all(one < other for one, other in pairwise(found))
    assert all(moment.tzinfo is UTC for moment in found)


@given(CRONS, MOMENTS, st.integers(0, 60 * 24 * 3))
@settings(deadline=None)
def test_looking_back_and_looking_forward_agree(cron: Cron, after: datetime, minutes: int) -> None:
    """The last moment up to now is the last of those that come, one by one, before now."""
    now = after + timedelta(minutes=minutes)
    walked = list(takewhile(lambda moment: moment <= now, occurrences(cron, after)))
    assert latest(cron, after, now) == (walked[-1] if walked else None)


@given(CRONS, MOMENTS, st.lists(st.integers(1, 60 * 36), max_size=12))
@settings(deadline=None)
def test_whenever_one_asks_no_slot_comes_twice(cron: Cron, start: datetime, gaps: list[int]) -> None:
    """Asked at any times, a schedule gives rising slots, never one twice, each not later than when one asked."""
    book = a_runbook("any", cron.expression, cron.timezone)
    now, last, given_out = start, {"shop/any": start}, [start]
    for gap in gaps:
        now += timedelta(minutes=gap)
        for slot in due(now, [book], last, "sandbox"):
            assert given_out[-1] < slot.due_at <= now
            last["shop/any"] = slot.due_at
            given_out.append(slot.due_at)
        following = next_due(book, now)
        assert following is not None
        assert following > now


def test_two_times_in_one_gap_are_one_moment() -> None:
    """Two times that one change of clocks skips fall on the same moment, which comes once."""
    found = occurrences(Cron("15,45 2 * * *", "Europe/Berlin"), datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert list(islice(found, 2)) == [datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 3, 30, 0, 15, tzinfo=UTC)]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_a_daily_time_comes_once_a_day_all_year(zone: str) -> None:
    """Each day of a year, those on which clocks change included, has a time of 02:30 or right after its gap exactly once."""
    year = takewhile(
        lambda moment: moment.astimezone(ZoneInfo(zone)).year == 2026,
        occurrences(Cron("30 2 * * *", zone), datetime(2026, 1, 1, tzinfo=ZoneInfo(zone))),
    )
    days = [moment.astimezone(ZoneInfo(zone)).date() for moment in year]
    assert len(days) == len(set(days)) == 365


def test_the_last_of_a_year_of_minutes_is_found_at_once() -> None:
    """A schedule of minutes that nobody asked for a year is answered within half a second, not by walking through the year."""
    now = datetime(2026, 3, 2, 9, 0, 30, tzinfo=UTC)
    began = time.perf_counter()
    assert latest(Cron("* * * * *"), now - timedelta(days=365), now) == now.replace(second=0)
    assert time.perf_counter() - began < 0.5
