"""A draft of an incident's report: what the journal knows of it in the words of the plan's template, and named gaps for the rest.

Observed text stands in it letter by letter: a draft is Markdown, and may be put on the page as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Protocol

from checks.errors import DataError
from checks.journal.duties import ACKNOWLEDGED, INCIDENT_KINDS, NOTED, OPENED, RESOLVED, told_of
from checks.journal.formats import inert
from checks.judge import format_observed, format_value
from checks.model import Status, Trigger

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.journal import Event, StatusChange
    from checks.model import Incident, Result, Run, System

TEMPLATE = "incident-report.txt"
"""The plan's own template, beside its ``system.yml``; fields are written ``$timeline``."""

_BEFORE = timedelta(hours=1)
_MOST = 2_000
_SAID = {OPENED: "opened", NOTED: "noted", ACKNOWLEDGED: "acknowledged", RESOLVED: "resolved"}
_GAP = '<span class="pb-gap">not written yet</span>'
_ACTS = re.compile(r"([\\`*_\[\]|#!])")


class Book(Protocol):
    """Where the story is read from; `checks.journal.Journal` is one."""

    def events(
        self, kind: str | None = None, subject: str | None = None, since: datetime | None = None, limit: int = 200
    ) -> Sequence[Event]:
        """Events, the last recorded first."""
        ...

    def status_changes(self, environment: str, since: datetime, limit: int = 200) -> Sequence[StatusChange]:
        """Results whose status is not that of the one before, the newest first."""
        ...

    def runs(
        self, runbook: str | None = None, system: str | None = None, environment: str | None = None, limit: int = 50
    ) -> Sequence[Run]:
        """Runs, the one that started last first."""
        ...


@dataclass(frozen=True, slots=True)
class _Line:
    at: datetime
    text: str


def draft(catalogue: Catalogue, journal: Book, name: str, environment: str, now: datetime) -> str:
    """The draft of an incident's report as Markdown.

    Args:
        catalogue: declares the incident, its system and severities.
        journal: where the story is read from.
        name: of the incident.
        environment: whose results count, where the incident names none.
        now: aware; an incident that is not over is told until then.

    Raises:
        DataError: there is no such incident, or its system's template names a field that there is not.

    """
    incident = catalogue.incident(name)
    system = catalogue.system(incident.system)
    place, end = incident.environment or environment, incident.resolved or now
    since = incident.opened - _BEFORE
    turns = [
        turn
        for turn in journal.status_changes(place, since, limit=_MOST)
        if turn.result.system == system.name
        and turn.result.judged_at <= end
        # What was well when it was first measured has not turned.
        and (turn.before is not None or turn.result.status is not Status.OK)
    ]
    runs = [run for run in journal.runs(system=system.name, environment=place, limit=_MOST) if since <= run.started_at <= end]
    told = told_of(incident, [event for kind in INCIDENT_KINDS for event in journal.events(kind, incident.subject, limit=_MOST)])
    digests = {run.id: run.evidence for run in runs if run.evidence}
    fields = {
        **_about(catalogue, system, incident, now),
        "impact": _listed(_impact(turns)) or "No metric of the system turned critical in this time.",
        "timeline": _listed(_timeline(incident, told, turns, runs)),
        "evidence": _listed(_evidence(turns, runs, digests)) or "No run of this time left evidence.",
        "resolution": _resolution(told),
    }
    path = catalogue.root / "docs" / "systems" / system.name / TEMPLATE
    own = path.is_file()
    text = path.read_text(encoding="utf-8") if own else _built_in()
    try:
        return Template(text).substitute(fields)
    except (KeyError, ValueError) as error:
        raise DataError(
            "the template of incident reports cannot be filled",
            where=str(path) if own else None,
            expected="fields of " + ", ".join(f"${field}" for field in fields),
            found=str(error),
            remedy="write $$ for a dollar sign",
        ) from error


def _built_in() -> str:
    return (files("checks.catalogue") / "templates" / "incident-report.md").read_text(encoding="utf-8")


