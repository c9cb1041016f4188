"""Restoring a backup into a scratch database that is removed again, and counting the rows there."""

from __future__ import annotations

import os
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from checks.probes._dump_rows import Rows, lines_of, sqlite_statements
from checks.probes._dumps import Kind, NotWhole
from checks.probes._poured import Drained, pour
from checks.probes._support import clipped

_INSTRUCTIONS_BETWEEN_LOOKS = 2000
# Removing the scratch database is not left undone because restoring it took all the time there was.
_SECONDS_TO_DROP = 10.0
_QUIET = ("--no-psqlrc", "--quiet", "--no-password", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
# Of another server's roles a scratch server knows none.
_OF_ROLES = (b"GRANT ", b"REVOKE ", b"ALTER DEFAULT PRIVILEGES ", b"SET SESSION AUTHORIZATION ")
_MAY_RUN_PROGRAMS = """
SELECT bool_or(pg_has_role(current_user, oid, 'MEMBER')) FROM pg_roles
WHERE rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files');
"""
_COUNTS = """
SELECT 'SELECT sum(n) FROM ('
    || coalesce(string_agg(format('SELECT count(*) FROM ONLY %I.%I', schemaname, tablename), ' UNION ALL '), 'SELECT NULL')
    || ') AS counts(n)'
FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND :'wanted' IN ('', tablename, schemaname || '.' || tablename)
\\gexec
"""


class ScratchUnfit(Exception):
    """A scratch server that cannot be used, whatever the backup; its text is the reason."""


def rows_of_archive(chunks: Iterable[bytes], table: str | None, ends: float) -> int:
    """The rows in an archive by pg_dump, as pg_restore reads them out of it.

    Raises:
        NotWhole: pg_restore cannot read it to its end.
        TimeoutError: the deadline passed.
        ProgramMissing: there is no pg_restore.

    """
    rows = Rows(Kind.POSTGRESQL, table)
    kept = b""

    def take(block: bytes) -> None:
        nonlocal kept
        *whole, kept = (kept + block).split(b"\n")
        for line in whole:
            rows.take(line)

    ended = pour(["pg_restore", "--file=-"], chunks, ends, _plain_environment(), take)
    if ended.status:
        raise NotWhole(f"pg_restore cannot read it: {ended.said}")
    return rows.total()


def restored_by_sqlite(kind: Kind, chunks: Iterable[bytes], table: str | None, ends: float) -> int:
    """The rows of a dump of SQLite, or of an SQLite database, in a temporary database of its own.

    Raises:
        NotWhole: it cannot be restored, is damaged, or does not hold the table.
        TimeoutError: the deadline passed.

    """
    with tempfile.TemporaryDirectory(prefix="proofbook-restore-") as folder:
        path = Path(folder) / "scratch.db"
        if kind is Kind.SQLITE_DATABASE:
            with path.open("wb") as copy:
                copy.writelines(chunks)
        with closing(sqlite3.connect(path, isolation_level=None)) as scratch:
            scratch.set_progress_handler(lambda: int(time.monotonic() > ends), _INSTRUCTIONS_BETWEEN_LOOKS)
            try:
                scratch.execute("PRAGMA trusted_schema = OFF")
                if kind is Kind.SQLITE_DATABASE:
                    found = scratch.execute("PRAGMA integrity_check(1)").fetchone()[0]
                    if found != "ok":
                        raise NotWhole(f"it is damaged: {clipped(str(found), 100)}")
                else:
                    _execute(scratch, chunks)
                return _count(scratch, table)
            except sqlite3.Error as error:
                if time.monotonic() > ends:
                    raise TimeoutError("the deadline passed") from error
                raise NotWhole(f"SQLite cannot restore it: {clipped(str(error), 100)}") from error


def _execute(scratch: sqlite3.Connection, chunks: Iterable[bytes]) -> None:
    # A dump may come from anybody: it may fill the scratch database, and reach nothing else.
    scratch.set_authorizer(_within_the_scratch)
    try:
        for statement in sqlite_statements(lines_of(chunks)):
            scratch.execute(statement)
    finally:
        scratch.set_authorizer(None)
    if scratch.in_transaction:
        raise NotWhole("it breaks off: it is a dump of SQLite without its COMMIT")


def _within_the_scratch(action: int, argument: str | None, value: str | None, *_: str | None) -> int:
    if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) or "load_extension" in (argument, value):
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_PRAGMA and argument not in ("foreign_keys", "writable_schema"):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _count(scratch: sqlite3.Connection, table: str | None) -> int:
    tables = scratch.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'")
    names = [name for (name,) in tables if table in (None, name)]
    if not names:
        raise NotWhole(f"it holds no table {table}" if table else "it holds no table")
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    return sum(int(scratch.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for name in quoted)  # noqa: S608 - quoted


@dataclass(frozen=True, slots=True)
class PostgresqlScratch:
    """A PostgreSQL server on which databases may be created for a moment.

    Attributes:
        address: ``postgresql://role:password@host/postgres``; the password goes to the programs by their environment.
        ends: the deadline on the monotonic clock, seconds.

    """

    address: str
    ends: float

    def restored(self, kind: Kind, chunks: Iterable[bytes], table: str | None) -> int:
        """Restore a dump or an archive by pg_dump into a new database and count its rows.

        Raises:
            NotWhole: the server refuses it, or it does not hold the table.
            ScratchUnfit: the server is away, or its role may do too much or too little.
            TimeoutError: the deadline passed.
            ProgramMissing: there is no psql or pg_restore.

        """
        home = self._environment()
        if self._asked(home, _MAY_RUN_PROGRAMS, "its role cannot be looked up") != "f":
            raise ScratchUnfit(
                "the role of the scratch server may run programs or read files there, and a dump could, too; "
                "take one that may only create databases"
            )
        name = f"proofbook_scratch_{secrets.token_hex(8)}"
        self._asked(home, f"CREATE DATABASE {name} TEMPLATE template0;", "no scratch database can be created")
        try:
            scratch = {**home, "PGDATABASE": name}
            ended = self._poured_into(kind, chunks, scratch)
            if ended.status:
                raise NotWhole(f"PostgreSQL cannot restore it: {ended.said}")
            count = self._asked(scratch, _COUNTS, "its rows cannot be counted", wanted=table or "")
        finally:
            late = PostgresqlScratch(self.address, max(self.ends, time.monotonic() + _SECONDS_TO_DROP))
            late._asked(home, f"DROP DATABASE {name} WITH (FORCE);", f"the scratch database {name} cannot be removed")
        if not count:
            raise NotWhole(f"it holds no table {table}" if table else "it holds no table")
        return int(count)

    def _poured_into(self, kind: Kind, chunks: Iterable[bytes], scratch: Mapping[str, str]) -> Drained:
        if kind is Kind.POSTGRESQL_ARCHIVE:
            argv = ["pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", f"--dbname={scratch['PGDATABASE']}"]
            return pour(argv, chunks, self.ends, scratch, lambda _: None)
        rows = Rows(kind, None)
        ended = pour(["psql", *_QUIET], _harmless(lines_of(chunks), rows), self.ends, scratch, lambda _: None)
        if not ended.status:
            rows.total()  # a dump that breaks off between two statements is restored without a word
        return ended

    def _asked(self, environment: Mapping[str, str], query: str, trouble: str, wanted: str = "") -> str:
        answer = bytearray()
        # What was restored decides neither which function is meant nor how long it may take.
        options = {"PGOPTIONS": "-c search_path=pg_catalog"}
        ended = pour(
            ["psql", *_QUIET, f"--set=wanted={wanted}"], [query.encode()], self.ends, {**environment, **options}, answer.extend
        )
        if ended.status:
            raise ScratchUnfit(f"{trouble}: {ended.said}")
        return answer.decode("utf-8", "replace").strip()

    def _environment(self) -> dict[str, str]:
        try:
            parts = urlsplit(self.address)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            port = parts.port
        except ValueError as error:
            raise ScratchUnfit("scratch is no address postgresql://role@host/postgres") from error
        if parts.scheme not in ("postgresql", "postgres"):
            raise ScratchUnfit("scratch is no address postgresql://role@host/postgres")
        given = {
            "PGHOST": query.get("host") or parts.hostname,
            "PGPORT": query.get("port") or (str(port) if port else None),
            "PGUSER": query.get("user") or unquote(parts.username or ""),
            "PGPASSWORD": query.get("password") or unquote(parts.password or ""),
            "PGDATABASE": unquote(parts.path.strip("/")) or "postgres",
            "PGSSLMODE": query.get("sslmode"),
            "PGSSLROOTCERT": query.get("sslrootcert"),
            "PGCONNECT_TIMEOUT": str(max(2, int(self.ends - time.monotonic()))),
        }
        return {**_plain_environment(), **{name: value for name, value in given.items() if value}}


def _plain_environment() -> dict[str, str]:
    """What of the caller's environment the programs need; none of its settings for PostgreSQL."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}


def _harmless(lines: Iterable[bytes], rows: Rows) -> Iterator[bytes]:
    """A dump for psql, in which no command of psql's own is obeyed and no role of another server is named."""
    # Once restricted, psql refuses each backslash command until it is told a word that no dump can know.
    yield f"\\restrict {secrets.token_hex(16)}\n".encode()
    for line in lines:
        within = rows.within_data
        rows.take(line)
        # The dump's own \restrict, which older programs do not write, would be refused.
        if within or not (line.startswith((b"\\restrict ", b"\\unrestrict ")) or _names_a_role(line)):
            yield line


def _names_a_role(line: bytes) -> bool:
    owner = line.startswith(b"ALTER ") and b" OWNER TO " in line
    return line.rstrip().endswith(b";") and (owner or line.startswith(_OF_ROLES))
