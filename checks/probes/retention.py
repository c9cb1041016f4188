"""How long a log keeps its entries, level by level, against what its policy says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import TYPE_CHECKING

from checks.catalogue.environment import Settled
from checks.judge import format_value
from checks.model import Observation, Unmeasured
from checks.probes._log_files import Budget, LogUnreadable, read_in_time
from checks.probes._log_lines import Line, Lines, Order
from checks.probes._steps import note
from checks.probes._support import Measuring, clipped

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import RetentionProbe

_BYTES = 5_000_000_000
_FUTURE = timedelta(seconds=60)
# A log whose "levels" are free text would otherwise fill the memory.
_MOST_LEVELS = 100
_SAME = {"WARN": "WARNING", "EMERG": "EMERGENCY", "CRIT": "CRITICAL", "ERR": "ERROR"}


@dataclass(slots=True)
class _Kept:
    """What is kept of one level: the times of its oldest and its newest entry."""

    oldest: datetime
    newest: datetime


def probe(declaration: RetentionProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Read all of a log and compare its levels' entries with the policy; see `RetentionProbe`."""
    del unit
    path = Path(settled.fill(declaration.path))
    measuring = Measuring(now, f"{path} and its rotated files: {declaration.measure} {declaration.level or ''}".rstrip(), settled)
    seconds = declaration.timeout.total_seconds()
    budget = Budget(_BYTES, time.monotonic() + seconds)
    reader = read_in_time(path, seconds, budget, float("-inf"), lambda: _Reader(declaration, now), measuring)
    if isinstance(reader, Unmeasured):
        return reader
    note(f"{format_value(_BYTES - budget.left, 'B')} read, {reader.count:,} lines with a time")
    for name, kept in sorted(reader.levels.items()):
        note(f"{name or 'without a level'}: from {kept.oldest:%Y-%m-%d %H:%M} to {kept.newest:%Y-%m-%d %H:%M} UTC")
    if not reader.count:
        return measuring.failed(f"no line of {path} and its rotated files has a time")
    if declaration.measure in ("oldest", "newest"):
        return _age(declaration, reader, measuring)
    if reader.count == reader.without_level:
        return measuring.failed(f"no line of {path} and its rotated files has a level")
    broken = _too_long(declaration, reader, now) if declaration.measure == "too-long" else _too_soon(declaration, reader, now)
    strange = sorted(set(reader.levels) - {_level(name) for name in declaration.policy} - {""})
    others = f"no policy for {clipped(', '.join(strange), 80)}" if strange else ""
    told = [*broken, others, _left_out(reader)]
    return measuring.gave(len(broken), "", "; ".join(filter(None, told)), samples=reader.count)


def _age(declaration: RetentionProbe, reader: _Reader, measuring: Measuring) -> Observation | Unmeasured:
    wanted = _level(declaration.level) if declaration.level else None
    entries = [kept for name, kept in reader.levels.items() if wanted in (None, name)]
    if not entries:
        return measuring.failed(f"there is no {declaration.level} entry: {measuring.source}")
    at = min(kept.oldest for kept in entries) if declaration.measure == "oldest" else max(kept.newest for kept in entries)
    age = max(0.0, (measuring.now - at).total_seconds())
    told = [f"of {at:%Y-%m-%d %H:%M} UTC", _left_out(reader)]
    return measuring.gave(age, "s", "; ".join(filter(None, told)), samples=reader.count)


def _too_long(declaration: RetentionProbe, reader: _Reader, now: datetime) -> list[str]:
    return [
        f"{name} is kept {_said(now - kept.oldest)}, not {_said(keep)}"
        for name, keep in declaration.policy.items()
        if (kept := reader.levels.get(_level(name))) and now - kept.oldest > keep + declaration.grace
    ]


def _too_soon(declaration: RetentionProbe, reader: _Reader, now: datetime) -> list[str]:
    begun = datetime.combine(declaration.since, clock(), UTC) if declaration.since else None
    broken = []
    for name, keep in declaration.policy.items():
        expected = min(keep, now - begun) if begun else keep
        if expected <= declaration.grace:
            continue
        kept = reader.levels.get(_level(name))
        if kept is None:
            broken.append(f"there is no {name} entry")
        elif now - kept.oldest < expected - declaration.grace:
            broken.append(f"{name} reaches back {_said(now - kept.oldest)}, not {_said(expected)}")
    return broken


class _Reader:
    """Takes every line, and keeps of each level how far it reaches."""

    def __init__(self, declaration: RetentionProbe, now: datetime) -> None:
        self.levels: dict[str, _Kept] = {}
        self.count = 0
        self.without_level = 0
        self.future = 0
        # Everything is read: what lies in the oldest file is what is asked.
        self.reached_back = False
        self._now = now
        self._field = declaration.level_field
        self._lines = Lines(declaration.timestamp, declaration.timezone)
        self._oldest: datetime | None = None

    def backwards(self, lines: Iterator[bytes]) -> None:
        """Take a file's lines from the last to the first."""
        self._lines.begin(self._oldest or self._now)
        self._take_all(lines, Order.BACKWARDS)

    def forwards(self, lines: Iterator[bytes]) -> None:
        """Take a file's lines from the first to the last."""
        self._lines.begin(None)
        self._take_all(lines, Order.FORWARDS)

    def _take_all(self, lines: Iterator[bytes], order: Order) -> None:
        for raw in lines:
            line = self._lines.read(raw.decode("utf-8", "replace"), order) if raw.strip() else None
            if line is not None:
                self._take(line)

    def _take(self, line: Line) -> None:
        if line.at > self._now + _FUTURE:
            self.future += 1
            return
        self.count += 1
        name = _level(str(line.fields.get(self._field if line.is_json else "level") or ""))
        self.without_level += not name
        self._oldest = min(self._oldest or line.at, line.at)
        kept = self.levels.get(name)
        if kept is not None:
            kept.oldest, kept.newest = min(kept.oldest, line.at), max(kept.newest, line.at)
        elif len(self.levels) < _MOST_LEVELS:
            self.levels[name] = _Kept(line.at, line.at)
        else:
            raise LogUnreadable(f"it has more than {_MOST_LEVELS} levels; `level-field:` names another field")


def _level(name: str) -> str:
    upper = name.strip().upper()
    return _SAME.get(upper, upper)


def _said(span: timedelta) -> str:
    return format_value(span.total_seconds(), "s")


def _left_out(reader: _Reader) -> str:
    return f"{reader.future:,} dated in the future left out" if reader.future else ""
