"""Lines of a log in a window that ends now: how many, what share, how long."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.catalogue.environment import Settled
from checks.judge import format_value
from checks.judge.pattern import compile_pattern
from checks.model import Observation, Unmeasured
from checks.probes._log_files import (
    Budget,
    LogMoved,
    LogUnreadable,
    identity,
    lines_from_the_end,
    lines_unpacked,
    opened,
    rotated,
)
from checks.probes._support import Measuring, statistic

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import LogProbe

_DEADLINE = 20.0
_BYTES = 1_000_000_000
# Writers that share a log do not write in perfect order, and one line may bear a wrong date: this many lines in a row
# that lie before the window end the reading.
_OLD_ENOUGH = 50
_FUTURE = timedelta(seconds=60)
_STAMP_WITHIN = 80
_TRIES = 3
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?")
_Selection = Mapping[str, frozenset[str]]


@dataclass(slots=True)
class _Seen:
    """What reading a window found.

    Attributes:
        whole: lines in the window that `of` selects; `counted`: those of them that count.
        numbers: of the counted lines, the field's numbers.
        stamped: lines with a time, wherever they lie; `fielded`: those of them that are JSON objects.
        unstamped: lines without a time that continue no plain line.
        future: lines dated after now by more than clocks differ.
        oldest: the time of the oldest line seen.
        reached_back: the oldest line read lies before the window, so that the window is covered whole.

    """

    whole: int = 0
    counted: int = 0
    numbers: list[float] = field(default_factory=list)
    stamped: int = 0
    fielded: int = 0
    unstamped: int = 0
    future: int = 0
    oldest: datetime | None = None
    reached_back: bool = False


def probe(declaration: LogProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Read the window and count, compare or summarise its lines; see `LogProbe`.

    A line without a time belongs to the plain line before it. Times without a zone are UTC.
    """
    path = Path(settled.fill(declaration.path))
    window = declaration.window.total_seconds()
    measuring = Measuring(now, f"{path}, last {format_value(window, 's')}", settled)
    try:
        seen = _read_settled(path, declaration, now)
    except FileNotFoundError as error:
        return measuring.failed(f"the log {error.filename or path} does not exist")
    except OSError as error:
        return measuring.failed(f"the log {path} cannot be read: {error.strerror or error}")
    except LogUnreadable as error:
        return measuring.failed(f"the log {path} cannot be read: {error}")
    if seen.unstamped and not seen.stamped:
        return measuring.failed(
            f"no line of {path} has a time, neither in the field {declaration.timestamp} nor at its beginning"
        )
    fields = [*declaration.where, *declaration.of, *([declaration.field] if declaration.field else [])]
    if fields and seen.stamped and not seen.fielded:
        return measuring.failed(f"the lines of {path} are not JSON, so they have no field {fields[0]}")
    return _summary(declaration, seen, measuring, unit)


def _summary(declaration: LogProbe, seen: _Seen, measuring: Measuring, unit: str) -> Observation | Unmeasured:
    what = declaration.measure
    statistical = what not in ("count", "per-minute", "ratio")
    if statistical and not declaration.field:
        return measuring.failed(f"`measure: {what}` needs a `field:` to take the {what} of")
    basis = len(seen.numbers) if statistical else seen.whole
    if basis < declaration.needs:
        return measuring.failed(f"only {basis:,} lines in {measuring.source}, and {declaration.needs:,} are needed")
    detail = f"{seen.counted:,} of {seen.whole:,} lines"
    if seen.oldest is not None and not seen.reached_back:
        detail += f"; the log begins {format_value((measuring.now - seen.oldest).total_seconds(), 's')} ago"
    if seen.unstamped:
        detail += f"; {seen.unstamped:,} without a time left out"
    if seen.future:
        detail += f"; {seen.future:,} dated in the future left out"
    if what == "count":
        return measuring.gave(seen.counted, "", detail)
    if what == "per-minute":
        return measuring.gave(seen.counted / (declaration.window.total_seconds() / 60), "/min", detail)
    if what == "ratio":
        if not seen.whole:
            return measuring.failed(f"no line to take a share of in {measuring.source}")
        return measuring.gave(100 * seen.counted / seen.whole, "%", detail)
    if not seen.numbers:
        return measuring.failed(f"no line has a number in the field {declaration.field} in {measuring.source}")
    return measuring.gave(statistic(seen.numbers, what), unit, f"{what} of {len(seen.numbers):,} lines")


def _read_settled(path: Path, declaration: LogProbe, now: datetime) -> _Seen:
    budget = Budget(_BYTES, time.monotonic() + _DEADLINE)
    for _ in range(_TRIES - 1):
        with suppress(LogMoved):
            return _read(path, declaration, now, budget)
    return _read(path, declaration, now, budget)


