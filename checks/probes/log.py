"""Lines of a log in a window that ends now: how many, what share, how long."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.catalogue.environment import Settled
from checks.judge import format_value
from checks.judge.pattern import compile_pattern
from checks.model import Observation, Unmeasured
from checks.probes._log_files import Budget, LogUnreadable, read_in_time
from checks.probes._log_lines import Line, Lines, Order, template
from checks.probes._steps import note
from checks.probes._support import Measuring, clipped, statistic

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import LogProbe

_BYTES = 1_000_000_000
# Writers that share a log do not write in perfect order, and one line may bear a wrong date: this many lines in a row
# that lie before the window end the reading.
_OLD_ENOUGH = 50
_FUTURE = timedelta(seconds=60)
_MOST_TEMPLATES = 10_000
_TOLD = 4
_Selection = Mapping[str, frozenset[str]]


@dataclass(slots=True)
class _Seen:
    """What reading a window found.

    Attributes:
        whole: lines in the window that `of` selects; `counted`: those of them that count.
        numbers: of the counted lines, the field's numbers.
        templates: of the counted lines, how often each message was seen, numbers and ids left out.
        stamped: lines with a time, wherever they lie; `objects`: those of them that are JSON objects.
        names: the fields that the others have.
        unstamped: lines without a time that continue no plain line.
        future: lines dated after now by more than clocks differ.
        oldest: the time of the oldest line seen.

    """

    whole: int = 0
    counted: int = 0
    numbers: list[float] = field(default_factory=list)
    templates: Counter[str] = field(default_factory=Counter)
    stamped: int = 0
    objects: int = 0
    names: set[str] = field(default_factory=set)
    unstamped: int = 0
    future: int = 0
    oldest: datetime | None = None


def probe(declaration: LogProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Read the window and count, compare or summarise its lines; see `LogProbe`.

    A line without a time belongs to the plain line before it.
    """
    path = Path(settled.fill(declaration.path))
    window = declaration.window.total_seconds()
    measuring = Measuring(now, f"{path}, last {format_value(window, 's')}", settled)
    seconds = declaration.timeout.total_seconds()
    budget = Budget(_BYTES, time.monotonic() + seconds)
    start = (now - declaration.window).timestamp()
    reader = read_in_time(path, seconds, budget, start, lambda: _Reader(declaration, now), measuring)
    if isinstance(reader, Unmeasured):
        return reader
    seen = reader.seen
    note(f"{format_value(_BYTES - budget.left, 'B')} read, {seen.stamped:,} lines with a time")
    note(f"{seen.whole:,} lines lie in the window, {seen.counted:,} of them count")
    if seen.unstamped and not seen.stamped:
        return measuring.failed(
            f"no line of {path} has a time, neither in the field {declaration.timestamp} nor at its beginning"
        )
    fields = [*declaration.where, *declaration.of, *([declaration.field] if declaration.field else [])]
    absent = [name for name in fields if name not in seen.names]
    if absent and seen.stamped and not seen.objects:
        return measuring.failed(f"the lines of {path} are not JSON, so they have no field {absent[0]}")
    return _summary(declaration, seen, reader.reached_back, measuring, unit)


def _summary(declaration: LogProbe, seen: _Seen, reached_back: bool, measuring: Measuring, unit: str) -> Observation | Unmeasured:
    what = declaration.measure
    statistical = what not in ("count", "per-minute", "ratio", "top")
    if statistical and not declaration.field:
        return measuring.failed(f"`measure: {what}` needs a `field:` to take the {what} of")
    basis = len(seen.numbers) if statistical else seen.whole
    if basis < declaration.needs:
        return measuring.failed(f"only {basis:,} lines in {measuring.source}, and {declaration.needs:,} are needed")
    detail = f"{seen.counted:,} of {seen.whole:,} lines"
    if seen.oldest is not None and not reached_back:
        detail += f"; the log begins {format_value((measuring.now - seen.oldest).total_seconds(), 's')} ago"
    if seen.unstamped:
        detail += f"; {seen.unstamped:,} without a time left out"
    if seen.future:
        detail += f"; {seen.future:,} dated in the future left out"
    if what == "count":
        return measuring.gave(seen.counted, "", detail, samples=seen.whole)
    if what == "top":
        return _top(seen, detail, measuring)
    if what == "per-minute":
        return measuring.gave(seen.counted / (declaration.window.total_seconds() / 60), "/min", detail, samples=seen.whole)
    if what == "ratio":
        if not seen.whole:
            return measuring.failed(f"no line to take a share of in {measuring.source}")
        return measuring.gave(100 * seen.counted / seen.whole, "%", detail, samples=seen.whole)
    if not seen.numbers:
        return measuring.failed(f"no line has a number in the field {declaration.field} in {measuring.source}")
    return measuring.gave(statistic(seen.numbers, what), unit, f"{what} of {basis:,} lines", samples=basis)


