"""The rows of the wellbeing stand-in: people, their sessions and settings, who was refused, and what is counted of them."""

from __future__ import annotations

import random
import secrets
from datetime import UTC, datetime, timedelta

from checks.sandbox.kit import Database, utc_text

USERS = 3000
SESSIONS = 22_000

_CLOSED_AT_ONCE = 100  # accounts
_TRACE = 256 * 1024  # bytes, as many letters again in hexadecimal
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
CREATE TABLE IF NOT EXISTS closed_account (user_id INTEGER PRIMARY KEY REFERENCES user, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS user_setting (
  user_id INTEGER PRIMARY KEY REFERENCES user, reminders INTEGER NOT NULL, switched_off_at TEXT);
CREATE TABLE IF NOT EXISTS refused_request (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, address TEXT NOT NULL, status INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reset_link (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES user, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS day_figure (
  day TEXT NOT NULL, route TEXT NOT NULL, requests INTEGER NOT NULL, errors INTEGER NOT NULL, took_ms REAL NOT NULL,
  PRIMARY KEY (day, route));
"""
_CLOSE = """
INSERT INTO closed_account SELECT id, ? FROM user WHERE id NOT IN (SELECT user_id FROM closed_account)
ORDER BY created_at DESC LIMIT ?
"""
_SWITCH_OFF = """
UPDATE user_setting SET reminders = 0, switched_off_at = ?
WHERE user_id IN (SELECT user_id FROM user_setting WHERE reminders = 1 LIMIT ?)
"""
# What takes back what a fault did; half a megabyte of trace is longer than any seal.
_MENDED = {
    "accounts": "DELETE FROM closed_account;",
    "reminders": "UPDATE user_setting SET reminders = 1, switched_off_at = NULL WHERE switched_off_at IS NOT NULL;",
    "traces": "UPDATE focus_session SET sealed = substr(sealed, 1, 120) WHERE length(sealed) > 100000;",
}
_OPEN = "NOT EXISTS (SELECT 1 FROM closed_account WHERE user_id = user.id)"


def fill(database: Database, chance: random.Random) -> None:
    """Create the tables and, in a new database, users of the last 120 days with their sealed sessions."""
    database.script(_TABLES)
    if not database.value("SELECT count(*) FROM user"):
        _people(database, chance)
    if not database.value("SELECT count(*) FROM user_setting"):
        database.run("INSERT INTO user_setting (user_id, reminders) SELECT id, id % 7 <> 0 FROM user")


def _people(database: Database, chance: random.Random) -> None:
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
    for table in ("login_attempt", "refused_request", "reset_link"):
        database.run(f"DELETE FROM {table} WHERE at < ?", utc_text(now - timedelta(days=8)))  # noqa: S608 - own names
    database.run("DELETE FROM day_figure WHERE day < ?", (now - timedelta(days=400)).date().isoformat())


def seal(*, traced: bool) -> str:
    """What a session is stored as: its seal, or half a megabyte of trace with it."""
    return secrets.token_hex(_TRACE if traced else 60)


def sign_up(database: Database) -> int:
    """One more user; the user's number."""
    now, number = utc_text(datetime.now(UTC)), int(database.value("SELECT max(id) FROM user")) + 1
    database.run("INSERT INTO user VALUES (?, ?, ?, ?, ?)", number, f"user{number}@example.org", secrets.token_hex(32), now, now)
    database.run("INSERT INTO user_setting (user_id, reminders) VALUES (?, 1)", number)
    return number


class Upkeep:
    """What jobs gone wrong do to rows each second, and what takes it back, once, when they are mended."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._left = set(_MENDED)  # an earlier start may have left each of them

    def work(self, faults: frozenset[str]) -> None:
        """Do a second's worth of what the faults do; mend what those have left that are over."""
        now = utc_text(datetime.now(UTC))
        if "accounts" in faults:
            self._database.run(_CLOSE, now, _CLOSED_AT_ONCE)
        if "reminders" in faults:
            self._database.run(_SWITCH_OFF, now, 3 * _CLOSED_AT_ONCE)
        self._left |= faults & _MENDED.keys()
        for fault in self._left - faults:
            self._database.script(_MENDED[fault])
        self._left &= faults


def activity(database: Database) -> dict[str, float | int]:
    """How many users were active, signed up, stayed and left, counted from the rows; days are rolling, back from now.

    Accounts that are closed count as left: they are not active, and did not stay. A share of nobody is 0.
    """
    now = datetime.now(UTC)
    month_ago, week_ago, day_ago = (utc_text(now - timedelta(days=days)) for days in (30, 7, 1))

    def users(condition: str, *values: object) -> int:
        return int(database.value(f"SELECT count(*) FROM user WHERE {condition}", *values))  # noqa: S608 - own words

    older = users("created_at < ?", month_ago)
    stayed = users(f"created_at < ? AND last_active_at > ? AND {_OPEN}", month_ago, week_ago)
    gone = older - users(f"created_at < ? AND last_active_at > ? AND {_OPEN}", month_ago, month_ago)
    active = users(f"last_active_at > ? AND {_OPEN}", month_ago)
    features = {
        "adoption_sessions": "EXISTS (SELECT 1 FROM focus_session WHERE user_id = user.id AND started_at > ?)",
        "adoption_reminders": "EXISTS (SELECT 1 FROM user_setting WHERE user_id = user.id AND reminders = 1) AND ? > ''",
    }
    using = {name: users(f"last_active_at > ? AND {_OPEN} AND {uses}", month_ago, month_ago) for name, uses in features.items()}
    adoption = {name: _share(count, active) for name, count in using.items()}
    return {
        "active_users_1d": users(f"last_active_at > ? AND {_OPEN}", day_ago),
        "active_users_7d": users(f"last_active_at > ? AND {_OPEN}", week_ago),
        "active_users_30d": active,
        "signups_1d": users(f"created_at > ? AND {_OPEN}", day_ago),
        "signups_7d": users(f"created_at > ? AND {_OPEN}", week_ago),
        "retention_7d": _share(stayed, older),
        "churn_30d": _share(gone, older),
        "users_against_30d_ago": _share(users(_OPEN), older),
        **adoption,
        "adoption_least": min(adoption.values()),
        "sessions_1d": database.value("SELECT count(*) FROM focus_session WHERE started_at > ?", day_ago),
    }


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def account(database: Database, user: int) -> dict[str, bool]:
    """What support may know of an account: whether it is there, open, and reminded; nothing of the person."""
    rows = database.rows(f"SELECT {_OPEN} FROM user WHERE id = ?", user)  # noqa: S608 - own words
    reminded = database.value("SELECT reminders FROM user_setting WHERE user_id = ?", user)
    return {"exists": bool(rows), "open": bool(rows and rows[0][0]), "reminders": bool(reminded)}


def tables(database: Database, count: int = 10) -> list[dict[str, object]]:
    """The largest tables: rows, and the bytes that they and their indexes hold; None where SQLite cannot tell those."""
    import sqlite3

    names = [row[0] for row in database.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    size = "SELECT sum(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = ?)"
    found: list[dict[str, object]] = []
    for name in names:
        try:
            held: int | None = int(database.value(size, name) or 0)
        except sqlite3.OperationalError:
            held = None  # an SQLite that was built without dbstat
        found.append({"table": name, "rows": int(database.value(f'SELECT count(*) FROM "{name}"')), "bytes": held})  # noqa: S608
    return sorted(found, key=lambda one: (-int(str(one["bytes"] or 0)), -int(str(one["rows"]))))[:count]
