"""Claims what is due, so that of several schedulers one runs a slot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from checks.journal import owner
from checks.run.lost import recover
from checks.schedule.due import Slot, due

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

    What dead engines left is ended as lost first; the slot of a run that was lost may be taken once more.

    Args:
        catalogue: its runbooks' schedules say what is due.
        journal: where slots are claimed.
        environment: runbooks whose system does not live there are never due.
        now: aware.

    """
    recover(journal, catalogue.settings.state, now)
    slots = due_here(catalogue, journal.last_slots(environment, now), environment, now)
    return [slot for slot in slots if journal.claim_slot(slot.runbook, environment, slot.due_at, now, owner.me())]
