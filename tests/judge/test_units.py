from __future__ import annotations

import subprocess
import sys

import pytest

from checks.errors import DataError
from checks.judge import breaks, convert, parse_limit, require_same_dimension

FITTING = [
    ("> 500 ms", "s"),
    ("older than 26h", "d"),
    ("< 1 MB", "B"),
    ("< 1 MB", "GiB"),
    ("> 1 %", "%"),
    ("> 10", ""),
    ("> 10", "errors"),
    ("> 10 errors", ""),
    ("> 10 errors", "errors"),
    ("> 1 error", "errors"),
    ("> 5 /min", "requests/s"),
    ("> 5 requests/h", "requests/min"),
    ("> 1 kW", "W"),
    ("any", "errors"),
    ("any", "ms"),
]
UNFITTING = [
    ("> 10", "%"),
    ("> 10", "ms"),
    ("> 10", "/min"),
    ("== 0", "%"),
    ("> 1 %", ""),
    ("> 1 %", "ms"),
    ("> 500 ms", ""),
    ("> 500 ms", "errors"),
    ("> 500 msec", "ms"),
    ("< 1 mb", "MB"),
    ("> 5 requests", "errors"),
    ("> 5 requests", "requests/min"),
    ("older than 26h", "MB"),
    ("> 1 kW", "°C"),
]


@pytest.mark.parametrize(("limit", "unit"), FITTING)
def test_a_limit_of_the_same_kind_fits(limit: str, unit: str) -> None:
    """A limit in any unit of the metric's kind is accepted, and can then judge."""
    require_same_dimension(parse_limit(limit), unit)
    assert breaks(parse_limit(limit), 1e9, unit) is not limit.startswith("<")


@pytest.mark.parametrize(("limit", "unit"), UNFITTING)
def test_a_limit_of_another_kind_is_refused(limit: str, unit: str) -> None:
    """A limit that would compare two different things is refused with what to write instead."""
    with pytest.raises(DataError) as refusal:
        require_same_dimension(parse_limit(limit), unit)
    assert parse_limit(limit).text in refusal.value.what
    assert refusal.value.remedy


@pytest.mark.parametrize("unit", ["5 ms", "ms ms", "%%", "requests/user", "for", "%s", "/"])
def test_a_unit_that_is_none_is_refused_even_beside_any(unit: str) -> None:
    """A metric's unit is checked whatever its limit is."""
    with pytest.raises(DataError) as refusal:
        require_same_dimension(parse_limit("any"), unit)
    assert refusal.value.remedy


def test_what_pint_knows_beyond_the_table_is_converted_by_it() -> None:
    """Physical units outside the table of times and sizes go through pint, offsets included."""
    assert convert(1500, "W", "kW") == pytest.approx(1.5)
    assert convert(20, "°C", "degF") == pytest.approx(68)


def test_two_kinds_are_never_converted() -> None:
    """A conversion between kinds is an error that names both."""
    with pytest.raises(DataError, match=r"a time \(ms\) cannot be turned into a share \(%\)"):
        convert(1, "ms", "%")


def test_judging_does_not_import_pint() -> None:
    """Neither importing the judge nor judging times, sizes, shares and counts pays for pint."""
    program = """
import sys
from datetime import datetime, UTC
from checks.judge import convert, format_value, judge, parse_limit, require_same_dimension
from checks.model import Metric, Observation
now = datetime.now(UTC)
pairs = {"older than 26h": "s", "> 500 ms": "ms", "< 1 MB": "B", "> 1 %": "%", "> 5 requests": "requests", "any": ""}
for text, unit in pairs.items():
    limit = parse_limit(text)
    require_same_dimension(limit, unit)
    judge(Metric("a", "b", "c", unit, {}, critical=limit), Observation(3.0, unit, now, 0.0, "x"), now)
    format_value(3.0, unit)
sys.exit("pint" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
