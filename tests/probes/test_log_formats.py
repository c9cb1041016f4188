from __future__ import annotations

import gzip
import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.errors import DataError
from checks.model import Observation
from checks.probes._log_lines import Lines, Order, template
from tests.probes.conftest import NOW, measured, reason_of, value_of
from tests.probes.test_log import aged, entry, log, written

# As nginx 1.22, PHP 8.2 and Python 3.11 wrote them; NOW is 2026-01-31 12:00 UTC.
ACCESS = """\
203.0.113.9 - - [31/Jan/2026:11:58:00 +0000] "GET /shop?page=2 HTTP/1.1" 200 512
203.0.113.9 - anna [31/Jan/2026:12:58:30 +0100] "POST /orders HTTP/1.1" 503 - "https://shop.test/" "Mozilla/5.0 \\"x\\""
2001:db8::1 - - [31/Jan/2026:11:59:00 +0000] "GET /2020-01-01T00:00:00Z HTTP/2.0" 404 99 "-" "curl/8"
203.0.113.9 - - [31/Jan/2026:11:59:10 +0000] "\\x16\\x03\\x01" 400 150 "-" "-"
"""
NGINX = """\
2026/01/31 11:58:00 [error] 123#123: *45 connect() failed (111: Connection refused) while connecting, client: 203.0.113.9
2026/01/31 11:58:30 [warn] 123#123: *46 an upstream response is buffered
2026/01/31 11:59:00 [error] 124#124: *47 connect() failed (111: Connection refused) while connecting, client: 203.0.113.7
"""
PHP = """\
[31-Jan-2026 11:57:00 UTC] PHP Warning:  Undefined variable $a in /srv/a.php on line 3
[31-Jan-2026 11:58:00 UTC] PHP Fatal error:  Uncaught Exception: no in /srv/a.php:9
Stack trace:
#0 {main}
[31-Jan-2026 12:59:00 Europe/Berlin] PHP Parse error:  syntax error in /srv/b.php on line 1
[31-Jan-2026 06:59:30 America/New_York] Cron: event 17 was rescheduled
"""
PYTHON = """\
2026-01-31 11:57:00,123 - shop - INFO - order 17 paid, no ERROR
2026-01-31 11:58:00,123 ERROR shop.orders: order 18 failed
Traceback (most recent call last):
ValueError: 18
2026-01-31 11:59:00,123 [WARNING] stock of 9f3c2a1b0d is low
"""


def of(tmp_path: Path, text: str) -> Path:
    """A log with this text."""
    path = tmp_path / "a.log"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "where", "count"),
    [
        (ACCESS, {}, 4),
        (ACCESS, {"status": [503, 404]}, 2),
        (ACCESS, {"status": 200, "method": "GET", "path": "/shop?page=2"}, 1),
        (ACCESS, {"user": "anna", "remote": "203.0.113.9"}, 1),
        (ACCESS, {"agent": "curl/8"}, 1),
        (ACCESS, {"bytes": 0}, 1),
        (NGINX, {"level": "ERROR"}, 2),
        (NGINX, {"level": ["ERROR", "WARN"]}, 3),
        (PHP, {}, 4),
        (PHP, {"level": ["FATAL", "PARSE"]}, 2),
        (PHP, {"level": "WARNING"}, 1),
        (PYTHON, {"level": "ERROR"}, 1),
        (PYTHON, {"level": "INFO"}, 1),
        (PYTHON, {"level": "WARNING"}, 1),
    ],
)
def test_each_format_is_read(tmp_path: Path, text: str, where: dict[str, Any], count: int) -> None:
    """Times, levels and the parts of a request are read from access logs, nginx's, PHP's and Python's."""
    assert value_of(log(of(tmp_path, text), where=where)) == count


@pytest.mark.parametrize(("text", "in_90_s"), [(ACCESS, 3), (NGINX, 2), (PHP, 2), (PYTHON, 1)])
def test_each_formats_times_are_in_the_window(tmp_path: Path, text: str, in_90_s: int) -> None:
    """A window leaves out what is older, whichever way its time is written."""
    assert value_of(log(of(tmp_path, text), window="90001ms")) == in_90_s


