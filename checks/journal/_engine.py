"""How the journal's database is reached, and how its troubles are told."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from checks.errors import Busy, CannotWrite, DataError, ProofbookError, ServiceAway, UsageError
from checks.journal.facts import JournalMissing

BUSY_TIMEOUT = 30.0
"""Seconds that a writer waits for another one before it gives up."""

_WRITES = "proofbook_writes"

_CACHE_KB = 32_768

_IDLE_SECONDS = 1.0
"""After how long a connection is asked whether it still stands, before it is used again."""


def engine_for(url: str) -> sa.Engine:
    """Make an engine for a URL; nothing is connected yet.

    Raises:
        UsageError: the URL cannot be read, or names a database that a journal cannot live in.
        ServiceAway: PostgreSQL's driver is not installed.

    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise UsageError("the journal's address cannot be read", example="sqlite:////srv/site/.proofbook/journal.db") from error
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        if parsed.database in (None, "", ":memory:") or str(parsed.database).startswith("file:"):
            raise UsageError(
                "a journal needs a file; this one would be forgotten", where=url, example="sqlite:////srv/journal.db"
            )
        return _sqlite(parsed)
    if kind == "postgresql":
        try:
            return _postgresql(parsed)
        except ModuleNotFoundError as error:
            raise ServiceAway(
                "PostgreSQL's driver is not installed", remedy="install it: pip install 'proofbook[postgresql]'"
            ) from error
    raise UsageError(f"a journal lives in sqlite or postgresql, not in {kind}", where=shown(parsed))


def _postgresql(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), connect_args={"connect_timeout": 10})

    @sa.event.listens_for(engine, "checkin")
    def _rest(_connection: object, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @sa.event.listens_for(engine, "checkout")
    def _require_alive(connection: Any, record: Any, _proxy: object) -> None:
        # A ping each time would double what a question costs; a connection that was used just now stands.
        if time.monotonic() - record.info.get("rests_since", time.monotonic()) > _IDLE_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except Exception as error:
                raise sa.exc.DisconnectionError from error

    return engine


def _sqlite(url: sa.URL) -> sa.Engine:
    # A connection per use: it is cheap, and none is ever carried over a fork or between threads.
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args={"timeout": BUSY_TIMEOUT})

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, DDL included
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = DELETE")  # WAL of SQLite before 3.51.3 can lose a commit at a checkpoint
        connection.execute("PRAGMA synchronous = FULL")
        # A run of some hundred results touches more pages than the usual 2 MB hold; what does not fit is synced twice.
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A writer asks for its lock at once: one that reads first and then writes would fail, not wait.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def shown(url: sa.URL) -> str:
    """The URL as it may be shown: without its password."""
    return url.render_as_string(hide_password=True)


def sqlite_file(engine: sa.Engine) -> Path | None:
    """The file of an SQLite journal; ``None`` for any other database."""
    return Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None


def make_file(path: Path) -> None:
    """Make an empty file, readable by its owner only, and the folders above it.

    Raises:
        CannotWrite: the folder or the file cannot be made.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise CannotWrite("the journal cannot be made", where=str(path), found=str(error.strerror)) from error


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that only reads; what it sees belongs together."""
    options: dict[str, Any] = {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
    with told(engine), engine.connect() as raw:
        connection = raw.execution_options(**options) if engine.dialect.name == "postgresql" else raw
        with connection.begin():
            yield connection


def asked(
    engine: sa.Engine, query: sa.Select[Any] | sa.CompoundSelect[Any], given: Mapping[str, object] | None = None
) -> Sequence[Any]:
    """The rows of one question, which is a transaction of its own in any database.

    Args:
        engine: where it is asked.
        query: the question.
        given: the values of its parameters, where it has any.

    """
    if engine.dialect.name != "postgresql":
        with reading(engine) as connection:
            return connection.execute(query, given).all()
    with told(engine):
        try:
            return _asked_once(engine, query, given)
        except sa.exc.DBAPIError as error:
            # The server was started anew within the second: the pool knows now, and the question changes nothing.
            if not error.connection_invalidated:
                raise
            return _asked_once(engine, query, given)


def _asked_once(engine: sa.Engine, query: Any, given: Mapping[str, object] | None) -> Sequence[Any]:
    with engine.connect() as raw:
        return raw.execution_options(isolation_level="AUTOCOMMIT").execute(query, given).all()


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that writes: all of it is kept, or none."""
    with told(engine), engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        yield connection


@contextmanager
def told(engine: sa.Engine) -> Iterator[None]:
    """Tell the database's troubles in Proofbook's words; broken uniqueness passes through for the caller to read.

    Raises:
        Busy: another process has held the journal for too long.
        DataError: the file is not a journal, or is damaged.
        ServiceAway: the database does not answer.

    """
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except sa.exc.DBAPIError as error:
        raise _as_ours(engine, error) from error


def _as_ours(engine: sa.Engine, error: sa.exc.DBAPIError) -> ProofbookError:
    where = shown(engine.url)
    found = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    low = found.lower()
    if "locked" in low or "busy" in low:
        return Busy(
            "the journal is held by another process", where=where, found=found, remedy="try again when the other run has ended"
        )
    if "malformed" in low or "not a database" in low:
        return DataError(
            "the journal is damaged, or is not a journal",
            where=where,
            found=found,
            remedy="put the file aside and bring back a backup; evidence is kept beside it",
        )
    if "readonly" in low or "read-only" in low or "full" in low:
        return CannotWrite("the journal cannot be written", where=where, found=found)
    if isinstance(error, sa.exc.OperationalError):
        return ServiceAway(
            "the journal's database does not answer",
            where=where,
            found=found,
            remedy="start the database, or set PROOFBOOK_JOURNAL to one that runs",
        )
    return ServiceAway("the journal's database refused a statement", where=where, found=found)


def require_there(engine: sa.Engine) -> None:
    """Refuse an SQLite journal whose file is not there.

    Raises:
        JournalMissing: the file does not exist or is empty.

    """
    path = sqlite_file(engine)
    if path is not None and (not path.is_file() or path.stat().st_size == 0):
        raise missing(engine)


def missing(engine: sa.Engine) -> JournalMissing:
    """The error for a journal that nobody has made yet."""
    return JournalMissing("nothing has been recorded here yet", where=shown(engine.url), remedy="run proofbook run --all")
