"""Re-judging on paper: what a limit would have said of values that were measured before."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from checks.errors import DataError
from checks.judge.comparing import drawn_bounds
from checks.judge.history import needed_since
from checks.judge.levels import Level, find
from checks.judge.limits import PATTERNS, require_same_dimension
from checks.judge.windows import Broken, Sample
from checks.model import Against, Limit, Metric, Status

BLOCKS = "▁▂▃▄▅▆▇█"


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


def lookback(metric: Metric, limit: Limit, since: datetime) -> datetime:
    """From when on values are needed to judge by a limit from a moment on."""
    return min(needed_since(_judged_by(metric, limit), since) or since, since)


def rejudge(metric: Metric, limit: Limit, samples: Sequence[Sample], since: datetime, now: datetime) -> Rejudged:
    """Judge each sample by a limit, with the history up to it and nothing that came later.

    The limit is judged by itself: `leave:`, `stay:` and `needs:` of the metric are left aside.

    Args:
        metric: the metric; its `every`, `series` and `baseline` are used, the settings in its baseline filled in.
        limit: the limit, declared or only proposed.
        samples: the metric's values in its unit, oldest first; those before `since` are history only.
        since: the first moment that is judged.
        now: the last one.

    Raises:
        DataError: the limit cannot judge values in the metric's unit, or is a pattern: of texts only changes are kept.

    """
    require_same_dimension(limit, metric.unit)
    if limit.operator in PATTERNS:
        raise DataError(
            f"`{limit.text}` cannot be tried on paper",
            expected="a limit of numbers, or `changes`",
            found=limit.text,
            remedy="the journal keeps of each text whether it changed, and not the text: look at the runs' evidence",
        )
    plain = _judged_by(metric, limit)
    level = Level(Status.CRITICAL, limit)
    moments = [moment for moment, _ in samples]
    first, last = bisect.bisect_left(moments, since), bisect.bisect_right(moments, now)
    verdicts: list[Broken] = []
    why = ""
    for at in range(first, last):
        moment = moments[at]
        start = bisect.bisect_left(moments, needed_since(plain, moment) or moment)
        found = find(plain, level, samples[min(start, at) : at + 1], "", moment)
        verdicts.append(found.broken)
        why = found.why if found.broken is Broken.UNKNOWN else why
    return Rejudged(limit, tuple(verdicts), tuple(moments[first:last]), why)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line of blocks over time.

    Attributes:
        line: one character a stretch of time; a dot where nothing was measured.
        marks: for each limit, one character a stretch: ``!`` where it breaks, ``?`` where nobody knows, else a blank.
        low, high: the scale's ends, in the metric's unit.
        levels: for each limit the block at which its bound lies; empty where it is not on the scale.

    """

    line: str
    marks: tuple[str, ...]
    low: float
    high: float
    levels: tuple[str, ...]


def draw(
    metric: Metric, samples: Sequence[Sample], judged: Sequence[Rejudged], since: datetime, now: datetime, width: int
) -> Drawn | None:
    """Draw values and what limits say of them, in stretches of time of one width; ``None`` where there is nothing to draw.

    A stretch shows its highest value, and is marked when any of its samples is.

    Raises:
        ValueError: there is no time between `since` and `now`, or no width.

    """
    span = (now - since).total_seconds()
    if span <= 0 or width < 1:
        raise ValueError(f"expected a time and a width to draw in, found {span} s and {width}")

    def column(moment: datetime) -> int:
        return min(int((moment - since).total_seconds() / span * width), width - 1)

    highest: dict[int, float] = {}
    for moment, value in samples:
        if since <= moment <= now:
            highest[column(moment)] = max(value, highest.get(column(moment), value))
    if not highest:
        return None
    bounds = [drawn_bounds(one.limit, metric.unit) for one in judged]
    scale = [*highest.values(), *(bound for some in bounds for bound in some)]
    low, high = min(0.0, *scale), max(scale)
    line = "".join(_block(highest[at], low, high) if at in highest else "·" for at in range(width))
    marks = []
    for one in judged:
        row = [" "] * width
        for moment, verdict in zip(one.moments, one.verdicts, strict=True):
            at = column(moment)
            if verdict is Broken.YES or (verdict is Broken.UNKNOWN and row[at] == " "):
                row[at] = "!" if verdict is Broken.YES else "?"
        marks.append("".join(row))
    levels = tuple("".join(_block(bound, low, high) for bound in some) for some in bounds)
    return Drawn(line, tuple(marks), low, high, levels)


def _block(value: float, low: float, high: float) -> str:
    # Halves, because the difference of two huge numbers may be no number.
    share = (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.0
    return BLOCKS[min(int(share * len(BLOCKS)), len(BLOCKS) - 1)]


def _judged_by(metric: Metric, limit: Limit) -> Metric:
    baseline = metric.baseline if limit.against is Against.BASELINE else None
    alone = replace(metric, warning=None, critical=limit, green=None, baseline=baseline)
    return replace(alone, leave_warning=None, leave_critical=None, stay=None)
