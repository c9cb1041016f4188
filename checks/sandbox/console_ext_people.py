"""The people who use Console.ext: they sign up, come back, look at the dashboard and say what they think, by real requests."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

from checks.sandbox.console_ext_store import USERS, Ledger, api_key, password
from checks.sandbox.kit import Faults

_FEEDBACK_EVERY = 10  # visits
_AT_ONCE = 20  # requests of a peak, twice a second
_GREEDY_AT_ONCE = 6
_LONGEST_ABSENT = """SELECT name FROM users
LEFT JOIN (SELECT user, max(at) AS last FROM visits WHERE what = 'login' GROUP BY user) ON user = users.id
WHERE name LIKE 'user-%' AND (? OR users.id % 2 = 1) ORDER BY last, users.id LIMIT 1"""


class People:
    """Clients of the service.

    Args:
        port: where it serves.
        ledger: read to know who has been away longest.
        faults: ``churn`` keeps every second account away, ``standstill`` ends signing up, ``peak`` and ``limiter-off``
            send much more.

    """

    def __init__(self, port: int, ledger: Ledger, faults: Faults) -> None:
        self._port = port
        self._ledger = ledger
        self._faults = faults
        self._visits = 0

    def arrive(self) -> None:
        """Everybody who had an account before comes once."""
        for number in range(1, USERS + 1):
            self._visit(f"user-{number}")

    def visit(self) -> None:
        """Whoever has been away longest comes back."""
        if "database" not in self._faults:
            self._visit(str(self._ledger.value(_LONGEST_ABSENT, "churn" not in self._faults)))

    def join(self) -> None:
        """Somebody new signs up."""
        if not {"standstill", "database"} & self._faults.on():
            number = int(self._ledger.value("SELECT max(id) FROM users")) + 1
            self._ask("POST", "/signup", {"name": f"user-{number}", "password": password(number)})

    def crowd(self) -> None:
        """Send what a peak, or a customer without a limit, sends in half a second."""
        if "peak" in self._faults:
            for _ in range(_AT_ONCE):
                self._ask("GET", "/notifications/1", key=api_key(1))
        if "limiter-off" in self._faults:
            for _ in range(_GREEDY_AT_ONCE):
                self._ask("POST", "/notifications", {"recipient": "everybody", "text": "Buy now."}, api_key(3))

    def _visit(self, name: str) -> None:
        told = {"name": name, "password": password(int(name.rpartition("-")[2]))}
        status, answer = self._ask("POST", "/login", told)
        if status != 200:
            return
        self._ask("GET", "/dashboard", key=answer["session"])
        if self._visits % _FEEDBACK_EVERY == 0:
            self._ask("POST", "/feedback", {"text": f"It took {time.monotonic() % 9:.0f} clicks."}, answer["session"])
        self._visits += 1

    def _ask(self, method: str, path: str, body: object = None, key: str = "") -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Authorization": f"Bearer {key}"} if key else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None
        finally:
            connection.close()
