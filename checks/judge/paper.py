"""Re-judging on paper: what a limit would have said of values that were measured before."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from checks.errors import DataError
from checks.judge.baselines import baseline_of
from checks.judge.history import needed_since
from checks.judge.levels import Finding, Follower, Level, find
from checks.judge.limits import PATTERNS, require_same_dimension
from checks.judge.windows import Broken, Sample
from checks.model import Against, Limit, Metric, Span, Status


@dataclass(frozen=True, slots=True)
class Episode:
    """Samples in a row that broke a limit.

    Attributes:
        begin: when the first of them was measured.
        end: when the last of them was; what was between it and the next sample, nobody knows.
        samples: how many they are.

    """

    begin: datetime
    end: datetime
    samples: int

    @property
    def length(self) -> timedelta:
        """The time from its first to its last sample."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Rejudged:
    """What a limit would have said at each sample.

    Attributes:
        limit: the limit.
        verdicts: one a sample, in their order.
        moments: when each of them was measured.
        why_unknown: why the latest sample is unknown that is; empty where none is.

    """

    limit: Limit
    verdicts: tuple[Broken, ...]
    moments: tuple[datetime, ...]
    why_unknown: str = ""

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return len(self.verdicts)

    @property
    def breaks(self) -> int:
        """How many of them break the limit."""
        return self.verdicts.count(Broken.YES)

    @property
    def unknown(self) -> int:
        """Of how many nobody can say, for want of history."""
        return self.verdicts.count(Broken.UNKNOWN)

    @property
    def share(self) -> float | None:
        """The share of breaks among the samples that could be judged, in percent; of none at all there is no share."""
        judged = self.samples - self.unknown
        return 100 * self.breaks / judged if judged else None

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """The rows of samples that break it, the oldest first."""
        found: list[Episode] = []
        before = Broken.NO
        for moment, verdict in zip(self.moments, self.verdicts, strict=True):
            if verdict is Broken.YES and before is Broken.YES:
                found[-1] = Episode(found[-1].begin, moment, found[-1].samples + 1)
            elif verdict is Broken.YES:
                found.append(Episode(moment, moment, 1))
            before = verdict
        return tuple(found)

    @property
    def longest(self) -> Episode | None:
        """The episode that lasted longest."""
        return max(self.episodes, key=lambda episode: (episode.length, episode.samples), default=None)


def lookback(metric: Metric, limit: Limit, since: datetime, leave: Limit | None = None) -> datetime:
    """From when on values are needed to judge by a limit from a moment on."""
    return min(needed_since(_judged_by(metric, limit, leave), since) or since, since)


def rejudge(
    metric: Metric, limit: Limit, samples: Sequence[Sample], since: datetime, now: datetime, leave: Limit | None = None
) -> Rejudged:
    """Judge each sample by a limit as it would have been judged then, with the history up to it and nothing that came later.

    Args:
        metric: the metric; its `every`, `series`, `stay` and `baseline` are used, the settings in its baseline filled in.
            Values that rest on fewer samples than it `needs` are in no history, so they are none of `samples`.
        limit: the limit, declared or only proposed.
        samples: the metric's values in its unit, oldest first; those before `since` are history only.
        since: the first moment that is judged.
        now: the last one.
        leave: the condition to leave the status that the limit enters; without one it is left when it is not broken any more.

    Raises:
        DataError: the limit cannot judge values in the metric's unit, or is a pattern: of texts only changes are kept.

    """
    for one in (limit, leave):
        if one is not None:
            _require_numbers(one, metric)
    plain = _judged_by(metric, limit, leave)
    moments = [moment for moment, _ in samples]
    first, last = bisect.bisect_left(moments, since), bisect.bisect_right(moments, now)
    verdicts: list[Broken] = []
    why = ""
    kept = leave is not None or metric.stay is not None
    for found in (_followed if kept else _each)(plain, Level(Status.CRITICAL, limit, leave), samples, moments, first, last):
        verdicts.append(found.broken)
        why = found.why if found.broken is Broken.UNKNOWN else why
    return Rejudged(limit, tuple(verdicts), tuple(moments[first:last]), why)


def _each(
    metric: Metric, level: Level, samples: Sequence[Sample], moments: Sequence[datetime], first: int, last: int
) -> Iterator[Finding]:
    for at in range(first, last):
        start = bisect.bisect_left(moments, needed_since(metric, moments[at]) or moments[at])
        yield find(metric, level, samples[min(start, at) : at + 1], "", moments[at])


def _followed(
    metric: Metric, level: Level, samples: Sequence[Sample], moments: Sequence[datetime], first: int, last: int
) -> Iterator[Finding]:
    """The same for a level that is kept: followed once from the oldest sample, not anew from each."""
    relative = any(limit.against is Against.BASELINE for limit in (level.limit, level.leave) if limit is not None)
    windows = replace(metric, stay=None, warning=level.leave, leave_critical=None)  # how far each condition looks back
    follower = Follower(metric, level)
    for at in range(last):
        start = bisect.bisect_left(moments, needed_since(windows, moments[at]) or moments[at])
        past = samples[max(0, min(start, at - 1)) : at + 1]
        judged = level.limit.window if level.limit.span is Span.HELD else timedelta(0)
        usual = baseline_of(metric, past, moments[at], judged) if relative else None
        if isinstance(usual, str):
            found = Finding(Broken.UNKNOWN, f"{level.limit.text}: {usual}")
        else:
            found = follower.after(past, "", moments[at], usual)
        if at >= first:
            yield found


def _judged_by(metric: Metric, limit: Limit, leave: Limit | None) -> Metric:
    relative = any(one.against is Against.BASELINE for one in (limit, leave) if one is not None)
    alone = replace(metric, warning=None, critical=limit, green=None, baseline=metric.baseline if relative else None)
    return replace(alone, leave_warning=None, leave_critical=leave)


def _require_numbers(limit: Limit, metric: Metric) -> None:
    require_same_dimension(limit, metric.unit)
    if limit.operator in PATTERNS:
        raise DataError(
            f"`{limit.text}` cannot be tried on paper",
            expected="a limit of numbers, or `changes`",
            found=limit.text,
            remedy="the journal keeps of each text whether it changed, and not the text: look at the runs' evidence",
        )
