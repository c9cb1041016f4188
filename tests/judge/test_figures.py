from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.judge import Figure, drawn_bounds, mean, parse_limit, percentile, percentile_of_buckets, rate, ratio
from checks.judge.figures import statistic

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
values = st.lists(st.floats(min_value=-1e9, max_value=1e9), min_size=2, max_size=50)


@given(values, st.integers(1, 99))
def test_a_percentile_is_the_one_of_the_standard_library(some: list[float], percent: int) -> None:
    """Percentiles are interpolated as `statistics.quantiles` does inclusively, and count what they rest on."""
    expected = statistics.quantiles(some, n=100, method="inclusive")[percent - 1]
    found = percentile(some, percent)
    assert found.samples == len(some)
    assert found.value == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert min(some) <= found.value <= max(some)


@pytest.mark.parametrize(
    ("name", "value"), [("min", 1.0), ("max", 5.0), ("median", 2.0), ("mean", 2.5), ("p50", 2.0), ("p99", 4.91), ("p99.9", 4.991)]
)
def test_a_statistic_has_a_name(name: str, value: float) -> None:
    """Each statistic that a baseline may name is taken of its samples."""
    found = statistic([5.0, 1.0, 2.0, 2.0], name)
    assert found.value == pytest.approx(value)
    assert found.samples == 4


@pytest.mark.parametrize("name", ["p", "p101", "average", "p9x"])
def test_a_statistic_that_is_none_is_refused(name: str) -> None:
    """A name that is no statistic is an error of the caller, not a number."""
    with pytest.raises(ValueError, match="expected"):
        statistic([1.0], name)


@pytest.mark.parametrize("figure", [percentile([], 50), mean([]), ratio(0, 0), rate([]), rate([(NOW, 5.0)])])
def test_of_nothing_there_is_no_figure(figure: Figure) -> None:
    """Where nothing was there to take it of, a figure is no number, so that it is judged unknown."""
    assert math.isnan(figure.value)
    assert figure.samples < 2


def test_a_value_that_is_no_number_spoils_a_percentile() -> None:
    """One NaN among the values makes the percentile NaN instead of hiding in the order."""
    assert math.isnan(percentile([1.0, math.nan, 3.0], 50).value)


def test_a_ratio_is_in_percent_of_what_it_rests_on() -> None:
    """Three of 480 are 0.625 %, and rest on 480."""
    assert ratio(3, 480) == Figure(0.625, 480)


@pytest.mark.parametrize(
    ("totals", "per_second"), [([0, 60, 120], 1.0), ([100, 160, 40], 100 / 120), ([5, 5, 5], 0.0), ([90, 0, 0], 0.0)]
)
def test_a_rate_survives_a_restart(totals: list[int], per_second: float) -> None:
    """A counter that falls has begun again at zero; its rate never is negative."""
    samples = [(NOW + timedelta(minutes=number), float(total)) for number, total in enumerate(totals)]
    found = rate(samples)
    assert found.value == pytest.approx(per_second)
    assert found.samples == 3


BUCKETS = [(0.1, 50), (0.5, 90), (1.0, 100), (math.inf, 100)]


@pytest.mark.parametrize(
    ("buckets", "percent", "value"),
    [
        (BUCKETS, 50, 0.1),
        (BUCKETS, 25, 0.05),
        (BUCKETS, 70, 0.3),
        (BUCKETS, 95, 0.75),
        (BUCKETS, 100, 1.0),
        (BUCKETS, 0, 0.0),
        ([(0.1, 0), (math.inf, 10)], 95, 0.1),
        ([(-1.0, 5), (1.0, 10), (math.inf, 10)], 75, 0.0),
        ([(0.1, 0), (0.5, 0), (math.inf, 0)], 95, math.nan),
        ([(math.inf, 10)], 95, math.nan),
    ],
)
def test_a_histogram_is_read_as_prometheus_reads_it(buckets: list[tuple[float, int]], percent: float, value: float) -> None:
    """Values lie evenly within a bucket; beyond the last finite bound no more is known than that bound."""
    found = percentile_of_buckets(buckets, percent)
    assert found.value == pytest.approx(value, nan_ok=True)
    assert found.samples == buckets[-1][1]


@pytest.mark.parametrize("buckets", [[], [(1.0, 5)], [(1.0, 5), (0.5, 6), (math.inf, 7)], [(1.0, 5), (math.inf, 4)]])
def test_a_histogram_that_is_none_is_refused(buckets: list[tuple[float, int]]) -> None:
    """Bounds and numbers rise, and the last bucket holds everything."""
    with pytest.raises(ValueError, match="expected buckets"):
        percentile_of_buckets(buckets, 50)


@pytest.mark.parametrize("percent", [-1, 101, math.nan])
def test_a_percentile_lies_between_0_and_100(percent: float) -> None:
    """There is no 101st percentile of values, nor of a histogram."""
    with pytest.raises(ValueError, match="from 0 to 100"):
        percentile([1.0], percent)
    with pytest.raises(ValueError, match="from 0 to 100"):
        percentile_of_buckets(BUCKETS, percent)


@pytest.mark.parametrize(
    ("limit", "unit", "bounds"),
    [
        ("> 0.5 s", "ms", (500.0,)),
        ("> 70 % for 15m", "%", (70.0,)),
        ("> 5", "requests", (5.0,)),
        ("> 5 in 1h", "requests", ()),
        ("< 80 % of baseline", "%", ()),
        ("+25 %", "%", ()),
        ("any", "ms", ()),
        ("changes", "ms", ()),
        ("matches /x/", "text", ()),
    ],
)
def test_only_bounds_on_the_values_own_scale_are_drawn(limit: str, unit: str, bounds: tuple[float, ...]) -> None:
    """A line in a plot, or a range beside a value, is never one of a baseline or of a count in a window."""
    assert drawn_bounds(parse_limit(limit), unit) == bounds
