"""What a backup is and holds, unpacked and read to its end in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO

from checks.judge import format_value

CHUNK = 1 << 18
_HEAD = 1024


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
