"""Incidents as a reader meets them: their clocks, and a story drawn from the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from checks.journal.duties import ACKNOWLEDGED, NOTED, OPENED, RESOLVED, told_of
from checks.model import Incident, Runbook, Severity, Status, Trigger
from checks.site import words
from checks.site.views import Badge

if TYPE_CHECKING:
    from checks.journal import Event
    from checks.site.facts import Facts

_BEFORE = timedelta(hours=1)


class Pace(Enum):
    """How a clock stands."""

    RUNNING = "running"
    LATE = "late"
    KEPT = "kept"
    BROKEN = "broken"
    UNTIMED = "untimed"


@dataclass(frozen=True, slots=True)
class Clock:
    """One promise of an incident: by when, and whether it was kept.

    Attributes:
        due: by when; ``None`` where nobody promised a time.
        ended: when it was done; ``None`` while it runs.
        took: how long it took, in words; empty while it runs.
        late: by how much, in words; empty where it is not late.

    """

    pace: Pace
    due: datetime | None = None
    ended: datetime | None = None
    took: str = ""
    late: str = ""


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident with its clocks."""

    incident: Incident
    severity: Severity | None
    acknowledge: Clock
    resolve: Clock

    @property
    def address(self) -> str:
        """Where its page lies."""
        return address_of(self.incident)


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of an incident's story.

    Attributes:
        what: in a word: ``opened``, ``noted``, ``acknowledged``, ``resolved``, ``operated``; of a metric, its title.
        badge: the status that a metric turned to; ``None`` of anything else.
        metric: the slug of the metric; empty of anything else.
        run_id, cell: where the evidence is, if anywhere.
        runbook: the runbook that was operated.

    """

    at: datetime
    what: str
    text: str = ""
    actor: str = ""
    badge: Badge | None = None
    metric: str = ""
    run_id: str | None = None
    cell: int | None = None
    runbook: Runbook | None = None


def address_of(incident: Incident) -> str:
    """Where the page of an incident lies on the site."""
    return f"incidents/{incident.name}.html"


def row(facts: Facts, incident: Incident) -> IncidentRow:
    """An incident with its clocks held against what its system's policy promises."""
    system = facts.catalogue.systems[incident.system]
    severity = system.severities.get(incident.severity)
    # What is over looks the same at any later time.
    now = incident.resolved or facts.now
    return IncidentRow(
        incident,
        severity,
        _clock(incident.opened, incident.acknowledged, severity.acknowledge_by(incident.opened) if severity else None, now),
        _clock(incident.opened, incident.resolved, severity.resolve_by(incident.opened) if severity else None, now),
    )


def rows(facts: Facts, system: str = "") -> list[IncidentRow]:
    """The incidents of a system, or of all: those that are open first."""
    return [row(facts, one) for one in facts.incidents if not system or one.system == system]


def open_rows(facts: Facts, system: str = "") -> list[IncidentRow]:
    """The incidents that are not over."""
    return [one for one in rows(facts, system) if one.incident.resolved is None]


def story(facts: Facts, incident: Incident) -> list[Moment]:
    """What happened, the oldest first: what people said, how metrics turned, which runbooks were operated."""
    end = incident.resolved or facts.now
    turned = [
        Moment(
            turn.result.judged_at,
            turn.result.title,
            turn.result.reason,
            badge=Badge(turn.result.status.value),
            metric=f"{turn.result.system}/{turn.result.metric}",
            run_id=turn.run_id,
            cell=turn.result.cell,
        )
        for turn in facts.turns
        if turn.result.system == incident.system
        and incident.opened - _BEFORE <= turn.result.judged_at <= end
        # What was well when it was first measured has not turned.
        and (turn.before is not None or turn.result.status is not Status.OK)
    ]
    operated = [
        Moment(run.started_at, "operated", run.reason, run.actor, run_id=run.id, runbook=book)
        for book in facts.catalogue.runbooks_of(incident.system)
        for run in facts.runs.get(book.slug, ())
        if run.trigger is Trigger.OPERATOR and incident.opened - _BEFORE <= run.started_at <= end
    ]
    return sorted([*told(facts, incident), *turned, *operated], key=lambda moment: moment.at)


def told(facts: Facts, incident: Incident) -> list[Moment]:
    """What people said of it, the oldest first; a page that was written afterwards has times, and no events."""
    found = [_told(event) for event in told_of(incident, facts.told)]
    known = {moment.what for moment in found}
    for what, at in (("opened", incident.opened), ("acknowledged", incident.acknowledged), ("resolved", incident.resolved)):
        if at is not None and what not in known:
            found.append(Moment(at, what))
    return found


_WORDS = {OPENED: "opened", NOTED: "noted", ACKNOWLEDGED: "acknowledged", RESOLVED: "resolved"}


def _told(event: Event) -> Moment:
    return Moment(event.at, _WORDS[event.kind], str(event.detail.get("note", "")), event.actor)


def _clock(opened: datetime, ended: datetime | None, due: datetime | None, now: datetime) -> Clock:
    took = words.short(ended - opened) if ended else ""
    if due is None:
        return Clock(Pace.UNTIMED, None, ended, took)
    late = words.short((ended or now) - due) if (ended or now) > due else ""
    if ended is not None:
        return Clock(Pace.BROKEN if late else Pace.KEPT, due, ended, took, late)
    return Clock(Pace.LATE if late else Pace.RUNNING, due, None, "", late)
