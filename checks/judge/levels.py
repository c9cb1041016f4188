"""One limit of a metric over its samples: entered, held, left again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from checks.judge import windows
from checks.judge.baselines import baseline_of
from checks.judge.comparing import bounds_in, compare, matches
from checks.judge.limits import PATTERNS
from checks.judge.text import format_value
from checks.judge.windows import Broken, Samples
from checks.model import Against, BaselineUsed, Limit, Metric, Operator, Span, Status

_LONGEST_REPLAY = 1000
"""How many of the latest samples are looked through for when a status was entered."""


@dataclass(frozen=True, slots=True)
class Level:
    """A status that a metric may have: the limit that enters it, and the condition that leaves it."""

    status: Status
    limit: Limit
    leave: Limit | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one limit.

    Attributes:
        broken: whether its status is entered, and not yet left.
        why: what was seen beyond the value itself; where unknown, what is missing.
        baseline: what it was compared with, where it was.
        kept: whether it is only kept since an earlier sample, by ``leave:`` or ``stay:``.

    """

    broken: Broken
    why: str = ""
    baseline: BaselineUsed | None = None
    kept: bool = False


def levels_of(metric: Metric) -> list[Level]:
    """The levels of a metric, the gravest first."""
    levels = []
    if metric.critical is not None:
        levels.append(Level(Status.CRITICAL, metric.critical, metric.leave_critical))
    if metric.warning is not None:
        levels.append(Level(Status.WARNING, metric.warning, metric.leave_warning))
    return levels


def find(metric: Metric, level: Level, samples: Samples, text: str, now: datetime) -> Finding:
    """Judge a level by everything that is known.

    Args:
        metric: the metric.
        level: its level.
        samples: its samples in its unit, oldest first; the last one is what was just measured.
        text: the text that was just measured, where the metric is one.
        now: the time.

    Raises:
        DataError: the limit is written in a unit of another kind.

    """
    baseline: BaselineUsed | None = None
    leave = level.leave
    if level.limit.against is Against.BASELINE or (leave is not None and leave.against is Against.BASELINE):
        found = baseline_of(metric, samples, now, level.limit.window if level.limit.span is Span.HELD else timedelta(0))
        if isinstance(found, str):
            return Finding(Broken.UNKNOWN, f"{level.limit.text}: {found}")
        baseline = found
    if leave is None and metric.stay is None:
        return condition(metric, level.limit, samples, text, now, baseline)
    return _replayed(metric, level, samples, text, now, baseline)


def condition(metric: Metric, limit: Limit, samples: Samples, text: str, now: datetime, baseline: BaselineUsed | None) -> Finding:
    """Whether a condition is broken at a moment, by the samples up to then.

    Raises:
        DataError: the condition is written in a unit of another kind.

    """
    if limit.operator in PATTERNS:
        return Finding(Broken.YES if matches(limit, text) else Broken.NO)
    if limit.operator is Operator.CHANGES and limit.span is None:
        return _told(limit, windows.changed(samples), baseline)
    bounds = bounds_in(limit, metric.unit, baseline.value if baseline else None)
    if limit.span is None:
        return Finding(_yes(compare(limit.operator, samples[-1][1], bounds)), "", baseline)
    if metric.every is None:
        return Finding(Broken.UNKNOWN, f"{limit.text}: nothing says how often the metric is measured (every:)", baseline)
    if limit.operator is Operator.CHANGES:
        seen = windows.changed_in(samples, now, limit.window, metric.every)
    elif limit.span is Span.HELD:
        seen = windows.held(lambda value: compare(limit.operator, value, bounds), samples, now, limit.window, metric.every)
    else:
        seen = windows.counted(
            lambda number: compare(limit.operator, number, bounds),
            limit.operator,
            max(bounds, default=0.0),
            samples,
            now,
            limit.window,
            metric.every,
            metric.series,
        )
    return _told(limit, seen, baseline)


def _yes(broken: bool) -> Broken:
    return Broken.YES if broken else Broken.NO


