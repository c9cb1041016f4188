"""Console.ext's logs: a correlation id in every line, a central store, and retention by level."""

from __future__ import annotations

import random
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checks.sandbox.kit import Database, JsonLog, utc_text

# How long lines of each level are kept.
RETENTION = {
    "ERROR": timedelta(days=365),
    "WARN": timedelta(days=60),
    "INFO": timedelta(days=60),
    "DEBUG": timedelta(days=7),
}
_TICK = timedelta(hours=6)  # the replayed history has one line of each level in each of these
_THIN_AFTER = timedelta(hours=2)
_THIN_UNTIL = timedelta(hours=26)
_THIN_TO_ONE_IN = 50


def new_id() -> str:
    """A correlation id: 16 hexadecimal digits."""
    return f"{random.getrandbits(64):016x}"


class CorrelatedLog(JsonLog):
    """The log of all services; every line names its service and carries the correlation id of what it belongs to."""

    def __init__(self, path: Path, store: LogStore) -> None:
        super().__init__(path, bound=32_000_000)
        self.debugging = False
        self._store = store
        self._current = threading.local()

    @property
    def correlation_id(self) -> str:
        """The id of what this thread is working on; a new one where it is at nothing."""
        return getattr(self._current, "id", None) or new_id()

    def follow(self, correlation_id: str | None) -> str:
        """Work on what has this id, or on something new; lines of this thread carry the id from here on."""
        self._current.id = correlation_id or new_id()
        return str(self._current.id)

    def write(self, level: str, message: str, **fields: object) -> None:
        """Append one line and forward it; DEBUG only while debugging is on."""
        level = "WARN" if level == "WARNING" else level
        if level == "DEBUG" and not self.debugging:
            return
        line = {"service": "api", "correlation_id": self.correlation_id, **fields}
        super().write(level, message, **line)
        self._store.take(level, str(line["service"]), str(line.get("event", "")), str(line["correlation_id"]), message)


class LogStore:
    """The central store that all services forward their lines to; it deletes each level when its time is over."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path)
        self._waiting: deque[tuple[str, str, str, str, str, str]] = deque()
        self.database.script(
            """
            CREATE TABLE IF NOT EXISTS lines (
                id INTEGER PRIMARY KEY, ts TEXT NOT NULL, level TEXT NOT NULL, service TEXT NOT NULL, event TEXT NOT NULL,
                correlation_id TEXT NOT NULL, message TEXT NOT NULL);
            CREATE INDEX IF NOT EXISTS lines_ts ON lines (level, ts);
            CREATE INDEX IF NOT EXISTS lines_time ON lines (ts);
            CREATE INDEX IF NOT EXISTS lines_correlation ON lines (correlation_id);
            CREATE TABLE IF NOT EXISTS replayed (level TEXT PRIMARY KEY, until TEXT NOT NULL);
            """
        )

    def take(self, level: str, service: str, event: str, correlation_id: str, message: str) -> None:
        """Accept a line; it is stored by the next `flush`, in the order in which lines came."""
        self._waiting.append((utc_text(datetime.now(UTC)), level, service, event, correlation_id, message))

    def flush(self) -> None:
        """Store the lines that are waiting."""
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if lines:
            self._insert(lines)

    def replay(self, now: datetime) -> None:
        """Fill the time before the first start, and while the stand-in was off, with the lines that retention needs."""
        for level, kept in RETENTION.items():
            if level == "DEBUG":
                continue  # it is off, so nothing was written
            known = self.database.value("SELECT until FROM replayed WHERE level = ?", level)
            at = max(now - kept, datetime.fromisoformat(known) + _TICK) if known else now - kept
            lines = []
            while at < now:
                message = "the receiver's certificate has expired" if level == "ERROR" else "synthetic history"
                lines.append((utc_text(at), level, "worker", "history", new_id(), message))
                at += _TICK
            self._insert(lines)
            self.database.run("INSERT OR REPLACE INTO replayed VALUES (?, ?)", level, now.isoformat())

    def expire(self, now: datetime) -> None:
        """Delete what has been kept for its time; of this stand-in's INFO lines older than 2 h, keep one in fifty."""
        for level, kept in RETENTION.items():
            self.database.run("DELETE FROM lines WHERE level = ? AND ts < ?", level, utc_text(now - kept))
        self.database.run(
            "DELETE FROM lines WHERE level = 'INFO' AND ts BETWEEN ? AND ? AND event <> 'history' AND id % ? <> 0",
            utc_text(now - _THIN_UNTIL),
            utc_text(now - _THIN_AFTER),
            _THIN_TO_ONE_IN,
        )

    def close(self) -> None:
        """Store what is waiting and close."""
        self.flush()
        self.database.close()

    def _insert(self, lines: list[tuple[str, str, str, str, str, str]]) -> None:
        self.database.many(
            "INSERT INTO lines (ts, level, service, event, correlation_id, message) VALUES (?, ?, ?, ?, ?, ?)", lines
        )