def _about(catalogue: Catalogue, system: System, incident: Incident, now: datetime) -> dict[str, str]:
    severity = system.severities.get(incident.severity)
    lasted = (incident.resolved or now) - incident.opened
    book = catalogue.runbooks.get(incident.runbook or "")
    return {
        "title": letters(incident.title),
        "name": incident.name,
        "date": f"{incident.opened.astimezone(UTC):%Y-%m-%d}",
        "system": letters(system.title),
        "severity": letters(f"{incident.severity}: {severity.title}" if severity else incident.severity),
        "status": incident.status.value,
        "duration": f"{round(lasted.total_seconds() / 60):,} minutes" + ("" if incident.resolved else " so far"),
        "opened": _moment(incident.opened),
        "acknowledged": _promise(
            incident.opened, incident.acknowledged, severity.acknowledge_by(incident.opened) if severity else None
        ),
        "resolved": _promise(incident.opened, incident.resolved, severity.resolve_by(incident.opened) if severity else None),
        "runbook": f"[{letters(book.title)}](../systems/{book.system}/runbooks/{book.name}.md)" if book else "none is named",
    }


def _promise(opened: datetime, at: datetime | None, due: datetime | None) -> str:
    if at is None:
        return "not yet" + (f", due {_moment(due)}" if due else "")
    took = f"{_moment(at)}, after {format_value(round((at - opened).total_seconds()), 's')}"
    if due is None:
        return f"{took}; no time is promised"
    late = at - due
    return f"{took}, in time" if late <= timedelta(0) else f"{took}, {format_value(round(late.total_seconds()), 's')} late"


def _impact(turns: Sequence[StatusChange]) -> Iterable[str]:
    """Of each metric that turned critical, when it first did, and what was observed then."""
    first: dict[str, Result] = {}
    for turn in sorted(turns, key=lambda one: one.result.judged_at):
        if turn.result.status is Status.CRITICAL:
            first.setdefault(turn.result.metric, turn.result)
    for metric, result in first.items():
        seen = f" at {letters(format_observed(result.observation))}" if result.observation else ""
        limit = f", limit {letters(result.critical)}" if result.critical else ""
        page = f"../systems/{result.system}/metrics/{metric}.md"
        yield f"[{letters(result.title)}]({page}) was critical from {_moment(result.judged_at)}{seen}{limit}"


def _timeline(incident: Incident, told: Sequence[Event], turns: Sequence[StatusChange], runs: Sequence[Run]) -> Iterable[str]:
    lines = [_Line(event.at, f"**{_SAID[event.kind]}**{_by(event.actor)}{_colon(event.detail.get('note'))}") for event in told]
    known = {event.kind for event in told}
    for kind, at in ((OPENED, incident.opened), (ACKNOWLEDGED, incident.acknowledged), (RESOLVED, incident.resolved)):
        if at is not None and kind not in known:
            lines.append(_Line(at, f"**{_SAID[kind]}**"))
    for turn in turns:
        one = turn.result
        lines.append(_Line(one.judged_at, f"{letters(one.title)} turned **{one.status.value}**{_colon(one.reason)}"))
    for run in runs:
        if run.trigger is Trigger.OPERATOR:
            lines.append(
                _Line(run.started_at, f"**{letters(run.actor) or 'somebody'}** operated `{run.runbook}`{_colon(run.reason)}")
            )
    return [f"{_moment(line.at)}: {line.text}" for line in sorted(lines, key=lambda line: line.at)]


def _evidence(turns: Sequence[StatusChange], runs: Sequence[Run], digests: dict[str, str]) -> Iterable[str]:
    told: set[str] = set()
    for turn in sorted(turns, key=lambda one: one.result.judged_at):
        digest = digests.get(turn.run_id or "")
        if digest and turn.run_id not in told:
            told.add(turn.run_id or "")
            cell = "" if turn.result.cell is None else f"#cell-{turn.result.cell}"
            said = f"{letters(turn.result.title)} at {_moment(turn.result.judged_at)}"
            yield f'<a href="../evidence/{digest}.html{cell}">{said}</a>'
    for run in runs:
        if run.trigger is Trigger.OPERATOR and run.id in digests and run.id not in told:
            yield f'<a href="../evidence/{digests[run.id]}.html">{run.runbook} at {_moment(run.started_at)}</a>'


def _resolution(told: Sequence[Event]) -> str:
    said = [str(event.detail.get("note", "")) for event in told if event.kind == RESOLVED]
    return letters(said[-1]) if said and said[-1] else _GAP


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _by(actor: str) -> str:
    return f" by {letters(actor)}" if actor else ""


def _colon(text: object) -> str:
    return f": {letters(str(text))}" if text else ""


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def letters(text: str) -> str:
    """A text as Markdown that shows it letter by letter, on one line; no macro runs in it."""
    return escape(_ACTS.sub(r"\\\1", inert(text)), quote=False).replace("{", "&#123;").replace("~", "&#126;")
