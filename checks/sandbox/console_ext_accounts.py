"""Console.ext's accounts: signing up, logging in, the dashboard and feedback; and what all of that says of its use."""

from __future__ import annotations

import hmac
import secrets
import statistics
import time
from collections import Counter, deque
from datetime import UTC, datetime, timedelta

from checks.sandbox.console_ext_logs import CorrelatedLog
from checks.sandbox.console_ext_store import CUSTOMERS, Ledger, password_hash
from checks.sandbox.kit import Answer, Faults, HttpError, Request, utc_text

_TRIES, _LOCKED_FOR = 5, 60.0  # wrong passwords within a minute, and the seconds that an account is locked for then
_SESSIONS_KEPT = 500
PERIOD = 60.0
"""Seconds within which an account has to come back to count as kept; the plan names no period, and the stand-in's is short."""
_RATES_FROM = 10.0  # seconds that have passed before a rate is taken as it is; sooner, a burst would look like a flood
_UNUSUAL = 3.0  # times the use of the key in the middle
_COHORT = """SELECT count(*), coalesce(sum(EXISTS (
SELECT 1 FROM visits WHERE user = users.id AND what = 'login' AND at >= ?)), 0) FROM users WHERE created_at <= ?"""
_LOOKED = """SELECT count(DISTINCT user), count(DISTINCT CASE WHEN EXISTS (
SELECT 1 FROM visits AS seen WHERE seen.user = visits.user AND seen.what = 'dashboard' AND seen.at >= ?) THEN user END)
FROM visits WHERE what = 'login' AND at >= ?"""


