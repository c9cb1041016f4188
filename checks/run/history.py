"""What was measured before, for the limits that need it: read from the journal, told to the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from checks.errors import DataError
from checks.judge import LONGEST, needed_since
from checks.model import Baseline, Metric

if TYPE_CHECKING:
    from checks.catalogue import Settled
    from checks.run.ends import Prepared


@runtime_checkable
class Historian(Protocol):
    """Where earlier values are read; the journal is one."""

    def observations(
        self, slug: str, environment: str, since: datetime, *, unit: str | None = None, limit: int | None = None
    ) -> Sequence[tuple[datetime, float]]:
        """The values measured of a metric, oldest first."""


def with_history(prepared: Prepared, historian: Historian, now: datetime) -> Prepared:
    """A prepared run that its kernel can judge windows, baselines and changes in.

    Args:
        prepared: what `checks.run.execution.prepare` gave.
        historian: where earlier values are read.
        now: the time.

    """
    system = prepared.catalogue.systems[prepared.runbook.system]
    found = {
        metric.name: tuple(earlier(with_settings(metric, prepared.settled), prepared.run.environment, historian, now))
        for metric in system.metrics.values()
    }
    return replace(prepared, history={name: values for name, values in found.items() if values})


def earlier(metric: Metric, environment: str, historian: Historian, now: datetime) -> Sequence[tuple[datetime, float]]:
    """The earlier values of a metric that its limits need; none where they judge each value by itself."""
    since = needed_since(metric, now)
    if since is None:
        return ()
    return historian.observations(metric.slug, environment, since, unit=metric.unit, limit=LONGEST)


def with_settings(metric: Metric, settled: Settled) -> Metric:
    """The metric with the settings filled in that its baseline names; one without a value stays as written, and is unknown."""
    baseline = metric.baseline
    if not isinstance(baseline, Baseline) or not (baseline.since or baseline.until):
        return metric
    return replace(
        metric, baseline=replace(baseline, since=_filled(baseline.since, settled), until=_filled(baseline.until, settled))
    )


def _filled(text: str, settled: Settled) -> str:
    try:
        return settled.fill(text)
    except DataError:
        return text  # the judge finds that it is no time, and says so
