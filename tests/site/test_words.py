from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.model import Cron
from checks.site import words


@given(st.text(max_size=200))
def test_nothing_that_acts_is_left(text: str) -> None:
    """No control, bidi or format character of observed text reaches a page, save tabs and newlines."""
    acting = {c for c in words.harmless(text) if unicodedata.category(c) in ("Cc", "Cf", "Cs")}
    assert acting <= {"\n", "\t"}


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=200))
def test_plain_text_stays(text: str) -> None:
    """Text that only says something is shown as it was observed."""
    assert words.harmless(text) == text


@pytest.mark.parametrize(
    ("observed", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;https://evil.example\x07click\x1b]8;;\x07", "click"),
        ("\x1b]0;title\x1b\\rest", "rest"),
        ("user\u202etxt.exe", "user[U+202E]txt.exe"),
        ("a\u200bb", "a[U+200B]b"),
        ("bell\x07", "bell[U+0007]"),
        ("10%\r50%\r100%", "100%"),
        ("two\r\nlines", "two\nlines"),
        ("\ud800", "[U+D800]"),
        ("unfinished \x1b[", "unfinished "),
    ],
)
def test_what_hides_is_shown_or_gone(observed: str, shown: str) -> None:
    """Terminal colours and links vanish; what would hide or reorder text appears as its number."""
    assert words.harmless(observed) == shown


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3, "just now"),
        (59, "59 s ago"),
        (119, "119 s ago"),
        (125, "2 min ago"),
        (7300, "2 h ago"),
        (94000, "26 h ago"),
        (172800, "2 d ago"),
    ],
)
def test_ages_are_in_one_number(seconds: int, said: str) -> None:
    """An age is one number in the unit that an operator would use."""
    now = datetime(2024, 11, 12, 10, tzinfo=UTC)
    assert words.age(now - timedelta(seconds=seconds), now) == said


def test_times_are_in_the_readers_zone() -> None:
    """A time of today is a clock time; one of another day says which; both name their zone."""
    now = datetime(2024, 11, 12, 23, 30, tzinfo=UTC)
    berlin = ZoneInfo("Europe/Berlin")
    assert words.clock(now - timedelta(minutes=10), berlin, now) == "00:20 CET"
    assert words.clock(now - timedelta(hours=2), berlin, now) == "Tue 12 Nov 22:30 CET"
    assert words.clock(now - timedelta(days=400), berlin, now) == "10 Oct 2023 01:30 CEST"


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("0 9 * * *", "daily at 09:00 Europe/Berlin (cron 0 9 * * *)"),
        ("30 8,17 * * 1-5", "Monday to Friday at 08:30 and 17:30 Europe/Berlin (cron 30 8,17 * * 1-5)"),
        ("0 7 * * 1", "weekly on Mon at 07:00 Europe/Berlin (cron 0 7 * * 1)"),
        ("0 7 1 * *", "monthly on day 1 at 07:00 Europe/Berlin (cron 0 7 1 * *)"),
        ("*/5 * * * *", "every 5 min, Europe/Berlin (cron */5 * * * *)"),
        ("0 7 1 1 *", "cron 0 7 1 1 *, Europe/Berlin"),
    ],
)
def test_a_schedule_is_told_in_words(expression: str, said: str) -> None:
    """Plain cron fields are told in words, all others as they are written; the fields always stand beside."""
    assert words.schedule(Cron(expression, "Europe/Berlin")) == said


def test_without_a_schedule_it_is_on_demand() -> None:
    """A runbook that nothing triggers says so."""
    assert words.schedule(None) == "on demand"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0004, "0.4 ms"), (0.0213, "21 ms"), (1.24, "1.2 s"), (12.4, "12 s"), (250, "4 min")]
)
def test_what_something_took_is_never_nothing(seconds: float, said: str) -> None:
    """A short time is told in milliseconds, never as zero."""
    assert words.took(seconds) == said
