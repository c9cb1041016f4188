"""The stand-in of Console.ext: customers post notifications, workers really deliver them to a receiver of its own.

`ConsoleExt` says who may do what and goes by its faults; the load balancer that it is reached through, delivering, accounts,
logs, backups, releases and whom it talks to lie in the modules named so.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from checks.sandbox.console_ext_accounts import Accounts
from checks.sandbox.console_ext_backups import Backups
from checks.sandbox.console_ext_balancer import Balancer
from checks.sandbox.console_ext_ci import Pipeline
from checks.sandbox.console_ext_delivery import Delivery
from checks.sandbox.console_ext_faults import FAULTS, Following
from checks.sandbox.console_ext_logs import CorrelatedLog, LogStore
from checks.sandbox.console_ext_operators import Operators
from checks.sandbox.console_ext_outside import Outside
from checks.sandbox.console_ext_people import People
from checks.sandbox.console_ext_repository import Releases
from checks.sandbox.console_ext_resources import Resources
from checks.sandbox.console_ext_source.rate_limit import Bucket
from checks.sandbox.console_ext_store import CONNECTIONS, CUSTOMERS, USERS, Ledger, api_key, customers_in_turn, password
from checks.sandbox.console_ext_upkeep import Configuration, Secrets, StatusPage, Volume, settings
from checks.sandbox.kit import Answer, Call, Counted, Database, Handler, HttpError, Job, Request, Route, Service
from checks.sandbox.kit_http import Server
from checks.sandbox.kit_window import percentile

_BURST, _PER_SECOND = 25, 3.0  # what each customer may post
_CUT_SHORT = 40  # bytes that a full disk leaves of an archive
_WINDOW = 60.0  # seconds; customers limited within it count as limited now
_PADDING = "x" * 400_000  # what the fault `chatter` adds to each answer
_SILENT = 5  # the customer that the fault `silence` keeps from sending
_DEGRADED_ABOVE = 1.0  # percent of server errors above which the status page says so


class ConsoleExt(Service):
    """A notification service with a load balancer, API keys, rate limits, accounts, deliveries, backups and releases."""

    name = "console-ext"
    FAULTS: ClassVar[dict[str, str]] = FAULTS
    rate = 7.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.database.close()
        self.database = self.ledger = Ledger(self.database.path)
        for unused in (self.log, self.access):  # one log holds the lines of all services
            unused.close()
            unused.path.unlink()
        self.store = LogStore(folder / "log-store.db")
        self.log = self.access = self.lines = CorrelatedLog(folder / "log" / "console-ext.jsonl", self.store)
        self.kept = Backups(self.ledger, self.backups)
        self.delivery = Delivery(self.ledger, self.lines, self.faults)
        self.accounts = Accounts(self.ledger, self.lines, self.faults)
        self.balancer = Balancer(self._open_backend, self.lines, self.faults)
        self.outside = Outside(Database(folder / "tracker.db"), self.faults)
        self.resources = Resources(self.ledger.path, CONNECTIONS)
        self.secrets = Secrets(folder / "secrets")
        self.configuration = Configuration(folder / "config", self.backups / "config", self.faults)
        self.page = StatusPage(folder / "status-page.json", self.faults, self._state)
        self.volume = Volume(folder, self.faults)
        self.changing = threading.Lock()
        self._customers = {api_key(number): number for number in range(1, CUSTOMERS + 1)}
        self._buckets = {number: Bucket(_BURST, _PER_SECOND, time.monotonic) for number in self._customers.values()}
        self._limited: dict[int, float] = {}
        self._recent: deque[int] = deque([1], maxlen=50)
        self._next_customer = customers_in_turn(random.Random())

    def setup(self) -> None:
        """Create rows and repository, replay the history that retention needs, and open what it talks to."""
        now = datetime.now(UTC)
        self.ledger.prepare(now)
        self.store.replay(now)
        self.kept.replay(now)
        self.releases = Releases(self.folder / "repository", self._try_on_staging)
        self.version = self.releases.deployed()
        self.secrets.fill()
        self.outside.start()
        self.pipeline = Pipeline(self.releases, self.folder / "ci", self.outside.url, self.faults)
        self.operators = Operators(
            token=lambda: self.secrets.read("admin-token"),
            ledger=self.ledger,
            delivery=self.delivery,
            log=self.lines,
            faults=self.faults,
            releases=self.releases,
            after_switch=self._back_up_anew,
            changing=self.changing,
        )
        self._following = Following(
            self.folder / "followed.txt", self.faults, self.ledger, self.changing, self.lines, self.secrets, self.releases
        )
        self._follow()
        self.delivery.start()
        self.balancer.start()

    def stop(self) -> None:
        """Stop serving and delivering; a database that was away lies where it belongs again at the next start."""
        self.delivery.stop()
        super().stop()
        self.balancer.stop()
        self.outside.stop()
        self.store.close()

    def variables(self) -> dict[str, str]:
        """The kit's variables, and where everything else is that is looked at."""
        return {
            **super().variables(),
            "CONSOLE_EXT_LOG_STORE": str(self.store.database.path),
            "CONSOLE_EXT_REPOSITORY": str(self.releases.clone),
            "CONSOLE_EXT_ORIGIN": str(self.releases.origin),
            "CONSOLE_EXT_DEPLOYMENTS": str(self.releases.deployments),
            "CONSOLE_EXT_CI": str(self.pipeline.folder),
            "CONSOLE_EXT_PACKAGES": self.outside.url,
            "CONSOLE_EXT_GITHUB_API": self.outside.url,
            "CONSOLE_EXT_SECRETS": str(self.secrets.folder),
            "CONSOLE_EXT_ADMIN_TOKEN": self.secrets.read("admin-token"),
        }

    def routes(self) -> list[Route]:
        """What the balancer takes; all of it goes to the backends."""
        return [Route(one.method, one.pattern, self.balancer.forward, one.counted) for one in self.served()]

    def served(self) -> list[Route]:
        """What customers, users and operators may ask the backends."""
        quiet = Counted.OPERATOR
        routes = [
            Route("POST", "/notifications", self.post),
            Route("GET", "/notifications/{id}", self.show),
            Route("POST", "/signup", self.accounts.sign_up),
            Route("POST", "/login", self.accounts.log_in),
            Route("GET", "/dashboard", self.accounts.dashboard),
            Route("POST", "/feedback", self.accounts.feedback),
            Route("GET", "/status", lambda _: Answer(self.page.read()), quiet),
            Route("GET", "/health", self.health, quiet),
            Route("GET", "/health/database", self.health, quiet),
            Route("GET", "/metrics", self.metrics, quiet),
            *self.operators.routes(),
        ]
        followed = [Route(one.method, one.pattern, self._followed(one.handler), one.counted) for one in routes]
        return [
            *followed,
            Route("GET", "/ping", lambda _: Answer("pong"), quiet),
            Route("GET", "/operations", self.operations, quiet),
        ]

    def jobs(self) -> list[Job]:
        """What goes on beside serving."""
        people = People(int(self.url.rpartition(":")[2]), self.ledger, self.faults)
        return [
            Job("configuration", every=20, run=self._write_configuration),
            Job("full backup", every=45, run=self._full_backup),
            Job("segment", every=10, run=self._segment, at_start=True),
            Job("forward logs", every=1, run=self.store.flush, at_start=False),
            Job("expire logs", every=300, run=lambda: self.store.expire(datetime.now(UTC))),
            Job("sample", every=2, run=self.resources.sample),
            Job("volume", every=5, run=self.volume.look),
            Job("faults", every=0.5, run=self._follow, at_start=False),
            Job("balancer", every=1, run=self.balancer.look),
            Job("alerts", every=10, run=self.outside.alert),
            Job("tracker", every=2, run=self.outside.follow),
            Job("everybody comes", every=86_400, run=people.arrive),
            Job("visits", every=0.7, run=people.visit, at_start=False),
            Job("sign-ups", every=6, run=people.join),
            Job("crowd", every=0.5, run=people.crowd, at_start=False),
            Job("status page", every=2, run=self.page.write),
            Job("pipeline", every=1, run=self.pipeline.look, at_start=False),
            Job("cadence", every=3600, run=self._keep_up, at_start=False),
        ]

    def traffic(self) -> Call | None:
        """Mostly notifications, some look-ups and logins; attackers and greedy customers while their fault is on."""
        dice, on = self.random.random(), self.faults.on()
        if "standstill" in on and self.random.random() < 0.7:
            return None
        if "brute-force" in on and dice < 0.4:
            return Call("POST", "/login", {"name": "user-7", "password": f"guess {dice}"})
        if dice < 0.8:
            customer = self._next_customer(3 if "rate-limit" in on else None)
            if "silence" in on and customer == _SILENT:
                return None
            body = {"recipient": f"person-{self.random.randint(1, 50)}", "text": "Your order is on its way."}
            return Call("POST", "/notifications", body, {"Authorization": f"Bearer {api_key(customer)}"})
        if dice < 0.95:
            key = api_key(self.random.randint(1, CUSTOMERS))
            return Call("GET", f"/notifications/{self.random.choice(self._recent)}", headers={"Authorization": f"Bearer {key}"})
        user = self.random.randint(1, USERS)
        mistyped = self.random.random() < 0.05
        return Call("POST", "/login", {"name": f"user-{user}", "password": "mistyped" if mistyped else password(user)})

    # For customers and operators -------------------------------------------------------------------------------------

    def post(self, request: Request) -> Answer:
        """Queue one notification for delivery."""
        customer = self._customer(request)
        if "limiter-off" not in self.faults and not self._buckets[customer].take():
            self._limited[customer] = time.monotonic()
            self.lines.warning("rate limit reached", event="rate-limited", customer=customer)
            return Answer({"message": "rate limit reached"}, 429, {"Retry-After": "1"})
        if self.operators.held.is_set():
            raise HttpError(503, "writes are held")
        if "errors" in self.faults and self.random.random() < 0.5:
            raise RuntimeError("the renderer broke off")
        body = request.json()
        recipient, text = str(body.get("recipient", "")), str(body.get("text", ""))
        if not recipient or not text:
            raise HttpError(422, "recipient and text are needed")
        number = self.ledger.accept(customer, recipient, text, self.lines.correlation_id)
        self._recent.append(number)
        self.lines.info("accepted", event="accepted", notification=number, customer=customer)
        self.delivery.put(number)
        told = {"id": number, "state": "queued", "correlation_id": self.lines.correlation_id}
        return Answer({**told, **({"debug": _PADDING} if "chatter" in self.faults else {})}, 202)

    def show(self, request: Request) -> Answer:
        """What became of a notification."""
        self._customer(request)
        number = int(request.args["id"]) if request.args["id"].isdigit() else 0
        rows = self.ledger.rows("SELECT state, attempts, cause FROM notifications WHERE id = ?", number)
        if not rows:
            raise HttpError(404, "no such notification")
        return Answer(dict(zip(("state", "attempts", "cause"), rows[0], strict=True)))

    def health(self, request: Request) -> Answer:
        """Whether the service can do its work; it can't without its database."""
        del request
        customers, held = self.ledger.value("SELECT count(*) FROM customers"), self.operators.held.is_set()
        return Answer({"status": "ok", "version": self.version, "customers": customers, "held": held})

    def operations(self, request: Request) -> Answer:
        """What customers and users may ask, as it is served."""
        del request
        return Answer([{"method": one.method, "path": one.pattern} for one in self.served() if one.counted is Counted.USER])

    def metrics(self, request: Request) -> Answer:
        """Figures of what was really served, delivered and used of late; those of rows are missing while the database is."""
        del request
        since = time.monotonic() - _WINDOW
        limited = [customer for customer, at in list(self._limited.items()) if at >= since]
        try:
            business: object = self.accounts.figures()
        except sqlite3.Error:
            business = None
        times = self.ledger.query_ms()
        return Answer(
            {
                "requests": self.window.figures().as_json(),
                "slowest_route": self._slowest_route(),
                "rate_limit": {"window_s": _WINDOW, "customers_limited": len(limited), "customers": sorted(limited)},
                "delivery": {"waiting": self.delivery.waiting()},
                "resources": {**self.resources.figures(), "disk": self.volume.figures()},
                "database": {"queries": len(times), "p95_ms": round(percentile(times, 95) or 0.0, 3) if times else None},
                "balancer": self.balancer.figures(),
                "business": business,
                "alerts": self.outside.figures(),
            }
        )

    # Within ----------------------------------------------------------------------------------------------------------

    def _open_backend(self) -> Server:
        server = Server(self.served(), lambda *_: None, self._failed)
        threading.Thread(target=server.serve_forever, args=(0.1,), name="backend", daemon=True).start()
        return server

    def _try_on_staging(self) -> bool:
        """Open one more backend, ask it whether it serves, and close it."""
        import urllib.request

        server = self._open_backend()
        try:
            for path in ("/ping", "/health", "/status"):
                with urllib.request.urlopen(server.url + path, timeout=10) as answer:
                    answer.read()
            return True
        except OSError:
            return False
        finally:
            server.close_all()

    def _follow(self) -> None:
        self._following.look()
        self.version = self.releases.deployed()

    def _followed(self, handler: Handler) -> Handler:
        def follow(request: Request) -> Answer:
            self.lines.follow(request.headers.get("x-correlation-id"))
            if "slow" in self.faults and self.random.random() < 0.5:
                time.sleep(0.9)
            self.lines.write("DEBUG", "handling", event="debug", path=request.path)
            try:
                return handler(request)
            except HttpError:
                raise
            except Exception as error:  # logged with the request's own id, then answered as any service would
                self.lines.error(f"{type(error).__name__}: {error}", event="failure", path=request.path)
                raise HttpError(503 if isinstance(error, sqlite3.Error) else 500, str(error)) from error

        return follow

    def _observe(self, method: str, path: str, route: Route | None, status: int, took_ms: float) -> None:
        counted = route is None or route.counted is Counted.USER
        if counted:
            self.window.add(status, took_ms, route.pattern if route else "")
        if not self.ended.is_set():
            level = "ERROR" if status >= 500 else "WARN" if status >= 400 else "INFO"
            fields = {"method": method, "path": path, "status": status, "duration_ms": round(took_ms, 2)}
            self.lines.write(level, f"{method} answered", event="request" if counted else "probe", **fields)
        self.lines.follow(None)

    def _customer(self, request: Request) -> int:
        customer = self._customers.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if customer is None:
            raise HttpError(401, "this API key is not known")
        self.accounts.used(customer)
        return customer

    def _slowest_route(self) -> dict[str, object]:
        by_route: dict[str, list[float]] = {}
        for one in self.window.served():
            by_route.setdefault(one.route, []).append(one.took_ms)
        times = {route: percentile(sorted(took), 95) or 0.0 for route, took in by_route.items() if len(took) >= 5}
        slowest = max(times, key=lambda route: times[route], default="")
        return {"route": slowest, "p95_ms": round(times[slowest], 3) if slowest else None}

    def _state(self) -> str:
        if not self.ledger.path.exists() or not any(backend.up for backend in self.balancer.backends):
            return "out of service"
        rate = self.window.figures().error_rate
        return "degraded" if rate is not None and rate > _DEGRADED_ABOVE else "in service"

    def _write_configuration(self) -> None:
        machines: list[dict[str, object]] = [
            {"type": "backend", "name": backend.name, "port": backend.port} for backend in list(self.balancer.backends)
        ]
        machines += [
            {"type": "balancer", "name": "balancer", "url": self.url},
            {"type": "database", "name": self.ledger.path.name},
        ]
        self.configuration.write(machines, settings(burst=_BURST, per_second=_PER_SECOND, workers=self.delivery.workers))
        self.configuration.back_up()

    def _keep_up(self) -> None:
        if not {"tags", "release", "shortcut", "branches", "develop"} & self.faults.on():
            self.releases.keep_up(datetime.now(UTC))

    def _back_up_anew(self) -> None:
        self._full_backup()
        self._segment()

    def _full_backup(self) -> None:
        if not {"backups-stopped", "database"} & self.faults.on():
            self.kept.full(break_off_at=_CUT_SHORT if "backups" in self.faults else None)

    def _segment(self) -> None:
        if not {"backups-stopped", "database"} & self.faults.on():
            self.kept.segment(break_off_at=_CUT_SHORT if "backups" in self.faults else None)
