"""What the workflow system keeps: tenants and their rows, who may see which, and what is owed for finished work."""

from __future__ import annotations

import re
import secrets
import sqlite3
import threading
import time
from collections import Counter, deque
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from checks.sandbox.kit import Database, HttpError, JsonLog, utc_text
from checks.sandbox.unified_workflow_pool import Pool

TENANTS = ("north", "harbour", "atelier")
ROLES = {
    "owner": "owner",
    "manager": "manager",
    "beautician": "beautician",
    "monitor": "manager",
    "monitor-beautician": "beautician",
}
"""The users of each tenant and their roles; whoever is called monitor… is no person, and is left out of the sessions' figures."""
COMMISSION_BASIS_POINTS = 800
"""A finished workflow's commission: 8 % of its price, rounded half up to the cent."""
RELEASES = ("1.9.0", "2.0.0")
BASELINES = {"workflow-creation": 40.0, "customer-creation": 20.0, "session-duration": 1.0, "channel-subscriptions": 6.0}
"""What the stand-in's team agreed as normal: what is created in a minute, seconds of a session, screens that listen."""
# What a query without its index does: it reads far more rows than it needs, here for half a second.
_HEAVY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT count(*) FROM n"
_HEAVY_SECONDS = 0.5
_QUERIES_KEPT = 20_000
_PLAN_HOLDS = 2.0  # seconds that a query's plan is taken to be the same
_UNIQUE = "CREATE UNIQUE INDEX IF NOT EXISTS customer_code_unique ON customer (tenant, customer_code)"

SCHEMA = """
CREATE TABLE IF NOT EXISTS user (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL,
  UNIQUE (tenant, name));
CREATE TABLE IF NOT EXISTS session (token TEXT PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES user, opened_at TEXT NOT NULL,
  closed_at TEXT);
CREATE TABLE IF NOT EXISTS customer (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, customer_code TEXT NOT NULL,
  name TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS code_sequence (tenant TEXT PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS workflow (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL,
  customer_id INTEGER NOT NULL REFERENCES customer, assigned_to INTEGER REFERENCES user,
  price_cents INTEGER NOT NULL, created_at TEXT NOT NULL, finished_at TEXT);
CREATE TABLE IF NOT EXISTS commission (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, workflow_id INTEGER REFERENCES workflow,
  amount_cents INTEGER NOT NULL, release TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, kind TEXT NOT NULL, created_at TEXT NOT NULL,
  delivered_at TEXT, failures INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS audit (id INTEGER PRIMARY KEY, at TEXT NOT NULL, caller_tenant TEXT NOT NULL, caller TEXT NOT NULL,
  row_tenant TEXT NOT NULL, action TEXT NOT NULL, allowed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS login (at TEXT NOT NULL, tenant TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS policy (table_name TEXT PRIMARY KEY, enabled INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS release (version TEXT PRIMARY KEY, deployed_at TEXT NOT NULL, active INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS baseline (name TEXT PRIMARY KEY, value REAL NOT NULL, set_at TEXT NOT NULL, set_by TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS workflow_open ON workflow (tenant, finished_at);
CREATE INDEX IF NOT EXISTS workflow_of ON workflow (tenant);
CREATE INDEX IF NOT EXISTS customer_of ON customer (tenant);
CREATE INDEX IF NOT EXISTS workflow_made ON workflow (created_at);
CREATE INDEX IF NOT EXISTS customer_made ON customer (created_at);
CREATE INDEX IF NOT EXISTS commission_of ON commission (workflow_id);
CREATE INDEX IF NOT EXISTS event_delivered ON event (delivered_at);
CREATE INDEX IF NOT EXISTS event_waiting ON event (failures, id) WHERE delivered_at IS NULL;
CREATE INDEX IF NOT EXISTS audit_at ON audit (at);
CREATE INDEX IF NOT EXISTS login_at ON login (at);
CREATE INDEX IF NOT EXISTS session_closed ON session (closed_at);
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the user behind a token."""

    name: str
    tenant: str
    role: str


