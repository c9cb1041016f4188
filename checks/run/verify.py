"""Judges the results of a run once more, in the engine: a status is what the declared limits make of the value, or it is doubted.

What a cell measured can only be believed; what its value means is not the cell's to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from checks.model import Result

if TYPE_CHECKING:
    from checks.run.execution import Prepared

# Clocks of kernel and engine are one; what is left is the time that a message needs.
_SLACK = timedelta(seconds=5)


def doubts(results: Iterable[Result], prepared: Prepared, now: datetime) -> list[str]:
    """Why results cannot be what the catalogue's limits make of their values, one sentence each.

    Args:
        results: what the run found, in the order in which it was judged.
        prepared: the run; its history is judged by as well.
        now: when the run ended.

    """
    from checks.judge import judge
    from checks.run.history import with_settings

    metrics = prepared.catalogue.systems[prepared.runbook.system].metrics
    measured: dict[str, list[tuple[datetime, float]]] = {}
    found = []
    for result in results:
        metric = metrics[result.metric]
        where = f"cell {result.cell}: {result.metric}"
        if not prepared.run.started_at - _SLACK <= result.judged_at <= now + _SLACK:
            found.append(f"{where} was judged at {result.judged_at:%Y-%m-%d %H:%M:%S} UTC, outside of its run")
            continue
        seen = result.observation
        if seen is None:
            continue
        earlier = [*prepared.history.get(metric.name, ()), *measured.get(metric.name, ())]
        again = judge(with_settings(metric, prepared.settled), seen, result.judged_at, earlier)
        if again.status is not result.status:
            found.append(f"{where} is {again.status.value} by its limits, not {result.status.value}: {again.reason}")
        elif (again.warning, again.critical) != (result.warning, result.critical):
            found.append(f"{where} was judged by other limits than are declared")
        if seen.unit == metric.unit:
            measured.setdefault(metric.name, []).append((seen.measured_at, seen.value))
    return found