class Accounts:
    """What users may ask, and figures of what users and customers really did.

    Args:
        ledger: where accounts, visits and feedback are stored.
        log: where logins are written.
        faults: ``signups``, ``dashboard`` and ``feedback`` break the form of that name.

    """

    def __init__(self, ledger: Ledger, log: CorrelatedLog, faults: Faults) -> None:
        self._ledger = ledger
        self._log = log
        self._faults = faults
        self._sessions: dict[str, int] = {}
        self._refused_at: dict[str, deque[float]] = {}
        self._locked_until: dict[str, float] = {}
        self._uses: deque[tuple[float, int]] = deque(maxlen=50_000)
        self._feedback: deque[tuple[float, bool]] = deque(maxlen=1_000)
        self.began = time.monotonic()

    def sign_up(self, request: Request) -> Answer:
        """Open an account."""
        if "signups" in self._faults:
            raise HttpError(422, "the form has lost its field for the password")
        body = request.json()
        name, password = str(body.get("name", "")), str(body.get("password", ""))
        if not name or not password:
            raise HttpError(422, "name and password are needed")
        if self._ledger.value("SELECT 1 FROM users WHERE name = ?", name):
            raise HttpError(409, "this name is taken")
        now = utc_text(datetime.now(UTC))
        insert = "INSERT INTO users (name, password_hash, created_at, updated_at) VALUES (?, ?, ?, ?)"
        number = self._ledger.run(insert, name, password_hash(password), now, now)
        self._log.info("account opened", event="signup", user=name)
        return Answer({"id": number}, 201)

    def log_in(self, request: Request) -> Answer:
        """Check a password; an account with five wrong ones within a minute is locked for a minute."""
        body = request.json()
        name, now = str(body.get("name", "")), time.monotonic()
        if self._locked_until.get(name, 0.0) > now:
            return Answer({"message": "this account is locked"}, 423)
        rows = self._ledger.rows("SELECT id, password_hash FROM users WHERE name = ?", name)
        number, stored = rows[0] if rows else (0, "")
        if hmac.compare_digest(stored, password_hash(str(body.get("password", "")))):
            self._log.info("login", event="login", outcome="accepted", user=name)
            self._visit(number, "login")
            return Answer({"message": "welcome", "session": self._open_session(number)})
        self._log.warning("wrong password", event="login", outcome="refused", user=name)
        refused = self._refused_at.setdefault(name, deque(maxlen=_TRIES))
        refused.append(now)
        if len(refused) == _TRIES and now - refused[0] <= 60.0:
            self._locked_until[name] = now + _LOCKED_FOR
            refused.clear()
            self._log.error("account locked after repeated wrong passwords", event="login-locked", user=name)
        return Answer({"message": "wrong name or password"}, 401)

    def dashboard(self, request: Request) -> Answer:
        """What became of the newest notifications, for somebody who has logged in."""
        user = self._user(request)
        if "dashboard" in self._faults:
            raise HttpError(404, "the dashboard's page is not there")
        newest = self._ledger.rows("SELECT id, customer, state, attempts FROM notifications ORDER BY id DESC LIMIT 20")
        self._visit(user, "dashboard")
        return Answer([dict(zip(("id", "customer", "state", "attempts"), row, strict=True)) for row in newest])

    def feedback(self, request: Request) -> Answer:
        """Keep what somebody writes about the application."""
        user, text = self._user(request), str(request.json().get("text", ""))
        taken = bool(text) and "feedback" not in self._faults
        self._feedback.append((time.monotonic(), taken))
        if not taken:
            raise HttpError(422, "the form takes no text")
        self._ledger.run("INSERT INTO feedback (at, user, text) VALUES (?, ?, ?)", utc_text(datetime.now(UTC)), user, text)
        return Answer({"message": "thank you"}, 201)

    def used(self, customer: int) -> None:
        """Count one use of a customer's key, whatever is answered to it."""
        self._uses.append((time.monotonic(), customer))

    def figures(self) -> dict[str, object]:
        """Use in the last minute, of rows that were stored and keys that were shown; keys by name, never by value."""
        now = time.monotonic()
        since = utc_text(datetime.now(UTC) - timedelta(seconds=min(PERIOD, now - self.began + 1)))
        period_ago = utc_text(datetime.now(UTC) - timedelta(seconds=PERIOD))
        per_minute = 60 / min(PERIOD, max(_RATES_FROM, now - self.began))
        by_customer = dict(
            self._ledger.rows("SELECT customer, count(*) FROM notifications WHERE created_at >= ? GROUP BY customer", since)
        )
        accounts, kept = self._ledger.rows(_COHORT, period_ago, period_ago)[0]
        came, looked = self._ledger.rows(_LOOKED, period_ago, period_ago)[0]
        keys = Counter(customer for at, customer in list(self._uses) if at >= now - PERIOD)
        forms = [taken for at, taken in list(self._feedback) if at >= now - PERIOD]
        middle = statistics.median(keys[number] for number in range(1, CUSTOMERS + 1))
        opened = self._ledger.value("SELECT count(*) FROM users WHERE created_at >= ?", since)
        return {
            "period_s": PERIOD,
            "signups_per_minute": round(opened * per_minute, 3),
            "accounts": accounts,
            "retention_percent": _share(kept, accounts),
            "dashboard_percent": _share(looked, came),
            "notifications_per_minute": round(sum(by_customer.values()) * per_minute, 3),
            "notifications": {f"customer-{number}": by_customer.get(number, 0) for number in range(1, CUSTOMERS + 1)},
            "silent_customers": CUSTOMERS - len(by_customer),
            "keys": {f"key-{number}": keys[number] for number in range(1, CUSTOMERS + 1)},
            "busiest_key_percent": _share(max(keys.values(), default=0), keys.total()),
            "unusual_keys": sum(count > max(20.0, _UNUSUAL * middle) for count in keys.values()),
            "feedback": len(forms),
            "feedback_refused_percent": _share(forms.count(False), len(forms)),
        }

    def _visit(self, user: int, what: str) -> None:
        self._ledger.run("INSERT INTO visits (at, user, what) VALUES (?, ?, ?)", utc_text(datetime.now(UTC)), user, what)

    def _open_session(self, user: int) -> str:
        token = secrets.token_urlsafe(12)
        self._sessions[token] = user
        for old in list(self._sessions)[:-_SESSIONS_KEPT]:
            self._sessions.pop(old, None)
        return token

    def _user(self, request: Request) -> int:
        user = self._sessions.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if user is None:
            raise HttpError(401, "log in first")
        return user


def _share(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None
