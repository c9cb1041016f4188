"""Claims what is due, so that of several schedulers one runs a slot."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from typing import TYPE_CHECKING

from checks.schedule.due import Slot, due

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.journal import Journal


def claim_due(catalogue: Catalogue, journal: Journal, environment: str, now: datetime) -> list[Slot]:
    """Take every slot that is due now and that nobody else has taken; the caller runs them.

    A slot stays taken when its taker dies: the runbook is due again at its next time, and shown as stale until then.

    Args:
        catalogue: its runbooks' schedules say what is due.
        journal: where slots are claimed.
        environment: runbooks whose system does not live there are never due.
        now: aware.

    """
    here = [book for book in catalogue.runbooks.values() if environment in catalogue.systems[book.system].environments]
    owner = f"{socket.gethostname()}:{os.getpid()}"
    slots = due(now, here, journal.last_slots(environment), environment)
    return [slot for slot in slots if journal.claim_slot(slot.runbook, environment, slot.due_at, now, owner)]
