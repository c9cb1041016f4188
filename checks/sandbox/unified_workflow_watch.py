"""What is watched of the workflow system beside its rows: tokens, logins, channels, remote functions, components, indexes."""

from __future__ import annotations

import hmac
import html
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from checks.sandbox.kit import Answer, Counted, Database, Faults, HttpError, JsonLog, Request, Route, Window
from checks.sandbox.unified_workflow_figures import WINDOW
from checks.sandbox.unified_workflow_store import Caller, Store, now_text

if TYPE_CHECKING:
    from collections.abc import Mapping

DASHBOARDS = {
    "operations": ("requests", "http_5xx_percent", "http_4xx_percent", "memory_percent", "query_p95_ms", "event_p95_ms"),
    "development": ("api_mean_ms", "queries", "js_exception_percent", "components", "rpc_failed_percent"),
    "business": ("workflows_per_minute", "customers_per_minute", "login_success_percent", "session_median_s", "subscriptions"),
}
"""The plan's three dashboards, and the figures that each shows."""
_SUBSCRIBED_FOR = 10.0  # seconds until a subscription that is not renewed is over
_FEWEST = 5  # requests that a component's share rests on
_COMPONENTS = {
    "/login": "authentication",
    "/logout": "authentication",
    "/api/workflows": "workflows",
    "/api/customers": "customers",
    "/app": "page",
    "/rpc": "functions",
}
_FUNCTIONS = {
    "open_workflows": "SELECT count(*) FROM workflow WHERE tenant = ? AND finished_at IS NULL",
    "commissions_of_today": "SELECT total(amount_cents) FROM commission WHERE tenant = ? AND created_at >= date('now')",
}


