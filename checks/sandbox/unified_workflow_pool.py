"""A pool of connections that read the workflow system's rows; how many of them are in use is seen from outside."""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

SIZE = 12
_WAIT = 20.0  # seconds for a connection to come free
_LEFT_BY_LEAK = 1
_WINDOW = 60.0  # seconds that the peak looks back


class Pool:
    """At most `SIZE` connections, opened when they are first needed.

    Args:
        path: the database, which they only read.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free: queue.LifoQueue[sqlite3.Connection | None] = queue.LifoQueue()
        for _ in range(SIZE):
            self._free.put(None)
        self._lock = threading.Lock()
        self._used = 0
        self._peaks: deque[tuple[float, int]] = deque(maxlen=50_000)
        self._leaked: list[sqlite3.Connection | None] = []

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query, by a connection that is free or comes free; raises OperationalError where none does."""
        connection = self._take()
        try:
            connection = connection or sqlite3.connect(
                f"file:{self._path}?mode=ro", uri=True, check_same_thread=False, timeout=10
            )
            return connection.execute(query, values).fetchall()
        finally:
            self._give_back(connection)

    def leak(self, *, on: bool) -> None:
        """Take all connections but one and forget them, or give them back."""
        while on and len(self._leaked) < SIZE - _LEFT_BY_LEAK:
            self._leaked.append(self._take())
        while not on and self._leaked:
            self._give_back(self._leaked.pop())

    def figures(self) -> dict[str, object]:
        """The most connections that were in use at once in the last minute, and their share of all."""
        since = time.monotonic() - _WINDOW
        peak = max([used for at, used in list(self._peaks) if at >= since] + [self._used])
        return {"size": SIZE, "peak": peak, "percent": round(100 * peak / SIZE, 2)}

    def close(self) -> None:
        """Close what is free."""
        while not self._free.empty():
            connection = self._free.get_nowait()
            if connection:
                connection.close()

    def _take(self) -> sqlite3.Connection | None:
        try:
            connection = self._free.get(timeout=_WAIT)
        except queue.Empty as error:
            raise sqlite3.OperationalError("no connection comes free") from error
        with self._lock:
            self._used += 1
            self._peaks.append((time.monotonic(), self._used))
        return connection

    def _give_back(self, connection: sqlite3.Connection | None) -> None:
        with self._lock:
            self._used -= 1
        self._free.put(connection)
