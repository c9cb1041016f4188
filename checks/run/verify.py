"""Judges the results of a run once more, in the engine: a status is what the declared limits make of the value, or it is doubted.

What a cell measured can only be believed; what its value means is not the cell's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from checks.model import Metric, Result, Status

if TYPE_CHECKING:
    from checks.run.ends import Prepared

# Clocks of kernel and engine are one; what is left is the time that a message needs.
_SLACK = timedelta(seconds=5)


def verified(results: Iterable[Result], prepared: Prepared, now: datetime) -> tuple[tuple[Result, ...], list[str]]:
    """Results as they may be kept, and why some cannot be what the catalogue's limits make of their values.

    Args:
        results: what the run found, in the order in which it was judged.
        prepared: the run; its history is judged by as well.
        now: when the run ended.

    Returns:
        The results, of which a doubted one is unknown; and one sentence for each of those.

    """
    metrics = prepared.catalogue.systems[prepared.runbook.system].metrics
    measured: dict[str, list[tuple[datetime, float]]] = {}
    kept, why = [], []
    for result in results:
        metric = metrics[result.metric]
        earlier = [*prepared.history.get(metric.name, ()), *measured.get(metric.name, ())]
        doubt = _doubt(result, metric, prepared, earlier, now)
        if doubt:
            why.append(f"cell {result.cell}: {doubt}")
            result = replace(result, status=Status.UNKNOWN, reason=doubt)
        kept.append(result)
        seen = result.observation
        if seen is not None and seen.unit == metric.unit:
            measured.setdefault(metric.name, []).append((seen.measured_at, seen.value))
    return tuple(kept), why


def _doubt(result: Result, metric: Metric, prepared: Prepared, earlier: Sequence[tuple[datetime, float]], now: datetime) -> str:
    from checks.judge import judge
    from checks.run.history import with_settings

    name, seen = result.metric, result.observation
    if not prepared.run.started_at - _SLACK <= result.judged_at <= now + _SLACK:
        return f"{name} was judged at {result.judged_at:%Y-%m-%d %H:%M:%S} UTC, outside of its run"
    if seen is None:
        return ""
    again = judge(with_settings(metric, prepared.settled), seen, result.judged_at, earlier)
    if again.status is not result.status:
        return f"{name} is {again.status.value} by its limits, not {result.status.value}: {again.reason}"
    if (again.warning, again.critical) != (result.warning, result.critical):
        return f"{name} was judged by other limits than are declared"
    return ""
