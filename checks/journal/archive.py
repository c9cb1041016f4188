"""Backups: a journal copied into a file while it is written to, and brought back into either database.

A backup is an SQLite journal, whichever database it was taken from: it is whole by itself, can be read by any SQLite, and by
Proofbook where it lies. It holds what the journal holds; evidence is kept beside the journal, in files named by their digests.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from checks.errors import CannotWrite, DataError, Refused, UsageError
from checks.journal import _seals
from checks.journal import _tables as t
from checks.journal._engine import asked, engine_for, make_file, reading, shown, sqlite_file, told, writing
from checks.journal._migrate import bring_up_to_date, make
from checks.journal._put import put
from checks.journal.verify import verify

_AT_ONCE = 10_000
_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds.

    Attributes:
        counts: the number of rows by the name of their table.
        number: how many events the chain has.
        head: the digest of the last one.

    """

    counts: dict[str, int]
    number: int
    head: str


def back_up(engine: sa.Engine, path: Path) -> Backup:
    """Copy the journal as it is at one moment; whoever reads the file meets all of it, or what was there before.

    Raises:
        UsageError: the file is something else, or the journal itself.
        CannotWrite: it cannot be written.
        DataError: the journal is damaged.

    """
    journal = sqlite_file(engine)
    if path.is_dir():
        raise UsageError("this is a folder", where=str(path), expected="a file in it", example=str(path / "journal.db"))
    if (path.exists() and not _is_sqlite(path)) or (journal is not None and path.exists() and path.samefile(journal)):
        raise UsageError(
            "this file is no backup, and is not written over", where=str(path), expected="a new name, or an older backup's"
        )
    part = path.with_name(f".{path.name}.part")
    try:
        with _told_of(path):
            part.unlink(missing_ok=True)
            make_file(part)
    except CannotWrite as error:
        raise CannotWrite("the backup cannot be written", where=str(path), found=error.found) from error
    try:
        with _told_of(path):
            if journal is not None:
                with told(engine):
                    _copy_file(journal, part)
            else:
                with closing_engine(part) as target, reading(engine) as source, writing(target) as into:
                    make(into)
                    into.execute(sa.delete(t.heads))
                    _copy_rows(source, into)
            found = _counted_copy(part, engine)
            _sync(part)
            part.replace(path)
            _sync(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return found


def restore(engine: sa.Engine, path: Path) -> Backup:
    """Bring a backup back into a journal that has nothing in it yet.

    Raises:
        UsageError: the file is not there, or is no backup.
        DataError: it is damaged, or of a newer Proofbook.
        Refused: the journal has something in it.

    """
    if not path.is_file() or not _is_sqlite(path):
        raise UsageError(
            "there is no backup in this file", where=str(path), expected="a file that proofbook journal backup wrote"
        )
    bring_up_to_date(engine, create=True)
    with tempfile.TemporaryDirectory(prefix="proofbook-restore-", dir=_room(engine)) as folder:
        copy = Path(folder) / "journal.db"
        make_file(copy)
        with _told_of(path):
            _copy_file(path, copy)
        with closing_engine(copy) as source:
            bring_up_to_date(source, create=False)
            found = verify(source, None).findings
            if found:
                raise DataError(
                    "this backup is not what was written",
                    where=f"{path}, {found[0].where}",
                    found=found[0].what + (f"; {len(found) - 1} findings more" if len(found) > 1 else ""),
                    remedy="take another one",
                )
            with reading(source) as of, writing(engine) as into:
                _require_empty(into)
                for table in reversed(t.metadata.sorted_tables):
                    into.execute(sa.delete(table))
                _copy_rows(of, into)
                _count_on(into)
    return _counted(engine)


@contextmanager
def closing_engine(path: Path) -> Iterator[sa.Engine]:
    """An engine for an SQLite file, given back in the end."""
    engine = engine_for(f"sqlite:///{path.absolute()}")
    try:
        yield engine
    finally:
        engine.dispose()


def _copy_file(source: Path, target: Path) -> None:
    # In one step: a copy in several begins anew each time somebody writes, and may never end. Writers wait for it.
    with closing(sqlite3.connect(source, timeout=30)) as of, closing(sqlite3.connect(target)) as into:
        of.backup(into)


def _copy_rows(source: sa.Connection, target: sa.Connection) -> None:
    for table in t.metadata.sorted_tables:
        names = [column.name for column in table.columns]
        rows = source.execution_options(yield_per=_AT_ONCE).execute(
            sa.select(*(_raw(source, column) for column in table.columns))
        )
        for some in rows.partitions():
            put(target, table, names, [tuple(row) for row in some])


def _raw(connection: sa.Connection, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """A column's values as the database keeps them."""
    if isinstance(column.type, sa.JSON) and connection.dialect.name == "postgresql":
        return sa.cast(column, sa.Text)
    if isinstance(column.type, sa.JSON | sa.Enum):
        return sa.type_coerce(column, sa.Text)
    return sa.type_coerce(column, sa.BigInteger) if isinstance(column.type, t.Moment) else column


def _require_empty(connection: sa.Connection) -> None:
    for table in (t.runs, t.results, t.events, t.observations):
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None:
            raise Refused(
                "this journal has something in it",
                where=shown(connection.engine.url),
                expected="an empty one",
                found=f"rows in the table {table.name}",
                remedy="point PROOFBOOK_JOURNAL at a new journal, or put this one aside first",
            )


def _count_on(connection: sa.Connection) -> None:
    """Let PostgreSQL give the next rows keys that nobody has."""
    if connection.dialect.name == "postgresql":
        for table in (t.series, t.results, t.events):
            last = f"(SELECT coalesce(max(id), 0) + 1 FROM {table.name})"  # noqa: S608 - names are ours
            connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {last}, false)")


def _counted(engine: sa.Engine) -> Backup:
    counts = {
        table.name: int(asked(engine, sa.select(sa.func.count()).select_from(table))[0][0])
        for table in (t.runs, t.results, t.observations, t.events)
    }
    ((number, head),) = asked(engine, sa.select(t.heads.c.number, t.heads.c.digest).where(t.heads.c.name == _seals.EVENTS))
    return Backup(counts, number, head)


def _counted_copy(path: Path, journal: sa.Engine) -> Backup:
    """What a copy holds; where its pages are damaged, so are the journal's, and that is where to look.

    Raises:
        DataError: they are.

    """
    damaged = "the journal is damaged: a copy of it would be, too"
    where, remedy = shown(journal.url), "put it aside and bring back an older backup; evidence is kept beside it"
    try:
        with closing_engine(path) as copy:
            with reading(copy) as connection:
                said = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
            if said != "ok":
                raise DataError(damaged, where=where, found=" ".join(said.split()), remedy=remedy)
            return _counted(copy)
    except DataError as error:
        raise DataError(damaged, where=where, found=error.found, remedy=remedy) from error


def _room(engine: sa.Engine) -> Path | None:
    """Where a copy is put for the while: beside an SQLite journal, else where the machine keeps such files."""
    path = sqlite_file(engine)
    return None if path is None else path.parent


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise CannotWrite("this file cannot be read", where=str(path), found=str(error.strerror)) from error
    return head == _MAGIC


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        kind = DataError if "malformed" in str(error) or "not a database" in str(error) else CannotWrite
        raise kind("the file cannot be copied", where=str(path), found=str(error)) from error
    except OSError as error:
        raise CannotWrite("the backup cannot be written", where=str(path), found=str(error.strerror)) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