def _top(seen: _Seen, detail: str, measuring: Measuring) -> Observation | Unmeasured:
    if not seen.templates:
        return measuring.gave(0, "", detail, samples=seen.whole)
    # Of two that are equally frequent it is always the same one.
    (message, count), *others = heapq.nsmallest(_TOLD, seen.templates.items(), key=lambda item: (-item[1], item[0]))
    kinds = f"1 of {len(seen.templates):,} messages" if others else "the only message"
    following = "".join(f"; then {clipped(other, 80)} ({many:,})" for other, many in others)
    return measuring.gave(count, "", f"{clipped(message, 160)} ({kinds}; {detail}){following}", samples=seen.whole)


class _Reader:
    """Takes lines in any order and keeps the sums of those in the window."""

    def __init__(self, declaration: LogProbe, now: datetime) -> None:
        self.declaration = declaration
        self.now = now
        self.start = now - declaration.window
        self.seen = _Seen()
        self.reached_back = False
        self._lines = Lines(declaration.timestamp, declaration.timezone, declaration.message)
        self._where = _selection(declaration.where)
        self._of = _selection(declaration.of)
        self._match = compile_pattern(declaration.match) if declaration.match else None

    def backwards(self, lines: Iterator[bytes]) -> None:
        """Take lines from the last to the first, until they lie well before the window."""
        continued: list[str] = []
        old = 0
        self._lines.begin(self.seen.oldest or self.now)
        for raw in lines:
            if not raw.strip():
                continue
            text = raw.decode("utf-8", "replace")
            line = self._lines.read(text, Order.BACKWARDS)
            if line is None:
                continued.append(text)
                continue
            self._take(text, line, continued[::-1])
            continued = []
            old = old + 1 if line.at <= self.start else 0
            if old >= _OLD_ENOUGH:
                break
        self.reached_back = old > 0
        self.seen.unstamped += len(continued)

    def forwards(self, lines: Iterator[bytes]) -> None:
        """Take lines from the first to the last."""
        held: tuple[str, Line] | None = None
        continued: list[str] = []
        self._lines.begin(None)
        for raw in lines:
            if not raw.strip():
                continue
            text = raw.decode("utf-8", "replace").rstrip("\n")
            line = self._lines.read(text, Order.FORWARDS)
            if line is None:
                continued.append(text)
                continue
            if held:
                self._take(*held, continued)
            else:
                self.reached_back = line.at <= self.start
            held, continued = (text, line), []
        if held:
            self._take(*held, continued)

    def _take(self, text: str, line: Line, continued: list[str]) -> None:
        seen = self.seen
        seen.stamped += 1
        if line.is_json:
            seen.objects += 1
            seen.unstamped += len(continued)
        else:
            seen.names.update(line.fields)
        if line.at > self.now:
            # Lines written since `now` was taken are simply not in this window; those far ahead are worth a word.
            seen.future += line.at > self.now + _FUTURE
            return
        if seen.oldest is None or line.at < seen.oldest:
            seen.oldest = line.at
        if line.at <= self.start or not _selects(self._of, line.fields):
            return
        seen.whole += 1
        whole = text if line.is_json else "\n".join([text, *continued])
        if not _selects(self._where, line.fields) or (self._match and self._match.search(whole) is None):
            return
        seen.counted += 1
        if self.declaration.measure == "top":
            seen.templates[f"{template(line.message)} {line.outcome}".rstrip()] += 1
            if len(seen.templates) > _MOST_TEMPLATES:
                raise LogUnreadable(f"it holds more than {_MOST_TEMPLATES:,} different messages; select some by `match:`")
        number = line.fields.get(self.declaration.field) if self.declaration.field else None
        if isinstance(number, int | float) and number == number and abs(number) != float("inf"):
            seen.numbers.append(float(number))


def _selection(declared: Mapping[str, str | int | list[str | int]]) -> _Selection:
    return {
        name: frozenset(_text(value) for value in (wanted if isinstance(wanted, list) else [wanted]))
        for name, wanted in declared.items()
    }


def _selects(selection: _Selection, fields: Mapping[str, Any]) -> bool:
    return all(name in fields and _text(fields[name]) in wanted for name, wanted in selection.items())


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
