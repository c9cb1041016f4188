"""Console.ext's load balancer: it hands each request to one of its backends, and adds one when they have too much to do."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean
from typing import NamedTuple
from urllib.parse import urlencode

from checks.sandbox.console_ext_logs import CorrelatedLog
from checks.sandbox.kit import Answer, Faults, Request
from checks.sandbox.kit_http import Server

FEWEST, MOST = 2, 4
_WINDOW = 60.0  # seconds that the figures look back
_LOAD_WINDOW = 10.0  # seconds over which the load is taken that a backend is added or removed for
_ADD_ABOVE, _REMOVE_BELOW = 12.0, 4.0  # requests a second and backend
_CALM = 15.0  # seconds of little load before a backend is removed
_ON_A_LONG_LINE = 0.15  # seconds that the fault `network` holds each message
_KEPT_HEADERS = ("content-type", "retry-after", "link")


class Forwarded(NamedTuple):
    """One request that was handed on: when (monotonic seconds), to whom, how long it took and the bytes of both ways."""

    at: float
    backend: str
    took_ms: float
    size: int


@dataclass
class Backend:
    """One of the servers behind the balancer; `server` is None while it is away."""

    name: str
    server: Server | None
    port: int
    up: bool = True
    round_trip_ms: float = 0.0


@dataclass
class Balancer:
    """Hands requests on, by turns, to the backends that answer.

    Attributes:
        open_backend: starts a server that serves what the service serves.
        log: where it says what becomes of backends.
        faults: ``backend`` ends the second one, ``network`` holds every message, ``peak`` keeps it from adding one.

    """

    open_backend: Callable[[], Server]
    log: CorrelatedLog
    faults: Faults
    backends: list[Backend] = field(default_factory=list)
    retries: int = 0

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._turn = itertools.count()
        self._lock = threading.RLock()
        self._forwarded: deque[Forwarded] = deque(maxlen=20_000)
        self._began = self._busy_at = time.monotonic()

    def start(self) -> None:
        """Open the fewest backends that there ever are."""
        for _ in range(FEWEST):
            self._add()
        self._began = time.monotonic()

    def stop(self) -> None:
        """Close them all."""
        with self._lock:
            for backend in self.backends:
                if backend.server:
                    backend.server.close_all()
            self.backends.clear()

    def forward(self, request: Request) -> Answer:
        """Hand a request to the backend whose turn it is, or to the next one where that is away; its answer."""
        correlation_id = self.log.follow(request.headers.get("x-correlation-id"))
        path = request.path + (f"?{urlencode(request.query)}" if request.query else "")
        headers = {name: value for name, value in request.headers.items() if name in ("authorization", "content-type")}
        headers["x-correlation-id"] = correlation_id
        up = [backend for backend in list(self.backends) if backend.up]
        first = next(self._turn)
        for number in range(len(up)):
            backend = up[(first + number) % len(up)]
            connection = http.client.HTTPConnection("127.0.0.1", backend.port, timeout=30)
            try:
                connection.connect()
            except OSError:
                backend.up = False  # nothing was sent yet, so the next one may have it
                self.retries += 1
                continue
            return self._ask(connection, backend, request, path, headers)
        return Answer({"message": "no backend answers"}, 503)

    def _ask(
        self, connection: http.client.HTTPConnection, backend: Backend, request: Request, path: str, headers: dict[str, str]
    ) -> Answer:
        started = time.monotonic()
        try:
            self._hold_back()
            connection.request(request.method, path, request.body or None, headers)
            answer = connection.getresponse()
            body = answer.read()
            self._hold_back()
        except (OSError, http.client.HTTPException) as error:
            return Answer({"message": f"{backend.name} broke off: {type(error).__name__}"}, 502)
        finally:
            connection.close()
        size = len(path) + len(request.body) + len(str(headers)) + len(bytes(answer.headers)) + len(body)
        self._forwarded.append(Forwarded(time.monotonic(), backend.name, (time.monotonic() - started) * 1000, size))
        kept = {name.title(): value for name, value in answer.getheaders() if name.lower() in _KEPT_HEADERS}
        return Answer(body, answer.status, kept)

    def look(self) -> None:
        """Ask each backend whether it is there, end or open the second one as its fault says, and follow the load."""
        with self._lock:
            self._follow_fault()
            for backend in self.backends:
                self._ping(backend)
            self._scale()

    def load(self) -> float:
        """Requests a second that each backend that is up has had of late."""
        since = time.monotonic() - _LOAD_WINDOW
        recent = sum(one.at >= since for one in list(self._forwarded))
        return recent / _LOAD_WINDOW / max(1, sum(backend.up for backend in self.backends))

    def figures(self) -> dict[str, object]:
        """What it handed on in the last minute, and to whom."""
        now = time.monotonic()
        recent = [one for one in list(self._forwarded) if one.at >= now - _WINDOW]
        shares = Counter(one.backend for one in recent)
        passed = min(_WINDOW, max(1.0, now - self._began))
        return {
            "backends": [
                {
                    "name": backend.name,
                    "up": backend.up,
                    "requests": shares[backend.name],
                    "mean_ms": _mean([one.took_ms for one in recent if one.backend == backend.name]),
                    "round_trip_ms": round(backend.round_trip_ms, 3),
                }
                for backend in list(self.backends)
            ],
            "up": sum(backend.up for backend in list(self.backends)),
            "requests": len(recent),
            "busiest_percent": round(100 * max(shares.values()) / len(recent), 2) if recent else None,
            "load": round(self.load(), 3),
            "retries": self.retries,
            "kilobytes_per_second": round(sum(one.size for one in recent) / 1000 / passed, 3),
        }

    def _hold_back(self) -> None:
        if "network" in self.faults:
            time.sleep(_ON_A_LONG_LINE)

    def _follow_fault(self) -> None:
        second = self.backends[1]
        if "backend" in self.faults and second.server:
            second.server.close_all()
            second.server = None
        elif "backend" not in self.faults and second.server is None:
            second.server = self.open_backend()
            second.port = second.server.server_port

    def _ping(self, backend: Backend) -> None:
        was, started = backend.up, time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", backend.port, timeout=5)
        try:
            connection.request("GET", "/ping")
            backend.up = connection.getresponse().status == 200
            backend.round_trip_ms = (time.perf_counter() - started) * 1000
        except (OSError, http.client.HTTPException):
            backend.up = False
        finally:
            connection.close()
        if was != backend.up:
            self.log.warning(f"{backend.name} is {'back' if backend.up else 'away'}", event="backend")

    def _scale(self) -> None:
        load, count = self.load(), len(self.backends)
        if load * count >= _REMOVE_BELOW * (count - 1):
            self._busy_at = time.monotonic()
        if load > _ADD_ABOVE and count < MOST and "peak" not in self.faults:
            self._add()
        elif count > FEWEST and time.monotonic() - self._busy_at > _CALM:
            gone = self.backends.pop()
            if gone.server:
                gone.server.close_all()
            self.log.info(f"{gone.name} is no longer needed", event="scaled", backends=len(self.backends))

    def _add(self) -> None:
        server = self.open_backend()
        backend = Backend(f"backend-{next(self._numbers)}", server, server.server_port)
        with self._lock:
            self.backends.append(backend)
        self.log.info(f"{backend.name} is added", event="scaled", backends=len(self.backends))


def _mean(values: list[float]) -> float | None:
    return round(fmean(values), 3) if values else None
