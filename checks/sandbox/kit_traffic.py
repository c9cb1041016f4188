"""Real requests over real connections at a steady rate."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Call:
    """One request to send; `body` is sent as JSON."""

    method: str
    path: str
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Traffic:
    """Sends calls to a service from a few threads, first a burst, then steadily.

    Args:
        port: the service's port on 127.0.0.1.
        next_call: gives the next call; asked from several threads.
        rate: calls per second in all, once the burst is over.
        burst: how many calls are sent at once at the start.
        workers: threads; so many calls may be slow at the same time before the rate suffers.

    """

    def __init__(self, port: int, next_call: Callable[[], Call | None], *, rate: float, burst: int, workers: int = 4) -> None:
        self._port = port
        self._next_call = next_call
        self._rate = rate
        self._workers = workers
        self._left = burst
        self._bursting = workers
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.warm = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"traffic-{number}", daemon=True)
            for number in range(workers)
        ]

    def start(self) -> None:
        """Start sending."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop sending; returns when no more call will start, or after a second."""
        self._stop.set()
        until = time.monotonic() + 1
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))

    def _work(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stop.is_set() and self._take():
            self._send(connection)
        with self._lock:
            self._bursting -= 1
            if self._bursting == 0:
                self.warm.set()
        due = time.monotonic() + number / self._rate
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self._send(connection)
            due = max(due + self._workers / self._rate, time.monotonic())
        connection.close()

    def _take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def _send(self, connection: http.client.HTTPConnection) -> None:
        call = self._next_call()
        if call is None:
            return
        body = None if call.body is None else json.dumps(call.body)
        headers = {"User-Agent": "sandbox-traffic", **({"Content-Type": "application/json"} if body else {}), **call.headers}
        try:
            connection.request(call.method, call.path, body=body, headers=headers)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the service is away; the next call connects anew
