"""What is to come: what runs by itself, and what people must do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from checks.catalogue import notebook
from checks.model import ChecklistItem, Proof, StepClass
from checks.site import checklists, incidents, words
from checks.site.facts import firings, next_due

if TYPE_CHECKING:
    from checks.model import Maintenance, Runbook, System
    from checks.site.facts import Facts

_ON_A_PAGE = 350
"""About how many entries of each kind a page of a calendar has at the most."""
_SINGLY = 4
"""A runbook that is due more often than this in a day is told once a day."""


class Who(Enum):
    """Who does it."""

    MACHINE = "machine"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that is to come.

    Attributes:
        until: when it ends; ``None`` where it is a moment.
        times: how often on that day.
        link: the address of the page to go to.

    """

    at: datetime
    who: Who
    title: str
    system: str
    text: str
    link: str
    until: datetime | None = None
    times: int = 1


def entries(facts: Facts, ahead: timedelta) -> list[Entry]:
    """Everything that is to come in a span, the soonest first."""
    found = [*_runs(facts, ahead), *duties(facts, ahead)]
    return sorted(found, key=lambda entry: (entry.at, entry.system, entry.title))


def days(facts: Facts, ahead: timedelta) -> dict[date, list[Entry]]:
    """The same by the reader's day."""
    found: dict[date, list[Entry]] = {}
    for entry in entries(facts, ahead):
        # What is late is due now.
        found.setdefault(max(entry.at, facts.now).astimezone(facts.zone).date(), []).append(entry)
    return found


@dataclass(frozen=True, slots=True)
class DayOf:
    """What stands below a day: the first entries, and how many are left to the subscribed calendar."""

    entries: list[Entry]
    left: int


