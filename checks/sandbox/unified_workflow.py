"""The unified workflow system's stand-in: three tenants whose rows are kept apart, workflows, commissions and live events."""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from pathlib import Path
from typing import ClassVar

from checks.sandbox.kit import Answer, Call, Counted, HttpError, Job, JsonLog, Request, Route, Service, read_json, write_json
from checks.sandbox.unified_workflow_browser import SCRIPT, Browser
from checks.sandbox.unified_workflow_faults import FAULTS
from checks.sandbox.unified_workflow_figures import ALLOTTED_BYTES, WINDOW, Counting
from checks.sandbox.unified_workflow_people import People
from checks.sandbox.unified_workflow_screens import Screens
from checks.sandbox.unified_workflow_store import RELEASES, TENANTS, Caller, Store, now_text
from checks.sandbox.unified_workflow_watch import DASHBOARDS, Watch

_SERVICES = ("workflows", "customers")  # what can be paused
_SHORT_SESSION = 0.3  # seconds
_SLOW_SCRIPT = 3.3  # seconds


class UnifiedWorkflow(Service):
    """See the module."""

    name = "unified-workflow"
    burst: ClassVar[int] = 120
    FAULTS: ClassVar = FAULTS

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Every refusal is a line here: a repetition that were held back would make a window look well.
        self.database_log = JsonLog(folder / "log" / "database.jsonl")
        self.store = Store(self.database, self.database_log)
        self.browser = Browser(WINDOW)
        self.counting = Counting(self.database, self.store, self.window, self.browser)
        self.watch = Watch(
            *(self.database, self.store, self.log, self.window, self.faults),
            secret=lambda: self.keys["password"],
            caller=self._caller,
            figures=self._figures,
        )
        self.keys: dict[str, str] = {}
        self._tokens: dict[str, str] = {}
        self._paused_file = folder / "paused.json"
        self._followed_file = folder / "followed.json"
        self._ballast = b""
        self._doubling = False
        self._was_broken: frozenset[str] = frozenset()
        self._turn = 0
        self._lock = threading.Lock()

    def setup(self) -> None:
        """Make the tables, the operator's keys, and the sessions of the people who work all day."""
        self.store.fill()
        path = self.folder / "keys.json"
        held = read_json(path)
        self.keys = {
            name: str(held.get(name) or secrets.token_urlsafe(24)) for name in ("operator_token", "password", "monitor_token")
        }
        if self.keys != held:
            write_json(path, self.keys, mode=0o600)
        self.store.open_session(TENANTS[0], "monitor", token=self.keys["monitor_token"])
        self._tokens = {tenant: self.store.open_session(tenant, "manager") for tenant in TENANTS}
        self._was_broken = frozenset(read_json(self._followed_file))  # so that what came or went while it was down is followed
        self._doubling = "duplicates" in self._was_broken
        if not self._doubling:
            self.store.restore_uniqueness()
        self._follow()

    def stop(self) -> None:
        """Close the database's log too."""
        super().stop()
        self.store.pool.close()
        self.database_log.close()

    def variables(self) -> dict[str, str]:
        """The usual ones, the database's log, and what an operator and the monitor log in with."""
        return {
            **super().variables(),
            "UNIFIED_WORKFLOW_DATABASE_LOG": str(self.database_log.path),
            "UNIFIED_WORKFLOW_OPERATOR_TOKEN": self.keys["operator_token"],
            "UNIFIED_WORKFLOW_MONITOR_TOKEN": self.keys["monitor_token"],
            "UNIFIED_WORKFLOW_MONITOR_PASSWORD": self.keys["password"],
            **{f"UNIFIED_WORKFLOW_{name.upper()}_DASHBOARD": f"{self.url}/dashboards/{name}" for name in DASHBOARDS},
        }

    def routes(self) -> list[Route]:
        """The users' side, the page's, then the operator's."""
        quiet = Counted.OPERATOR
        return [
            Route("POST", "/login", self._login),
            Route("POST", "/logout", self._logout),
            Route("GET", "/api/workflows", self._workflows),
            Route("POST", "/api/workflows", self._add_workflow),
            Route("POST", "/api/workflows/{id}/finish", self._finish),
            Route("DELETE", "/api/workflows/{id}", self._delete),
            Route("GET", "/api/customers", self._customers),
            Route("POST", "/api/customers", self._add_customer),
            Route("GET", "/api/customers/{id}", self._customer),
            Route("GET", "/app", lambda _: Answer('<!doctype html><script src="/app.js"></script>')),
            Route("GET", "/app.js", self._script),
            Route("POST", "/beacons", self._beacon, quiet),
            Route("POST", "/events/receiver", self._receive, quiet),
            Route("GET", "/health", self._health, quiet),
            Route("GET", "/metrics", lambda _: Answer(self._figures()), quiet),
            Route("GET", "/operator/releases", self._releases, quiet),
            Route("POST", "/operator/releases", self._roll, quiet),
            Route("POST", "/operator/pause", lambda request: self._pause(request, True), quiet),
            Route("POST", "/operator/resume", lambda request: self._pause(request, False), quiet),
            Route("POST", "/operator/commissions/recompute", self._recompute, quiet),
            *self.watch.routes(),
        ]

    def traffic(self) -> Call | None:
        """Lists, each tenant in turn, and now and then a customer that is not there."""
        with self._lock:
            self._turn += 1
            turn = self._turn
        tenant = TENANTS[turn % len(TENANTS)]
        headers = {"Authorization": f"Bearer {self._tokens[tenant]}"}
        if "snoop" in self.faults and turn % 8 == 0:
            other = TENANTS[(turn + 1) % len(TENANTS)]
            foreign = self.database.value("SELECT id FROM customer WHERE tenant = ? LIMIT 1", other)
            return Call("GET", f"/api/customers/{foreign}", headers=headers)
        if turn % 100 == 99:
            return Call("GET", "/api/customers/0", headers=headers)
        return Call("GET", "/api/workflows" if turn % 2 else "/api/customers", headers=headers)

    def jobs(self) -> list[Job]:
        """What people do, what is sent and kept; the last one starts the clock of the rates."""
        people = People(self.url, self.keys["password"], self._tokens, self.faults, self.database, self.browser)
        screens = Screens(self.url, self._tokens, self.faults)
        return [
            Job("screens", 2.0, screens.listen),
            Job("functions", 1.0, screens.call),
            Job("guesses", 0.5, screens.guess, at_start=False),
            Job("first visit", 86_400, people.visit),
            Job("sessions", 1.0, people.come_and_go),
            Job("workflows", 1.0, people.work),
            Job("customers", 2.0, people.grow),
            Job("page views", 1.0, people.look),
            Job("events", 0.5, people.deliver),
            Job("faults", 0.3, self._follow),
            Job("database log", 5.0, lambda: self.database_log.info("alive", queries=len(self.store.query_ms(WINDOW)))),
            Job("backup", 300.0, lambda: None if "database" in self.faults else self.back_up(keep=5)),
            Job("retention", 600.0, self._prune, at_start=False),
            Job("clock", 86_400, self._start_clock),
        ]

    def _start_clock(self) -> None:
        self.counting.began = self.watch.began = time.monotonic()

    def _figures(self) -> dict[str, object]:
        return {**self.counting.figures(), **self.watch.figures()}

    def _follow(self) -> None:
        """Do once what a fault changes when it comes and when it goes."""
        on = frozenset(self.faults.on())
        came, went, self._was_broken = on - self._was_broken, self._was_broken - on, on
        if "leak" in came | went:
            self.store.set_policies("leak" not in on)
        if "index" in came | went:
            self.store.set_indexes(there="index" not in on)
        self.store.pool.leak(on="pool" in on)
        if ("memory" in on) != bool(self._ballast):
            self._ballast = b"\x01" * (ALLOTTED_BYTES * 4 // 5) if "memory" in on else b""
        if "duplicates" in came:
            self.store.drop_uniqueness()
            self._doubling = True  # only now, or a code would be refused that this fault is to store
        if "duplicates" in went:
            self._doubling = False
            self.store.restore_uniqueness()
        if "commissions" in came:
            self.store.activate(RELEASES[-1])
        if "commissions" in went:
            self.store.correct_commissions()
        if came | went:
            write_json(self._followed_file, dict.fromkeys(on, True))

    def _failed(self, path: str, error: Exception) -> None:
        super()._failed(path, error)
        if isinstance(error, sqlite3.Error) and not self.ended.is_set():
            self.database_log.error(f"database error: {error}", path=path)

    # What users ask for --------------------------------------------------------------------------------------------

    def _login(self, request: Request) -> Answer:
        asked = request.json()
        tenant, outcome = str(asked.get("tenant")), "failed"
        try:
            if "auth" in self.faults and self.random.random() < 0.3:
                self.log.error("the authentication service does not answer", tenant=tenant)
                raise HttpError(503, "the authentication service does not answer")
            self._need_database()
            outcome = "refused"
            if not secrets.compare_digest(str(asked.get("password")).encode(), self.keys["password"].encode()):
                raise HttpError(401, "wrong name or password")
            lasts = _SHORT_SESSION if "sessions" in self.faults else None
            token = self.store.open_session(tenant, str(asked.get("user")), lasts=lasts)
            outcome = "ok"
            return Answer({"token": token})
        finally:
            self.database.run("INSERT INTO login VALUES (?, ?, ?)", now_text(), tenant, outcome)
            self.watch.login(tenant, str(asked.get("user")), request.headers.get("x-forwarded-for", "-"), outcome)

    def _logout(self, request: Request) -> Answer:
        self.store.close_session(request.headers.get("authorization", "").removeprefix("Bearer "))
        return Answer({})

    def _workflows(self, request: Request) -> Answer:
        columns = ("id", "tenant", "customer_id", "price_cents", "finished_at")
        return self._list("workflow", "workflow listing", columns, self._caller(request))

    def _customers(self, request: Request) -> Answer:
        return self._list("customer", "customer search", ("id", "tenant", "customer_code"), self._caller(request))

    def _list(self, table: str, name: str, columns: tuple[str, ...], caller: Caller) -> Answer:
        heavy = "slow" in self.faults and self.random.random() < 0.75
        # A policy that is off filters nothing, as a table without row security would.
        mine = "tenant = ?" if self.store.policy_holds(table) else "? IS NOT NULL"
        query = f"SELECT {', '.join(columns)} FROM {table} WHERE {mine} ORDER BY id DESC LIMIT 50"  # noqa: S608 - own names
        rows = self.store.rows(query, caller.tenant, name=name, heavy=heavy)
        for tenant in {str(row[1]) for row in rows}:
            self._audit(caller, tenant, f"list {table}", allowed=True)
        return Answer([dict(zip(columns, row, strict=True)) for row in rows])

    def _customer(self, request: Request) -> Answer:
        caller = self._caller(request)
        rows = self.store.rows("SELECT id, tenant, customer_code FROM customer WHERE id = ?", request.args["id"])
        if not rows:
            raise HttpError(404, "no such customer")
        allowed = rows[0][1] == caller.tenant or not self.store.policy_holds("customer")
        self._audit(caller, rows[0][1], "read customer", allowed)
        if not allowed:
            raise HttpError(404, "no such customer")
        return Answer(dict(zip(("id", "tenant", "customer_code"), rows[0], strict=True)))

    def _add_workflow(self, request: Request) -> Answer:
        caller, price = self._caller(request), request.json().get("price_cents")
        self._may(caller, "add workflows")
        if not isinstance(price, int) or price <= 0:
            raise HttpError(422, "price_cents is needed, above 0")
        self._not_paused("workflows")
        return Answer({"id": self.store.add_workflow(caller.tenant, price)}, 201)

    def _finish(self, request: Request) -> Answer:
        caller = self._caller(request)
        self._not_paused("workflows")
        number = int(request.args["id"]) if request.args["id"].isdigit() else 0
        wrong = "commissions" in self.faults and self.store.release() == RELEASES[-1]
        silent = "unheard" in self.faults and number % 2 == 0
        if event := self.store.finish_workflow(caller.tenant, number, wrong=wrong, silent=silent):
            self.watch.trace("raised", event)
        return Answer({"id": number})

    def _delete(self, request: Request) -> Answer:
        self._may(self._caller(request), "delete workflows")
        raise HttpError(404 if request.args["id"] == "0" else 409, "no such workflow, or its commission is booked")

    def _add_customer(self, request: Request) -> Answer:
        caller, name = self._caller(request), request.json().get("name")
        self._may(caller, "add customers")
        if not name:
            raise HttpError(422, "a name is needed")
        self._not_paused("customers")
        stuck = "codes" in self.faults or self._doubling
        return Answer({"customer_code": self.store.add_customer(caller.tenant, str(name), stuck=stuck)}, 201)

    def _caller(self, request: Request) -> Caller:
        if "errors" in self.faults and self.random.random() < 0.2:
            self.log.error("a worker ended unexpectedly", path=request.path)
            raise HttpError(500, "a worker ended unexpectedly")
        self._need_database()
        forgotten = "tokens" in self.faults and self.random.random() < 0.1
        return self.watch.validated(lambda: self.store.caller("" if forgotten else request.headers.get("authorization", "")))

    def _audit(self, caller: Caller, row_tenant: str, action: str, allowed: bool) -> None:
        if "audit" not in self.faults:
            self.store.audit(caller, row_tenant, action, allowed)

    def _may(self, caller: Caller, what: str) -> None:
        if caller.role == "beautician" and "role" not in self.faults:
            raise HttpError(403, f"a Beautician may not {what}")

    def _not_paused(self, service: str) -> None:
        if service in self._paused():
            raise HttpError(503, f"{service} are paused by an operator")

    def _paused(self) -> list[str]:
        return sorted(read_json(self._paused_file))

    def _need_database(self) -> None:
        if "database" in self.faults:
            reason = _broken_connection(self.folder)
            self.database_log.error(f"database error: {reason}")
            raise HttpError(503, f"the database does not answer: {reason}")

    def _script(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        if "bundle" in self.faults:
            self.ended.wait(_SLOW_SCRIPT)
        return Answer(SCRIPT[: len(SCRIPT) // 2] if "js-errors" in self.faults else SCRIPT, headers={"Cache-Control": "no-store"})

    def _beacon(self, request: Request) -> Answer:
        told = request.json()
        self.browser.report(float(told.get("loaded_ms", 0)), float(told.get("shown_ms", 0)), str(told.get("exception", "")))
        return Answer({}, 202)

    def _receive(self, request: Request) -> Answer:
        if "events" in self.faults:
            raise HttpError(503, "the receiver does not answer")
        self.watch.trace("received", request.json().get("id"))
        return Answer({"received": request.json().get("id")})

    # What operators ask for ----------------------------------------------------------------------------------------

    def _health(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        self._need_database()
        version, deployed_at = self.store.rows("SELECT version, deployed_at FROM release WHERE active = 1")[0]
        return Answer({"database": 1, "release": version, "deployed_at": deployed_at, "paused": self._paused()})

    def _operator(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {self.keys['operator_token']}".encode()):
            raise HttpError(401, "the operator's token is needed")

    def _releases(self, request: Request) -> Answer:
        self._operator(request)
        rows = self.store.rows("SELECT version, deployed_at, active FROM release ORDER BY version")
        return Answer([{"version": version, "deployed_at": at, "active": bool(active)} for version, at, active in rows])

    def _roll(self, request: Request) -> Answer:
        self._operator(request)
        before = self.store.release()
        self.store.activate(str(request.json().get("version")))
        self.log.warning("another release serves", before=before, now=self.store.release())
        return Answer({"before": before, "now": self.store.release()})

    def _pause(self, request: Request, pause: bool) -> Answer:
        self._operator(request)
        service = str(request.json().get("service"))
        if service not in _SERVICES:
            raise HttpError(404, f"there are the services {' and '.join(_SERVICES)}")
        others = {name: since for name, since in read_json(self._paused_file).items() if name != service}
        write_json(self._paused_file, {**others, **({service: now_text()} if pause else {})})
        self.log.warning("paused" if pause else "resumed", service=service)
        return Answer({"paused": self._paused()})

    def _recompute(self, request: Request) -> Answer:
        self._operator(request)
        return Answer({"corrected": self.store.correct_commissions()})

    def _prune(self) -> None:
        hour_ago = now_text(-3600)
        for statement in (
            "DELETE FROM audit WHERE at < ?",
            "DELETE FROM login WHERE at < ?",
            "DELETE FROM session WHERE closed_at < ?",
            "DELETE FROM event WHERE delivered_at < ?",
        ):
            self.database.run(statement, hour_ago)


def _broken_connection(folder: Path) -> str:
    """What SQLite says when the database cannot be reached, by really trying to open one that is not there."""
    try:
        sqlite3.connect(f"file:{folder / 'gone' / 'unreachable.db'}?mode=ro", uri=True).close()
    except sqlite3.Error as error:
        return str(error)
    raise RuntimeError("a database that is not there was opened")
