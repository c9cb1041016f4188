"""Limits that look back: windows, counts, baselines, changes, leaving and staying."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalogue.probe_kinds import parse_duration
from checks.judge import judge, parse_limit, require_same_dimension
from checks.model import Alignment, Baseline, FixedBaseline, Metric, Observation, Series, Status, Unmeasured
from tests.golden import cases

NOW = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
LIMITS = ("warning", "critical", "green", "leave_warning", "leave_critical")
DURATIONS = ("every", "stay")
ORDER = {Status.OK: 0, Status.WARNING: 1, Status.UNKNOWN: 2, Status.CRITICAL: 3}


def _baseline(given: dict[str, Any]) -> Baseline | FixedBaseline:
    if "value" in given:
        return FixedBaseline(float(given["value"]), date.fromisoformat(str(given["on"])), given["by"])
    spans: dict[str, Any] = {name: parse_duration(given[name]) for name in ("window", "needs")}
    rest: dict[str, Any] = {name: given[name] for name in ("samples", "since", "until") if name in given}
    return Baseline(given.get("statistic", "median"), **spans, aligned=Alignment(given.get("aligned", "none")), **rest)


def _metric(given: dict[str, Any]) -> Metric:
    limits: dict[str, Any] = {name: parse_limit(given[name]) for name in LIMITS if name in given}
    for limit in limits.values():
        require_same_dimension(limit, given["unit"])
    spans: dict[str, Any] = {name: parse_duration(given[name]) for name in DURATIONS if name in given}
    return Metric(
        "shop",
        "figure",
        "Figure",
        given["unit"],
        {},
        **limits,
        **spans,
        series=Series(given.get("series", "gauge")),
        baseline=_baseline(given["baseline"]) if "baseline" in given else None,
    )


def _history(rows: list[Any]) -> list[tuple[datetime, float]]:
    """Rows of (how long ago, value), or (from how long ago, to how long ago, how often, value)."""
    samples = []
    for *when, value in rows:
        if len(when) == 1:
            samples.append((NOW - parse_duration(when[0]), float(value)))
            continue
        begin, end, step = (parse_duration(part) for part in when)
        ago = begin
        while ago >= end:
            samples.append((NOW - ago, float(value)))
            ago -= step
    return sorted(samples)


@pytest.mark.parametrize("case", cases("judge-history"))
def test_a_value_is_judged_by_its_history_as_the_table_says(case: dict[str, Any]) -> None:
    """Each value, after the samples that the table gives, gets the status and the reason that it says."""
    metric = _metric(case["input"])
    for row in case["expected"]:
        seen = Observation(float(row["value"]), metric.unit, NOW, 0.1, "a test")
        result = judge(metric, seen, NOW, _history(row.get("history", [])))
        assert (result.status, row["reason"] in result.reason) == (Status(row["status"]), True), (row, result.reason)
        if "baseline" in row:
            assert result.baseline is not None
            assert [result.baseline.value, result.baseline.samples, result.baseline.about] == row["baseline"]


WINDOWED = Metric("shop", "cpu", "CPU", "%", {}, critical=parse_limit("> 70 % for 15m"), every=timedelta(minutes=1))
COUNTED = Metric(
    "shop", "errors", "Errors", "", {}, critical=parse_limit("> 5 in 15m"), every=timedelta(minutes=1), series=Series.EVENTS
)
KEPT = Metric(
    "shop",
    "rate",
    "Rate",
    "%",
    {},
    critical=parse_limit("> 70 %"),
    leave_critical=parse_limit("< 50 %"),
    every=timedelta(minutes=1),
    stay=timedelta(minutes=5),
)
samples = st.dictionaries(st.integers(1, 40), st.sampled_from([0.0, 10.0, 60.0, 80.0, 100.0]), max_size=40)


def _status(metric: Metric, past: dict[int, float], value: float) -> Status:
    history = [(NOW - timedelta(minutes=ago), past[ago]) for ago in sorted(past, reverse=True)]
    return judge(metric, Observation(value, metric.unit, NOW, 0.0, "a test"), NOW, history).status


LOW = Metric(
    "shop",
    "stock",
    "Stock",
    "%",
    {},
    warning=parse_limit("< 20 % for 10m"),
    critical=parse_limit("< 5 %"),
    every=timedelta(minutes=1),
)
RISES = Metric(
    "shop", "total", "Total", "", {}, critical=parse_limit("> 50 in 15m"), every=timedelta(minutes=1), series=Series.COUNTER
)
QUIET = Metric(
    "shop", "orders", "Orders", "", {}, critical=parse_limit("< 100 in 15m"), every=timedelta(minutes=1), series=Series.EVENTS
)
MOVED = Metric("shop", "recipe", "Recipe", "", {}, warning=parse_limit("changes in 15m"), every=timedelta(minutes=1))
USUAL = Metric(
    "shop",
    "wait",
    "Wait",
    "%",
    {},
    warning=parse_limit("> 120 % of baseline for 3m"),
    critical=parse_limit("> 300 % of baseline"),
    baseline=Baseline("median", timedelta(minutes=40), timedelta(minutes=15), samples=5),
    every=timedelta(minutes=1),
)
# With `stay:` a fine sample between two that break shows that the status was entered anew, and is kept from then on.
FINE = [(WINDOWED, 10.0), (COUNTED, 0.0), (replace(KEPT, stay=None), 10.0), (LOW, 100.0)]
SLOW = replace(KEPT, leave_critical=parse_limit("< 50 % for 5m"), stay=None)
ALL = [SLOW, WINDOWED, COUNTED, KEPT, LOW, RISES, QUIET, MOVED, USUAL]


@given(samples, st.sets(st.integers(1, 40)), st.sampled_from([0.0, 4.0, 10.0, 60.0, 80.0]), st.sampled_from(FINE))
def test_more_samples_that_are_fine_never_make_a_status_worse(
    past: dict[int, float], more: set[int], value: float, judged: tuple[Metric, float]
) -> None:
    """Where samples are added that break nothing, a window, a count and a kept status are judged the same or better."""
    metric, fine = judged
    assert ORDER[_status(metric, dict.fromkeys(more, fine) | past, value)] <= ORDER[_status(metric, past, value)]


@given(samples, st.sets(st.integers(1, 40)), st.sampled_from([0.0, 10.0, 60.0, 80.0]), st.sampled_from(ALL))
def test_what_is_unknown_never_becomes_ok_by_leaving_samples_out(
    past: dict[int, float], left_out: set[int], value: float, metric: Metric
) -> None:
    """Forgetting samples can make a status unknown, but never ok where it was not before."""
    if metric is USUAL:
        past = {ago: sample + 1.0 for ago, sample in past.items()}  # of a usual zero nothing is a share, whoever forgets it
    fewer = {ago: sample for ago, sample in past.items() if ago not in left_out}
    if _status(metric, past, value) is Status.UNKNOWN:
        assert _status(metric, fewer, value) is not Status.OK


@given(samples, st.sampled_from([0.0, 10.0, 60.0, 80.0]), st.sampled_from(ALL))
def test_a_window_of_which_nothing_is_known_is_never_well_unless_its_value_settles_it(
    past: dict[int, float], value: float, metric: Metric
) -> None:
    """Where a metric is ok with its history, it is ok or unknown without any: no history is never worse news than some."""
    if _status(metric, past, value) is Status.OK:
        assert _status(metric, {}, value) in (Status.OK, Status.UNKNOWN)


@given(samples, st.integers(1, 40), st.integers(0, 200), st.sampled_from([WINDOWED, KEPT, LOW]))
def test_too_few_samples_or_no_number_are_never_ok(past: dict[int, float], needs: int, rests_on: int, metric: Metric) -> None:
    """Whatever is known of the past, a value that rests on too little is unknown, and so is one that is none."""
    history = [(NOW - timedelta(minutes=ago), past[ago]) for ago in sorted(past, reverse=True)]
    thin = replace(metric, needs=needs)
    for seen in (
        Observation(10.0, "%", NOW, 0.0, "a test", samples=rests_on if rests_on < needs else None),
        Observation(float("nan"), "%", NOW, 0.0, "a test", samples=rests_on),
        Unmeasured("no answer", NOW, 0.0, "a test"),
    ):
        assert judge(thin, seen, NOW, history).status is Status.UNKNOWN


@given(samples, st.sampled_from([60.0, 80.0, 100.0]))
def test_a_window_is_broken_only_where_every_sample_says_so(past: dict[int, float], value: float) -> None:
    """Critical means: each minute's sample of the window is there or its neighbour is, and all of them break the limit."""
    if _status(WINDOWED, past, value) is Status.CRITICAL:
        inside = {ago: sample for ago, sample in past.items() if ago <= 15}
        assert value > 70
        assert all(sample > 70 for sample in inside.values())
        assert len(inside) >= 7