def test_shares_and_statistics_are_taken_of_access_logs(tmp_path: Path) -> None:
    """The fields of a request serve ratios and statistics as those of JSON do."""
    path = of(tmp_path, ACCESS)
    assert value_of(log(path, measure="ratio", where={"status": [503]}), "%") == 25
    assert value_of(log(path, measure="max", field="bytes"), "B") == 512
    assert value_of(log(of(tmp_path, PHP), match="(?s)Fatal.*main")) == 1


@pytest.mark.parametrize(("text", "field"), [(ACCESS, "level"), (NGINX, "status"), (PHP, "service"), (PYTHON, "status")])
def test_a_field_that_a_format_lacks_is_unknown(tmp_path: Path, text: str, field: str) -> None:
    """A condition on what no line can have is not silently false."""
    assert f"are not JSON, so they have no field {field}" in reason_of(log(of(tmp_path, text), where={field: "x"}))


@pytest.mark.parametrize(
    "line",
    [
        "[31-Feb-2026 11:59:00 UTC] PHP Fatal error: x",
        "[31-Jan-2026 11:59:00 No/Where] PHP Fatal error: x",
        "[31-Jan-2026 11:59:00 ../../etc/passwd] PHP Fatal error: x",
        "2026/13/31 11:59:00 [error] x",
        '1.1.1.1 - - [31/Foo/2026:11:59:00 +0000] "GET / HTTP/1.1" 200 1',
        '1.1.1.1 - - [31/Jan/2026:11:59:00 +9999] "GET / HTTP/1.1" 200 1',
        "0001-01-01 00:00:00 +1400 x",
    ],
)
def test_a_time_that_is_none_leaves_the_line_out(tmp_path: Path, line: str) -> None:
    """Impossible dates and unknown zones are no times, and nothing breaks."""
    assert "no line of" in reason_of(log(of(tmp_path, f"{line}\n")))


def test_pythons_own_logging_is_read(tmp_path: Path) -> None:
    """What the logging module writes now is in the window, level and trace included."""
    path = tmp_path / "app.log"
    handler = logging.FileHandler(path)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger = logging.Logger("shop")
    logger.addHandler(handler)
    logger.info("fine")
    try:
        raise ValueError("17")
    except ValueError:
        logger.exception("order failed")
    handler.close()
    now = datetime.now(UTC) + timedelta(seconds=1)
    assert value_of(log(path, where={"level": "ERROR"}, match="ValueError: 17"), now=now) == 1
    assert value_of(log(path), now=now) == 2


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("stamp", "zone", "utc"),
    [
        ("2026-01-31 12:30:00", "Europe/Berlin", "2026-01-31 11:30:00"),
        ("2026-01-31 06:30:00", "America/New_York", "2026-01-31 11:30:00"),
        ("2026-01-31 11:30:00+00:00", "America/New_York", "2026-01-31 11:30:00"),
        ("2026-02-01 01:00:00", "Asia/Kolkata", "2026-01-31 19:30:00"),
        ("2026-03-29 03:30:00", "Europe/Berlin", "2026-03-29 01:30:00"),
        ("2026-07-01 00:10:00", "Europe/Berlin", "2026-06-30 22:10:00"),
    ],
)
@pytest.mark.parametrize("form", ["{} x", "[{}] x"])
def test_times_without_a_zone_are_in_the_declared_one(tmp_path: Path, stamp: str, zone: str, utc: str, form: str) -> None:
    """A local time counts where it falls in UTC, over midnight too; one with a zone keeps it."""
    path = of(tmp_path, form.format(stamp) + "\n")
    assert value_of(log(path, window="1m", timezone=zone), now=at(utc)) == 1
    assert value_of(log(path, window="1m", timezone=zone), now=at(utc) + timedelta(minutes=1)) == 0


def berlin(*clocks: str) -> list[str]:
    """Lines of the night in which Berlin's clocks are put back (2026-10-25, 03:00 CEST is 02:00 CET)."""
    return [f"2026-10-25 {clock} line" for clock in clocks]


