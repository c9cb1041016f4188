"""What operators do to the wellbeing stand-in: its parts stopped and started, releases, the key, accounts, months."""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from checks.sandbox import wellbeing_rows as people
from checks.sandbox.kit import Answer, HttpError, Request, read_json, utc_text, write_json

if TYPE_CHECKING:
    from checks.sandbox.wellbeing import Wellbeing

_OLD_KEY_DAYS = 90
_MEMORY_LIMIT = 256_000_000  # bytes; what the API's container may use
_MUCH = 50.0  # percent; more than this is never needed
_LEAK = 24_000_000  # bytes a second
_LEAK_UP_TO = 96.0  # percent of the limit
_CARRIED_WINDOW = 30.0  # seconds

Handler = Callable[[Request], Answer]


class Keys:
    """The administrator's token and the SECRET_KEY that signs users' tokens, in a file that only this user may read.

    A key that is written is in use from the next start on, as with any service that reads its environment once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        held = read_json(path)
        held.setdefault("admin_token", secrets.token_urlsafe(24))
        if "secret_key" not in held:
            held |= {"secret_key": secrets.token_urlsafe(32), "secret_key_since": utc_text(datetime.now(UTC))}
        write_json(path, held, mode=0o600)
        self.token = str(held["admin_token"])
        self._in_use, self._in_use_since = str(held["secret_key"]), str(held["secret_key_since"])

    def renew(self) -> dict[str, object]:
        """Write a new key; it is shown to nobody."""
        since = utc_text(datetime.now(UTC))
        write_json(
            self.path, {**read_json(self.path), "secret_key": secrets.token_urlsafe(32), "secret_key_since": since}, mode=0o600
        )
        return {"written_at": since, "in_use_since": self._in_use_since}

    def state(self) -> dict[str, object]:
        """How old the key is that is in use, and whether another one waits for the next start."""
        age = datetime.now(UTC) - datetime.fromisoformat(self._in_use_since)
        waiting = read_json(self.path).get("secret_key") != self._in_use
        return {"age_days": round(age / timedelta(days=1), 4), "in_use_since": self._in_use_since, "another_waits": waiting}

    def restore_old(self, *, wanted: bool) -> None:
        """Bring back a key of three months ago, as a restored configuration does, or put away what was brought back."""
        held = read_json(self.path)
        if wanted and "kept" not in held:
            kept = {name: held[name] for name in ("secret_key", "secret_key_since")}
            since = utc_text(datetime.now(UTC) - timedelta(days=_OLD_KEY_DAYS))
            held |= {"kept": kept, "secret_key": secrets.token_urlsafe(32), "secret_key_since": since}
        elif not wanted and "kept" in held:
            held |= held.pop("kept")
        else:
            return
        write_json(self.path, held, mode=0o600)
        self._in_use, self._in_use_since = str(held["secret_key"]), str(held["secret_key_since"])

    def issue(self, user: int) -> str:
        """A token of a user for an hour."""
        body = f"{user}.{int(time.time()) + 3600}"
        return f"{body}.{self._mark(body)}"

    def user_of(self, token: str) -> int:
        """Whom a token names.

        Raises:
            HttpError: 401, it was signed with another key, or is over.

        """
        body, _, mark = token.rpartition(".")
        user, _, until = body.partition(".")
        if not hmac.compare_digest(mark.encode(), self._mark(body).encode()) or int(until) < time.time():
            raise HttpError(401, "this token is not valid")
        return int(user)

    def _mark(self, body: str) -> str:
        return hmac.new(self._in_use.encode(), body.encode(), hashlib.sha256).hexdigest()


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


class Operation:
    """The operator's routes; each asks for the administrator's token."""

    def __init__(self, service: Wellbeing) -> None:
        self._service = service
        self.stopped = False

    def routes(self) -> dict[tuple[str, str], Handler]:
        """Which handler answers which method and pattern."""
        return {
            ("GET", "/admin/parts"): lambda _: Answer(self._parts()),
            ("POST", "/admin/parts/{part}/restart"): self._restart_part,
            ("POST", "/admin/services/{verb}"): self._all,
            ("GET", "/admin/releases"): lambda _: Answer(self._release()),
            ("POST", "/admin/releases"): self._deploy,
            ("POST", "/ci/runs"): lambda request: self._service.project.ci.run(request),
            ("GET", "/admin/secret-key"): lambda _: Answer(self._service.keys.state()),
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
        service, process = self._service, psutil.Process()
        cached = service.cache.stats()
        return {
            "api": {
                "up": not self.stopped,
                "since": utc_text(datetime.fromtimestamp(process.create_time(), UTC)),
                "memory_bytes": process.memory_info().rss,
                "memory_percent": service.load.memory_percent(),
                "threads": process.num_threads(),
                "instances": len(service.proxy.targets),
            },
            "cache": {"up": not self.stopped, "since": service.since["cache"], "entries": cached["entries"]},
            "database": {
                "up": not self.stopped,
                "since": service.since["database"],
                "bytes": service.database.path.stat().st_size,
                "tables": people.tables(service.database),
                "indexes": service.index_uses(),
            },
            "proxy": {
                "up": service.proxy.running,
                "since": utc_text(service.proxy.since) if service.proxy.since else None,
            },
            "backups": {"bytes": sum(path.stat().st_size for path in service.backups.glob("*.sql.gz"))},
        }

    def _restart_part(self, request: Request) -> Answer:
        service, part = self._service, request.args["part"]
        match part:
            case "cache":
                service.begin_cache()
            case "database":
                service.begin_pool()
            case "proxy":
                service.proxy.stop()
                service.proxy.start()
            case _:
                raise HttpError(404, "the parts are cache, database and proxy; the API itself is restarted by /admin/restart")
        service.log.info(f"{part} restarted", asked_by="operator")
        return Answer({"part": part, "parts": self._parts()}, 202)

    def _all(self, request: Request) -> Answer:
        service, verb = self._service, request.args["verb"]
        if verb == "stop":
            self.stopped = True
            service.proxy.stop()
            service.pool.close()
            service.cache.flush()
        elif verb == "start":
            service.begin_cache()
            service.begin_pool()
            service.proxy.start()
            self.stopped = False
        else:
            raise HttpError(404, "services are told to stop or to start")
        service.log.info(f"services told to {verb}", asked_by="operator")
        return Answer(self._parts(), 202)

    def _release(self) -> dict[str, Any]:
        return {**self._service.project.deployed, "in_use": self._service.release, "instances": list(self._service.proxy.targets)}

    def _deploy(self, request: Request) -> Answer:
        deployed = self._service.project.deploy(str(request.json().get("ref", "main")))
        self._service.log.info("deployed", commit=deployed["commit"], asked_by="operator")
        self._service.restart()
        return Answer({**deployed, "pid": int(self._service.pid_file.read_text())}, 202)

    def _renew_key(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        written = self._service.keys.renew()
        self._service.log.info("SECRET_KEY renewed", asked_by="operator")
        return Answer(written, 201)

    def _account(self, request: Request) -> Answer:
        return Answer(people.account(self._service.database, _number(request.args["user"])))

    def _reset(self, request: Request) -> Answer:
        user, database = _number(request.args["user"]), self._service.database
        if not people.account(database, user)["exists"]:
            raise HttpError(404, "there is no such account")
        database.run("INSERT INTO reset_link (user_id, at) VALUES (?, ?)", user, utc_text(datetime.now(UTC)))
        self._service.log.info("a link to set a new password was sent", account=user, asked_by="operator")
        return Answer({"sent": True}, 202)

    def _month(self) -> dict[str, object]:
        """The last 30 days: people, and requests by day and by route."""
        since = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
        self._service.settle()
        query = "SELECT {0}, sum(requests), sum(errors), sum(took_ms) FROM day_figure WHERE day > ? GROUP BY 1 ORDER BY 1"

        def by(column: str) -> list[dict[str, object]]:
            rows = self._service.database.rows(query.format(column), since)
            return [
                {column: name, "requests": requests, "error_rate": 100 * errors / requests, "mean_ms": took_ms / requests}
                for name, requests, errors, took_ms in rows
            ]

        return {"people": people.activity(self._service.database), "days": by("day"), "routes": by("route")}

    def _maintain(self, statements: str) -> Answer:
        before, started = self._service.database.path.stat().st_size, time.perf_counter()
        self._service.database.script(statements)
        took_ms = round(1000 * (time.perf_counter() - started), 1)
        after = self._service.database.path.stat().st_size
        self._service.log.info("database maintained", statements=statements, took_ms=took_ms)
        return Answer({"statements": statements, "took_ms": took_ms, "bytes_before": before, "bytes_after": after})

    def _blocked(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        rows = self._service.database.rows("SELECT address, at FROM blocked_address ORDER BY at")
        return Answer([{"address": address, "at": at} for address, at in rows])

    def _block(self, request: Request) -> Answer:
        address = str(request.json().get("address", ""))
        if not address:
            raise HttpError(422, "address is missing")
        self._service.database.run("INSERT OR IGNORE INTO blocked_address VALUES (?, ?)", address, utc_text(datetime.now(UTC)))
        self._service.log.info("address blocked", address=address)
        return Answer({"address": address}, 201)

    def _unblock(self, request: Request) -> Answer:
        self._service.database.run("DELETE FROM blocked_address WHERE address = ?", request.args["address"])
        self._service.log.info("address unblocked", address=request.args["address"])
        return Answer({"address": request.args["address"]})


def _number(text: str) -> int:
    if not text.isdecimal():
        raise HttpError(404, "an account is named by its number")
    return int(text)