@pytest.mark.parametrize(
    ("past", "status"),
    [
        ({20: 10.0, 10: 80.0, 1: 10.0}, Status.UNKNOWN),
        ({20: 10.0, 10: 80.0, **dict.fromkeys(range(1, 7), 10.0)}, Status.OK),
        ({20: 10.0, 10: 80.0, **dict.fromkeys(range(1, 4), 10.0)}, Status.UNKNOWN),
        ({20: 10.0, 4: 80.0, **dict.fromkeys(range(1, 4), 10.0)}, Status.CRITICAL),
    ],
)
def test_a_status_is_not_left_by_a_condition_that_nobody_could_judge(past: dict[int, float], status: Status) -> None:
    """Where the condition to leave looks at a window with a gap, nobody knows whether it was left; it is not ok."""
    assert _status(SLOW, past, 10.0) is status


def test_samples_of_the_future_and_no_numbers_are_no_history() -> None:
    """A clock that ran ahead, or a value that is none, settles nothing."""
    wrong = [(NOW + timedelta(minutes=5), 10.0), (NOW - timedelta(minutes=1), float("nan"))]
    result = judge(WINDOWED, Observation(80.0, "%", NOW, 0.0, "a test"), NOW, wrong)
    assert (result.status, result.reason) == (Status.UNKNOWN, "> 70 % for 15m: needs 15 min of samples, has 0 s")


