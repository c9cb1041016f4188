"""The workflow system's figures: counted over the last minute, of what was served, stored and reported."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field
from time import monotonic

from checks.sandbox.kit import Database, Window
from checks.sandbox.kit_window import percentile
from checks.sandbox.unified_workflow_browser import Browser
from checks.sandbox.unified_workflow_store import Store, now_text

WINDOW = 60.0
"""Seconds that the figures look back."""
ALLOTTED_BYTES = 256_000_000
"""Memory that the service is given."""
KEY_QUERIES = {
    "workflow_listing": "workflow listing",
    "customer_search": "customer search",
    "commission": "commission calculation",
}
_MADE = {
    "workflow": "SELECT count(*) FROM workflow WHERE created_at >= ?",
    "customer": "SELECT count(*) FROM customer WHERE created_at >= ?",
}
_STAYS = """SELECT (julianday(closed_at) - julianday(opened_at)) * 86400 FROM session JOIN user ON user.id = user_id
WHERE closed_at BETWEEN ? AND ? AND user.name NOT LIKE 'monitor%'"""
_DELAYS = "SELECT (julianday(delivered_at) - julianday(created_at)) * 86400000 FROM event WHERE delivered_at >= ? ORDER BY 1"


@dataclass
class Counting:
    """Computes the figures.

    Attributes:
        began: when people began to work (monotonic seconds); rates are taken over the time since, at most a minute.

    """

    database: Database
    store: Store
    window: Window
    browser: Browser
    began: float = field(default_factory=monotonic)

    def figures(self) -> dict[str, object]:
        """All of them; ``None`` where there is nothing that one could be computed of."""
        since, served = now_text(-WINDOW), self.window.served()
        api = [one.took_ms for one in served if one.route.startswith("/api/")]
        outcomes = dict(self.database.rows("SELECT outcome, count(*) FROM login WHERE at >= ? GROUP BY 1", since))
        logins = sum(outcomes.values())
        views = self.browser.views()
        stays = [float(row[0]) for row in self.database.rows(_STAYS, since, now_text())]
        return {
            "window_s": WINDOW,
            "requests": len(served),
            "api_requests": len(api),
            "api_mean_ms": _rounded(statistics.fmean(api) if api else None),
            "http_5xx_percent": _share(sum(one.status >= 500 for one in served), len(served)),
            "http_4xx_percent": _share(sum(400 <= one.status < 500 for one in served), len(served)),
            "query_p95_ms": _rounded(percentile(self.store.query_ms(WINDOW), 95)),
            "queries": {key: _rounded(percentile(self.store.query_ms(WINDOW, name), 95)) for key, name in KEY_QUERIES.items()},
            "memory_percent": _rounded(100 * _resident_bytes() / ALLOTTED_BYTES),
            "logins": logins,
            "auth_failure_percent": _share(outcomes.get("failed", 0), logins),
            "login_success_percent": _share(outcomes.get("ok", 0), logins),
            "page_views": len(views),
            "frontend_load_p95_ms": _rounded(percentile(sorted(view.loaded_ms for view in views), 95)),
            "page_load_p95_ms": _rounded(percentile(sorted(view.shown_ms for view in views), 95)),
            "js_exception_percent": _share(sum(bool(view.exception) for view in views), len(views)),
            "workflows_per_minute": _rounded(self._per_minute("workflow", since)),
            "customers_per_minute": _rounded(self._per_minute("customer", since)),
            "session_median_s": _rounded(statistics.median(stays) if stays else None),
            "event_p95_ms": _rounded(percentile([float(row[0]) for row in self.database.rows(_DELAYS, since)], 95)),
            "events_failing": self.database.value("SELECT count(*) FROM event WHERE delivered_at IS NULL AND failures > 0"),
            "baselines": {
                name: {"value": value, "set_at": at, "set_by": by}
                for name, value, at, by in self.database.rows("SELECT name, value, set_at, set_by FROM baseline")
            },
        }

    def _per_minute(self, table: str, since: str) -> float:
        passed = min(WINDOW, max(1.0, monotonic() - self.began))
        return float(self.database.value(_MADE[table], since)) * 60 / passed


def _resident_bytes() -> int:
    import psutil

    return int(psutil.Process(os.getpid()).memory_info().rss)


def _share(part: int, whole: int) -> float | None:
    return _rounded(100 * part / whole) if whole else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
