"""The append-only store of runs, results, observations, events and slots; the only place that knows SQL.

SQLAlchemy is loaded when a journal is opened, so that what only reads a report or asks for help does not pay for it.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from checks.errors import Busy, CannotWrite
from checks.journal.facts import (
    EMPTY,
    Event,
    InForce,
    JournalMissing,
    Lease,
    RecordedResult,
    Sample,
    Sign,
    Snapshot,
    StatusChange,
    Stretch,
    Tally,
)

if TYPE_CHECKING:
    from pathlib import Path

    from checks.journal.store import Journal

__all__ = [
    "EMPTY",
    "Event",
    "InForce",
    "Journal",
    "JournalMissing",
    "Lease",
    "RecordedResult",
    "Sample",
    "Sign",
    "Snapshot",
    "StatusChange",
    "Stretch",
    "Tally",
    "open_journal",
]


def open_journal(url: str, *, create: bool = True, state: Path | None = None) -> Journal:
    """Open the journal at a database URL, ready to be written and read.

    An empty database gets its tables; an older journal is migrated (an SQLite file is copied beside itself first).

    Args:
        url: an SQLAlchemy URL, ``sqlite:////srv/site/.proofbook/journal.db`` or ``postgresql://user@host/database``.
        create: whether a journal that is not there may be made.
        state: the project's state folder: ends of runs that wait there since the journal was away are written first.

    Raises:
        JournalMissing: there is none, and `create` is false.
        ServiceAway: the database does not answer.
        DataError: the database is not a journal, is damaged, or was written by a newer Proofbook.

    """
    from checks.journal.store import Journal

    journal = Journal.open(url, create=create)
    if state is not None:
        from checks.journal import spool

        if spool.waiting(state):
            # Who only reads may have no right to write, and need not wait for others: the next one writes them.
            with suppress(Busy, CannotWrite):
                spool.flush(journal, state, datetime.now(UTC))
    return journal


def __getattr__(name: str) -> object:
    if name == "Journal":
        from checks.journal.store import Journal

        return Journal
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