@pytest.mark.parametrize(("samples", "status"), [(None, "unknown"), (19, "unknown"), (20, "critical"), (480, "critical")])
def test_a_figure_of_too_few_samples_is_unknown(samples: int | None, status: str) -> None:
    """A percentage of three requests is no percentage: `needs:` says how many there must be, and the reason how many were."""
    metric = Metric("shop", "rate", "Rate", "%", {}, critical=parse_limit("> 10 %"), needs=20)
    result = judge(metric, Observation(50.0, "%", NOW, 0.1, "a test", samples=samples), NOW)
    assert result.status is Status(status)
    assert ("needs 20 samples" in result.reason) is (status == "unknown")
    assert "50 %" in result.reason
    assert (result.observation is None) is (status == "unknown")


@pytest.mark.parametrize(("text", "status"), [("v2.0.1", "ok"), ("2.0.1", "critical"), ("", "critical")])
def test_a_text_is_judged_by_its_pattern(text: str, status: str) -> None:
    """A text that lacks what it should match breaks the limit, and stands in the reason."""
    metric = Metric("shop", "release", "Release", "text", {}, critical=parse_limit(r"not matches /^v\d+\.\d+\.\d+$/"))
    result = judge(metric, Observation(1.0, "text", NOW, 0.1, "a test", text), NOW)
    assert result.status is Status(status)
    assert result.reason.startswith(f'"{text}"')
