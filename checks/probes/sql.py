"""One number from a query that may only read."""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from checks.catalogue.environment import Settled
from checks.model import Observation, Unmeasured
from checks.probes import _postgresql
from checks.probes._rows import value_of
from checks.probes._steps import note
from checks.probes._support import BYTE_CAP, Measuring, clipped, within
from checks.probes._targets import NoTarget, refuse_strangers, without_userinfo

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import SqlProbe

_INSTRUCTIONS_BETWEEN_LOOKS = 2000
_IS_ONE = "SELECT count(*) FROM sqlite_master"
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


def probe(declaration: SqlProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Ask a database for one number; see `SqlProbe`."""
    database = settled.fill(declaration.database)
    asked = clipped(declaration.query, 160) if declaration.query else declaration.measure
    if _postgresql.is_postgresql(database):
        return _in_postgresql(database, declaration, asked, settled, unit, now)
    measuring = Measuring(now, f"{_shown(database)}: {asked}", settled)
    if "://" in database:
        return measuring.failed("the database is neither a path of SQLite nor a postgresql:// address")
    seconds = declaration.timeout.total_seconds()
    if declaration.measure not in ("query", "size"):
        return measuring.failed(f"SQLite keeps no statistics, so {declaration.measure} is measured in PostgreSQL only")
    query = _IS_ONE if declaration.query is None else declaration.query
    try:
        # The progress handler ends a query that computes; the thread ends the wait for a file that does not answer.
        seen = within(seconds + 1, lambda: _ask(query, declaration.column, Path(database), seconds, measuring, unit))
    except TimeoutError:
        return measuring.late(seconds)
    if declaration.measure == "query" or isinstance(seen, Unmeasured):
        return seen
    files = [path for path in (Path(database), Path(f"{database}-wal")) if path.exists()]
    return measuring.gave(sum(path.stat().st_size for path in files), "B", "its write-ahead log included" if files[1:] else "")


def _in_postgresql(
    database: str, declaration: SqlProbe, asked: str, settled: Settled, unit: str, now: datetime
) -> Observation | Unmeasured:
    try:
        import psycopg
    except ImportError:
        return Measuring(now, f"PostgreSQL: {asked}", settled).failed(
            "PostgreSQL needs psycopg, which is not installed: pip install 'proofbook[postgresql]'"
        )
    try:
        shown, password = _postgresql.named(database)
    except (psycopg.Error, ValueError):
        # What libpq says of an address it cannot read may repeat the password in it.
        return Measuring(now, f"PostgreSQL: {asked}", settled).failed("the address of the PostgreSQL database cannot be read")
    settled = dataclasses.replace(settled, secrets=settled.secrets | {password} if password else settled.secrets)
    measuring = Measuring(now, f"{shown}: {asked}", settled)
    if database not in settled.values.values():
        try:
            refuse_strangers(database, settled)
        except NoTarget as error:
            return measuring.failed(str(error))
    return _postgresql.ask(database, declaration, shown, measuring, unit)


def _shown(database: str) -> str:
    return without_userinfo(database) if "://" in database else database


def _ask(
    query: str, column: str | None, database: Path, seconds: float, measuring: Measuring, unit: str
) -> Observation | Unmeasured:
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
        note(f"{database} is open, only to be read")
        cursor = connection.execute(query)
        rows = cursor.fetchmany(2)
        columns = [str(described[0]) for described in cursor.description or ()]
    except (sqlite3.Error, sqlite3.Warning) as error:
        if time.monotonic() > deadline:
            return measuring.late(seconds)
        denied = any(word in str(error) for word in ("not authorized", "prohibited", "authorization denied"))
        why = "it may only read" if denied else clipped(str(error))
        return measuring.failed(f"the query on {database} was not answered: {why}")
    finally:
        connection.close()
    return value_of(rows, columns, column, str(database), measuring, unit)


def _only_reading(action: int, argument: str | None, value: str | None, *_: str | None) -> int:
    reads = action in _READING and argument != "load_extension" and value != "load_extension"
    # PRAGMA page_count asks; PRAGMA journal_mode = … would change something.
    asks = action == sqlite3.SQLITE_PRAGMA and value is None
    return sqlite3.SQLITE_OK if reads or asks else sqlite3.SQLITE_DENY
