"""What was really served of late, counted over a rolling window."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple


class Served(NamedTuple):
    """One request that was answered: when (monotonic seconds), the status it got, how long it took, which route."""

    at: float
    status: int
    took_ms: float
    route: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one window; ``None`` where nothing was served that they could be computed of.

    Attributes:
        count, errors_4xx, errors_5xx: numbers of requests.
        error_rate: share of answers with a status of 500 and above, in percent.
        mean_ms, p50_ms, p95_ms, p99_ms: time to answer, in milliseconds (nearest rank).
        per_second: requests per second, over the part of the window that has passed since the first request.

    """

    window_s: float
    count: int
    errors_4xx: int
    errors_5xx: int
    error_rate: float | None
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    per_second: float

    def as_json(self) -> dict[str, float | None]:
        """The figures as an object, rounded to three places."""
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(self).items()}


class Window:
    """The requests of the last `seconds`; thread-safe.

    Args:
        clock: gives monotonic seconds.
        capacity: the most requests that are remembered, so that a flood cannot fill the memory.

    """

    def __init__(self, seconds: float = 60.0, *, clock: Callable[[], float] = time.monotonic, capacity: int = 50_000) -> None:
        self.seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._served: deque[Served] = deque(maxlen=capacity)
        self._first: float | None = None
        self.total = 0
        self.total_errors = 0

    def add(self, status: int, took_ms: float, route: str = "") -> None:
        """Count one request that has just been answered."""
        now = self._clock()
        with self._lock:
            self._first = now if self._first is None else self._first
            self._served.append(Served(now, status, took_ms, route))
            self.total += 1
            self.total_errors += status >= 500

    def served(self, route: str | None = None) -> list[Served]:
        """The requests of the window, of one route or of all."""
        since = self._clock() - self.seconds
        with self._lock:
            while self._served and self._served[0].at < since:
                self._served.popleft()
            return [one for one in self._served if route is None or one.route == route]

    def figures(self, route: str | None = None) -> Figures:
        """What the window holds, as figures."""
        served = self.served(route)
        took = sorted(one.took_ms for one in served)
        errors = sum(one.status >= 500 for one in served)
        passed = min(self.seconds, max(1.0, self._clock() - self._first)) if self._first is not None else self.seconds
        return Figures(
            window_s=self.seconds,
            count=len(served),
            errors_4xx=sum(400 <= one.status < 500 for one in served),
            errors_5xx=errors,
            error_rate=100.0 * errors / len(served) if served else None,
            mean_ms=sum(took) / len(took) if took else None,
            p50_ms=percentile(took, 50),
            p95_ms=percentile(took, 95),
            p99_ms=percentile(took, 99),
            per_second=len(served) / passed,
        )


def percentile(ordered: list[float], rank: float) -> float | None:
    """The nearest-rank percentile of ascending numbers; ``None`` of none."""
    return ordered[max(0, math.ceil(rank / 100 * len(ordered)) - 1)] if ordered else None