def shown(facts: Facts, ahead: timedelta) -> dict[date, DayOf]:
    """The days as a page shows them: of a very large house the first entries of each day, of people and of machines."""
    found = days(facts, ahead)
    each = max(4, _ON_A_PAGE // max(1, len(found)))
    short = {}
    for day, some in found.items():
        people = [entry for entry in some if entry.who is Who.PERSON][:each]
        machines = [entry for entry in some if entry.who is Who.MACHINE][:each]
        kept = sorted([*people, *machines], key=lambda entry: (entry.at, entry.system, entry.title))
        short[day] = DayOf(kept, len(some) - len(kept))
    return short


def duties(facts: Facts, ahead: timedelta) -> list[Entry]:
    """What people must do in a span: steps by hand, words that end, promises of open incidents, planned work."""
    end = facts.now + ahead
    found = [*_by_hand(facts, ahead), *_ending(facts), *_promised(facts), *maintenance(facts, ahead)]
    return sorted((entry for entry in found if entry.at <= end), key=lambda entry: entry.at)


def soon(facts: Facts, most: int = 6) -> list[Entry]:
    """What is due next: of each runbook its next run, and what people must do in a week."""
    runs = [
        _run(runbook, at, 1)
        for runbook in facts.catalogue.runbooks_in(facts.environment)
        if (at := next_due(runbook, facts.now)) is not None
    ]
    people: dict[tuple[str, str], Entry] = {}
    for entry in duties(facts, timedelta(days=7)):
        if entry.at >= facts.now:
            people.setdefault((entry.system, entry.title), entry)
    soonest = sorted(runs, key=lambda entry: entry.at)[: most - 2]
    return sorted([*soonest, *[*people.values()][: most - len(soonest)]], key=lambda entry: entry.at)


def unsigned(facts: Facts) -> list[tuple[System, list[ChecklistItem]]]:
    """The items that nobody's word holds for, by system."""
    found = []
    for system in facts.catalogue.systems_in(facts.environment):
        items = [item for item in facts.catalogue.checklists.get(system.name, ()) if item.proof is Proof.HAND]
        items = [item for item in items if not checklists.holds(facts, item)]
        if items:
            found.append((system, items))
    return found


def maintenance(facts: Facts, ahead: timedelta, system: str = "") -> list[Entry]:
    """Planned work of a system, or of all, that has not ended and begins within a span."""
    found = []
    for one in facts.catalogue.systems_in(facts.environment):
        if not system or one.name == system:
            for planned in one.maintenance:
                for at in _begins(planned, facts.now, ahead):
                    link = f"systems/{one.name}/index.html"
                    found.append(Entry(at, Who.PERSON, planned.title, one.name, planned.note, link, at + planned.length))
    return sorted(found, key=lambda entry: entry.at)


def _begins(planned: Maintenance, now: datetime, ahead: timedelta) -> Iterator[datetime]:
    if planned.starts is not None:
        if now - planned.length < planned.starts <= now + ahead:
            yield planned.starts
        return
    from checks.model import Cron

    for at in firings(Cron(planned.cron, planned.timezone), now - planned.length):
        if at > now + ahead:
            return
        yield at


def _runs(facts: Facts, ahead: timedelta) -> Iterator[Entry]:
    for runbook in facts.catalogue.runbooks_in(facts.environment):
        by_day: dict[date, list[datetime]] = {}
        for at in _due(runbook, facts.now, ahead):
            by_day.setdefault(at.astimezone(facts.zone).date(), []).append(at)
        for moments in by_day.values():
            if len(moments) > _SINGLY:
                yield _run(runbook, moments[0], len(moments))
            else:
                yield from (_run(runbook, at, 1) for at in moments)


def _due(runbook: Runbook, now: datetime, ahead: timedelta) -> Iterator[datetime]:
    if runbook.schedule is not None:
        for at in firings(runbook.schedule, now):
            if at > now + ahead:
                return
            yield at


def _run(runbook: Runbook, at: datetime, times: int) -> Entry:
    every = words.schedule(runbook.schedule)
    return Entry(at, Who.MACHINE, runbook.title, runbook.system, every, _page_of(runbook), times=times)


def _by_hand(facts: Facts, ahead: timedelta) -> Iterator[Entry]:
    for runbook in facts.catalogue.runbooks_in(facts.environment):
        titles = _manual_steps(runbook.path, runbook.digest) if runbook.schedule else ()
        if titles:
            said = f"{len(titles)} step{'' if len(titles) == 1 else 's'} by hand: " + "; ".join(titles)
            told: set[date] = set()
            for at in _due(runbook, facts.now, ahead):
                if at.date() not in told:
                    told.add(at.date())
                    title = f"Operate: {runbook.title}"
                    yield Entry(at, Who.PERSON, title, runbook.system, said, _page_of(runbook))


@lru_cache(maxsize=4096)
def _manual_steps(path: Path, _digest: str) -> tuple[str, ...]:
    text = path.read_text(encoding="utf-8")
    if '"manual"' not in text:
        return ()
    found = notebook.steps(notebook.read_text(text, path))
    return tuple(step.title for step in found if step.step_class is StepClass.MANUAL)


def _ending(facts: Facts) -> Iterator[Entry]:
    here = {system.name for system in facts.catalogue.systems_in(facts.environment)}
    for system, items in facts.catalogue.checklists.items():
        for item in items if system in here else ():
            if checklists.holds(facts, item):
                signed = facts.signed[item.slug]
                text = f"{signed.actor} signed it until then: {item.text}"
                yield Entry(signed.until, Who.PERSON, "Sign again", system, text, checklists.address_of(item))


def _promised(facts: Facts) -> Iterator[Entry]:
    for row in incidents.open_rows(facts):
        for what, clock in (("Acknowledge", row.acknowledge), ("Resolve", row.resolve)):
            if clock.due is not None and clock.ended is None:
                text = f"{row.incident.severity}, opened {words.precise(row.incident.opened, facts.zone)}"
                yield Entry(clock.due, Who.PERSON, f"{what}: {row.incident.title}", row.incident.system, text, row.address)


def _page_of(runbook: Runbook) -> str:
    return f"systems/{runbook.system}/runbooks/{runbook.name}.html"
