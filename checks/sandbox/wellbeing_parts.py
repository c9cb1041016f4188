"""What the wellbeing stand-in is made of beside its routes: its tables, its cache and its pool of connections."""

from __future__ import annotations

import random
import secrets
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from checks.sandbox.kit import Database, HttpError, utc_text

USERS = 3000
SESSIONS = 22_000

_TABLES = """
CREATE TABLE IF NOT EXISTS user (
  id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, password TEXT NOT NULL, created_at TEXT NOT NULL,
  last_active_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS focus_session (
  id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES user, started_at TEXT NOT NULL, minutes INTEGER NOT NULL,
  sealed TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS focus_session_of_user ON focus_session (user_id, started_at);
CREATE TABLE IF NOT EXISTS login_attempt (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, address TEXT NOT NULL, succeeded INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS login_attempt_by_address ON login_attempt (succeeded, address, at);
CREATE TABLE IF NOT EXISTS blocked_address (address TEXT PRIMARY KEY, at TEXT NOT NULL);
"""


def fill(database: Database, chance: random.Random) -> None:
    """Create the tables and, in a new database, users of the last 120 days with their sealed sessions."""
    database.script(_TABLES)
    if database.value("SELECT count(*) FROM user"):
        return
    now = datetime.now(UTC)

    def user(number: int) -> tuple[object, ...]:
        age = chance.uniform(0, 120)
        seen = min(age, chance.expovariate(1 / 12))
        created_at, last_active_at = (utc_text(now - timedelta(days=days)) for days in (age, seen))
        return (number, f"user{number}@example.org", secrets.token_hex(32), created_at, last_active_at)

    def session() -> tuple[object, ...]:
        at = now - timedelta(days=chance.uniform(0, 30))
        return (chance.randint(1, USERS), utc_text(at), chance.randint(5, 90), secrets.token_hex(60))

    database.many("INSERT INTO user VALUES (?, ?, ?, ?, ?)", (user(number) for number in range(1, USERS + 1)))
    database.many(
        "INSERT INTO focus_session (user_id, started_at, minutes, sealed) VALUES (?, ?, ?, ?)",
        (session() for _ in range(SESSIONS)),
    )


def prune(database: Database) -> None:
    """Remove what has outlived its use, so that a stand-in left running for a week stays small."""
    now = datetime.now(UTC)
    database.run("DELETE FROM focus_session WHERE id <= (SELECT max(id) FROM focus_session) - ?", SESSIONS + 4000)
    database.run("DELETE FROM login_attempt WHERE succeeded = 1 AND at < ?", utc_text(now - timedelta(hours=1)))
    database.run("DELETE FROM login_attempt WHERE at < ?", utc_text(now - timedelta(days=8)))


def activity(database: Database) -> dict[str, object]:
    """How many users were active, signed up and stayed, counted from the rows; days are rolling, back from now."""
    now = datetime.now(UTC)
    month_ago, week_ago, day_ago = (utc_text(now - timedelta(days=days)) for days in (30, 7, 1))
    active, signed_up = "SELECT count(*) FROM user WHERE last_active_at > ?", "SELECT count(*) FROM user WHERE created_at > ?"
    older = int(database.value("SELECT count(*) FROM user WHERE created_at < ?", month_ago))
    stayed = int(database.value("SELECT count(*) FROM user WHERE created_at < ? AND last_active_at > ?", month_ago, week_ago))
    return {
        "active_users_1d": database.value(active, day_ago),
        "active_users_7d": database.value(active, week_ago),
        "active_users_30d": database.value(active, month_ago),
        "signups_1d": database.value(signed_up, day_ago),
        "signups_7d": database.value(signed_up, week_ago),
        "retention_7d": round(100 * stayed / older, 2) if older else None,
        "sessions_1d": database.value("SELECT count(*) FROM focus_session WHERE started_at > ?", day_ago),
    }


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
        for _ in range(size):
            self._free.append(sqlite3.connect(f"file:{database}?mode=ro", uri=True, check_same_thread=False, timeout=5))

    def rows(self, query: str, *values: object, leak: bool = False) -> list[tuple[Any, ...]]:
        """All rows of a query; with `leak` the connection is never given back, as a missing ``close`` would have it.

        Raises:
            HttpError: 503, no connection was free in time.

        """
        with self._connection(leak=leak) as connection:
            started = time.perf_counter()
            rows = connection.execute(query, values).fetchall()
            took = time.perf_counter() - started
        with self._changed:
            calls, total = self._statements.get(query, (0, 0.0))
            self._statements[query] = (calls + 1, total + took)
        return rows

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
