"""What the wellbeing stand-in is made of, and what operators do to it: parts restarted, releases, the key, accounts, months."""

from __future__ import annotations

import ctypes
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from checks.sandbox import wellbeing_rows as people
from checks.sandbox.kit import Answer, Handler, HttpError, Request, Service, utc_text
from checks.sandbox.wellbeing_keys import Keys
from checks.sandbox.wellbeing_parts import Cache, Pool
from checks.sandbox.wellbeing_project import Project
from checks.sandbox.wellbeing_proxy import Proxy

_MEMORY_LIMIT = 256_000_000  # bytes; what the API's container may use
_MUCH = 50.0  # percent; more than this is never needed
_LEAK = 24_000_000  # bytes a second
_LEAK_UP_TO = 96.0  # percent of the limit
_CARRIED_WINDOW = 30.0  # seconds
_ADDED = """
INSERT INTO day_figure VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
requests = requests + excluded.requests, errors = errors + excluded.errors, took_ms = took_ms + excluded.took_ms
"""


class Load:
    """What the API's process holds and carries: its memory against its limit, bytes a second, requests by day."""

    def __init__(self) -> None:
        self._leaked: list[bytearray] = []
        self._carried: list[tuple[float, int]] = []
        self._days: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()

    def memory_percent(self) -> float:
        """The process's resident memory as a share of what it may use."""
        return round(100 * psutil.Process().memory_info().rss / _MEMORY_LIMIT, 2)

    def leak(self, *, wanted: bool) -> None:
        """Keep some more memory for nothing, up to just below the limit, or give all of it back."""
        if not wanted:
            self._leaked.clear()
            self._give_back()
        elif self.memory_percent() < _LEAK_UP_TO - 100 * _LEAK / _MEMORY_LIMIT:
            self._leaked.append(bytearray(b"\x01") * _LEAK)

    def _give_back(self) -> None:
        """Return to the machine what glibc keeps of memory that was freed; elsewhere it stays until the process ends."""
        if self.memory_percent() > _MUCH:
            trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
            if trim is not None:
                trim(0)

    def carry(self, total: int) -> None:
        """Note how many bytes were received and sent until now."""
        now = time.monotonic()
        with self._lock:
            self._carried = [(at, then) for at, then in self._carried if at > now - _CARRIED_WINDOW] + [(now, total)]

    def bytes_per_second(self) -> float | None:
        """Bytes received and sent per second, over the last half minute; None before two looks."""
        with self._lock:
            if len(self._carried) < 2:
                return None
            (begun, before), (ended, after) = self._carried[0], self._carried[-1]
        return round((after - before) / (ended - begun), 1)

    def count(self, route: str, status: int, took_ms: float) -> None:
        """Count one request of today."""
        day = datetime.now(UTC).date().isoformat()
        with self._lock:
            self._days[day, route, "requests"] += 1
            self._days[day, route, "errors"] += status >= 500
            self._days[day, route, "took_us"] += int(1000 * took_ms)

    def settle(self) -> list[tuple[str, str, int, int, float]]:
        """What was counted since the last time: day, route, requests, errors, milliseconds."""
        with self._lock:
            counted, self._days = self._days, Counter()
        pairs = {(day, route) for day, route, _ in counted}
        return [
            (day, route, counted[day, route, "requests"], counted[day, route, "errors"], counted[day, route, "took_us"] / 1000)
            for day, route in sorted(pairs)
        ]


