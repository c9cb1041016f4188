"""The digital wellbeing API's stand-in: insights from a cache, sealed focus sessions, logins, dumps every minute.

Its rows are in `wellbeing_rows`, its cache and pool in `wellbeing_parts`, its TLS in `wellbeing_proxy`, its source and
releases in `wellbeing_project`, its keys in `wellbeing_keys`, and what operators do to it in `wellbeing_operation`.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import psutil

from checks.sandbox import wellbeing_rows as people
from checks.sandbox.kit import Answer, Call, Counted, HttpError, Job, Request, Route, utc_text
from checks.sandbox.kit_http import Server
from checks.sandbox.wellbeing_keys import Keys
from checks.sandbox.wellbeing_operation import Operated
from checks.sandbox.wellbeing_project import Project
from checks.sandbox.wellbeing_rows import USERS
from checks.sandbox.wellbeing_traffic import BUSY_USERS, FAULTS, next_call

_ATTEMPTS_COUNTED = 500  # of one address; after that it is only turned away
_SLOW_MS = 1000
_DUMP_EVERY = 60.0  # seconds
_BLOAT = 2_000_000  # letters
_LOOKED_UP = re.compile(r"\b(user_id) = \?")  # a plus before a column keeps SQLite from using an index


class Wellbeing(Operated):
    """See the module."""

    name = "wellbeing"
    FAULTS: ClassVar = FAULTS
    burst = 120

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._upkeep: people.Upkeep
        self._instances: list[Server] = []
        self._last_dump: datetime | None = None
        self._reminders = 0

    def setup(self) -> None:
        """Make the tables, the keys, the repository, and fill the cache for the busiest users."""
        people.fill(self.database, self.random)
        self._upkeep = people.Upkeep(self.database)
        self.keys = Keys(self.folder / "keys.json")
        self.project = Project(self.folder / "project", self.faults)
        self.release = str(self.project.deployed["commit"])
        self.begin_pool()
        self.begin_cache()
        self._note_carried()
        for user in range(1, BUSY_USERS + 1):
            self.cache.put(user, self._compute(user))

    @property
    def token(self) -> str:
        """The administrator's token."""
        return self.keys.token

    def opened(self) -> None:
        """Open as many instances more as the release asks for, and the proxy before all of them."""
        ports = [int(self.url.rpartition(":")[2])]
        for _ in range(self.project.replicas() - 1):
            instance = Server(self.routes(), self._observe, self._failed)
            threading.Thread(target=instance.serve_forever, args=(0.1,), name="instance", daemon=True).start()
            self._instances.append(instance)
            ports.append(instance.server_port)
        self.proxy.targets = ports
        self.proxy.start()

    def stop(self) -> None:
        """Stop the proxy and the instances too."""
        self.proxy.stop()
        for instance in self._instances:
            instance.close_all()
        super().stop()

    def variables(self) -> dict[str, str]:
        """The usual ones, the administrator's token, a folder for restores, the proxy and the repository."""
        return {
            **super().variables(),
            "WELLBEING_ADMIN_TOKEN": self.token,
            "WELLBEING_SCRATCH": str(self.folder / "scratch"),
            "WELLBEING_PROXY": self.proxy.url,
            "WELLBEING_AUTHORITY": str(self.proxy.authority),
            "WELLBEING_CI": f"{self.url}/ci",
            "WELLBEING_ORIGIN": str(self.project.origin),
            "WELLBEING_PACKAGE_INDEX": self.url,
        }

    def routes(self) -> list[Route]:
        """The users' side, then the operator's."""

        def own(method: str, pattern: str, work: Callable[[Request], Answer]) -> Route:
            return Route(method, pattern, lambda request: self._for_operator(request, work), Counted.OPERATOR)

        return [
            Route("GET", "/api/v1/insights/{user}", self._insights),
            Route("GET", "/api/v1/notifications/{user}", self._notifications),
            Route("POST", "/api/v1/focus-sessions", self._add_session),
            Route("POST", "/api/v1/login", self._login),
            Route("GET", "/health", self._health, Counted.OPERATOR),
            Route("GET", "/metrics", self._metrics, Counted.OPERATOR),
            Route("POST", "/api/v1/users", self._sign_up),
            Route("GET", "/api/v1/session", self._session, Counted.OPERATOR),
            Route("GET", "/api/v1/cache/stats", lambda _: self._open(self.cache.stats()), Counted.OPERATOR),
            Route("GET", "/api/v1/db/stats", lambda _: self._open(self._database_state()), Counted.OPERATOR),
            *self.project.routes(),
            *(own(method, pattern, work) for (method, pattern), work in self.operators().items()),
            own("GET", "/api/v1/db/statements", lambda _: Answer({"statements": self.pool.slowest()})),
            own("GET", "/api/v1/admin/stats/daily", lambda _: Answer(people.activity(self.database))),
            own("GET", "/api/v1/analytics/weekly-summary", lambda _: Answer(people.activity(self.database))),
            own("GET", "/admin/backups", lambda _: Answer(self._backup_state())),
            own("POST", "/admin/backups", lambda _: Answer({"dump": str(self._dump())}, 201)),
            own("POST", "/admin/restart", self._restart),
            own("POST", "/admin/cache/flush", self._flush),
        ]

    def traffic(self) -> Call:
        """See `next_call`."""
        return next_call(self.random, self.faults)

    def jobs(self) -> list[Job]:
        """A dump every minute, CI, what the day's figures are made of, and what happens every second."""
        return [
            Job("backup", _DUMP_EVERY, self._dump),
            Job("project", 1.0, self.project.work),
            Job("figures", 5.0, self.settle, at_start=False),
            Job("seconds", 1.0, self._each_second, at_start=False),
        ]

    def _each_second(self) -> None:
        self._remind()
        self._upkeep.work(self.faults.on())
        self.load.leak(wanted="leak" in self.faults)
        self._note_carried()
        self.keys.restore_old(wanted="old-key" in self.faults)
        if "proxy" in self.faults:
            self.proxy.stop()
        elif not self.stopped and self.proxy.targets:
            self.proxy.start()
        self.proxy.show(nearly_over="certificate" in self.faults)

    # What users ask for --------------------------------------------------------------------------------------------

    def _insights(self, request: Request) -> Answer:
        self._suffer(request)
        user = _user(request.args["user"])
        if "cache" in self.faults:
            self.cache.forget(user)
        insights = self.cache.get(user)
        if insights is None:
            insights = self._compute(user)
            self.cache.put(user, insights)
        return Answer({"insights": insights, "history": "x" * _BLOAT} if "bloat" in self.faults else insights)

    def _notifications(self, request: Request) -> Answer:
        self._suffer(request)
        since = utc_text(datetime.now(UTC) - timedelta(days=1))
        query = "SELECT started_at, minutes FROM focus_session WHERE user_id = ? AND started_at > ? ORDER BY 1 DESC LIMIT 10"
        rows = self._query(query, _user(request.args["user"]), since)
        return Answer([{"after": at, "text": f"You focused for {minutes} min."} for at, minutes in rows])

    def _add_session(self, request: Request) -> Answer:
        self._suffer(request)
        asked = request.json()
        user, now = _user(str(asked.get("user"))), utc_text(datetime.now(UTC))
        number = self.database.run(
            "INSERT INTO focus_session (user_id, started_at, minutes, sealed) VALUES (?, ?, ?, ?)",
            *(user, now, int(asked.get("minutes", 0)), people.seal(traced="traces" in self.faults)),
        )
        self.database.run("UPDATE user SET last_active_at = ? WHERE id = ?", now, user)
        return Answer({"id": number}, 201)

    def _login(self, request: Request) -> Answer:
        self._suffer(request)
        address, asked = request.headers.get("x-forwarded-for", "::1"), request.json()
        self._turn_away(address)
        failures = "SELECT count(*) FROM login_attempt WHERE succeeded = 0 AND address = ?"
        if int(str(self._query(failures, address)[0][0])) >= _ATTEMPTS_COUNTED:
            raise HttpError(429, "too many attempts")
        succeeded = asked.get("password") == "right"  # the stand-in's users all chose the same
        now = utc_text(datetime.now(UTC))
        self.database.run("INSERT INTO login_attempt (at, address, succeeded) VALUES (?, ?, ?)", now, address, int(succeeded))
        if not succeeded:
            self.log.info("Login failed", address=address, user=asked.get("user"))
            self._refused(address, 401)
            raise HttpError(401, "wrong password")
        return Answer({"token": self.keys.issue(_user(str(asked.get("user"))))})

    def _sign_up(self, request: Request) -> Answer:
        self._suffer(request)
        return Answer({"user": people.sign_up(self.database)}, 201)

    def _session(self, request: Request) -> Answer:
        return Answer({"user": self.keys.user_of(request.headers.get("authorization", "").removeprefix("Bearer "))})

    def _turn_away(self, address: str) -> None:
        if self.database.value("SELECT 1 FROM blocked_address WHERE address = ?", address):
            self._refused(address, 403)
            raise HttpError(403, "this address is blocked")

    def _refused(self, address: str, status: int) -> None:
        statement = "INSERT INTO refused_request (at, address, status) VALUES (?, ?, ?)"
        self.database.run(statement, utc_text(datetime.now(UTC)), address, status)

    def _suffer(self, request: Request) -> None:
        self._open(None)
        if "heavy" in self.faults:
            self.ended.wait(0.3)
        if "errors" in self.faults and self.random.random() < 0.9:
            self.log.error("the insights engine does not answer", path=request.path)
            raise HttpError(502, "the insights engine does not answer")
        if "slow" in self.faults and self.random.random() < 0.25:
            started = time.monotonic()
            self.ended.wait(2.4)
            took_ms = 1000 * (time.monotonic() - started)
            if took_ms > _SLOW_MS:
                self.log.warning("Slow request", path=request.path, duration_ms=round(took_ms))

    def _compute(self, user: int) -> dict[str, object]:
        query = "SELECT count(*), coalesce(sum(minutes), 0), max(started_at) FROM focus_session WHERE user_id = ?"
        sessions, minutes, last = self._query(query, user)[0]
        return {"user": user, "sessions": sessions, "minutes": minutes, "last": last}

    def _query(self, query: str, *values: object) -> list[tuple[object, ...]]:
        if "index" in self.faults:
            query = _LOOKED_UP.sub(r"+\1 = ?", query)
        broken = "pool" in self.faults
        if not broken:
            self.pool.take_back()
        return self.pool.rows(query, *values, leak=broken and self.random.random() < 0.25)

    # What operators ask for ----------------------------------------------------------------------------------------

    def _for_operator(self, request: Request, work: Callable[[Request], Answer]) -> Answer:
        address = request.headers.get("x-forwarded-for", "::1")
        self._turn_away(address)
        if not secrets.compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {self.token}".encode()):
            self._refused(address, 401)
            raise HttpError(401, "an administrator's token is needed")
        return work(request)

    def _open(self, body: object) -> Answer:
        if "api" in self.faults or self.stopped:
            raise HttpError(503, "the service is not available")
        return Answer(body)

    def _database_state(self) -> dict[str, object]:
        uses = self.index_uses()
        return {**self.pool.stats(), "indexes": uses, "unused_indexes": sum(count == 0 for count in uses.values())}

    def _health(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        self._open(None)
        self.cache.put(-1, "alive")
        parts = {
            "api": True,
            "cache": self.cache.get(-1) == "alive",
            "database": self.database.value("SELECT count(*) FROM user") > 0,
        }
        down = [name for name, up in parts.items() if not up]
        body = {
            "parts": {name: "up" if up else "down" for name, up in parts.items()},
            "down": len(down),
            "pid_file": str(self.pid_file),
            "release": self.release,
        }
        return Answer(body, 503 if down else 200)

    def _metrics(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        figures = self.window.figures()
        return self._open(
            {
                "window_s": figures.window_s,
                "requests": figures.count,
                "requests_per_second": round(figures.per_second, 3),
                "errors": figures.errors_5xx,
                "error_rate": figures.error_rate,
                "avg_response_time": figures.mean_ms,
                "p50_response_time": figures.p50_ms,
                "p95_response_time": figures.p95_ms,
                "p99_response_time": figures.p99_ms,
                "total_requests": self.window.total,
                "total_errors": self.window.total_errors,
                "host": {"memory_percent": psutil.virtual_memory().percent},
                "process": {"memory_percent": self.load.memory_percent()},
                "network": {"megabytes_per_second": self._megabytes_per_second()},
                "by_route": {
                    route: self.window.figures(route).as_json() for route in sorted({one.route for one in self.window.served()})
                },
            }
        )

    def _note_carried(self) -> None:
        self.load.carry(sum(server.carried for server in [self._server, *self._instances] if server))

    def _megabytes_per_second(self) -> float | None:
        self._note_carried()
        carried = self.load.bytes_per_second()
        return None if carried is None else carried / 1e6

    def _backup_state(self) -> dict[str, object]:
        age = (datetime.now(UTC) - self._last_dump).total_seconds() if self._last_dump else None
        return {
            "every_s": _DUMP_EVERY,
            "last_success_at": utc_text(self._last_dump) if self._last_dump else None,
            "missed": None if age is None else int(age // _DUMP_EVERY),
        }

    def _dump(self) -> Path | None:
        if "no-backups" in self.faults:
            return None
        people.prune(self.database)
        broken = "backups" in self.faults
        path = self.back_up(break_off_at=65_536 if broken else None)
        if broken:
            self.log.error("backup broke off", cause="no space left on the backup disk")
        else:
            self._last_dump = datetime.now(UTC)
            self.log.info("backup written", file=path.name, bytes=path.stat().st_size)
        return path

    def _remind(self) -> None:
        self._reminders += 1
        if "log" in self.faults:
            self.log.error(f"reminder {self._reminders} was not sent")

    def _observe(self, method: str, path: str, route: Route | None, status: int, took_ms: float) -> None:
        super()._observe(method, path, route, status, took_ms)
        if route is not None and route.counted is Counted.USER:
            self.load.count(route.pattern, status, took_ms)

    def _restart(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        self.log.info("restarting", asked_by="operator")
        self.restart()
        return Answer({"pid": int(self.pid_file.read_text())}, 202)

    def _flush(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        removed = self.cache.flush()
        self.log.info("cache flushed", entries=removed, asked_by="operator")
        return Answer({"removed": removed})


def _user(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= USERS:
        raise HttpError(404, "there is no such user")
    return int(text)
