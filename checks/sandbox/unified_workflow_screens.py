"""The screens that wait for the workflow system's live events, its remote functions' callers, and somebody who guesses."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from checks.sandbox.unified_workflow_browser import Person
from checks.sandbox.unified_workflow_store import TENANTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from checks.sandbox.kit import Faults

PER_TENANT = 2
_GUESSES = 3  # at once, twice a second
_FROM = {"X-Forwarded-For": "203.0.113.7"}  # an address of those that are kept for examples


class Screens:
    """Two screens for each tenant, by real requests.

    Args:
        url: where the service serves.
        tokens: a manager's session for each tenant.
        faults: ``stuffing`` brings somebody who guesses.

    """

    def __init__(self, url: str, tokens: Mapping[str, str], faults: Faults) -> None:
        self._person = Person(url)
        self._tokens = tokens
        self._faults = faults
        self._random = Random()

    def listen(self) -> None:
        """Renew each screen's subscription; one that is refused asks for what it missed instead."""
        for tenant in TENANTS:
            for number in range(PER_TENANT):
                told = {"screen": f"{tenant}-{number}", "channel": tenant}
                if self._person.ask("POST", "/events/subscriptions", told)[0] != 201:
                    self._person.ask("GET", f"/events/missed/{tenant}")

    def call(self) -> None:
        """Call a remote function."""
        tenant = self._random.choice(TENANTS)
        function = self._random.choice(("open_workflows", "commissions_of_today"))
        self._person.ask("POST", f"/rpc/{function}", {}, self._tokens[tenant])

    def guess(self) -> None:
        """Try one password for many names, from one address."""
        if "stuffing" in self._faults:
            for _ in range(_GUESSES):
                told = {"tenant": TENANTS[0], "user": f"someone-{self._random.randint(1, 500)}", "password": "12345678"}
                self._person.ask("POST", "/login", told, headers=_FROM)
