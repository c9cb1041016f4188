"""Console.ext's rows, in a database that can be taken away, given back and replaced by a restored one."""

from __future__ import annotations

import hashlib
import itertools
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from checks.sandbox.kit import Database, HttpError, utc_text

CUSTOMERS = 8
USERS = 20
KEPT_NOTIFICATIONS = 5000
CONNECTIONS = 20
"""How many connections to the database there may be at once."""
_KEPT_SIGNUPS = 30
_DRAGS, _DRAG_SECONDS = 0.15, 0.3  # share of the look-ups that a bad report holds up, and for how long
_WINDOW = 60.0  # seconds that query times look back
# A report that pairs notifications with one another, as a forgotten condition does.
_BAD_REPORT = """SELECT count(*) FROM notifications AS a, (SELECT text FROM notifications LIMIT 40) AS b
WHERE a.text || b.text = ''"""
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
CREATE TABLE IF NOT EXISTS visits (at TEXT NOT NULL, user INTEGER NOT NULL, what TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS feedback (id INTEGER PRIMARY KEY, at TEXT NOT NULL, user INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS notifications_created ON notifications (created_at, customer);
CREATE INDEX IF NOT EXISTS notifications_updated ON notifications (updated_at);
CREATE INDEX IF NOT EXISTS visits_of ON visits (user, what, at);
CREATE INDEX IF NOT EXISTS visits_at ON visits (at);
"""
_INDEX = "CREATE INDEX IF NOT EXISTS notifications_finished ON notifications (finished_at)"


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
        self.dragging = False
        self._times: deque[tuple[float, float]] = deque(maxlen=20_000)
        self._leaked: list[sqlite3.Connection] = []
        self._dragged = threading.Lock()
        self._chance = random.Random()

    def prepare(self, now: datetime) -> None:
        """Create the tables, the customers and users, and some weeks of settled notifications."""
        self.script(f"{_SCHEMA};{_INDEX};")
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
        newest = "(SELECT max(id) FROM users) - ?"
        self.run(f"DELETE FROM users WHERE id > ? AND id <= {newest}", USERS, _KEPT_SIGNUPS)  # noqa: S608 - own words
        self.run("DELETE FROM visits WHERE at < ?", utc_text(datetime.now(UTC) - timedelta(minutes=10)))
        self.run("DELETE FROM feedback WHERE id <= (SELECT max(id) FROM feedback) - 500")

    def set_index(self, *, there: bool) -> None:
        """Drop the index that finds what was settled of late, or make it again."""
        self.script(_INDEX if there else "DROP INDEX IF EXISTS notifications_finished")

    def leak(self, *, on: bool) -> None:
        """Open connections and forget them, one at each call, until nearly none is left; or close them."""
        if not on:
            while self._leaked:
                self._leaked.pop().close()
        elif len(self._leaked) < CONNECTIONS - 2:
            connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, check_same_thread=False)
            connection.execute("SELECT count(*) FROM customers").fetchone()
            self._leaked.append(connection)

    def query_ms(self) -> list[float]:
        """How long the statements of the last minute took, waiting included, ascending, in milliseconds."""
        since = time.monotonic() - _WINDOW
        return sorted(took for at, took in list(self._times) if at >= since)

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
        started = time.perf_counter()
        if self.dragging and self._chance.random() < _DRAGS:
            self._drag()
        with self._lock:
            self._reach()
            found = super().rows(query, *values)
        self._times.append((time.monotonic(), (time.perf_counter() - started) * 1000))
        return found

    def run(self, statement: str, *values: object) -> int:
        """Execute one statement; the id of the row it inserted."""
        started = time.perf_counter()
        with self._lock:
            self._reach()
            number = super().run(statement, *values)
        self._times.append((time.monotonic(), (time.perf_counter() - started) * 1000))
        return number

    def many(self, statement: str, rows: Iterable[Iterable[object]]) -> None:
        """Execute one statement for many rows, all or none."""
        with self._lock:
            self._reach()
            super().many(statement, rows)

    def _reach(self) -> None:
        if not self._here:
            with closing(sqlite3.connect(f"file:{self.path}?mode=rw", uri=True)) as connection:
                connection.execute("SELECT 1")

    def _drag(self) -> None:
        # One at a time, so that it takes one core at most, and beside the rows, so that other statements stay quick.
        with self._dragged, closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as beside:
            until = time.perf_counter() + _DRAG_SECONDS
            while time.perf_counter() < until:
                beside.execute(_BAD_REPORT).fetchall()

    def _open(self) -> None:
        self._connection = Database(self.path)._connection  # the lock stays, as other threads wait for it
        self._connection.executescript(_SCHEMA)  # a backup of long ago lacks what was added since
        self._here = True


def customers_in_turn(chance: random.Random) -> Callable[[int | None], int]:
    """Who sends next: each customer in turn; with a favourite, that one in three cases of four."""
    turn = itertools.count()

    def choose(favourite: int | None) -> int:
        if favourite is not None and chance.random() < 0.75:
            return favourite
        return 1 + next(turn) % CUSTOMERS

    return choose
