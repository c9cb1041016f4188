"""The people who use the workflow system all day, and the sender of its live events."""

from __future__ import annotations

import time
from collections import deque
from random import Random
from typing import TYPE_CHECKING

from checks.sandbox.kit import Database, Faults
from checks.sandbox.unified_workflow_browser import Browser, Person
from checks.sandbox.unified_workflow_store import TENANTS, now_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_STAY = 1.0  # seconds between a person's login and logout


class People:
    """Comes and goes, adds customers and workflows, finishes work and looks at the page, by real requests.

    Args:
        url: where the service serves.
        password: everybody's.
        tokens: a manager's session for each tenant.

    """

    def __init__(
        self, url: str, password: str, tokens: Mapping[str, str], faults: Faults, database: Database, browser: Browser
    ) -> None:
        self._person = Person(url)
        self._password = password
        self._tokens = tokens
        self._faults = faults
        self._database = database
        self._browser = browser
        self._random = Random()
        self._sessions: deque[tuple[float, str]] = deque()
        self._turn = 0

    def _tenant(self) -> str:
        self._turn += 1
        return TENANTS[self._turn % len(TENANTS)]

    def visit(self) -> None:
        """One whole visit: log in, stay, log out."""
        self._log_in()
        time.sleep(_STAY)
        self._log_out()

    def come_and_go(self) -> None:
        """Whoever has stayed long enough leaves, and the next one comes, sometimes with the wrong password."""
        self._log_out()
        self._log_in()

    def _log_in(self) -> None:
        wrong = "passwords" in self._faults and self._random.random() < 0.25
        told = {"tenant": self._tenant(), "user": "manager", "password": "guess" if wrong else self._password}
        status, answer = self._person.ask("POST", "/login", told)
        if status == 200:
            self._sessions.append((time.monotonic(), answer["token"]))

    def _log_out(self) -> None:
        while self._sessions and time.monotonic() - self._sessions[0][0] >= _STAY:
            self._person.ask("POST", "/logout", token=self._sessions.popleft()[1])

    def work(self) -> None:
        """Start a workflow, and finish what is open."""
        tenant = self._tenant()
        if "standstill" not in self._faults:
            self._person.ask("POST", "/api/workflows", {"price_cents": self._random.randint(2_000, 18_000)}, self._tokens[tenant])
        waiting = "SELECT id FROM workflow WHERE tenant = ? AND finished_at IS NULL ORDER BY id LIMIT 3"
        for (number,) in self._database.rows(waiting, tenant):
            self._person.ask("POST", f"/api/workflows/{number}/finish", token=self._tokens[tenant])

    def grow(self) -> None:
        """Add a customer."""
        if "standstill" not in self._faults:
            self._person.ask("POST", "/api/customers", {"name": "New customer"}, self._tokens[self._tenant()])

    def look(self) -> None:
        """Look at the page; its script reports how that went."""
        view = self._browser.view(self._person, self._tokens[TENANTS[0]])
        if view is not None:
            told = {"loaded_ms": view.loaded_ms, "shown_ms": view.shown_ms, "exception": view.exception}
            self._person.ask("POST", "/beacons", told)

    def deliver(self) -> None:
        """Send the events that wait to their receiver; the ones that failed least come first."""
        waiting = "SELECT id, kind FROM event WHERE delivered_at IS NULL ORDER BY failures, id LIMIT 20"
        for number, kind in self._database.rows(waiting):
            status, _ = self._person.ask("POST", "/events/receiver", {"id": number, "kind": kind})
            if status == 200:
                self._database.run("UPDATE event SET delivered_at = ? WHERE id = ?", now_text(), number)
            else:
                self._database.run("UPDATE event SET failures = failures + 1 WHERE id = ?", number)
