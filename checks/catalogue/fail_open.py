"""Checks that cannot fail: limits that nothing breaks, commands whose failure is thrown away, what was never seen red."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from checks.catalogue import _open_ages, _open_constants, _open_windows
from checks.catalogue._findings import Finding as Finding
from checks.catalogue._findings import Severity as Severity
from checks.catalogue._open_cells import cells
from checks.catalogue._open_kernel import kernel
from checks.catalogue._open_limits import Places, limits, probes
from checks.model import Status

if TYPE_CHECKING:
    from checks.catalogue._load import Catalogue

_RED = {Status.WARNING, Status.CRITICAL}


def find(catalogue: Catalogue) -> list[Finding]:
    """Everything in a catalogue that fails open, in the order of its files.

    What is certain is an error; what is likely, and may be meant, is a finding.
    """
    found: list[Finding] = []
    for system in catalogue.systems.values():
        places = Places(system, catalogue.root)
        for metric in system.metrics.values():
            found += limits(metric, places)
            found += probes(metric, places)
            found += _open_constants.probes(metric, places)
            found += _open_constants.patterns(metric, places)
            found += _open_windows.windows(metric, places)
            found += _open_windows.unscheduled(metric, catalogue, places)
            found += _open_ages.stale_before_due(metric, catalogue, places)
    for runbook in catalogue.runbooks.values():
        found += cells(runbook, catalogue.root)
        found += kernel(runbook, catalogue.root)
    return found


def find_in_history(
    catalogue: Catalogue, environment: str, seen: Mapping[str, Collection[Status]], measured: Collection[str]
) -> Iterator[Finding]:
    """What the journal shows to fail open: selects that never matched, metrics that were never anything but ok.

    Args:
        catalogue: the catalogue.
        environment: where the results come from.
        seen: every status that a metric ever had, by its slug; none where it was never judged.
        measured: the slugs of metrics of which there ever was a value.

    """
    for system in catalogue.systems_in(environment):
        places = Places(system, catalogue.root)
        for metric in system.metrics.values():
            had = set(seen.get(metric.slug, ()))
            # Of a metric that `needs:` samples, values that rest on too few are not kept.
            if metric.probe.get("select") and not metric.needs and had and metric.slug not in measured:
                yield Finding(
                    places.of(metric.name, "probe", "select"),
                    f"{metric.name}: `{metric.probe['select']}` has never matched in {environment}",
                    "look at the answer (proofbook check -v) and select what is there",
                )
            elif not had:
                yield Finding(
                    places.of(metric.name),
                    f"{metric.name}: never judged in {environment}, so never seen red",
                    "run a runbook that checks it",
                )
            elif not had & _RED:
                found = " and ".join(status.value for status in Status if status in had)
                yield Finding(
                    places.of(metric.name),
                    f"{metric.name}: never seen red in {environment}; nothing but {found} was ever found",
                    "cause the fault once (proofbook sandbox break), or see its limits turn: proofbook lint --prove",
                )
