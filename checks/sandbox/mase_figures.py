"""What MASE's users did of late and what of it failed, and the lines PHP wrote."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import NamedTuple


class Act(Enum):
    """What a user did."""

    VIEW = "view"
    SAVE = "save"
    REST = "rest"


class Event(NamedTuple):
    """One act of one user through one feature, and whether it failed."""

    at: float
    act: Act
    feature: str
    user: int
    failed: bool


class Tally:
    """The acts of the last `seconds`; thread-safe.

    Args:
        clock: gives monotonic seconds.

    """

    def __init__(self, seconds: float = 60.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=50_000)

    def add(self, act: Act, feature: str, user: int, *, failed: bool) -> None:
        """Count one act that has just ended."""
        with self._lock:
            self._events.append(Event(self._clock(), act, feature, user, failed))

    def events(self) -> list[Event]:
        """The acts of the window."""
        since = self._clock() - self.seconds
        with self._lock:
            while self._events and self._events[0].at < since:
                self._events.popleft()
            return list(self._events)


def share(events: list[Event]) -> dict[str, float | int | None]:
    """How many acts there were, how many failed, and their share in percent; ``None`` of none."""
    failed = sum(event.failed for event in events)
    return {
        "count": len(events),
        "failed": failed,
        "percent": round(100.0 * failed / len(events), 3) if events else None,
    }


def users(events: list[Event]) -> dict[str, float | int | None]:
    """How many users acted, how many of them met a failure, and their share in percent; ``None`` of none."""
    seen = {event.user for event in events}
    affected = {event.user for event in events if event.failed}
    return {
        "seen": len(seen),
        "affected": len(affected),
        "percent": round(100.0 * len(affected) / len(seen), 3) if seen else None,
    }


class DebugLog:
    """``wp-content/debug.log``: one line an event, stamped in UTC, turned over at a bound.

    Args:
        bound: size in bytes at which it becomes ``debug.log.1`` and a new one begins.

    """

    def __init__(self, path: Path, *, bound: int = 8_000_000) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._bound = bound
        self._lock = threading.Lock()

    def write(self, level: str, message: str) -> None:
        """Append one line: ``2026-01-31T08:15:00.250Z PHP Warning:  MASE: …``."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._lock:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{moment} {level}:  {message}\n")
                size = file.tell()
            if size >= self._bound:
                self.path.replace(self.path.with_name("debug.log.1"))