@pytest.mark.parametrize("packed", [False, True])
def test_the_hour_that_the_clock_shows_twice_is_told_apart(tmp_path: Path, packed: bool) -> None:
    """Lines of the first and of the second 02:30 are an hour apart, read from either end."""
    lines = berlin("01:50:00", "02:10:00", "02:40:00", "02:59:00", "02:01:00", "02:20:00", "02:50:00", "03:05:00")
    path = written(tmp_path / "a.log", [] if packed else lines)
    if packed:
        written(tmp_path / "a.log.1.gz", lines)
    counts = {
        window: value_of(log(path, window=window, timezone="Europe/Berlin"), now=at("2026-10-25 02:05:00"))
        for window in ("10m", "20m", "50m", "65m", "70m", "90m", "2h", "3h")
    }
    assert counts == {"10m": 1, "20m": 2, "50m": 3, "65m": 4, "70m": 5, "90m": 6, "2h": 7, "3h": 8}


def test_in_the_first_of_two_hours_the_second_has_not_come(tmp_path: Path) -> None:
    """While the first of the two hours runs, its lines are not taken for the future."""
    path = written(tmp_path / "a.log", berlin("02:10:00", "02:20:00"))
    assert value_of(log(path, window="15m", timezone="Europe/Berlin"), now=at("2026-10-25 00:21:00")) == 2
    assert value_of(log(path, window="15m", timezone="Europe/Berlin"), now=at("2026-10-25 01:21:00")) == 2


@given(st.lists(st.integers(0, 4 * 3600), min_size=1, max_size=40).map(sorted))
def test_local_times_give_the_instants_back(seconds: list[int]) -> None:
    """Any sequence through the night of the change, written in local time at least once in five minutes, is read back exactly."""
    from zoneinfo import ZoneInfo

    start = at("2026-10-24 23:00:00")
    instants = sorted({start + timedelta(seconds=second) for second in [*seconds, *range(0, 4 * 3600, 299)]})
    lines = [instant.astimezone(ZoneInfo("Europe/Berlin")).strftime("%Y-%m-%d %H:%M:%S x") for instant in instants]
    forwards = Lines("ts", "Europe/Berlin")
    assert [line.at for line in (forwards.read(text, Order.FORWARDS) for text in lines) if line] == instants
    backwards = Lines("ts", "Europe/Berlin")
    backwards.begin(instants[-1])
    assert [line.at for line in (backwards.read(text, Order.BACKWARDS) for text in lines[::-1]) if line] == instants[::-1]


def test_a_zone_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """A mistyped zone is an error of the catalogue."""
    with pytest.raises(DataError, match="the probe of shop/figure is not valid"):
        measured(log(tmp_path / "a.log", timezone="Europe/Berlln"))


@pytest.mark.parametrize(
    ("message", "same"),
    [
        ("order 17 failed after 12.5 s", "order <n> failed after <n> s"),
        ("order -3 failed at 2026-01-31", "order <n> failed at <n>"),
        ("user 550e8400-e29b-41d4-a716-446655440000 left", "user <id> left"),
        ("object 0xdeadbeef1 of req_8f3a at 10.0.0.1:8080", "object <id> of <id> at <n>"),
        ("commit 9fceb02d0ae5 pushed", "commit <id> pushed"),
        ("nothing differs", "nothing differs"),
        ("  first line 1 \nsecond line 2", "first line <n>"),
        ("", ""),
    ],
)
def test_a_template_leaves_out_what_differs(message: str, same: str) -> None:
    """Numbers, ids, hexadecimals and addresses are replaced, words stay."""
    assert template(message) == same


@given(st.text(max_size=200), st.integers(0, 10**12), st.integers(0, 10**12))
def test_messages_that_differ_in_a_number_have_one_template(text: str, one: int, other: int) -> None:
    """Whatever stands around it, a number does not tell two messages apart."""
    assert template(f"{text} {one} times") == template(f"{text} {other} times")


