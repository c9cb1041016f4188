"""What is due: pure functions of schedules, claimed slots and `now`.

Cron expressions are read as Debian's cron reads them: a fixed time that a change of the clocks skips comes right
after the gap, and one that the change repeats comes once; ``*`` in minutes or hours follows real time.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from checks.model import CatchUp, Cron, Overlap, Runbook

FIRST_REACH = timedelta(days=7)
"""How far back the first slot of a runbook may lie that was never run here; what is older is not made up for."""

ON_TIME = timedelta(minutes=10)
"""How late a slot may be taken where missed ones are skipped; whoever asks from cron may ask every few minutes only."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One due execution of a runbook in an environment; executed once, whoever asks.

    Attributes:
        runbook: the runbook's slug.
        due_at: when it was due, in UTC; names the slot together with the two above.

    """

    runbook: str
    environment: str
    due_at: datetime


def occurrences(cron: Cron, after: datetime) -> Iterator[datetime]:
    """The moments of a schedule later than `after`, in UTC, rising, each once.

    Args:
        cron: five fields and the time zone that they are read in.
        after: aware.

    """
    from cronsim import CronSim

    for moment in CronSim(cron.expression, after.astimezone(ZoneInfo(cron.timezone))):
        found = moment.astimezone(UTC)
        # Started in the second half of an hour that the clocks repeat, it begins with times of the first half.
        if found > after:
            yield found


def latest(cron: Cron, after: datetime, now: datetime) -> datetime | None:
    """The last moment of a schedule later than `after` and not later than `now`; ``None`` where there is none."""
    reach = timedelta(hours=1)
    while True:
        # Looking back twice as far each time finds the last of a minute's schedule as soon as that of a year's.
        start = max(after, now - reach)
        found = None
        for moment in occurrences(cron, start):
            if moment > now:
                break
            found = moment
        if found is not None or start == after:
            return found
        reach *= 2


def due(now: datetime, runbooks: Iterable[Runbook], last_slots: Mapping[str, datetime], environment: str) -> list[Slot]:
    """The slots to run now, those waiting longest first; of each runbook one at most, however many times it missed.

    Which one its ``catch-up`` says. ``last``: the last one, as a run measures now, and what was not measured then stays
    unknown. ``skip``: the last one, if it is no older than `ON_TIME`. ``all``: the oldest one, so that a schedule that was
    away for days works its times off one after another, and does not start them all.

    Args:
        now: aware.
        runbooks: those without a schedule, or not for this environment, are never due.
        last_slots: the latest slot of each runbook that was claimed in this environment, by the runbook's slug.
        environment: where they would run.

    """
    slots = []
    for runbook in runbooks:
        if runbook.schedule is None or not _belongs(runbook, environment):
            continue
        moment = _missed(runbook.schedule, last_slots.get(runbook.slug), now)
        if moment is not None:
            slots.append(Slot(runbook.slug, environment, moment))
    return sorted(slots, key=lambda slot: (slot.due_at, slot.runbook))


def _missed(cron: Cron, last: datetime | None, now: datetime) -> datetime | None:
    if cron.catch_up is CatchUp.ALL and last is not None:
        oldest = next(occurrences(cron, max(last, now - FIRST_REACH)), None)
        return oldest if oldest is not None and oldest <= now else None
    moment = latest(cron, now - FIRST_REACH if last is None else last, now)
    late = moment is not None and cron.catch_up is CatchUp.SKIP and now - moment > ON_TIME
    return None if late else moment


def admit(slots: Iterable[Slot], runbooks: Mapping[str, Runbook], busy: Container[str]) -> tuple[list[Slot], list[Slot]]:
    """Which slots may begin, and which are given up because the run before is still going on; the rest waits.

    Args:
        slots: what is due.
        runbooks: by slug; their ``overlap`` decides.
        busy: the slugs of those that are running.

    """
    begin, give_up = [], []
    for slot in slots:
        schedule = runbooks[slot.runbook].schedule
        overlap = Overlap.WAIT if schedule is None else schedule.overlap
        if slot.runbook not in busy or overlap is Overlap.ALLOW:
            begin.append(slot)
        elif overlap is Overlap.SKIP:
            give_up.append(slot)
    return begin, give_up


def next_due(runbook: Runbook, now: datetime) -> datetime | None:
    """When a runbook is due next, later than `now`, in UTC; ``None`` without a schedule."""
    return None if runbook.schedule is None else next(occurrences(runbook.schedule, now), None)


def _belongs(runbook: Runbook, environment: str) -> bool:
    return not runbook.environments or environment in runbook.environments
