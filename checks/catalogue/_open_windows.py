"""Limits that look back farther, or rest on more, than is ever measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from checks.catalogue import gaps
from checks.catalogue._findings import Finding, Severity
from checks.catalogue.domains import domain_of
from checks.judge.durations import print_duration
from checks.judge.reachable import Reach, reach
from checks.model import Alignment, Baseline

if TYPE_CHECKING:
    from checks.catalogue._load import Catalogue
    from checks.catalogue._open_limits import Places
    from checks.model import Limit, Metric

_FEWEST = 2  # samples that a window should hold
_WIDEST_GAP = 2  # times `every`, as the judge has it
_PERIODS = {Alignment.HOUR_OF_DAY: timedelta(days=1), Alignment.HOUR_OF_WEEK: timedelta(days=7)}
_HOURS = {
    Alignment.NONE: "",
    Alignment.HOUR_OF_DAY: " of the same hour of the day",
    Alignment.HOUR_OF_WEEK: " of the same hour of the week",
}
_FIRES = 60  # of a schedule, looked at for its longest pause: a month of a few times a day


def windows(metric: Metric, places: Places) -> Iterator[Finding]:
    """Windows that hold too few samples, conditions that are never left, and baselines that there can never be."""
    for keys, limit in _limits(metric):
        if limit.span and metric.every and _FEWEST * metric.every > limit.window:
            yield Finding(
                places.of(metric.name, *keys),
                f"{metric.name}: `{limit.text}` looks back {_shown(limit.window)}, and it is measured every "
                f"{_shown(metric.every)}: no window of it is covered by more than one sample",
                f"measure it at least every {_shown(limit.window / _FEWEST)} (every:), or judge a longer window",
            )
        if keys[0] == "leave" and reach(limit, domain_of(metric), metric.unit) is Reach.NONE:
            yield Finding(
                places.of(metric.name, *keys),
                f"{metric.name}: no value can fulfil `{limit.text}`, so that {keys[1]} is never left",
                "say what is well again",
                Severity.ERROR if domain_of(metric).certain else Severity.FINDING,
            )
    if isinstance(metric.baseline, Baseline) and metric.every and (most := _most(metric.baseline, metric.every)) < _asked(metric):
        yield Finding(
            places.of(metric.name, "baseline"),
            f"{metric.name}: its baseline needs {_asked(metric)} samples{_HOURS[metric.baseline.aligned]}, "
            f"and its window holds no more than {most}",
            "lengthen `window:`, shorten `every:`, or ask for fewer `samples:`",
            Severity.ERROR,
        )


def unscheduled(metric: Metric, catalogue: Catalogue, places: Places) -> Iterator[Finding]:
    """A metric that only cells measure, whose runbooks run too rarely for its windows."""
    windowed = [(keys, limit) for keys, limit in _limits(metric) if limit.span]
    if metric.probe.get("kind") != "notebook" or not windowed or metric.every is None:
        return
    books = [book for book in catalogue.runbooks_of(metric.system) if metric.name in set(gaps.checked_in(book))]
    pauses = [_longest_pause(book.schedule.expression) for book in books if book.schedule is not None]
    if any(pause <= _WIDEST_GAP * metric.every for pause in pauses):
        return
    rarely = f"the most frequent one of its runbooks pauses for {_shown(min(pauses))}" if pauses else "no schedule runs it"
    keys, limit = windowed[0]
    yield Finding(
        places.of(metric.name, *keys),
        f"{metric.name}: `{limit.text}` needs a sample every {_shown(metric.every)}, and only a cell measures it: {rarely}",
        "schedule its runbook as often, or give the metric a probe that measures without a notebook",
    )


def _limits(metric: Metric) -> Iterator[tuple[tuple[str, ...], Limit]]:
    bands = {"warning": "yellow", "critical": "red"} if metric.green else {}
    for name, limit, leave in (
        ("warning", metric.warning, metric.leave_warning),
        ("critical", metric.critical, metric.leave_critical),
    ):
        if limit is not None:
            yield (bands.get(name, name),), limit
        if leave is not None:
            yield ("leave", name), leave


def _asked(metric: Metric) -> int:
    return max(metric.baseline.samples, 1) if isinstance(metric.baseline, Baseline) else 0


def _most(baseline: Baseline, every: timedelta) -> int:
    """The most samples that a baseline's window can hold."""
    period = _PERIODS.get(baseline.aligned)
    if period is None:
        return baseline.window // every + 1
    # A window's ends may cut one hour into two.
    return (baseline.window // period + 1) * math.ceil(timedelta(hours=1) / min(every, timedelta(hours=1)))


def _longest_pause(expression: str) -> timedelta:
    from cronsim import CronSim

    fires = CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC))
    return max(later - one for one, later in pairwise(next(fires) for _ in range(_FIRES)))


def _shown(span: timedelta) -> str:
    return print_duration(max(span, timedelta(seconds=1)))
