"""Reading an incident's page: what its front matter says, held against the systems and runbooks that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from checks.catalogue import _front_matter, _yaml
from checks.catalogue._schema import IncidentFrontMatter
from checks.errors import CatalogueErrors, DataError
from checks.model import Incident, Runbook, System

_NO_INCIDENTS = frozenset({"index.md", "README.md"})
_EXAMPLES: Mapping[str | int, str] = {
    "": "---\ntitle: The shop answers nobody\nsystem: shop\nseverity: P1\nopened: 2024-11-02T10:42:00Z\nstatus: open\n---",
    "opened": "opened: 2024-11-02T10:42:00Z",
    "acknowledged": "acknowledged: 2024-11-02T10:50:00Z",
    "resolved": "resolved: 2024-11-02T12:05:00Z",
    "severity": "severity: P1",
    "runbook": "runbook: shop/high-error-rate",
    "status": "status: open",
}


def read(path: Path, shown: Path, systems: Mapping[str, System], runbooks: Mapping[str, Runbook]) -> tuple[Incident, ...]:
    """The incident of a page of ``docs/incidents``; none where the page only lists them.

    Raises:
        CatalogueErrors: every fault of its front matter, each with line and column.
        DataError: it has none, or it is not YAML.

    """
    if path.name in _NO_INCIDENTS:
        return ()
    text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
    head, _ = _front_matter.split(text, shown)
    data = _yaml.read_mapping(head, shown, first_line=2)
    try:
        front = IncidentFrontMatter.model_validate(data)
    except ValidationError as error:
        raise CatalogueErrors(_yaml.faults(error, data, shown, 2, _EXAMPLES)) from error
    incident = Incident(
        name=path.stem,
        title=front.title,
        system=front.system,
        severity=front.severity,
        opened=front.opened,
        path=path,
        acknowledged=front.acknowledged,
        resolved=front.resolved,
        runbook=front.runbook,
        environment=front.environment or "",
    )
    wrong = [
        DataError(what, where=_yaml.place_of(data, [key], shown, 2), expected=expected, found=found, remedy=remedy)
        for key, what, expected, found, remedy in _faults(incident, front.status, systems, runbooks)
    ]
    if wrong:
        raise CatalogueErrors(wrong)
    return (incident,)


def _faults(
    incident: Incident, status: str | None, systems: Mapping[str, System], runbooks: Mapping[str, Runbook]
) -> Iterator[tuple[str, str, str, Any, str | None]]:
    """Key, what is wrong, what was expected and found, and the remedy, of each fault."""
    system = systems.get(incident.system)
    if system is None:
        yield "system", f"there is no system `{incident.system}`", "one of " + ", ".join(systems), incident.system, None
    elif system.severities and incident.severity not in system.severities:
        known = ", ".join(system.severities)
        what = f"{incident.system} has no severity `{incident.severity}`"
        yield "severity", what, f"one of {known}", incident.severity, "take one of these, or declare it in system.yml"
    if system is not None and incident.environment and incident.environment not in system.environments:
        known = ", ".join(system.environments)
        what = f"{incident.system} has no environment `{incident.environment}`"
        yield "environment", what, f"one of {known}", incident.environment, None
    if incident.runbook and incident.runbook not in runbooks:
        mine = ", ".join(slug for slug in runbooks if slug.startswith(f"{incident.system}/")) or "your runbooks"
        yield "runbook", "it names a runbook that does not exist", f"one of {mine}", incident.runbook, None
    times = (("opened", incident.opened), ("acknowledged", incident.acknowledged), ("resolved", incident.resolved))
    known_times = [(name, at) for name, at in times if at is not None]
    for (before, first), (name, at) in pairwise(known_times):
        if at < first:
            yield name, f"it was {name} before it was {before}", f"a time from {first.isoformat()} on", at.isoformat(), None
    if status is not None and status != incident.status.value:
        remedy = f"write status: {incident.status.value}, or the time that is missing; proofbook incident does both"
        yield "status", "the status is not what the times say", incident.status.value, status, remedy
