"""The kind that measures nothing by itself: a runbook's cell computes the value."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from checks.catalogue.environment import Settled
from checks.model import Observation, Unmeasured
from checks.probes._support import Measuring

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import NotebookProbe


def probe(declaration: NotebookProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Say that only a runbook measures this."""
    del declaration, unit
    return Measuring(now, "a runbook's cell", settled).failed(
        "no value was given; only a runbook's cell measures this: check(metric, value)"
    )