def test_the_most_frequent_message_is_counted(tmp_path: Path) -> None:
    """Messages that differ in numbers and ids are one; the detail names it and how many there are."""
    lines = [entry(100 - number, message=f"order {number} timed out", level="ERROR") for number in range(7)]
    lines += [entry(50 - number, message=f"no stock of {number:x}a1", level="ERROR") for number in range(3)]
    lines += [entry(20, message="fine")] * 20
    path = written(tmp_path / "a.log", lines)
    seen = measured(log(path, measure="top", where={"level": "ERROR"}))
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.samples) == (7, 30)
    assert seen.detail.startswith("order <n> timed out (1 of 2 messages; 10 of 30 lines")
    assert value_of(log(path, measure="top", where={"level": "NONE"})) == 0


@pytest.mark.parametrize(
    ("text", "count", "top"),
    [
        (NGINX, 2, "<n>#<n>: *<n> connect() failed (<n>: Connection refused) while connecting, client: <n>"),
        (PHP, 1, "Cron: event <n> was rescheduled"),
        (PYTHON, 1, "- shop - INFO - order <n> paid, no ERROR"),
    ],
)
def test_plain_messages_are_grouped_without_their_time(tmp_path: Path, text: str, count: int, top: str) -> None:
    """The time is no part of the message; of equals, the first by name is named."""
    seen = measured(log(of(tmp_path, text), measure="top"))
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.detail.partition(" (1 of")[0]) == (count, top)


def test_requests_are_grouped_by_path_and_status(tmp_path: Path) -> None:
    """An access log's message is what was asked and what came of it, without the query."""
    lines = [f'1.1.1.{n} - - [31/Jan/2026:11:59:00 +0000] "GET /orders/{n}?a={n} HTTP/1.1" 503 {n}' for n in range(5)]
    lines += ['1.1.1.1 - - [31/Jan/2026:11:59:00 +0000] "GET /orders/1 HTTP/1.1" 200 9'] * 4
    seen = measured(log(written(tmp_path / "a.log", lines), measure="top"))
    assert isinstance(seen, Observation), seen
    assert seen.value == 5
    assert seen.detail.startswith("GET /orders/<n> 503 (1 of 2")


def test_too_many_different_messages_are_unknown(tmp_path: Path) -> None:
    """A log in which all messages differ does not fill the memory."""
    names = ("".join(chr(97 + number // 26**place % 26) for place in range(4)) for number in range(10_100))
    path = written(tmp_path / "a.log", [entry(10, message=f"x {name}") for name in names])
    assert "more than 10,000 different messages" in reason_of(log(path, measure="top"))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_a_pattern_that_would_backtrack_ends(tmp_path: Path, pattern: str) -> None:
    """A pattern that would hold Python's own engine for years is searched for in no time."""
    path = of(tmp_path, f"2026-01-31 11:59:00 {'a' * 5000}!\n" * 20)
    started = time.monotonic()
    assert value_of(log(path, match=pattern)) == 0
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        '1.1.1.1 - - [31/Jan/2026:11:59:00 +0000] "' + '\\"' * 100_000,
        "2026-01-31 11:59:00 " + "a1" * 100_000,
        "2026-01-31 11:59:00 " + "<n>," * 50_000 + "-" * 50_000,
        "{" * 100_000,
        "[31-Jan-2026 11:59:00 " + "A/" * 50_000,
    ],
)
def test_a_hostile_line_costs_no_more_than_its_length(tmp_path: Path, line: str) -> None:
    """Lines that are made to be slow to read are not."""
    path = of(tmp_path, f"{line}\n" * 5 + "2026-01-31 11:59:00 fine\n")
    started = time.monotonic()
    measured(log(path, measure="top"))
    assert time.monotonic() - started < 3


def test_windows_reach_into_packed_access_logs(tmp_path: Path) -> None:
    """Rotated and gzipped files of each format are read as the log itself is."""
    path = of(tmp_path, "")
    (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(ACCESS.encode()))
    aged(tmp_path / "a.log.1.gz", 30)
    assert value_of(log(path, where={"status": 503})) == 1
    assert value_of(log(path), now=NOW + timedelta(hours=2)) == 0
