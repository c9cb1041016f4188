"""A token bucket: so many requests at once, and then so many a second."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Bucket:
    """Says whether one more request is within the limit.

    Args:
        burst: requests that may come at once.
        per_second: requests a second that may follow.
        clock: gives monotonic seconds.

    """

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float]) -> None:
        self._burst = float(burst)
        self._per_second = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = float(burst)
        self._at = clock()

    def take(self) -> bool:
        """Take one token; ``False`` where none is left."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
            self._at = now
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True
