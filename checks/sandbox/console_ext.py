"""The stand-in of Console.ext: customers post notifications, workers really deliver them to a receiver of its own.

`ConsoleExt` serves and judges who may do what; delivering lies in ``console_ext_delivery``, rows in
``console_ext_store``, logs, backups and releases in the modules named so.
"""

from __future__ import annotations

import hmac
import secrets
import sqlite3
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from checks.sandbox.console_ext_backups import Backups
from checks.sandbox.console_ext_delivery import Delivery
from checks.sandbox.console_ext_logs import CorrelatedLog, LogStore
from checks.sandbox.console_ext_repository import Releases
from checks.sandbox.console_ext_resources import Resources
from checks.sandbox.console_ext_source.rate_limit import Bucket
from checks.sandbox.console_ext_store import CUSTOMERS, USERS, Ledger, api_key, password, password_hash, random_customer
from checks.sandbox.kit import Answer, Call, Counted, Handler, HttpError, Job, Request, Route, Service

_BURST, _PER_SECOND = 25, 3.0  # what each customer may post
_TRIES, _LOCKED_FOR = 5, 60.0  # wrong passwords within a minute, and the seconds that an account is locked for then
_CUT_SHORT = 40  # bytes that a full disk leaves of an archive
_WINDOW = 60.0  # seconds; customers limited within it count as limited now