class Operated(Service):
    """The stand-in as operators see it: its parts, and the routes that each ask for the administrator's token."""

    keys: Keys
    pool: Pool
    project: Project

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cache = Cache()
        self.load = Load()
        self.proxy = Proxy(folder / "proxy")
        self.release = ""
        self.since: dict[str, str] = {}
        self.stopped = False

    def begin_cache(self) -> None:
        """Begin with an empty cache."""
        self.cache = Cache()
        self.since["cache"] = utc_text(datetime.now(UTC))

    def begin_pool(self) -> None:
        """Begin with new connections to the database."""
        old = getattr(self, "pool", None)
        self.pool = Pool(self.database.path)
        self.since["database"] = utc_text(datetime.now(UTC))
        if old is not None:
            old.close()

    def settle(self) -> None:
        """Add what was counted to the figures of its day."""
        for row in self.load.settle():
            self.database.run(_ADDED, *row)

    def index_uses(self) -> dict[str, int]:
        """How often each index of the database was used of late."""
        names = self.database.rows("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
        return self.pool.index_uses(name for (name,) in names)

    def operators(self) -> dict[tuple[str, str], Handler]:
        """Which handler answers which method and pattern."""
        return {
            ("GET", "/admin/parts"): lambda _: Answer(self._parts()),
            ("POST", "/admin/parts/{part}/restart"): self._restart_part,
            ("POST", "/admin/services/{verb}"): self._all,
            ("GET", "/admin/releases"): lambda _: Answer(self._release()),
            ("POST", "/admin/releases"): self._deploy,
            ("POST", "/ci/runs"): lambda request: self.project.ci.run(request),
            ("GET", "/admin/secret-key"): lambda _: Answer(self.keys.state()),
            ("POST", "/admin/secret-key"): self._renew_key,
            ("GET", "/admin/accounts/{user}"): self._account,
            ("POST", "/admin/accounts/{user}/reset"): self._reset,
            ("POST", "/admin/database/optimise"): lambda _: self._maintain("VACUUM; ANALYZE;"),
            ("POST", "/admin/database/reindex"): lambda _: self._maintain("REINDEX;"),
            ("GET", "/admin/blocked-addresses"): self._blocked,
            ("POST", "/admin/blocked-addresses"): self._block,
            ("DELETE", "/admin/blocked-addresses/{address}"): self._unblock,
            ("GET", "/api/v1/analytics/monthly-summary"): lambda _: Answer(self._month()),
        }

    def _parts(self) -> dict[str, object]:
        """Each part: whether it does its work, since when, and what it uses."""
        process, cached = psutil.Process(), self.cache.stats()
        return {
            "api": {
                "up": not self.stopped,
                "since": utc_text(datetime.fromtimestamp(process.create_time(), UTC)),
                "memory_bytes": process.memory_info().rss,
                "memory_percent": self.load.memory_percent(),
                "threads": process.num_threads(),
                "instances": len(self.proxy.targets),
            },
            "cache": {"up": not self.stopped, "since": self.since["cache"], "entries": cached["entries"]},
            "database": {
                "up": not self.stopped,
                "since": self.since["database"],
                "bytes": self.database.path.stat().st_size,
                "tables": people.tables(self.database),
                "indexes": self.index_uses(),
            },
            "proxy": {
                "up": self.proxy.running,
                "since": utc_text(self.proxy.since) if self.proxy.since else None,
            },
            "backups": {"bytes": sum(path.stat().st_size for path in self.backups.glob("*.sql.gz"))},
        }

    def _restart_part(self, request: Request) -> Answer:
        part = request.args["part"]
        match part:
            case "cache":
                self.begin_cache()
            case "database":
                self.begin_pool()
            case "proxy":
                self.proxy.stop()
                self.proxy.start()
            case _:
                raise HttpError(404, "the parts are cache, database and proxy; the API itself is restarted by /admin/restart")
        self.log.info(f"{part} restarted", asked_by="operator")
        return Answer({"part": part, "parts": self._parts()}, 202)

    def _all(self, request: Request) -> Answer:
        verb = request.args["verb"]
        if verb == "stop":
            self.stopped = True
            self.proxy.stop()
            self.pool.close()
            self.cache.flush()
        elif verb == "start":
            self.begin_cache()
            self.begin_pool()
            self.proxy.start()
            self.stopped = False
        else:
            raise HttpError(404, "services are told to stop or to start")
        self.log.info(f"services told to {verb}", asked_by="operator")
        return Answer(self._parts(), 202)

    def _release(self) -> dict[str, Any]:
        return {**self.project.deployed, "in_use": self.release, "instances": list(self.proxy.targets)}

    def _deploy(self, request: Request) -> Answer:
        deployed = self.project.deploy(str(request.json().get("ref", "main")))
        self.log.info("deployed", commit=deployed["commit"], asked_by="operator")
        self.restart()
        return Answer({**deployed, "pid": int(self.pid_file.read_text())}, 202)

    def _renew_key(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        written = self.keys.renew()
        self.log.info("SECRET_KEY renewed", asked_by="operator")
        return Answer(written, 201)

    def _account(self, request: Request) -> Answer:
        return Answer(people.account(self.database, _number(request.args["user"])))

    def _reset(self, request: Request) -> Answer:
        user, database = _number(request.args["user"]), self.database
        if not people.account(database, user)["exists"]:
            raise HttpError(404, "there is no such account")
        database.run("INSERT INTO reset_link (user_id, at) VALUES (?, ?)", user, utc_text(datetime.now(UTC)))
        self.log.info("a link to set a new password was sent", account=user, asked_by="operator")
        return Answer({"sent": True}, 202)

    def _month(self) -> dict[str, object]:
        """The last 30 days: people, and requests by day and by route."""
        since = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
        self.settle()
        query = "SELECT {0}, sum(requests), sum(errors), sum(took_ms) FROM day_figure WHERE day > ? GROUP BY 1 ORDER BY 1"

        def by(column: str) -> list[dict[str, object]]:
            rows = self.database.rows(query.format(column), since)
            return [
                {column: name, "requests": requests, "error_rate": 100 * errors / requests, "mean_ms": took_ms / requests}
                for name, requests, errors, took_ms in rows
            ]

        return {"people": people.activity(self.database), "days": by("day"), "routes": by("route")}

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


def _number(text: str) -> int:
    if not text.isdecimal():
        raise HttpError(404, "an account is named by its number")
    return int(text)
