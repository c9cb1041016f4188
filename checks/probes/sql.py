"""One number from a query that may only read."""

from __future__ import annotations

import sqlite3
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from checks.catalogue.environment import Settled
from checks.model import Observation, Unmeasured
from checks.probes._support import BYTE_CAP, Measuring, clipped, within

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import SqlProbe

_INSTRUCTIONS_BETWEEN_LOOKS = 2000
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


def probe(declaration: SqlProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Ask an SQLite database for one number; see `SqlProbe`."""
    database = settled.fill(declaration.database)
    query = clipped(declaration.query, 160)
    measuring = Measuring(now, f"{database}: {query}", settled)
    seconds = declaration.timeout.total_seconds()
    try:
        # The progress handler ends a query that computes; the thread ends the wait for a file that does not answer.
        return within(seconds + 1, lambda: _ask(declaration.query, Path(database), seconds, measuring, unit))
    except TimeoutError:
        return measuring.late(seconds)


def _ask(query: str, database: Path, seconds: float, measuring: Measuring, unit: str) -> Observation | Unmeasured:
    if not database.is_file():
        return measuring.failed(f"the database {database} does not exist")
    deadline = time.monotonic() + seconds
    address = f"file:{quote(str(database.absolute()))}?mode=ro"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=seconds, isolation_level=None)
    except sqlite3.Error as error:
        return measuring.failed(f"the database {database} cannot be opened: {error}")
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, BYTE_CAP)
        connection.set_authorizer(_only_reading)
        connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _INSTRUCTIONS_BETWEEN_LOOKS)
        cursor = connection.execute(query)
        rows = cursor.fetchmany(2)
        columns = len(cursor.description or ())
    except (sqlite3.Error, sqlite3.Warning) as error:
        if time.monotonic() > deadline:
            return measuring.late(seconds)
        denied = any(word in str(error) for word in ("not authorized", "prohibited", "authorization denied"))
        why = "it may only read" if denied else clipped(str(error))
        return measuring.failed(f"the query on {database} was not answered: {why}")
    finally:
        connection.close()
    if not rows:
        return measuring.failed(f"the query on {database} gave no row")
    if len(rows) > 1 or columns != 1:
        shape = f"{columns} columns" if columns != 1 else "more than one row"
        return measuring.failed(f"the query on {database} gave {shape}, not one number")
    return measuring.gave(rows[0][0], unit, name="the query's answer")


def _only_reading(action: int, argument: str | None, value: str | None, *_: str | None) -> int:
    reads = action in _READING and argument != "load_extension" and value != "load_extension"
    # PRAGMA page_count asks; PRAGMA journal_mode = … would change something.
    asks = action == sqlite3.SQLITE_PRAGMA and value is None
    return sqlite3.SQLITE_OK if reads or asks else sqlite3.SQLITE_DENY