def now_text(ahead: float = 0.0) -> str:
    """The time now, or some seconds ahead (below zero: ago), as the rows hold it."""
    return utc_text(datetime.now(UTC) + timedelta(seconds=ahead))


class Store:
    """The rows behind the service; the queries that users wait for are timed.

    Args:
        database: where the rows are.
        log: the database's own log, which holds every refusal, repetitions included.

    """

    def __init__(self, database: Database, log: JsonLog) -> None:
        self._database = database
        self._log = log
        self._toiling = threading.Lock()
        self._times: deque[tuple[float, float, str]] = deque(maxlen=_QUERIES_KEPT)
        self._indexes: deque[tuple[float, str]] = deque(maxlen=_QUERIES_KEPT)
        self._plans: dict[str, tuple[float, str]] = {}
        self.pool = Pool(database.path)

    def fill(self) -> None:
        """Make the tables and what a new installation has; nothing that stands is touched."""
        self._database.script(SCHEMA)
        for tenant in TENANTS:
            self._database.run("INSERT OR IGNORE INTO code_sequence VALUES (?, 0)", tenant)
            for name, role in ROLES.items():
                self._database.run("INSERT OR IGNORE INTO user (tenant, name, role) VALUES (?, ?, ?)", tenant, name, role)
            if not self._database.rows("SELECT 1 FROM customer WHERE tenant = ? LIMIT 1", tenant):
                for number in range(20):
                    self.add_customer(tenant, f"Customer {number + 1}", ago=86_400)
        for table in ("customer", "workflow", "commission"):
            self._database.run("INSERT OR IGNORE INTO policy VALUES (?, 1)", table)
        for version in RELEASES:
            self._database.run("INSERT OR IGNORE INTO release VALUES (?, ?, ?)", version, now_text(), version == RELEASES[-1])
        for name, value in BASELINES.items():
            self._database.run("INSERT OR IGNORE INTO baseline VALUES (?, ?, ?, 'the sandbox team')", name, value, now_text())

    def rows(self, query: str, *values: object, name: str = "", heavy: bool = False) -> list[tuple[Any, ...]]:
        """All rows of a query, timed under a name; a heavy one does real work first."""
        started = time.perf_counter()
        if heavy:
            self._toil()
        rows = self.pool.rows(query, *values)
        self._times.append((time.monotonic(), (time.perf_counter() - started) * 1000, name))
        if name:
            self._indexes.append((time.monotonic(), self._index_of(query, values)))
        return rows

    def by_index(self, seconds: float) -> dict[str, int]:
        """By which index the key queries of the last seconds found their rows, and how often; "" is by none."""
        since = time.monotonic() - seconds
        return dict(Counter(name for at, name in list(self._indexes) if at >= since))

    def set_indexes(self, *, there: bool) -> None:
        """Drop the indexes that list a tenant's workflows, or make them again."""
        gone = "DROP INDEX IF EXISTS workflow_of; DROP INDEX IF EXISTS workflow_open;"
        self._database.script(SCHEMA if there else gone)

    def _index_of(self, query: str, values: tuple[object, ...]) -> str:
        """The index by which a query finds its rows, as the database plans it; looked up again every two seconds."""
        at, name = self._plans.get(query, (float("-inf"), ""))
        if time.monotonic() - at > _PLAN_HOLDS:
            plan = " ".join(row[3] for row in self.pool.rows(f"EXPLAIN QUERY PLAN {query}", *values))
            found = re.search(r"USING (?:COVERING )?INDEX (\w+)|USING (INTEGER PRIMARY KEY)", plan)
            name = (found.group(1) or "primary key") if found else ""
            self._plans[query] = (time.monotonic(), name)
        return name

    def _toil(self) -> None:
        # One at a time, so that it takes one core at most, and beside the rows, so that other queries stay quick.
        with self._toiling, closing(sqlite3.connect(":memory:")) as beside:
            until = time.perf_counter() + _HEAVY_SECONDS
            while time.perf_counter() < until:
                beside.execute(_HEAVY).fetchall()

    def query_ms(self, seconds: float, name: str | None = None) -> list[float]:
        """How long the queries of the last seconds took (those of one name, or all), ascending, in milliseconds."""
        since = time.monotonic() - seconds
        return sorted(took for at, took, whose in list(self._times) if at >= since and name in (None, whose))

    # Who asks ------------------------------------------------------------------------------------------------------

    def open_session(self, tenant: str, name: str, *, lasts: float | None = None, token: str = "") -> str:
        """A token for a user, which ends by itself after `lasts` seconds; raises 401 where there is none of this name."""
        rows = self.rows("SELECT id FROM user WHERE tenant = ? AND name = ?", tenant, name)
        if not rows:
            raise HttpError(401, "wrong name or password")
        token = token or secrets.token_urlsafe(18)
        ends = None if lasts is None else now_text(lasts)
        self._database.run("INSERT OR IGNORE INTO session VALUES (?, ?, ?, ?)", token, rows[0][0], now_text(), ends)
        return token

    def close_session(self, token: str) -> None:
        """End a session, unless it has ended."""
        self._database.run("UPDATE session SET closed_at = ? WHERE token = ? AND closed_at IS NULL", now_text(), token)

    def caller(self, authorization: str) -> Caller:
        """Who is behind a request; raises 401 where nobody is."""
        query = (
            "SELECT user.name, user.tenant, user.role FROM session JOIN user ON user.id = session.user_id "
            "WHERE token = ? AND (closed_at IS NULL OR closed_at > ?)"
        )
        rows = self.rows(query, authorization.removeprefix("Bearer "), now_text())
        if not rows:
            raise HttpError(401, "log in first")
        return Caller(*rows[0])

    def policy_holds(self, table: str) -> bool:
        """Whether rows of a table are kept to their own tenant."""
        return bool(self._database.value("SELECT enabled FROM policy WHERE table_name = ?", table))

    def set_policies(self, enabled: bool) -> None:
        """Switch the policies of all tables on or off."""
        self._database.run("UPDATE policy SET enabled = ?", enabled)

    def audit(self, caller: Caller, row_tenant: str, action: str, allowed: bool) -> None:
        """Note who asked for whose row, and whether it was given."""
        insert = "INSERT INTO audit (at, caller_tenant, caller, row_tenant, action, allowed) VALUES (?, ?, ?, ?, ?, ?)"
        self._database.run(insert, now_text(), caller.tenant, caller.name, row_tenant, action, allowed)

    # What is done --------------------------------------------------------------------------------------------------

    def add_customer(self, tenant: str, name: str, *, stuck: bool = False, ago: float = 0.0) -> str:
        """Add a customer under the next code of the tenant's sequence; a stuck sequence's code is refused by the table."""
        if not stuck:
            self._database.run("UPDATE code_sequence SET last = last + 1 WHERE tenant = ?", tenant)
        code = self._code(tenant)
        insert = "INSERT INTO customer (tenant, customer_code, name, created_at) VALUES (?, ?, ?, ?)"
        try:
            self._database.run(insert, tenant, code, name, now_text(-ago))
        except sqlite3.IntegrityError as error:
            self._log.warning(f"customer code collision: {code}", tenant=tenant)
            raise HttpError(409, f"customer code collision: {code}") from error
        return code

    def drop_uniqueness(self) -> None:
        """Let the table take codes twice."""
        self._database.run("DROP INDEX IF EXISTS customer_code_unique")

    def restore_uniqueness(self) -> None:
        """Give each later duplicate a code of its own, and refuse codes twice again."""
        later = "SELECT id, tenant FROM customer WHERE id NOT IN (SELECT min(id) FROM customer GROUP BY tenant, customer_code)"
        for number, tenant in self._database.rows(later):
            self._database.run("UPDATE code_sequence SET last = last + 1 WHERE tenant = ?", tenant)
            self._database.run("UPDATE customer SET customer_code = ? WHERE id = ?", self._code(tenant), number)
        self._database.run(_UNIQUE)

    def _code(self, tenant: str) -> str:
        number = self._database.value("SELECT last FROM code_sequence WHERE tenant = ?", tenant)
        return f"{tenant[:2].upper()}-{number:06d}"

    def add_workflow(self, tenant: str, price_cents: int) -> int:
        """Add a workflow for the tenant's newest customer and assign it to its beautician."""
        customer = self._database.value("SELECT id FROM customer WHERE tenant = ? ORDER BY id DESC LIMIT 1", tenant)
        worker = self._database.value("SELECT id FROM user WHERE tenant = ? AND name = 'beautician'", tenant)
        insert = "INSERT INTO workflow (tenant, customer_id, assigned_to, price_cents, created_at) VALUES (?, ?, ?, ?, ?)"
        return self._database.run(insert, tenant, customer, worker, price_cents, now_text())

    def finish_workflow(self, tenant: str, workflow: int, *, wrong: bool, silent: bool = False) -> int:
        """Finish a workflow, book its commission and raise the event that tells the screens; the event's number."""
        query = "SELECT price_cents, finished_at FROM workflow WHERE id = ? AND tenant = ?"
        rows = self.rows(query, workflow, tenant, name="commission calculation")
        if not rows:
            raise HttpError(404, "no such workflow")
        if rows[0][1] is not None:
            raise HttpError(409, "it is finished already")
        amount = commission_cents(int(rows[0][0]))
        linked = True
        if wrong:  # what release 2.0.0 shipped: the factor of ten, and every fifth link forgotten
            amount, linked = int(rows[0][0]) * COMMISSION_BASIS_POINTS // 1000, workflow % 5 != 0
        now = now_text()
        insert = "INSERT INTO commission (tenant, workflow_id, amount_cents, release, created_at) VALUES (?, ?, ?, ?, ?)"
        self._database.run(insert, tenant, workflow if linked else None, amount, self.release(), now)
        event = 0
        if not silent:
            raised = "INSERT INTO event (tenant, kind, created_at) VALUES (?, 'workflow.finished', ?)"
            event = self._database.run(raised, tenant, now)
        # Last, so that nobody sees a finished workflow whose event is not there yet.
        self._database.run("UPDATE workflow SET finished_at = ? WHERE id = ?", now, workflow)
        return event

    def correct_commissions(self) -> int:
        """Link each lost commission to the workflow that was finished with it, and put every amount right; how many changed."""
        lost = (
            "SELECT commission.id, workflow.id FROM commission JOIN workflow ON workflow.tenant = commission.tenant "
            "AND workflow.finished_at = commission.created_at WHERE commission.workflow_id IS NULL "
            "AND NOT EXISTS (SELECT 1 FROM commission AS other WHERE other.workflow_id = workflow.id)"
        )
        changed: set[int] = set()
        for number, workflow in self.rows(lost):
            self._database.run("UPDATE commission SET workflow_id = ? WHERE id = ?", workflow, number)
            changed.add(number)
        booked = "SELECT commission.id, price_cents, amount_cents FROM commission JOIN workflow ON workflow.id = workflow_id"
        for number, price, amount in self.rows(booked):
            if amount != commission_cents(price):
                self._database.run("UPDATE commission SET amount_cents = ? WHERE id = ?", commission_cents(price), number)
                changed.add(number)
        return len(changed)

    def release(self) -> str:
        """The version that serves."""
        return str(self._database.value("SELECT version FROM release WHERE active = 1"))

    def activate(self, version: str) -> None:
        """Let another version serve, deployed now; raises 404 where there is none of it."""
        if version not in RELEASES:
            raise HttpError(404, f"{version} was never deployed; there are {', '.join(RELEASES)}")
        if version != self.release():
            self._database.run("UPDATE release SET active = (version = ?)", version)
            self._database.run("UPDATE release SET deployed_at = ? WHERE version = ?", now_text(), version)


def commission_cents(price_cents: int) -> int:
    """The commission of a price, both in cents; see `COMMISSION_BASIS_POINTS`."""
    return (price_cents * COMMISSION_BASIS_POINTS + 5_000) // 10_000
