"""Which of a metric's earlier values its limits need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from checks.model import Baseline, Metric, Operator, Span

LONGEST = 50_000
"""How many earlier values of one metric are ever given to the judge."""

_STAY = timedelta(days=7)
"""How far back the entering of a status is looked for."""


def needed_since(metric: Metric, now: datetime) -> datetime | None:
    """From when on earlier values of a metric are needed; ``None`` where its limits judge each value by itself.

    Args:
        metric: the metric, the settings in its baseline filled in.
        now: the time.

    """
    limits = [limit for limit in (metric.warning, metric.critical, metric.leave_warning, metric.leave_critical) if limit]
    spare = 3 * (metric.every or timedelta(0))
    moments = [now - limit.window - spare for limit in limits if limit.span in (Span.HELD, Span.COUNTED)]
    if any(limit.operator is Operator.CHANGES for limit in limits):
        moments.append(now - max(spare, _STAY))
    if metric.stay or metric.leave_warning or metric.leave_critical:
        moments.append(now - max(_STAY, metric.stay or _STAY))
    if isinstance(metric.baseline, Baseline):
        moments.append(min(now, _until(metric.baseline.until) or now) - metric.baseline.window)
    return min(moments, default=None)


def _until(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
