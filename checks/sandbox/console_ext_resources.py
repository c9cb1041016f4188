"""What Console.ext uses of its machine, sampled by itself and averaged by minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import psutil

ALLOTTED_MB = 512.0  # memory that the service is given
_MINUTES = 15


class Minutes:
    """Samples averaged by minute, for the last 15.

    Args:
        clock: gives monotonic seconds.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, value: float) -> None:
        """Take one sample."""
        now = self._clock()
        with self._lock:
            self._samples.append((now, value))
            while self._samples[0][0] <= now - 60.0 * _MINUTES:
                self._samples.popleft()

    def averages(self) -> list[float]:
        """The average of each minute that was sampled, counted back from now, the newest first."""
        now = self._clock()
        minutes: dict[int, list[float]] = {}
        with self._lock:
            for at, value in self._samples:
                minutes.setdefault(int((now - at) // 60.0), []).append(value)
        return [sum(values) / len(values) for minute, values in sorted(minutes.items()) if minute < _MINUTES]

    def figures(self) -> dict[str, float | int | None]:
        """The newest minute's average in percent, and of how many minutes there is one."""
        averages = self.averages()
        return {
            "minute_percent": round(averages[0], 2) if averages else None,
            "minutes": len(averages),
        }


class Resources:
    """The process's share of the machine's cores and of the memory allotted to it, and its connections to a database.

    Args:
        database: the file that connections are counted of.
        connections: how many there may be.

    """

    def __init__(self, database: Path, connections: int) -> None:
        self._database = str(database)
        self._connections = connections
        self.connected = 0
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first answer has nothing to compare with
        self.cpu = Minutes()
        self.memory = Minutes()

    def sample(self) -> None:
        """Look once."""
        self.cpu.add(self._process.cpu_percent() / (psutil.cpu_count() or 1))
        self.memory.add(100.0 * self._process.memory_info().rss / (ALLOTTED_MB * 1e6))
        self.connected = sum(one.path == self._database for one in self._process.open_files())

    def figures(self) -> dict[str, object]:
        """What the last 15 minutes were like."""
        return {
            "cpu": self.cpu.figures(),
            "memory": {**self.memory.figures(), "allotted_mb": ALLOTTED_MB},
            "connections": {"open": self.connected, "percent": round(100.0 * self.connected / self._connections, 2)},
        }
