"""A browser that opens the workflow system's page as a person's does, and reports what it saw."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCRIPT = "/* the whole application */ window.app = {ready: true};\n// end of application"
_END = "// end of application"


class Person:
    """A client; each request has a connection of its own."""

    def __init__(self, url: str) -> None:
        self._host = url.removeprefix("http://")

    def ask(
        self, method: str, path: str, body: object = None, token: str = "", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send a request; its status and the JSON or text that came back. Status 0: nobody answered."""
        connection = http.client.HTTPConnection(self._host, timeout=20)
        sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text


@dataclass(frozen=True, slots=True)
class View:
    """What a browser saw of one page view: the times are milliseconds since it asked."""

    at: float
    loaded_ms: float
    shown_ms: float
    exception: str


class Browser:
    """Opens the page, and remembers the views that were reported in the last `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._views: deque[View] = deque(maxlen=5_000)
        self._lock = threading.Lock()

    def view(self, person: Person, token: str) -> View | None:
        """Load the page and its script, run it, and show the list of workflows; nothing where the page does not come."""
        started = time.perf_counter()
        if person.ask("GET", "/app")[0] != 200:
            return None  # no page, so no script that could report anything
        status, script = person.ask("GET", "/app.js")
        loaded = (time.perf_counter() - started) * 1000
        answered = person.ask("GET", "/api/workflows", token=token)[0]
        shown = (time.perf_counter() - started) * 1000
        exception = ""
        if status != 200 or not str(script).rstrip().endswith(_END):
            exception = "SyntaxError: unexpected end of script"
        elif answered != 200:
            exception = f"TypeError: an answer of {answered} was not expected"
        return View(time.monotonic(), loaded, shown, exception)

    def report(self, loaded_ms: float, shown_ms: float, exception: str) -> None:
        """Take in a beacon."""
        with self._lock:
            self._views.append(View(time.monotonic(), loaded_ms, shown_ms, exception))

    def views(self) -> list[View]:
        """The views that were reported of late."""
        since = time.monotonic() - self._seconds
        with self._lock:
            return [view for view in self._views if view.at >= since]