def _read(path: Path, declaration: LogProbe, now: datetime, budget: Budget) -> _Seen:
    reader = _Reader(declaration, now)
    descriptor = opened(path)
    try:
        current = identity(os.fstat(descriptor))
        reader.backwards(lines_from_the_end(descriptor, budget))
    finally:
        os.close(descriptor)
    if reader.seen.reached_back:
        return reader.seen
    read = {current}
    siblings = rotated(path)
    for sibling, listed in siblings:
        if reader.seen.reached_back:
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
            if status.st_mtime < reader.start.timestamp():
                reader.seen.reached_back = status.st_size > 0
                break
            if sibling.suffix == ".gz":
                reader.forwards(lines_unpacked(sibling, budget))
            else:
                reader.backwards(lines_from_the_end(descriptor, budget))
        finally:
            os.close(descriptor)
    # A folder is not listed in one instant: a name that moved meanwhile may have been missed.
    if rotated(path) != siblings or identity(path.stat()) != current:
        raise LogMoved("it was rotated while it was read")
    return reader.seen


class _Reader:
    """Takes lines in any order and keeps the sums of those in the window."""

    def __init__(self, declaration: LogProbe, now: datetime) -> None:
        self.declaration = declaration
        self.now = now
        self.start = now - declaration.window
        self.seen = _Seen()
        self._match = compile_pattern(declaration.match) if declaration.match else None
        self._where = _selection(declaration.where)
        self._of = _selection(declaration.of)

    def backwards(self, lines: Iterable[bytes]) -> None:
        """Take lines from the last to the first, until they lie well before the window."""
        continued: list[str] = []
        old = 0
        for raw in lines:
            if not raw.strip():
                continue
            line = raw.decode("utf-8", "replace")
            at, fields = self._stamp(line)
            if at is None:
                continued.append(line)
                continue
            self._take(line, at, fields, continued[::-1])
            continued = []
            old = old + 1 if at <= self.start else 0
            if old >= _OLD_ENOUGH:
                break
        self.seen.reached_back = old > 0
        self.seen.unstamped += len(continued)

    def forwards(self, lines: Iterable[bytes]) -> None:
        """Take lines from the first to the last."""
        held: tuple[str, datetime, dict[str, Any] | None] | None = None
        continued: list[str] = []
        for raw in lines:
            if not raw.strip():
                continue
            line = raw.decode("utf-8", "replace").rstrip("\n")
            at, fields = self._stamp(line)
            if at is None:
                continued.append(line)
                continue
            if held:
                self._take(*held, continued)
            else:
                self.seen.reached_back = at <= self.start
            held, continued = (line, at, fields), []
        if held:
            self._take(*held, continued)

    def _stamp(self, line: str) -> tuple[datetime | None, dict[str, Any] | None]:
        if line.lstrip().startswith("{"):
            try:
                fields = json.loads(line)
            except (ValueError, RecursionError):
                return None, None  # torn, or cut off by rotation
            return (_time(fields.get(self.declaration.timestamp)), fields) if isinstance(fields, dict) else (None, None)
        match = _STAMP.search(line, 0, _STAMP_WITHIN)
        if not match:
            return None, None
        date, clock, fraction, zone = match.groups()
        return _time(f"{date}T{clock}.{fraction or 0}{zone or ''}"), None

    def _take(self, line: str, at: datetime, fields: dict[str, Any] | None, continued: list[str]) -> None:
        seen = self.seen
        seen.stamped += 1
        seen.fielded += fields is not None
        if fields is not None:
            seen.unstamped += len(continued)
        if at > self.now:
            # Lines written since `now` was taken are simply not in this window; those far ahead are worth a word.
            seen.future += at > self.now + _FUTURE
            return
        if seen.oldest is None or at < seen.oldest:
            seen.oldest = at
        if at <= self.start:
            return
        if not _selects(self._of, fields):
            return
        seen.whole += 1
        text = "\n".join([line, *continued]) if fields is None else line
        if not _selects(self._where, fields) or (self._match and not self._match.search(text)):
            return
        seen.counted += 1
        number = fields.get(self.declaration.field) if fields and self.declaration.field else None
        if isinstance(number, int | float) and number == number and abs(number) != float("inf"):
            seen.numbers.append(float(number))


def _selection(declared: Mapping[str, str | int | list[str | int]]) -> _Selection:
    return {
        name: frozenset(_text(value) for value in (wanted if isinstance(wanted, list) else [wanted]))
        for name, wanted in declared.items()
    }


def _selects(selection: _Selection, fields: dict[str, Any] | None) -> bool:
    if not selection:
        return True
    return fields is not None and all(name in fields and _text(fields[name]) in wanted for name, wanted in selection.items())


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _time(value: object) -> datetime | None:
    """A time as logs write it: RFC 3339, or seconds or milliseconds since 1970; without a zone it is UTC."""
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            return at if at.tzinfo else at.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
