"""From an observation and its limits to a status with a reason."""

from __future__ import annotations

import math
from datetime import datetime

from checks.errors import DataError
from checks.judge.limits import plain_number
from checks.judge.text import format_value
from checks.judge.units import convert
from checks.model import Limit, Metric, Observation, Operator, Result, Status, Unmeasured


def judge(metric: Metric, observation: Observation | Unmeasured, now: datetime) -> Result:
    """Judge what was measured of a metric by the limits it has now.

    Args:
        metric: the metric with its limits.
        observation: what a probe or a cell gave; its unit may differ from the metric's if it measures the same.
        now: when it is judged, aware, in UTC.

    Returns:
        The result: critical if that limit is broken, else warning if that one is, else ok; unknown if nothing was
        measured, the value is no finite number, its unit cannot be compared, or the metric has no limit.

    """
    status, reason = _verdict(metric, observation)
    return Result(
        system=metric.system,
        metric=metric.name,
        title=metric.title,
        status=status,
        reason=reason,
        judged_at=now,
        observation=observation if isinstance(observation, Observation) and math.isfinite(observation.value) else None,
        warning=metric.warning.text if metric.warning else None,
        critical=metric.critical.text if metric.critical else None,
    )


def breaks(limit: Limit, value: float, unit: str) -> bool:
    """Whether a value breaks a limit.

    Args:
        limit: the condition.
        value: a finite number in `unit`.
        unit: its unit.

    Raises:
        DataError: the limit is written in a unit of another kind.
        ValueError: the value is NaN or infinite; no comparison with it means anything.

    """
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be judged")
    # A bare bound is in the metric's own unit only where `require_same_dimension` allows it; convert holds that here too.
    bounds = tuple(convert(bound, limit.unit, unit) for bound in limit.bounds)
    match limit.operator:
        case Operator.ANY:
            return value > 0
        case Operator.BETWEEN:
            return bounds[0] <= value <= bounds[1]
        case Operator.ABOVE:
            return value > bounds[0]
        case Operator.AT_LEAST:
            return value >= bounds[0]
        case Operator.BELOW:
            return value < bounds[0]
        case Operator.AT_MOST:
            return value <= bounds[0]
        case Operator.EQUAL:
            return value == bounds[0]
        case Operator.DIFFERENT:
            return value != bounds[0]


def _verdict(metric: Metric, observation: Observation | Unmeasured) -> tuple[Status, str]:
    if isinstance(observation, Unmeasured):
        return Status.UNKNOWN, observation.reason
    if not math.isfinite(observation.value):
        return Status.UNKNOWN, f"the value is {format_value(observation.value, '')}, which no limit can judge"
    limits = [
        (status, limit) for status, limit in ((Status.CRITICAL, metric.critical), (Status.WARNING, metric.warning)) if limit
    ]
    if not limits:
        return Status.UNKNOWN, "no limit is declared, so nothing says whether this is well"
    try:
        for status, limit in limits:
            if breaks(limit, observation.value, observation.unit):
                return status, f"{_shown(observation, limit)} breaks {limit.text}"
    except DataError as error:
        return Status.UNKNOWN, f"the limit cannot judge a value in {observation.unit or 'bare numbers'}: {error.what}"
    texts = [limit.text for _, limit in reversed(limits)]
    shown = _shown(observation, *(limit for _, limit in limits))
    return Status.OK, f"{shown} {'breaks neither ' + ' nor '.join(texts) if len(texts) > 1 else 'does not break ' + texts[0]}"


def _shown(observation: Observation, *limits: Limit) -> str:
    """The value as text; in full where rounding would make it look like a bound that it is not."""
    text = format_value(observation.value, observation.unit)
    for limit in limits:
        for bound in limit.bounds:
            exact = convert(bound, limit.unit, observation.unit)
            if exact != observation.value and format_value(exact, observation.unit) == text:
                return f"{plain_number(observation.value)} {observation.unit}".rstrip()
    return text
