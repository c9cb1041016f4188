"""Claims what is due, so that of several schedulers one runs a slot."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from checks.journal import owner
from checks.model import RunState
from checks.run.lost import recover
from checks.schedule.due import Slot, admit, due, next_due

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.journal import Journal
    from checks.model import Runbook


def due_here(catalogue: Catalogue, last_slots: Mapping[str, datetime], environment: str, now: datetime) -> list[Slot]:
    """The slots to run now of runbooks whose system lives in the environment; nothing is claimed."""
    return due(now, runbooks_here(catalogue, environment), last_slots, environment)


def runbooks_here(catalogue: Catalogue, environment: str) -> list[Runbook]:
    """The runbooks that may run in an environment: declared for it, and their system lives there."""
    return list(catalogue.runbooks_in(environment))


def claim_due(catalogue: Catalogue, journal: Journal, environment: str, now: datetime) -> list[Slot]:
    """Take every slot that is due now and that nobody else has taken; the caller runs them.

    What dead engines left is ended as lost first; the slot of a run that was lost may be taken once more. While a runbook is
    running its next slot waits, is given up or is taken, as its schedule says.

    Args:
        catalogue: its runbooks' schedules say what is due.
        journal: where slots are claimed.
        environment: runbooks whose system does not live there are never due.
        now: aware.

    """
    recover(journal, catalogue.settings.state, now)
    slots = due_here(catalogue, journal.last_slots(environment, now), environment, now)
    begin, give_up = admit(slots, catalogue.runbooks, going_on(journal, slots))
    pass_over(journal, give_up, now)
    return [slot for slot in begin if journal.claim_slot(slot.runbook, environment, slot.due_at, now, owner.me())]


def not_due(
    catalogue: Catalogue, last_slots: Mapping[str, datetime], environment: str, now: datetime, taken: Container[str]
) -> dict[str, str]:
    """Why each runbook that was not taken is not run now, as a part of a sentence, by its slug.

    Args:
        catalogue: the runbooks.
        last_slots: the latest slot of each that was claimed here.
        environment: where they would run.
        now: aware.
        taken: the slugs of those that are run.

    """
    waiting = {slot.runbook: slot.due_at for slot in due_here(catalogue, last_slots, environment, now)}
    found = {}
    for book in runbooks_here(catalogue, environment):
        if book.slug in taken:
            continue
        if book.slug in waiting:
            found[book.slug] = f"it is due since {waiting[book.slug]:%Y-%m-%d %H:%M} UTC, and waits for the run before to end"
        else:
            coming = next_due(book, now)
            found[book.slug] = f"it is due next at {coming:%Y-%m-%d %H:%M} UTC" if coming else "it has no schedule"
    return found


def going_on(journal: Journal, slots: Iterable[Slot]) -> set[str]:
    """Which of these slots' runbooks are running where the slots are due, whoever runs them."""
    found = set()
    for slot in slots:
        last = journal.runs(runbook=slot.runbook, environment=slot.environment, limit=1)
        if last and last[0].state is RunState.RUNNING:
            found.add(slot.runbook)
    return found


def pass_over(journal: Journal, slots: Iterable[Slot], now: datetime) -> list[Slot]:
    """Give slots up because the run before is still going on, with an event; those that were still to be had."""
    who, why = owner.shown(owner.me()), "the run before was still going on"
    return [slot for slot in slots if journal.pass_slot(slot.runbook, slot.environment, slot.due_at, now, who, why)]
