"""What a limit's window says, from samples that are there and the gaps between them.

Nothing is filled in: where samples are missing, the answer is "nobody knows", unless those that are there settle it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from checks.judge.durations import print_duration
from checks.model import Operator, Series

Sample = tuple[datetime, float]
"""When a value was measured (aware), and the value in the metric's unit."""

Samples = Sequence[Sample]
"""Samples of one metric, the oldest first, the one that is judged last."""

_WIDEST_GAP = 2  # times `every`
_UPWARD = frozenset({Operator.ABOVE, Operator.AT_LEAST, Operator.ANY})


class Broken(Enum):
    """Whether a limit is broken."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in a window.

    Attributes:
        broken: what follows for the limit.
        text: what was seen, for a reason (``for 15 min``, ``7 in 1h``); where unknown, what is missing.

    """

    broken: Broken
    text: str = ""


def reach(samples: Samples, now: datetime, every: timedelta) -> timedelta:
    """How far back from `now` the samples go without a gap longer than twice `every`."""
    end = now
    for moment, _ in reversed(samples):
        if end - moment > _WIDEST_GAP * every:
            break
        end = min(end, moment)
    return now - end


def held(breaks: Callable[[float], bool], samples: Samples, now: datetime, window: timedelta, every: timedelta) -> Seen:
    """Whether a condition has held for a whole window.

    Args:
        breaks: the condition for one value.
        samples: the metric's samples.
        now: the window's end.
        window: how long it must have held.
        every: how often the metric is measured.

    Returns:
        Broken if an unbroken row of samples that break reaches back to the window's beginning; not broken if any sample
        in the window, or the one that leads into it, does not break; else unknown.

    """
    first: datetime | None = None
    next_moment = now
    for moment, value in reversed(samples):
        if moment <= now - window and next_moment - moment > _WIDEST_GAP * every:
            break
        if not breaks(value):
            return Seen(Broken.NO, f"for {_shown(now - first)} of {_shown(window)}" if first else "")
        first = next_moment = moment
        if moment <= now - window:
            break
    return (
        Seen(Broken.YES, f"for {_shown(window)}")
        if reach(samples, now, every) >= window
        else _too_little(samples, now, window, every)
    )


def counted(
    breaks: Callable[[float], bool],
    operator: Operator,
    highest: float,
    samples: Samples,
    now: datetime,
    window: timedelta,
    every: timedelta,
    series: Series,
) -> Seen:
    """Whether what happened in a window breaks a condition.

    Args:
        breaks: the condition for a number of things.
        operator: its operator.
        highest: its highest bound; a larger number is settled, as a count can only grow when more is known.
        samples: the metric's samples.
        now: the window's end.
        window: how far back to count.
        every: how often the metric is measured.
        series: what the samples are; a gauge cannot be counted.

    """
    if series is Series.GAUGE:
        return Seen(Broken.UNKNOWN, "the metric is a state and not a count, so nothing can be counted in a window")
    number = happened(samples, now, window, every, series)
    text = f"{number:,g} in {print_duration(window)}"
    covered = reach(samples, now, every) >= window
    if covered or number > highest or (operator in _UPWARD and breaks(number)):
        return Seen(Broken.YES if breaks(number) else Broken.NO, text)
    if operator in (Operator.BELOW, Operator.AT_MOST) and not breaks(number):
        return Seen(Broken.NO, text)
    return _too_little(samples, now, window, every)


def happened(samples: Samples, now: datetime, window: timedelta, every: timedelta, series: Series) -> float:
    """How much happened in a window, as far as samples show it; never more than they do.

    Events are summed. A counter's rise counts at the sample that shows it; a counter that fell has begun again at zero, so
    that its value is what has happened since.
    """
    start = now - window
    if series is Series.EVENTS:
        return sum(max(value, 0.0) for moment, value in samples if moment > start)
    return sum(
        (value - before if value >= before else value)
        for (earlier, before), (moment, value) in itertools.pairwise(samples)
        # A rise over a long gap that begins before the window may have happened before it, too.
        if moment > start and (earlier >= start or moment - earlier <= _WIDEST_GAP * every)
    )


def changed(samples: Samples) -> Seen:
    """Whether the latest sample differs from the one before it."""
    if len(samples) < 2:
        return Seen(Broken.UNKNOWN, "there is no earlier sample to compare with")
    (moment, before), (_, value) = samples[-2:]
    if value == before:
        return Seen(Broken.NO, f"the same as at {_at(moment)}")
    return Seen(Broken.YES, f"another value than at {_at(moment)}")


def changed_in(samples: Samples, now: datetime, window: timedelta, every: timedelta) -> Seen:
    """Whether any sample in a window differs from the one before it."""
    pairs = itertools.pairwise(samples)
    moments = [moment for (_, before), (moment, value) in pairs if moment > now - window and value != before]
    if moments:
        return Seen(Broken.YES, f"changed at {_at(moments[-1])}")
    if reach(samples, now, every) >= window:
        return Seen(Broken.NO, f"unchanged for {_shown(window)}")
    return _too_little(samples, now, window, every)


def _too_little(samples: Samples, now: datetime, window: timedelta, every: timedelta) -> Seen:
    has = reach(samples, now, every)
    gap = f" without a gap of more than {_shown(_WIDEST_GAP * every)}" if samples and now - samples[0][0] >= window else ""
    return Seen(Broken.UNKNOWN, f"needs {_shown(window)} of samples{gap}, has {_shown(has)}")


def _shown(span: timedelta) -> str:
    from checks.judge.text import format_value

    seconds = span.total_seconds()
    return format_value(int(seconds) if seconds >= 1 else 0, "s")


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
