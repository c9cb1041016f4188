"""The digital wellbeing API's stand-in: insights from a cache, sealed focus sessions, logins, dumps every minute."""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import psutil

from checks.sandbox.kit import Answer, Call, Counted, HttpError, Job, Request, Route, Service, read_json, utc_text, write_json
from checks.sandbox.wellbeing_parts import USERS, Cache, Pool, activity, fill, prune

_BUSY_USERS = 20  # most insights are asked for by few
_ATTEMPTS_COUNTED = 500  # of one address; after that it is only turned away
_SLOW_MS = 1000
_DUMP_EVERY = 60.0  # seconds


class Wellbeing(Service):
    """See the module."""

    name = "wellbeing"
    FAULTS: ClassVar = {
        "errors": "The insights engine is gone: nine of ten answers to users are 502.",
        "slow": "One request in four waits 2.4 s for a lock.",
        "backups": "The backup disk is full: each dump breaks off after 64 kB and cannot be restored.",
        "no-backups": "The backup job does nothing any more; the dumps that exist grow old.",
        "cache": "Each cached value expires at once, so every insight is computed again.",
        "logins": "One address tries passwords, about three times a second.",
        "pool": "One query in four never gives its database connection back; soon none is free.",
        "log": "The reminder job fails every second and writes an error line each time.",
        "api": "Every answer is 503, health and metrics included.",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cache = Cache()
        self.pool: Pool
        self.token = ""
        self._last_dump: datetime | None = None
        self._reminders = 0

    def setup(self) -> None:
        """Make the tables, the administrator's token, and fill the cache for the busiest users."""
        fill(self.database, self.random)
        self.pool = Pool(self.database.path)
        keys = self.folder / "keys.json"
        if "admin_token" not in read_json(keys):
            write_json(keys, {"admin_token": secrets.token_urlsafe(24)}, mode=0o600)
        self.token = str(read_json(keys)["admin_token"])
        for user in range(1, _BUSY_USERS + 1):
            self.cache.put(user, self._compute(user))

    def variables(self) -> dict[str, str]:
        """The usual ones, the administrator's token and a folder for restores."""
        return {
            **super().variables(),
            "WELLBEING_ADMIN_TOKEN": self.token,
            "WELLBEING_SCRATCH": str(self.folder / "scratch"),
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
            Route("GET", "/api/v1/cache/stats", lambda _: self._open(self.cache.stats()), Counted.OPERATOR),
            Route("GET", "/api/v1/db/stats", lambda _: self._open(self.pool.stats()), Counted.OPERATOR),
            own("GET", "/api/v1/db/statements", lambda _: Answer({"statements": self.pool.slowest()})),
            own("GET", "/api/v1/admin/stats/daily", lambda _: Answer(activity(self.database))),
            own("GET", "/api/v1/analytics/weekly-summary", lambda _: Answer(activity(self.database))),
            own("GET", "/admin/backups", lambda _: Answer(self._backup_state())),
            own("POST", "/admin/backups", lambda _: Answer({"dump": str(self._dump())}, 201)),
            own("POST", "/admin/restart", self._restart),
            own("POST", "/admin/cache/flush", self._flush),
            own("POST", "/admin/database/optimise", lambda _: self._maintain("VACUUM; ANALYZE;")),
            own("POST", "/admin/database/reindex", lambda _: self._maintain("REINDEX;")),
            own("GET", "/admin/blocked-addresses", self._blocked),
            own("POST", "/admin/blocked-addresses", self._block),
            own("DELETE", "/admin/blocked-addresses/{address}", self._unblock),
        ]

    def traffic(self) -> Call:
        """Mostly insights of few users; some sessions, notifications and logins."""
        user = self.random.randint(1, _BUSY_USERS) if self.random.random() < 0.97 else self.random.randint(1, USERS)
        kind = self.random.random()
        if "logins" in self.faults and kind < 0.3:
            return Call("POST", "/api/v1/login", {"user": user, "password": "guess"}, {"X-Forwarded-For": self._attacker()})
        if kind < 0.75:
            return Call("GET", f"/api/v1/insights/{user}")
        if kind < 0.85:
            return Call("GET", f"/api/v1/notifications/{user}")
        if kind < 0.95:
            return Call("POST", "/api/v1/focus-sessions", {"user": user, "minutes": self.random.randint(5, 90)})
        address = f"2001:db8::{self.random.getrandbits(16):x}:{self.random.getrandbits(16):x}"
        password = "right" if self.random.random() < 0.98 else "wrong"
        return Call("POST", "/api/v1/login", {"user": user, "password": password}, {"X-Forwarded-For": address})

    def jobs(self) -> list[Job]:
        """A dump every minute, and reminders every second."""
        return [Job("backup", _DUMP_EVERY, self._dump), Job("reminders", 1.0, self._remind, at_start=False)]

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
        return Answer(insights)

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
            *(user, now, int(asked.get("minutes", 0)), secrets.token_hex(60)),
        )
        self.database.run("UPDATE user SET last_active_at = ? WHERE id = ?", now, user)
        return Answer({"id": number}, 201)

    def _login(self, request: Request) -> Answer:
        self._suffer(request)
        address, asked = request.headers.get("x-forwarded-for", "::1"), request.json()
        if self.database.value("SELECT 1 FROM blocked_address WHERE address = ?", address):
            raise HttpError(403, "this address is blocked")
        failures = "SELECT count(*) FROM login_attempt WHERE succeeded = 0 AND address = ?"
        if int(self.database.value(failures, address)) >= _ATTEMPTS_COUNTED:
            raise HttpError(429, "too many attempts")
        succeeded = asked.get("password") == "right"  # the stand-in's users all chose the same
        now = utc_text(datetime.now(UTC))
        self.database.run("INSERT INTO login_attempt (at, address, succeeded) VALUES (?, ?, ?)", now, address, int(succeeded))
        if not succeeded:
            self.log.info("Login failed", address=address, user=asked.get("user"))
            raise HttpError(401, "wrong password")
        return Answer({"token": secrets.token_urlsafe(16)})

    def _attacker(self) -> str:
        """The attacker's address: another one each time that the fault is switched on, so blocking the last does not help."""
        return f"2001:db8:bad::{zlib.crc32(self.faults.since().get('logins', '').encode()) & 0xFFFF:x}"

    def _suffer(self, request: Request) -> None:
        if "api" in self.faults:
            raise HttpError(503, "the service is not available")
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
        broken = "pool" in self.faults
        if not broken:
            self.pool.take_back()
        return self.pool.rows(query, *values, leak=broken and self.random.random() < 0.25)

    # What operators ask for ----------------------------------------------------------------------------------------

    def _for_operator(self, request: Request, work: Callable[[Request], Answer]) -> Answer:
        if not secrets.compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {self.token}".encode()):
            raise HttpError(401, "an administrator's token is needed")
        return work(request)

    def _open(self, body: object) -> Answer:
        if "api" in self.faults:
            raise HttpError(503, "the service is not available")
        return Answer(body)

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
                "by_route": {
                    route: self.window.figures(route).as_json() for route in sorted({one.route for one in self.window.served()})
                },
            }
        )

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
        prune(self.database)
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

    def _restart(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        self.log.info("restarting", asked_by="operator")
        self.restart()
        return Answer({"pid": int(self.pid_file.read_text())}, 202)

    def _flush(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        removed = self.cache.flush()
        self.log.info("cache flushed", entries=removed, asked_by="operator")
        return Answer({"removed": removed})

    def _maintain(self, statements: str) -> Answer:
        before, started = self.database.path.stat().st_size, time.perf_counter()
        self.database.script(statements)
        took_ms = round(1000 * (time.perf_counter() - started), 1)
        after = self.database.path.stat().st_size
        self.log.info("database maintained", statements=statements, took_ms=took_ms)
        return Answer({"statements": statements, "took_ms": took_ms, "bytes_before": before, "bytes_after": after})

    def _blocked(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        rows = self.database.rows("SELECT address, at FROM blocked_address ORDER BY at")
        return Answer([{"address": address, "at": at} for address, at in rows])

    def _block(self, request: Request) -> Answer:
        address = str(request.json().get("address", ""))
        if not address:
            raise HttpError(422, "address is missing")
        self.database.run("INSERT OR IGNORE INTO blocked_address VALUES (?, ?)", address, utc_text(datetime.now(UTC)))
        self.log.info("address blocked", address=address)
        return Answer({"address": address}, 201)

    def _unblock(self, request: Request) -> Answer:
        self.database.run("DELETE FROM blocked_address WHERE address = ?", request.args["address"])
        self.log.info("address unblocked", address=request.args["address"])
        return Answer({"address": request.args["address"]})


def _user(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= USERS:
        raise HttpError(404, "there is no such user")
    return int(text)
