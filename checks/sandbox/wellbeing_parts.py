"""What the wellbeing stand-in is made of beside its routes: its cache and its pool of connections."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from checks.sandbox.kit import HttpError

_INDEX_WINDOW = 20.0  # seconds; each index is needed about once a second
_INDEX_IN_PLAN = re.compile(r"USING (?:COVERING )?INDEX (\w+)")


class Cache:
    """Values that are kept for a while, and how often they were asked for in vain within a rolling window."""

    def __init__(self, *, keep_for: float = 300.0, window: float = 60.0) -> None:
        self._keep_for = keep_for
        self._window = window
        self._lock = threading.Lock()
        self._values: dict[int, tuple[float, object]] = {}
        self._lookups: deque[tuple[float, bool]] = deque()

    def get(self, key: int) -> object | None:
        """The value kept under a key; ``None`` where there is none or it is too old."""
        now = time.monotonic()
        with self._lock:
            kept_until, value = self._values.get(key, (0.0, None))
            hit = kept_until > now
            self._lookups.append((now, hit))
            self._forget(now)
            return value if hit else None

    def put(self, key: int, value: object) -> None:
        """Keep a value."""
        with self._lock:
            self._values[key] = (time.monotonic() + self._keep_for, value)

    def forget(self, key: int) -> None:
        """Drop the value kept under a key."""
        with self._lock:
            self._values.pop(key, None)

    def flush(self) -> int:
        """Forget every value; how many there were."""
        with self._lock:
            count = len(self._values)
            self._values.clear()
            return count

    def stats(self) -> dict[str, float | int | None]:
        """Lookups of the window: hits, misses and their rate in percent (``None`` without lookups)."""
        with self._lock:
            self._forget(time.monotonic())
            lookups, hits = len(self._lookups), sum(hit for _, hit in self._lookups)
            return {
                "hit_rate": round(100 * hits / lookups, 3) if lookups else None,
                "hits": hits,
                "misses": lookups - hits,
                "entries": len(self._values),
                "window_s": self._window,
            }

    def _forget(self, now: float) -> None:
        while self._lookups and self._lookups[0][0] < now - self._window:
            self._lookups.popleft()


class Pool:
    """A few read-only connections that requests share; who finds none within `patience` seconds is sent away with 503."""

    def __init__(self, database: Path, *, size: int = 8, patience: float = 0.5, window: float = 60.0) -> None:
        self.size = size
        self._patience = patience
        self._window = window
        self._free: deque[sqlite3.Connection] = deque()
        self._leaked: list[sqlite3.Connection] = []
        self._changed = threading.Condition()
        self._peaks: deque[tuple[float, int]] = deque()
        self._statements: dict[str, tuple[int, float]] = {}
        self._plans: dict[str, frozenset[str]] = {}
        self._index_uses: dict[str, deque[float]] = {}
        for _ in range(size):
            self._free.append(sqlite3.connect(f"file:{database}?mode=ro", uri=True, check_same_thread=False, timeout=5))

    def rows(self, query: str, *values: object, leak: bool = False) -> list[tuple[Any, ...]]:
        """All rows of a query; with `leak` the connection is never given back, as a missing ``close`` would have it.

        Raises:
            HttpError: 503, no connection was free in time.

        """
        with self._connection(leak=leak) as connection:
            if query not in self._plans:
                steps = connection.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()
                self._plans[query] = frozenset(name for step in steps for name in _INDEX_IN_PLAN.findall(step[-1]))
            started = time.perf_counter()
            rows = connection.execute(query, values).fetchall()
            took = time.perf_counter() - started
        with self._changed:
            calls, total = self._statements.get(query, (0, 0.0))
            self._statements[query] = (calls + 1, total + took)
            for index in self._plans[query]:
                self._index_uses.setdefault(index, deque(maxlen=5000)).append(time.monotonic())
        return rows

    def index_uses(self, names: Iterable[str]) -> dict[str, int]:
        """How often each index was used by a statement of late, by the plans that SQLite made; 0 for one that was not."""
        since = time.monotonic() - _INDEX_WINDOW
        with self._changed:
            uses = {name: list(self._index_uses.get(name, ())) for name in names}
        return {name: sum(at >= since for at in times) for name, times in uses.items()}

    def close(self) -> None:
        """Close every connection that nobody is using; who asks for one after that finds none."""
        self.take_back()
        with self._changed:
            while self._free:
                self._free.popleft().close()

    def take_back(self) -> None:
        """Give back what was leaked."""
        with self._changed:
            self._free.extend(self._leaked)
            self._leaked.clear()
            self._changed.notify_all()

    def stats(self) -> dict[str, float | int]:
        """Connections in use now, and the most at once within the window, also as a share of all in percent."""
        now = time.monotonic()
        with self._changed:
            in_use = self.size - len(self._free)
            self._forget(now)
            peak = max([in_use, *(count for _, count in self._peaks)])
        return {
            "size": self.size,
            "in_use": in_use,
            "peak": peak,
            "peak_percent": round(100 * peak / self.size, 1),
            "window_s": self._window,
        }

    def slowest(self, count: int = 10) -> list[dict[str, object]]:
        """The statements with the highest mean time since the start, in milliseconds."""
        with self._changed:
            statements = dict(self._statements)
        slow = sorted(statements.items(), key=lambda one: one[1][1] / one[1][0], reverse=True)
        return [
            {"query": query, "calls": calls, "mean_ms": round(1000 * total / calls, 3)} for query, (calls, total) in slow[:count]
        ]

    @contextmanager
    def _connection(self, *, leak: bool) -> Iterator[sqlite3.Connection]:
        with self._changed:
            if not self._changed.wait_for(lambda: self._free, timeout=self._patience):
                raise HttpError(503, "no database connection is free")
            connection = self._free.popleft()
            now = time.monotonic()
            self._forget(now)
            self._peaks.append((now, self.size - len(self._free)))
        try:
            yield connection
        finally:
            with self._changed:
                (self._leaked if leak else self._free).append(connection)
                self._changed.notify()

    def _forget(self, now: float) -> None:
        while self._peaks and self._peaks[0][0] < now - self._window:
            self._peaks.popleft()
