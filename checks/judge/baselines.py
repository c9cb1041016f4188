"""What is usual for a metric: taken of its own past, or as somebody stated it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from checks.judge.figures import statistic
from checks.judge.text import format_value
from checks.judge.windows import Samples
from checks.model import Alignment, Baseline, BaselineUsed, FixedBaseline, Metric

_HOURS = {Alignment.HOUR_OF_DAY: "same hour of the day", Alignment.HOUR_OF_WEEK: "same hour of the week"}
_WIDEST_GAP = 2  # times `every`


def baseline_of(metric: Metric, samples: Samples, now: datetime, judged: timedelta) -> BaselineUsed | str:
    """The baseline of a metric, or why there is none.

    Args:
        metric: the metric with its declaration.
        samples: its samples, oldest first.
        now: the time.
        judged: how far back the samples are themselves being judged; a state cannot be its own yardstick.

    Returns:
        The baseline; or the reason, in one sentence, where the history is too short or the figure is of no use.

    """
    declared = metric.baseline
    if declared is None:
        return "no baseline is declared"
    if isinstance(declared, FixedBaseline):
        found = BaselineUsed(declared.value, metric.unit, 0, f"set on {declared.on.isoformat()} by {declared.by}")
    else:
        taken = _taken(declared, metric, samples, now, judged)
        if isinstance(taken, str):
            return taken
        found = taken
    if found.value <= 0:
        return f"the baseline is {format_value(found.value, found.unit)} ({found.about}), of which nothing is a share"
    return found


def _taken(declared: Baseline, metric: Metric, samples: Samples, now: datetime, judged: timedelta) -> BaselineUsed | str:
    since, until = _moment(declared.since), _moment(declared.until)
    for text, moment in ((declared.since, since), (declared.until, until)):
        if text and moment is None:
            return f"the baseline begins or ends at `{text}`, which is no time here"
    anchor = min(until, now) if until else now
    start, end = max(anchor - declared.window, since or anchor - declared.window), min(anchor, now - judged)
    # The latest sample is the one that is judged.
    used = [(moment, value) for moment, value in samples[:-1] if start <= moment <= end]
    every = metric.every or declared.window
    moments = [*(moment for moment, _ in used), end]
    has = sum((min(later - moment, _WIDEST_GAP * every) for moment, later in itertools.pairwise(moments)), timedelta(0))
    # The first sample may lie up to one `every` inside the time that is needed.
    if has < declared.needs - every:
        return f"the baseline needs {_shown(declared.needs)} of samples, has {_shown(has)}"
    values = [value for moment, value in used if _same_hour(moment, now, declared.aligned)]
    hours = f", {_HOURS[declared.aligned]}" if declared.aligned in _HOURS else ""
    if len(values) < max(declared.samples, 1):
        of_hours = hours.replace(", ", " of the ")
        return f"the baseline needs {max(declared.samples, 1)} samples{of_hours}, has {len(values)}"
    figure = statistic(values, declared.statistic)
    span = f"{_shown(declared.window)}{f' since {since:%Y-%m-%d %H:%M} UTC' if since else ''}"
    span += f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
    return BaselineUsed(figure.value, metric.unit, figure.samples, f"{declared.statistic} of {span}{hours}")


def _same_hour(moment: datetime, now: datetime, aligned: Alignment) -> bool:
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    if aligned is Alignment.NONE:
        return True
    return moment.hour == now.hour and (aligned is Alignment.HOUR_OF_DAY or moment.weekday() == now.weekday())


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _shown(span: timedelta) -> str:
    return format_value(max(int(span.total_seconds()), 0), "s")
