"""Incidents: a page that people write on, and events in the journal that tell its story."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from checks.catalogue import scaffold
from checks.errors import CannotWrite, Refused
from checks.journal.duties import ACKNOWLEDGED, NOTED, OPENED, RESOLVED
from checks.model import Incident, IncidentStatus

if TYPE_CHECKING:
    from checks.catalogue import Catalogue


class Book(Protocol):
    """Where events are written; `checks.journal.Journal` is one."""

    def record_event(self, kind: str, at: datetime, subject: str, actor: str, detail: Mapping[str, object]) -> None:
        """Note something that happened."""


def open_incident(
    catalogue: Catalogue,
    journal: Book,
    title: str,
    *,
    system: str,
    severity: str,
    actor: str,
    now: datetime,
    runbook: str | None = None,
    environment: str = "",
    note: str = "",
) -> Path:
    """Write an incident's page and begin its story.

    Returns:
        the page.

    Raises:
        DataError: there is no such system, severity or runbook.
        Refused: an incident of this name is there already.
        CannotWrite: the page cannot be written.

    """
    wanted = scaffold.IncidentWords(title, system, severity, now, runbook, environment)
    with _alone(catalogue.root):
        path = scaffold.new_incident(catalogue, wanted)[-1]
        detail = {"title": title, "system": system, "severity": severity, "environment": environment, "note": note}
        try:
            journal.record_event(OPENED, now, f"incident/{path.stem}", actor, detail)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return path


def note(journal: Book, incident: Incident, text: str, *, actor: str, now: datetime) -> None:
    """Add a line to an incident's story.

    Raises:
        Refused: the line is empty.

    """
    if not text.strip():
        raise Refused("a note says something", where=incident.name, found="an empty one")
    journal.record_event(NOTED, now, incident.subject, actor, {"note": text.strip()})


def acknowledge(catalogue: Catalogue, journal: Book, name: str, *, actor: str, now: datetime, said: str = "") -> Path:
    """Say that somebody is on it: the clock of the first answer stops.

    Raises:
        DataError: there is no such incident.
        Refused: somebody is on it already.

    """
    incident = catalogue.incident(name)
    if incident.status is not IncidentStatus.OPEN:
        raise Refused(f"it is {incident.status.value} already", where=name, remedy="add a note: proofbook incident note")
    return _step(catalogue, journal, incident, ACKNOWLEDGED, {"acknowledged": now}, actor, now, said)


def resolve(catalogue: Catalogue, journal: Book, name: str, *, actor: str, now: datetime, said: str = "") -> Path:
    """Say that it is over; one that nobody acknowledged is acknowledged by it.

    Raises:
        DataError: there is no such incident.
        Refused: it is over already.

    """
    incident = catalogue.incident(name)
    if incident.status is IncidentStatus.RESOLVED:
        raise Refused("it is resolved already", where=name, remedy="open another one if it came back")
    times = {"acknowledged": incident.acknowledged or now, "resolved": now}
    return _step(catalogue, journal, incident, RESOLVED, times, actor, now, said)


def _step(
    catalogue: Catalogue,
    journal: Book,
    incident: Incident,
    kind: str,
    times: Mapping[str, datetime],
    actor: str,
    now: datetime,
    said: str,
) -> Path:
    with _alone(catalogue.root):
        before = incident.path.read_text(encoding="utf-8")
        word = IncidentStatus.RESOLVED if "resolved" in times else IncidentStatus.ACKNOWLEDGED
        _replace(incident.path, _dated(before, {**{key: _written(at) for key, at in times.items()}, "status": word.value}))
        try:
            journal.record_event(kind, now, incident.subject, actor, {"note": said})
        except BaseException:
            _replace(incident.path, before)
            raise
    return incident.path


def _dated(text: str, values: Mapping[str, str]) -> str:
    """A page's text with keys of its front matter set; everything else stays as people wrote it."""
    head, fence, body = text[4:].partition("\n---")
    lines = head.split("\n")
    for key, value in values.items():
        at = next((number for number, line in enumerate(lines) if re.match(rf"{key}\s*:", line)), None)
        if at is None:
            lines.append(f"{key}: {value}")
        else:
            lines[at] = f"{key}: {value}"
    return text[:4] + "\n".join(lines) + fence + body


def _written(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _replace(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise CannotWrite(f"cannot write: {error.strerror}", where=str(path)) from error


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Two who change incidents at once take turns."""
    folder = root / "docs" / "incidents"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise CannotWrite(f"cannot write: {error.strerror}", where=str(folder)) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