class Watch:
    """Counts what passes, and answers for channels, remote functions and dashboards.

    Args:
        secret: with it people's names and addresses are made unreadable before they are counted.
        caller: who is behind a request.
        figures: everything that the dashboards show.

    """

    def __init__(
        self,
        database: Database,
        store: Store,
        log: JsonLog,
        window: Window,
        faults: Faults,
        secret: Callable[[], str],
        caller: Callable[[Request], Caller],
        figures: Callable[[], Mapping[str, object]],
    ) -> None:
        self._database = database
        self._store = store
        self._log = log
        self._window = window
        self._faults = faults
        self._secret = secret
        self._caller = caller
        self._figures = figures
        self._lock = threading.Lock()
        self._tokens: deque[tuple[float, bool]] = deque(maxlen=50_000)
        self._refused: deque[tuple[float, str, str]] = deque(maxlen=50_000)
        self._logins: deque[float] = deque(maxlen=50_000)
        self._polls: deque[float] = deque(maxlen=10_000)
        self._subscribed: dict[tuple[str, str], float] = {}
        self.began = time.monotonic()

    def routes(self) -> list[Route]:
        """What it answers; remote functions are users', the rest is not in the window's figures."""
        quiet = Counted.OPERATOR
        return [
            Route("POST", "/rpc/{function}", self._call),
            Route("POST", "/events/subscriptions", self._subscribe, quiet),
            Route("GET", "/events/missed/{channel}", self._missed, quiet),
            Route("GET", "/dashboards/{name}", self._dashboard, quiet),
        ]

    def validated(self, look: Callable[[], Caller]) -> Caller:
        """Look up who is behind a token, and count whether anybody is."""
        try:
            caller = look()
        except HttpError:
            self._tokens.append((time.monotonic(), False))
            raise
        self._tokens.append((time.monotonic(), True))
        return caller

    def login(self, tenant: str, user: str, address: str, outcome: str) -> None:
        """Count an attempt to log in; of a refused one, from whom and from where, both made unreadable."""
        now = time.monotonic()
        self._logins.append(now)
        if outcome == "refused":
            self._refused.append((now, self._unreadable(f"{tenant}/{user}"), self._unreadable(address)))

    def trace(self, stage: str, event: object) -> None:
        """Write one stage of an event's way to the application's log."""
        if "logs" not in self._faults:
            lost = stage == "received" and "tracing" in self._faults
            self._log.info(f"event {stage}", stage=stage, trace="" if lost else f"event-{event}")

    def figures(self) -> dict[str, object]:
        """The last minute; ``None`` where there is nothing that a figure could be computed of."""
        now = time.monotonic()
        since, passed = now - WINDOW, min(WINDOW, max(5.0, now - self.began))
        tokens = [known for at, known in list(self._tokens) if at >= since]
        refused = [(user, address) for at, user, address in list(self._refused) if at >= since]
        users, addresses = Counter(user for user, _ in refused), Counter(address for _, address in refused)
        calls = [one.status for one in self._window.served("/rpc/{function}")]
        components = self._components()
        by_index = self._store.by_index(WINDOW)
        return {
            "tokens_checked": len(tokens),
            "token_valid_percent": _share(tokens.count(True), len(tokens)),
            "login_attempts_per_minute": round(sum(at >= since for at in list(self._logins)) * 60 / passed, 3),
            "failed_logins_of_one": max([0, *users.values(), *addresses.values()]),
            "rpc_calls": len(calls),
            "rpc_failed_percent": _share(sum(status >= 400 for status in calls), len(calls)),
            "components": components,
            "component_worst_percent": max(components.values(), default=None),
            "subscriptions": sum(until > now for until in list(self._subscribed.values())),
            "fallback_polls": sum(at >= since for at in list(self._polls)),
            "by_index": by_index,
            "by_index_percent": _share(sum(count for name, count in by_index.items() if name), sum(by_index.values())),
            "pool": self._store.pool.figures(),
        }

    def _components(self) -> dict[str, float]:
        served: dict[str, list[int]] = defaultdict(list)
        for one in self._window.served():
            for prefix, component in _COMPONENTS.items():
                if one.route.startswith(prefix):
                    served[component].append(one.status)
                    break
        return {
            component: round(100 * sum(status >= 500 for status in statuses) / len(statuses), 3)
            for component, statuses in served.items()
            if len(statuses) >= _FEWEST
        }

    def _call(self, request: Request) -> Answer:
        caller, function = self._caller(request), request.args["function"]
        if function not in _FUNCTIONS:
            raise HttpError(404, f"there are the functions {', '.join(_FUNCTIONS)}")
        if "rpc" in self._faults:
            raise RuntimeError(f"{function} broke off")
        return Answer({"value": self._store.rows(_FUNCTIONS[function], caller.tenant)[0][0]})

    def _subscribe(self, request: Request) -> Answer:
        if "events" in self._faults:
            raise HttpError(503, "the channel does not answer")
        asked = request.json()
        with self._lock:
            self._subscribed[str(asked.get("screen")), str(asked.get("channel"))] = time.monotonic() + _SUBSCRIBED_FOR
        return Answer({"for_s": _SUBSCRIBED_FOR}, 201)

    def _missed(self, request: Request) -> Answer:
        """What a screen asks for while it has no channel: the fallback."""
        self._polls.append(time.monotonic())
        newest = "SELECT id, kind FROM event WHERE tenant = ? ORDER BY id DESC LIMIT 5"
        return Answer([{"id": number, "kind": kind} for number, kind in self._database.rows(newest, request.args["channel"])])

    def _dashboard(self, request: Request) -> Answer:
        name = request.args["name"]
        if name not in DASHBOARDS or (name == "business" and "dashboards" in self._faults):
            raise HttpError(404, "no such dashboard")
        figures = self._figures()
        rows = "".join(f"<tr><th>{key}<td>{html.escape(str(figures.get(key)))}" for key in DASHBOARDS[name])
        page = f'<!doctype html><title>{name}</title><time datetime="{now_text()}">now</time><table>{rows}</table>'
        return Answer(page, headers={"Content-Type": "text/html; charset=utf-8"})

    def _unreadable(self, text: str) -> str:
        return hmac.new(self._secret().encode(), text.encode(), "sha256").hexdigest()[:16]


def _share(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 3) if whole else None
