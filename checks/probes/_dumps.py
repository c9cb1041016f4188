"""What a backup holds, read to its end in bounded memory: packed files, SQL dumps, and how many rows are in them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import sqlite3
import stat
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO

from checks.judge import format_value

CHUNK = 1 << 18
_LINE_CAP = 64_000_000
_HEAD = 1024
_NAME = rb'(?:"(?:[^"]|"")*"|`[^`]*`|[\w$]+)(?:\.(?:"(?:[^"]|"")*"|`[^`]*`|[\w$]+))?'
_COPY = re.compile(rb"COPY (" + _NAME + rb")(?: \(.*\))? FROM stdin;\s*$", re.IGNORECASE)
_INSERT = re.compile(rb"\s*(?:INSERT|REPLACE)(?: IGNORE)? INTO (" + _NAME + rb")", re.IGNORECASE)
_TABLE = re.compile(rb"\s*CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(" + _NAME + rb")", re.IGNORECASE)
_DOLLARS = re.compile(rb"\$(?:[A-Za-z_]\w*)?\$")
_TEXT = re.compile(rb"'[^']*'")
_NEXT_ROW = re.compile(rb"\)\s*,\s*\(")


class NotWhole(Exception):
    """A backup that cannot be read to its end, or does not hold what it should; its text is the reason."""


class Kind(Enum):
    """What a backup is, by its first bytes."""

    POSTGRESQL = "a dump by pg_dump"
    POSTGRESQL_ARCHIVE = "an archive by pg_dump"
    SQLITE = "a dump of SQLite"
    SQLITE_DATABASE = "an SQLite database"
    MYSQL = "a dump by mysqldump"
    OTHER = "no dump that is known"


# The last words of a dump: one that does not say them breaks off.
_ENDS = {
    Kind.POSTGRESQL: (b"-- PostgreSQL database dump complete", b"-- PostgreSQL database cluster dump complete"),
    Kind.SQLITE: (b"COMMIT;",),
    Kind.MYSQL: (b"-- Dump completed",),
}


@dataclass(slots=True)
class Reading:
    """How much may still be read, unpacked, and until when.

    Attributes:
        left: bytes.
        ends: the deadline on the monotonic clock, seconds.
        read: bytes that were read.

    """

    left: int
    ends: float
    read: int = 0

    def spend(self, count: int) -> None:
        """Count bytes as read.

        Raises:
            NotWhole: there are more than may be read.
            TimeoutError: the deadline passed.

        """
        self.read += count
        if self.read > self.left:
            raise NotWhole(f"it holds more than {format_value(self.left, 'B')}, which is not read")
        if time.monotonic() > self.ends:
            raise TimeoutError("the deadline passed")


def unpacked(path: Path, reading: Reading) -> Iterator[bytes]:
    """The bytes of a file, unpacked where it is packed by gzip, bzip2 or xz.

    Raises:
        NotWhole: it is no regular file, breaks off, is damaged or holds nothing.
        TimeoutError: the deadline passed.
        OSError: it cannot be opened.

    """
    # The path is resolved; a link that takes its place meanwhile is not followed, and a pipe is not waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with ExitStack() as opened:
        packed: IO[bytes] = opened.enter_context(os.fdopen(descriptor, "rb"))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotWhole("it is no regular file")
        size = os.fstat(descriptor).st_size
        if not size:
            raise NotWhole("it has no byte, so it is no backup")
        plain = opened.enter_context(_opened(packed))
        while block := _read(plain, reading):
            reading.spend(len(block))
            yield block
        if not reading.read:
            raise NotWhole(f"it holds nothing: its {size:,} bytes are the compression of no byte")


def _read(plain: IO[bytes], reading: Reading) -> bytes:
    try:
        return plain.read(CHUNK)
    except EOFError as error:
        raise NotWhole(f"its compression breaks off after {format_value(reading.read, 'B')}") from error
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, ValueError) as error:
        raise NotWhole(f"its compression is damaged after {format_value(reading.read, 'B')}") from error
    except OSError as error:
        if error.errno is None:  # so does bzip2 say that its data are damaged
            raise NotWhole(f"its compression is damaged after {format_value(reading.read, 'B')}") from error
        raise


def _opened(packed: IO[bytes]) -> IO[bytes]:
    magic = packed.read(6)
    packed.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=packed)  # type: ignore[return-value]
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(packed)
    if magic == b"\xfd7zXZ\x00":
        return lzma.LZMAFile(packed)
    return packed


def kind_of(head: bytes) -> Kind:
    """What a backup is, by its first bytes.

    Raises:
        NotWhole: it is a web page, such as a login or an error that was saved in a backup's place.

    """
    start = head[:_HEAD].lstrip()
    if start[:20].lower().startswith((b"<!doctype html", b"<html")):
        raise NotWhole("it is a web page")
    if head.startswith(b"PGDMP"):
        return Kind.POSTGRESQL_ARCHIVE
    if head.startswith(b"SQLite format 3\0"):
        return Kind.SQLITE_DATABASE
    if b"-- PostgreSQL database" in start:
        return Kind.POSTGRESQL
    if start.startswith((b"PRAGMA foreign_keys", b"BEGIN TRANSACTION;")):
        return Kind.SQLITE
    if start.startswith((b"-- MySQL dump", b"-- MariaDB dump", b"/*M!")):
        return Kind.MYSQL
    return Kind.OTHER


def told(chunks: Iterator[bytes]) -> tuple[Kind, Iterator[bytes]]:
    """What a backup is, and all of its bytes.

    Raises:
        NotWhole: as `unpacked` and `kind_of` do.

    """
    head = next(chunks, b"")

    def whole() -> Iterator[bytes]:
        yield head
        yield from chunks

    return kind_of(head), whole()


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
