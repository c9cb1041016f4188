"""What happened, as an Atom feed (RFC 4287), and what is due, as a calendar (RFC 5545)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from checks.journal.formats import inert, rfc3339
from checks.model import RunState
from checks.site import agenda, incidents, metric_page, words
from checks.site.facts import CHANGES_SHOWN

if TYPE_CHECKING:
    from icalendar import Event

    from checks.model import Run, Runbook
    from checks.site.facts import Facts

_ATOM = "http://www.w3.org/2005/Atom"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://proofbook.invalid/")
_MOST_ENTRIES = 200
_AHEAD = timedelta(days=31)
_A_MOMENT = timedelta(minutes=15)
_SINGLY = 4
"""A runbook that is due more often than this in a day is told as one event a day."""


@dataclass(frozen=True, slots=True)
class _Entry:
    id: str
    at: datetime
    title: str
    text: str
    link: str


def atom(facts: Facts) -> str:
    """Changes of status, failed runs and steps of incidents, the newest first, as an Atom feed; its links are relative."""
    entries = sorted((*_changes(facts), *_failed(facts), *_incidents(facts)), key=lambda entry: entry.at, reverse=True)[
        :_MOST_ENTRIES
    ]
    ET.register_namespace("", _ATOM)
    site = inert(facts.catalogue.settings.site_name)
    feed = ET.Element(f"{{{_ATOM}}}feed")
    _text(feed, "id", _urn(f"feed/{site}/{facts.environment}"))
    _text(feed, "title", f"{site}: {facts.environment}")
    _text(feed, "updated", rfc3339(entries[0].at if entries else facts.now) or "")
    _text(ET.SubElement(feed, f"{{{_ATOM}}}author"), "name", "Proofbook")
    ET.SubElement(feed, f"{{{_ATOM}}}link", {"rel": "self", "type": "application/atom+xml", "href": "feed.xml"})
    ET.SubElement(feed, f"{{{_ATOM}}}link", {"rel": "alternate", "type": "text/html", "href": "index.html"})
    for entry in entries:
        one = ET.SubElement(feed, f"{{{_ATOM}}}entry")
        _text(one, "id", _urn(entry.id))
        _text(one, "title", inert(entry.title))
        _text(one, "updated", rfc3339(entry.at) or "")
        ET.SubElement(one, f"{{{_ATOM}}}link", {"rel": "alternate", "type": "text/html", "href": entry.link})
        _text(one, "content", inert(entry.text))
    ET.indent(feed)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(feed, encoding="unicode") + "\n"


def _changes(facts: Facts) -> Iterator[_Entry]:
    for change in facts.changes:
        result = change.result
        metric = facts.catalogue.metric(f"{result.system}/{result.metric}")
        system = facts.catalogue.system(result.system)
        before = f", {change.before.value} before" if change.before else ", measured for the first time"
        yield _Entry(
            f"{facts.environment}/{change.run_id}/{metric.slug}/{rfc3339(result.judged_at)}",
            result.judged_at,
            f"{result.status.value.capitalize()}: {metric.title} of {system.title}",
            f"{result.reason}{before}",
            metric_page.address_of(metric),
        )


def _incidents(facts: Facts) -> Iterator[_Entry]:
    for incident in facts.incidents:
        title = f"{incident.severity}: {incident.title}, {facts.catalogue.system(incident.system).title}"
        said = {moment.what: moment.text for moment in reversed(incidents.told(facts, incident)) if moment.text}
        times = (("opened", incident.opened), ("acknowledged", incident.acknowledged), ("resolved", incident.resolved))
        for what, at in times:
            if at is not None:
                name = f"{facts.environment}/incident/{incident.name}/{what}"
                text = said.get(what) or f"The incident was {what}."
                yield _Entry(name, at, f"Incident {what}: {title}", text, incidents.address_of(incident))


def _failed(facts: Facts) -> Iterator[_Entry]:
    for run in facts.failed:
        runbook = facts.catalogue.runbooks.get(run.runbook)
        at = run.ended_at or run.started_at
        if runbook and run.state.ended and run.state is not RunState.FINISHED and at >= facts.now - CHANGES_SHOWN:
            title = f"Run {run.state.value}: {runbook.title} of {facts.catalogue.system(runbook.system).title}"
            yield _Entry(f"{facts.environment}/{run.id}", at, title, run.reason or run.state.value, _page(facts, run, runbook))


def _page(facts: Facts, run: Run, runbook: Runbook) -> str:
    digest = facts.evidence_of(run.id)
    return f"evidence/{digest}.html" if digest else f"systems/{runbook.system}/runbooks/{runbook.name}.html"


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, f"{{{_ATOM}}}{name}").text = text


def _urn(name: str) -> str:
    return uuid.uuid5(_NAMESPACE, name).urn


def calendar(facts: Facts) -> bytes:
    """What runs when in the coming month, and what people must do; what runs often is one event a day that says how often."""
    from icalendar import Calendar

    shown = Calendar()
    shown.add("prodid", "-//Proofbook//Calendar//EN")
    shown.add("version", "2.0")
    shown.add("x-wr-calname", inert(f"{facts.catalogue.settings.site_name}: {facts.environment}"))
    for entry in agenda.duties(facts, _AHEAD):
        shown.add_component(_duty(facts, entry))
    whole: bytes = shown.to_ical()
    end = b"END:VCALENDAR"
    runs = b"".join(event for runbook in facts.catalogue.runbooks_in(facts.environment) for event in _events(facts, runbook))
    return whole.replace(end, runs + end)


def _events(facts: Facts, runbook: Runbook) -> Iterator[bytes]:
    """The events of one runbook; what they share is written, escaped and folded once."""
    shared: dict[int, bytes] = {}
    for at, times in _due(runbook, facts.now):
        if times not in shared:
            shared[times] = _shared(facts, runbook, times)
        id_ = uuid.uuid5(_NAMESPACE, f"{facts.environment}/{runbook.slug}/{at.isoformat()}")
        begins = f"DTSTART;VALUE=DATE:{at:%Y%m%d}" if times > 1 else f"DTSTART:{at:%Y%m%dT%H%M%SZ}"
        yield f"BEGIN:VEVENT\r\nUID:{id_}@proofbook\r\n{begins}\r\n".encode() + shared[times]


def _shared(facts: Facts, runbook: Runbook, times: int) -> bytes:
    """An event without its beginning, its name and its time."""
    from icalendar import Event

    event: Event = Event()
    event.add("dtstamp", facts.now)
    system = facts.catalogue.system(runbook.system)
    often = f", {times} times" if times > 1 else ""
    event.add("summary", inert(f"{runbook.title} of {system.title}{often}"))
    said = f"{runbook.summary} Due {words.schedule(runbook.schedule)}. proofbook run {runbook.slug}"
    event.add("description", inert(said))
    event.add("categories", [system.name, runbook.kind.value])
    event.add("transp", "TRANSPARENT")
    if times == 1:
        event.add("duration", runbook.time_budget or runbook.deadline)
    written: bytes = event.to_ical()
    return written.removeprefix(b"BEGIN:VEVENT\r\n")


def _duty(facts: Facts, entry: agenda.Entry) -> Event:
    from icalendar import Event

    event: Event = Event()
    name = f"{facts.environment}/{entry.system}/{entry.title}/{entry.text}/{entry.at.isoformat()}"
    event.add("uid", f"{uuid.uuid5(_NAMESPACE, name)}@proofbook")
    event.add("dtstamp", facts.now)
    event.add("summary", inert(f"{entry.title} ({facts.catalogue.system(entry.system).title})"))
    event.add("description", inert(entry.text))
    event.add("categories", [entry.system, "by hand"])
    event.add("dtstart", entry.at)
    event.add("dtend", entry.until or entry.at + _A_MOMENT)
    return event


def _due(runbook: Runbook, now: datetime) -> Iterator[tuple[datetime, int]]:
    """Each time that a runbook is due and 1; where it is due often, the first time of each day and how often."""
    if runbook.schedule is None:
        return
    from cronsim import CronSim

    zone = ZoneInfo(runbook.schedule.timezone)
    days: dict[object, list[datetime]] = {}
    for at in CronSim(runbook.schedule.expression, now.astimezone(zone)):
        if at > now + _AHEAD:
            break
        days.setdefault(at.date(), []).append(at)
    for times in days.values():
        if len(times) > _SINGLY:
            yield times[0], len(times)
        else:
            yield from ((at.astimezone(ZoneInfo("UTC")), 1) for at in times)
