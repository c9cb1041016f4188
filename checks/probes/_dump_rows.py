"""The rows in an SQL dump, counted line by line, and whether it is whole."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from checks.judge import format_value
from checks.probes._dumps import Kind, NotWhole

_LINE_CAP = 64_000_000
_NAME = rb'(?:"(?:[^"]|"")*"|`[^`]*`|[\w$]+)(?:\.(?:"(?:[^"]|"")*"|`[^`]*`|[\w$]+))?'
_COPY = re.compile(rb"COPY (" + _NAME + rb")(?: \(.*\))? FROM stdin;\s*$", re.IGNORECASE)
_INSERT = re.compile(rb"\s*(?:INSERT|REPLACE)(?: IGNORE)? INTO (" + _NAME + rb")", re.IGNORECASE)
_TABLE = re.compile(rb"\s*CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(" + _NAME + rb")", re.IGNORECASE)
_DOLLARS = re.compile(rb"\$(?:[A-Za-z_]\w*)?\$")
_TEXT = re.compile(rb"'[^']*'")
_NEXT_ROW = re.compile(rb"\)\s*,\s*\(")
# The last words of a dump: one that does not say them breaks off.
_ENDS = {
    Kind.POSTGRESQL: (b"-- PostgreSQL database dump complete", b"-- PostgreSQL database cluster dump complete"),
    Kind.SQLITE: (b"COMMIT;",),
    Kind.MYSQL: (b"-- Dump completed",),
}


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, each with its end.

    Raises:
        NotWhole: a line is too long.

    """
    # A long line comes in many chunks; it is put together once.
    begun: list[bytes] = []
    size = 0
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        begun.append(first)
        size += len(first)
        if others:
            yield b"".join(begun) + b"\n"
            *whole, rest = others
            for line in whole:
                yield line + b"\n"
            begun, size = [rest], len(rest)
        if size > _LINE_CAP:
            raise NotWhole(f"a line of it is longer than {format_value(_LINE_CAP, 'B')}")
    if size:
        yield b"".join(begun)


def sqlite_statements(lines: Iterable[bytes]) -> Iterator[str]:
    """The statements of a dump of SQLite, whatever lines and quoted semicolons they hold.

    Raises:
        NotWhole: the dump breaks off within one, or is no text.

    """
    pending: list[str] = []
    size = 0
    for line in lines:
        try:
            pending.append(line.decode())
        except UnicodeDecodeError as error:
            raise NotWhole("it is no text in UTF-8") from error
        size += len(line)
        if size > _LINE_CAP:
            raise NotWhole(f"a statement of it is longer than {format_value(_LINE_CAP, 'B')}")
        if line.rstrip().endswith(b";") and sqlite3.complete_statement("".join(pending)):
            yield "".join(pending)
            pending, size = [], 0
    rest = [line for line in pending if line.strip() and not line.startswith("--")]
    if rest:
        raise NotWhole("it breaks off within a statement")


@dataclass(slots=True)
class Rows:
    """Counts the rows in a dump, line by line.

    Attributes:
        table: the only one to count; ``None``: each.
        counted: rows so far.

    """

    kind: Kind
    table: str | None
    counted: int = 0
    _ended: bool = False
    _seen: bool = False
    _copying: bool = False
    _counts: bool = False
    _quoted: bool = False
    _statement: list[bytes] = field(default_factory=list)

    def count(self, chunks: Iterable[bytes]) -> int:
        """Count the rows of the whole dump.

        Raises:
            NotWhole: it breaks off, or does not hold the table.

        """
        if self.kind is Kind.SQLITE:
            for statement in sqlite_statements(lines_of(chunks)):
                self._take_statement(statement.encode())
        else:
            for line in lines_of(chunks):
                self.take(line)
        return self.total()

    @property
    def within_data(self) -> bool:
        """Whether the next line is a row or goes on with a statement or a function's body."""
        return self._copying or self._quoted or bool(self._statement)

    def total(self) -> int:
        """The rows of the lines that were taken, which must be the whole dump.

        Raises:
            NotWhole: it breaks off, or does not hold the table.

        """
        if not self._ended or self._copying or self._statement:
            raise NotWhole(f"it breaks off: it is {self.kind.value} without its last line, after {self.counted:,} rows")
        if self.table and not self._seen:
            raise NotWhole(f"it holds no table {self.table}")
        return self.counted

    def take(self, line: bytes) -> None:
        """Take the next line of a dump of another kind than SQLite's."""
        if self._copying:
            if line.rstrip() == b"\\.":
                self._copying = False
            else:
                self.counted += self._counts
        elif self._statement or (not self._quoted and _INSERT.match(line)):
            self._statement.append(line)
            if line.rstrip().endswith(b";"):
                self._end_statement()
        elif not self._quoted and (copied := _COPY.match(line)):
            self._copying, self._counts, self._ended = True, self._is_meant(copied.group(1)), False
        else:
            # A function's body, between $$ and $$, may hold anything.
            if self.kind is Kind.POSTGRESQL and len(_DOLLARS.findall(line)) % 2:
                self._quoted = not self._quoted
            self._take_other(line)

    def _end_statement(self) -> None:
        statement = b"".join(self._statement)
        if self.kind is Kind.MYSQL:
            statement = re.sub(rb"\\.", b"", statement, flags=re.DOTALL)
        if statement.count(b"'") % 2 == 0:
            self._statement = []
            self._take_statement(statement)

    def _take_statement(self, statement: bytes) -> None:
        inserted = _INSERT.match(statement)
        if inserted is None:
            self._take_other(statement)
        elif self._is_meant(inserted.group(1)):
            self._ended = False
            self.counted += 1 + len(_NEXT_ROW.findall(_TEXT.sub(b"", statement)))

    def _take_other(self, line: bytes) -> None:
        if created := _TABLE.match(line):
            self._is_meant(created.group(1))
        elif line.lstrip().startswith(_ENDS[self.kind]):
            self._ended = True

    def _is_meant(self, name: bytes) -> bool:
        plain = re.sub(rb'["`]', b"", name).decode("utf-8", "replace")
        meant = self.table is None or self.table in (plain, plain.rpartition(".")[2])
        self._seen = self._seen or meant
        return meant
