"""Console.ext's rows, in a database that can be taken away, given back and replaced by a restored one."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from checks.sandbox.kit import Database, HttpError, utc_text

CUSTOMERS = 8
USERS = 40
KEPT_NOTIFICATIONS = 5000
TABLES = ("customers", "users", "notifications")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, api_key TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS notifications (
    id INTEGER PRIMARY KEY AUTOINCREMENT, customer INTEGER NOT NULL REFERENCES customers (id), recipient TEXT NOT NULL,
    text TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0, cause TEXT NOT NULL DEFAULT '', correlation_id TEXT NOT NULL,
    created_at TEXT NOT NULL, finished_at TEXT, updated_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS notifications_finished ON notifications (finished_at);
CREATE INDEX IF NOT EXISTS notifications_updated ON notifications (updated_at);
"""


def api_key(customer: int) -> str:
    """The key of a customer of this stand-in."""
    return f"ck_{hashlib.sha256(f'customer {customer}'.encode()).hexdigest()[:24]}"


def password_hash(password: str) -> str:
    """A password as it is stored; quick to compute, as nobody's real password is ever here."""
    return hashlib.sha256(f"console-ext:{password}".encode()).hexdigest()


def password(user: int) -> str:
    """The password of a user of this stand-in."""
    return f"correct horse {user}"


class Ledger(Database):
    """The live database; while its file is away, every statement fails as SQLite fails."""

    def __init__(self, path: Path) -> None:
        self._away = path.with_name(f"{path.name}.away")
        if self._away.exists():  # the stand-in was stopped while its database was away
            self._away.replace(path)
        super().__init__(path)
        self._here = True

    def prepare(self, now: datetime) -> None:
        """Create the tables, the customers and users, and some weeks of settled notifications."""
        self.script(_SCHEMA)
        if self.value("SELECT count(*) FROM customers"):
            return
        joined = [utc_text(now - timedelta(days=360 - 40 * number)) for number in range(CUSTOMERS)]
        self.many(
            "INSERT INTO customers VALUES (?, ?, ?, ?, ?)",
            [(n + 1, f"Customer {n + 1}", api_key(n + 1), joined[n], joined[n]) for n in range(CUSTOMERS)],
        )
        at = utc_text(now - timedelta(days=90))
        self.many(
            "INSERT INTO users VALUES (?, ?, ?, ?, ?)",
            [(n + 1, f"user-{n + 1}", password_hash(password(n + 1)), at, at) for n in range(USERS)],
        )
        history = []
        for number in range(360):
            moment = utc_text(now - timedelta(hours=3 * (360 - number)))
            recipient = f"person-{number % 50}"
            history.append((1 + number % CUSTOMERS, recipient, "history", "delivered", 1, f"{number:016x}", *[moment] * 3))
        self.many(
            "INSERT INTO notifications (customer, recipient, text, state, attempts, correlation_id, created_at, finished_at,"
            " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            history,
        )

    def accept(self, customer: int, recipient: str, text: str, correlation_id: str) -> int:
        """Queue a notification; its id."""
        now = utc_text(datetime.now(UTC))
        return self.run(
            "INSERT INTO notifications (customer, recipient, text, state, correlation_id, created_at, updated_at)"
            " VALUES (?, ?, ?, 'queued', ?, ?, ?)",
            *(customer, recipient, text, correlation_id, now, now),
        )

    def settle(self, number: int, state: str, attempts: int, cause: str) -> None:
        """Record what became of a notification."""
        now = utc_text(datetime.now(UTC))
        self.run(
            "UPDATE notifications SET state = ?, attempts = ?, cause = ?, finished_at = ?, updated_at = ? WHERE id = ?",
            *(state, attempts, cause, now, now, number),
        )

    def requeue(self, minutes: float) -> int:
        """Queue again what failed in the last minutes; how many that were."""
        now = datetime.now(UTC)
        with self._lock:
            since = utc_text(now - timedelta(minutes=minutes))
            failed = self.rows("SELECT id FROM notifications WHERE state = 'failed' AND finished_at >= ?", since)
            self.many(
                "UPDATE notifications SET state = 'queued', finished_at = NULL, updated_at = ? WHERE id = ?",
                [(utc_text(now), number) for (number,) in failed],
            )
        return len(failed)

    def queued(self) -> list[int]:
        """The ids of the notifications that wait for delivery, the oldest first."""
        return [number for (number,) in self.rows("SELECT id FROM notifications WHERE state = 'queued' ORDER BY id")]

    def prune(self) -> None:
        """Delete the oldest settled notifications beyond the number that is kept."""
        self.run(
            "DELETE FROM notifications WHERE state <> 'queued' AND id <= (SELECT max(id) FROM notifications) - ?",
            KEPT_NOTIFICATIONS,
        )

    def take_away(self) -> None:
        """Close the file and move it to where nobody looks for it."""
        with self._lock:
            if self._here:
                self._connection.close()
                self.path.replace(self._away)
                self._here = False

    def give_back(self) -> None:
        """Bring the file back and open it."""
        with self._lock:
            if not self._here:
                self._away.replace(self.path)
                self._open()

    def replace_by(self, restored: Path) -> Path:
        """Put another database in the place of this one, and keep this one beside it; where it is kept.

        Raises:
            HttpError: the other file is missing, damaged or no database of this service; nothing was changed.

        """
        try:
            with closing(sqlite3.connect(f"file:{restored}?mode=ro", uri=True)) as other:
                sound = other.execute("PRAGMA integrity_check").fetchone()[0]
                names = {row[0] for row in other.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.Error as error:
            raise HttpError(409, f"{restored.name} can't be read: {error}") from error
        if sound != "ok" or not names.issuperset(TABLES):
            raise HttpError(409, f"{restored.name} is no sound database of this service: {sound}")
        kept = self.path.with_name(f"{self.path.stem}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.db")
        with self._lock:
            if self._here:
                self._connection.close()
                self.path.replace(kept)
            else:
                self._away.replace(kept)
            restored.replace(self.path)
            self._open()
        for old in sorted(self.path.parent.glob(f"{self.path.stem}.replaced-*.db"))[:-3]:
            old.unlink(missing_ok=True)
        return kept

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock:
            self._reach()
            return super().rows(query, *values)

    def run(self, statement: str, *values: object) -> int:
        """Execute one statement; the id of the row it inserted."""
        with self._lock:
            self._reach()
            return super().run(statement, *values)

    def many(self, statement: str, rows: Iterable[Iterable[object]]) -> None:
        """Execute one statement for many rows, all or none."""
        with self._lock:
            self._reach()
            super().many(statement, rows)

    def _reach(self) -> None:
        if not self._here:
            with closing(sqlite3.connect(f"file:{self.path}?mode=rw", uri=True)) as connection:
                connection.execute("SELECT 1")

    def _open(self) -> None:
        self._connection = Database(self.path)._connection  # the lock stays, as other threads wait for it
        self._here = True


def random_customer(chance: random.Random, favourite: int | None) -> int:
    """A customer to send for; with a favourite, that one in three cases of four."""
    if favourite is not None and chance.random() < 0.75:
        return favourite
    return chance.randint(1, CUSTOMERS)
