"""A log's files, the newest first, and their lines without reading more of them than a window needs."""

from __future__ import annotations

import gzip
import os
import re
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from checks.model import Unmeasured
from checks.probes._steps import note
from checks.probes._support import Measuring, within

_BLOCK = 1 << 18
_LINE_CAP = 10_000_000
_TRIES = 3
_ROTATED = re.compile(r"[.-](\d{1,8})(?:-(\d+))?(\.gz)?")


class LogUnreadable(Exception):
    """A file that the window reaches into cannot be read whole; what it holds is not known."""


class LogMoved(LogUnreadable):
    """The log was rotated or cut while it was read; reading it again may go well."""


@dataclass(slots=True)
class Budget:
    """How much may still be read, in bytes, and until when.

    Attributes:
        left: bytes that may still be read, unpacked.
        ends: the deadline on the monotonic clock, seconds.

    """

    left: int
    ends: float

    def spend(self, count: int) -> None:
        """Count bytes as read.

        Raises:
            LogUnreadable: that was too much, or it took too long.

        """
        self.left -= count
        if self.left < 0:
            raise LogUnreadable("the window holds more than can be read; shorten it")
        if time.monotonic() > self.ends:
            raise LogUnreadable("the window could not be read in time; shorten it")


def opened(path: Path) -> int:
    """A descriptor of a regular file; a pipe is never waited for.

    Raises:
        OSError: it cannot be opened.
        LogUnreadable: it is no regular file.

    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LogUnreadable("it is no regular file")
    return descriptor


def identity(status: os.stat_result) -> tuple[int, int]:
    """What stays the same of a file when it is renamed."""
    return status.st_dev, status.st_ino


def rotated(path: Path) -> list[tuple[Path, tuple[int, int]]]:
    """The rotated siblings of a log (``.1``, ``.2.gz``, ``-20260131``) with their identities, the newest first.

    Raises:
        LogMoved: one was renamed while they were listed.

    """
    found: list[tuple[tuple[int, ...], Path]] = []
    for sibling in path.parent.iterdir():
        match = _ROTATED.fullmatch(sibling.name[len(path.name) :]) if sibling.name.startswith(path.name) else None
        if match and sibling.is_file() and not (match.group(3) and sibling.with_suffix("").exists()):
            number = int(match.group(1))
            # Dates count upwards with time, logrotate's plain numbers downwards.
            found.append(((1, -number, -int(match.group(2) or 0)) if len(match.group(1)) == 8 else (0, number, 0), sibling))
    try:
        return [(sibling, identity(sibling.stat())) for _, sibling in sorted(found)]
    except FileNotFoundError as error:
        raise LogMoved("it was rotated while it was read") from error


def lines_from_the_end(descriptor: int, budget: Budget) -> Iterator[bytes]:
    """The lines of an open file from the last to the first, as far as it reached when this began.

    Raises:
        LogMoved: the file was cut while it was read.
        LogUnreadable: a line is too long, or the budget is spent.

    """
    position = os.fstat(descriptor).st_size
    kept = b""
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        block = os.pread(descriptor, size, position)
        if len(block) < size:
            raise LogMoved("it was cut while it was read")
        budget.spend(size)
        lines = (block + kept).split(b"\n")
        kept = lines[0]
        if len(kept) > _LINE_CAP:
            raise LogUnreadable("a line is longer than 10 MB")
        yield from reversed(lines[1:])
    yield kept


def lines_unpacked(path: Path, budget: Budget) -> Iterator[bytes]:
    """The lines of a gzipped file, from the first to the last.

    Raises:
        LogUnreadable: it is not whole, a line is too long, or the budget is spent.

    """
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(_LINE_CAP + 1):
                if len(line) > _LINE_CAP:
                    raise LogUnreadable("a line is longer than 10 MB")
                budget.spend(len(line))
                yield line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise LogUnreadable(f"{path.name} is not whole") from error


class Reader(Protocol):
    """What takes a log's lines, file by file, the newest file first."""

    reached_back: bool
    """Whether the lines taken reach back as far as is needed; nothing older is read then."""

    def backwards(self, lines: Iterator[bytes]) -> None:
        """Take a file's lines from the last to the first, as many as are needed."""
        ...

    def forwards(self, lines: Iterator[bytes]) -> None:
        """Take a file's lines from the first to the last."""
        ...


R = TypeVar("R", bound=Reader)


def read_log(path: Path, budget: Budget, since: float, reader: Callable[[], R]) -> R:
    """Read a log and its rotated files, however they are renamed meanwhile.

    Args:
        path: the log.
        budget: how much may be read in all.
        since: files that were last written before are not opened; seconds since 1970.
        reader: makes what takes the lines; it is made anew where the log was rotated under it.

    Raises:
        OSError: the log, or a file of it, cannot be opened.
        LogUnreadable: a file that is needed cannot be read whole, or the log is rotated again and again.

    """
    for _ in range(_TRIES - 1):
        with suppress(LogMoved):
            return _read(path, budget, since, reader())
    return _read(path, budget, since, reader())


def read_in_time(
    path: Path, seconds: float, budget: Budget, since: float, reader: Callable[[], R], telling: Measuring
) -> R | Unmeasured:
    """Read a log as `read_log` does, but wait no longer than some seconds; why not, where it cannot be read."""
    try:
        # The budget ends what reads; the thread ends the wait for a disk that does not answer.
        return within(seconds + 1, lambda: read_log(path, budget, since, reader))
    except TimeoutError:
        return telling.late(seconds)
    except FileNotFoundError as error:
        return telling.failed(f"the log {error.filename or path} does not exist")
    except OSError as error:
        return telling.failed(f"the log {path} cannot be read: {error.strerror or error}")
    except LogUnreadable as error:
        return telling.failed(f"the log {path} cannot be read: {error}")


def _read(path: Path, budget: Budget, since: float, reader: R) -> R:
    descriptor = opened(path)
    note(f"reading {path} from its end")
    try:
        current = identity(os.fstat(descriptor))
        reader.backwards(lines_from_the_end(descriptor, budget))
    finally:
        os.close(descriptor)
    if reader.reached_back:
        return reader
    read = {current}
    siblings = rotated(path)
    for sibling, listed in siblings:
        if reader.reached_back:
            break
        # A log that was rotated a moment ago has been read already, under its old name.
        if listed in read:
            continue
        read.add(listed)
        try:
            descriptor = opened(sibling)
        except FileNotFoundError as error:
            raise LogMoved("it was rotated while it was read") from error
        try:
            status = os.fstat(descriptor)
            if identity(status) != listed:
                raise LogMoved("it was rotated while it was read")
            if status.st_mtime < since:
                reader.reached_back = status.st_size > 0
                break
            note(f"reading {sibling.name}")
            if sibling.suffix == ".gz":
                reader.forwards(lines_unpacked(sibling, budget))
            else:
                reader.backwards(lines_from_the_end(descriptor, budget))
        finally:
            os.close(descriptor)
    # A folder is not listed in one instant: a name that moved meanwhile may have been missed.
    if rotated(path) != siblings or identity(path.stat()) != current:
        raise LogMoved("it was rotated while it was read")
    return reader