class ConsoleExt(Service):
    """A notification service with API keys, rate limits, logins, deliveries, backups and releases."""

    name = "console-ext"
    FAULTS: ClassVar[dict[str, str]] = {
        "errors": "Every second notification that is posted makes the renderer raise; the API answers 500.",
        "slow": "Every second request waits 0.9 s longer before it is answered.",
        "delivery": "The receiver refuses every delivery with status 503; notifications fail after three attempts.",
        "database": "The database's file is gone, until it is healed or a restored one takes its place.",
        "backups": "The backup volume is full: every full backup and segment is cut off after a few bytes.",
        "backups-stopped": "No backup and no segment is made any more; shows when the newest is 15 minutes old.",
        "brute-force": "Someone tries passwords for one account, several a second, until the guard locks it.",
        "debug-logging": "The log level is DEBUG, and such lines are written.",
        "rate-limit": "One customer posts far more than its limit allows; the rest is refused with 429.",
        "correlation": "The worker gives each delivery an id of its own instead of the request's.",
        "release": "A new version is tagged and pushed, without changelog entry and without deployment.",
    }
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
        self.resources = Resources()
        self.held = threading.Event()
        self._changing = threading.Lock()
        self._customers = {api_key(number): number for number in range(1, CUSTOMERS + 1)}
        self._buckets = {number: Bucket(_BURST, _PER_SECOND, time.monotonic) for number in self._customers.values()}
        self._limited: dict[int, float] = {}
        self._refused_at: dict[str, deque[float]] = {}
        self._locked_until: dict[str, float] = {}
        self._recent: deque[int] = deque([1], maxlen=50)
        self._broken: frozenset[str] = frozenset()

    def setup(self) -> None:
        """Create rows and repository, replay the history that retention needs, and open the receiver."""
        now = datetime.now(UTC)
        self.ledger.prepare(now)
        self.store.replay(now)
        self.kept.replay(now)
        self.releases = Releases(self.folder / "repository")
        self.version = self.releases.deployed()
        token = self.folder / "admin-token"
        if not token.exists():
            token.touch(mode=0o600)
            token.write_text(secrets.token_urlsafe(24), encoding="utf-8")
        self._token = token.read_text(encoding="utf-8")
        self._follow_faults()
        self.delivery.start()

    def stop(self) -> None:
        """Stop serving and delivering; a database that was away lies where it belongs again at the next start."""
        self.delivery.stop()
        super().stop()
        self.store.close()

    def variables(self) -> dict[str, str]:
        """The kit's variables, and where the log store and the repository are."""
        return {
            **super().variables(),
            "CONSOLE_EXT_LOG_STORE": str(self.store.database.path),
            "CONSOLE_EXT_REPOSITORY": str(self.folder / "repository" / "clone"),
            "CONSOLE_EXT_ADMIN_TOKEN": (self.folder / "admin-token").read_text(encoding="utf-8"),
        }

    def routes(self) -> list[Route]:
        """What customers, users and operators may ask."""
        return [
            Route("POST", "/notifications", self._followed(self.post)),
            Route("GET", "/notifications/{id}", self._followed(self.show)),
            Route("POST", "/login", self._followed(self.login)),
            Route("GET", "/health", self._followed(self.health), Counted.OPERATOR),
            Route("GET", "/health/database", self._followed(self.health), Counted.OPERATOR),
            Route("GET", "/metrics", self._followed(self.metrics), Counted.OPERATOR),
            Route("POST", "/admin/hold", self._followed(self.hold), Counted.OPERATOR),
            Route("POST", "/admin/switchover", self._followed(self.switch_over), Counted.OPERATOR),
            Route("POST", "/admin/requeue", self._followed(self.requeue), Counted.OPERATOR),
        ]

    def jobs(self) -> list[Job]:
        """What goes on beside serving."""
        return [
            Job("full backup", every=45, run=self._full_backup),
            Job("segment", every=10, run=self._segment, at_start=True),
            Job("forward logs", every=1, run=self.store.flush, at_start=False),
            Job("expire logs", every=300, run=lambda: self.store.expire(datetime.now(UTC))),
            Job("sample", every=2, run=self.resources.sample),
            Job("faults", every=0.5, run=self._follow_faults, at_start=False),
        ]

    def traffic(self) -> Call:
        """Mostly notifications, some look-ups and logins; attackers and greedy customers while their fault is on."""
        dice = self.random.random()
        if "brute-force" in self.faults and dice < 0.4:
            return Call("POST", "/login", {"name": "user-7", "password": f"guess {dice}"})
        if dice < 0.8:
            customer = random_customer(self.random, 3 if "rate-limit" in self.faults else None)
            body = {"recipient": f"person-{self.random.randint(1, 50)}", "text": "Your order is on its way."}
            return Call("POST", "/notifications", body, {"Authorization": f"Bearer {api_key(customer)}"})
        if dice < 0.95:
            key = api_key(self.random.randint(1, CUSTOMERS))
            return Call("GET", f"/notifications/{self.random.choice(self._recent)}", headers={"Authorization": f"Bearer {key}"})
        user = self.random.randint(1, USERS)
        mistyped = self.random.random() < 0.05
        return Call("POST", "/login", {"name": f"user-{user}", "password": "mistyped" if mistyped else password(user)})

    # For customers and users -----------------------------------------------------------------------------------------

    def post(self, request: Request) -> Answer:
        """Queue one notification for delivery."""
        customer = self._customer(request)
        if not self._buckets[customer].take():
            self._limited[customer] = time.monotonic()
            self.lines.warning("rate limit reached", event="rate-limited", customer=customer)
            return Answer({"message": "rate limit reached"}, 429, {"Retry-After": "1"})
        if self.held.is_set():
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
        return Answer({"id": number, "state": "queued", "correlation_id": self.lines.correlation_id}, 202)

    def show(self, request: Request) -> Answer:
        """What became of a notification."""
        self._customer(request)
        number = int(request.args["id"]) if request.args["id"].isdigit() else 0
        rows = self.ledger.rows("SELECT state, attempts, cause FROM notifications WHERE id = ?", number)
        if not rows:
            raise HttpError(404, "no such notification")
        return Answer(dict(zip(("state", "attempts", "cause"), rows[0], strict=True)))

    def login(self, request: Request) -> Answer:
        """Check a password; an account with five wrong ones within a minute is locked for a minute."""
        body = request.json()
        name, now = str(body.get("name", "")), time.monotonic()
        if self._locked_until.get(name, 0.0) > now:
            return Answer({"message": "this account is locked"}, 423)
        stored = self.ledger.value("SELECT password_hash FROM users WHERE name = ?", name) or ""
        if hmac.compare_digest(stored, password_hash(str(body.get("password", "")))):
            self.lines.info("login", event="login", outcome="accepted", user=name)
            return Answer({"message": "welcome"})
        self.lines.warning("wrong password", event="login", outcome="refused", user=name)
        refused = self._refused_at.setdefault(name, deque(maxlen=_TRIES))
        refused.append(now)
        if len(refused) == _TRIES and now - refused[0] <= 60.0:
            self._locked_until[name] = now + _LOCKED_FOR
            refused.clear()
            self.lines.error("account locked after repeated wrong passwords", event="login-locked", user=name)
        return Answer({"message": "wrong name or password"}, 401)

    # For operators ---------------------------------------------------------------------------------------------------

    def health(self, request: Request) -> Answer:
        """Whether the service can do its work; it can't without its database."""
        del request
        customers = self.ledger.value("SELECT count(*) FROM customers")
        return Answer({"status": "ok", "version": self.version, "customers": customers, "held": self.held.is_set()})

    def metrics(self, request: Request) -> Answer:
        """Figures of what was really served, delivered and used of late."""
        del request
        since = time.monotonic() - _WINDOW
        limited = [customer for customer, at in list(self._limited.items()) if at >= since]
        return Answer(
            {
                "requests": self.window.figures().as_json(),
                "rate_limit": {"window_s": _WINDOW, "customers_limited": len(limited), "customers": sorted(limited)},
                "delivery": {"waiting": self.delivery.waiting()},
                "resources": self.resources.figures(),
            }
        )

    def hold(self, request: Request) -> Answer:
        """Refuse new notifications and pause deliveries, or go on."""
        self._operator(request)
        wanted = request.json().get("hold")
        if not isinstance(wanted, bool):
            raise HttpError(422, 'expected {"hold": true} or {"hold": false}')
        if wanted:
            self.held.set()
            self.delivery.pause()
        else:
            self.held.clear()
            self.delivery.resume()
        self.lines.warning("writes are held" if wanted else "writes go on", event="hold")
        return Answer({"held": wanted})

    def switch_over(self, request: Request) -> Answer:
        """Put a restored database in the place of the live one; only while writes are held."""
        self._operator(request)
        if not self.held.is_set():
            raise HttpError(409, 'hold the writes first: POST /admin/hold {"hold": true}')
        restored = Path(str(request.json().get("restored", "")))
        with self._changing:
            kept = self.ledger.replace_by(restored)
            self.faults.remove("database")  # it was lost, and is no longer
        self.delivery.reload()
        self.lines.warning("switched over to a restored database", event="switchover", previous=kept.name)
        self._full_backup()
        self._segment()
        return Answer({"previous": str(kept)})

    def requeue(self, request: Request) -> Answer:
        """Deliver again what failed in the last minutes."""
        self._operator(request)
        minutes = request.json().get("minutes", 60)
        if not isinstance(minutes, int | float) or not 0 < minutes <= 1440:
            raise HttpError(422, "expected minutes between 0 and 1440")
        count = self.ledger.requeue(minutes)
        self.delivery.reload()
        return Answer({"requeued": count})

    # Within ----------------------------------------------------------------------------------------------------------

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
        return customer

    def _operator(self, request: Request) -> None:
        if not hmac.compare_digest(request.headers.get("authorization", ""), f"Bearer {self._token}"):
            raise HttpError(403, "an operator's token is needed")

    def _full_backup(self) -> None:
        if "backups-stopped" not in self.faults and "database" not in self.faults:
            self.kept.full(break_off_at=_CUT_SHORT if "backups" in self.faults else None)

    def _segment(self) -> None:
        if "backups-stopped" not in self.faults and "database" not in self.faults:
            self.kept.segment(break_off_at=_CUT_SHORT if "backups" in self.faults else None)

    def _follow_faults(self) -> None:
        """Do what switching a fault on or off does once."""
        with self._changing:
            on = self.faults.on()
            if "database" in on:
                self.ledger.take_away()
            else:
                self.ledger.give_back()
        self.lines.debugging = "debug-logging" in on
        if "release" in on and "release" not in self._broken and not self.releases.unfinished():
            self.releases.tag_without_release()
        if "release" not in on and self.releases.unfinished():
            self.releases.finish()
        self.version = self.releases.deployed()
        self._broken = on