def _told(limit: Limit, seen: windows.Seen, baseline: BaselineUsed | None) -> Finding:
    return Finding(seen.broken, f"{limit.text}: {seen.text}" if seen.broken is Broken.UNKNOWN else seen.text, baseline)


def _replayed(metric: Metric, level: Level, samples: Samples, text: str, now: datetime, baseline: BaselineUsed | None) -> Finding:
    """Follow a level through the latest samples up to now."""
    windowed = any(limit.span for limit in (level.limit, level.leave) if limit is not None)
    skipped = max(0, len(samples) - _LONGEST_REPLAY)
    followed = Follower(metric, level)
    found = Finding(Broken.UNKNOWN)
    for number, (moment, _) in enumerate(samples[skipped:], start=skipped + 1):
        at = now if number == len(samples) else moment
        past = samples[:number] if windowed else samples[max(0, number - 2) : number]
        found = followed.after(past, text, at, baseline)
    return found


class Follower:
    """A level that is followed through samples: it is left only by its own condition, and after its minimum stay.

    Before the first sample nobody knows whether it was entered, so both are followed until a sample settles it.

    Args:
        metric: the metric.
        level: its level.

    """

    def __init__(self, metric: Metric, level: Level) -> None:
        self._metric = metric
        self._level = level
        self._inside: datetime | None = None
        self._outside = True
        self._unsettled = 0  # samples since one settled it
        self._began = False

    def after(self, past: Samples, text: str, at: datetime, baseline: BaselineUsed | None) -> Finding:
        """Take the next sample.

        Args:
            past: the samples up to it, as far as the level's conditions look back; it is the last one.
            text: the text that was measured, where the metric is one.
            at: the time.
            baseline: what its limits are shares of, where they are.

        """
        metric, level = self._metric, self._level
        moment = past[-1][0]
        if not self._began:
            self._began, self._inside = True, moment
        # That it was entered is forgotten after as many samples as are ever looked through.
        self._unsettled = 0 if self._inside is None else self._unsettled + 1
        self._outside = self._outside or self._unsettled > _LONGEST_REPLAY
        latest = condition(metric, level.limit, past, text, at, baseline)
        if latest.broken is Broken.YES:
            self._inside = self._inside if self._inside and not self._outside else moment
            self._outside, self._unsettled = False, 0
            return latest
        if self._inside is not None and moment - self._inside >= (metric.stay or timedelta(0)):
            left = _left(metric, level, latest, past, text, at, baseline)
            self._outside = self._outside or left is not Broken.NO
            if left is Broken.YES:
                self._inside, self._unsettled = None, 0
        if latest.broken is Broken.UNKNOWN:
            self._inside = self._inside or moment
        return self._kept(latest, baseline)

    def _kept(self, latest: Finding, baseline: BaselineUsed | None) -> Finding:
        if self._inside is None:
            return latest
        stay = self._metric.stay
        until = f"until {self._level.leave.text}" if self._level.leave else ""
        since = f"at least {format_value(math.ceil(stay.total_seconds()), 's')}" if stay else ""
        rule = " and ".join(part for part in (until, since) if part)
        if not self._outside:
            why = f"was broken at {self._inside:%Y-%m-%d %H:%M} UTC, and is kept {rule}"
            return Finding(Broken.YES, why, baseline, kept=True)
        if latest.broken is Broken.UNKNOWN:
            return latest
        why = f"{self._level.limit.text}: kept {rule}, and no sample says whether it was broken before"
        return Finding(Broken.UNKNOWN, why, baseline)


def _left(
    metric: Metric,
    level: Level,
    entered: Finding,
    past: Samples,
    text: str,
    at: datetime,
    baseline: BaselineUsed | None,
) -> Broken:
    """Whether the condition to leave is there; without one, that the limit is not broken any more."""
    if level.leave is not None:
        return condition(metric, level.leave, past, text, at, baseline).broken
    return {Broken.YES: Broken.NO, Broken.NO: Broken.YES, Broken.UNKNOWN: Broken.UNKNOWN}[entered.broken]
