"""The stand-in of MASE: a site whose administrators colour their screens with a plugin that is being rolled out."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from checks.sandbox.kit import Answer, Call, Counted, HttpError, IssueTracker, Job, JsonLog, Request, Route, Service, utc_text
from checks.sandbox.mase_browser import Visitor, visit
from checks.sandbox.mase_features import LEGACY, MODERN, Features
from checks.sandbox.mase_figures import Act, DebugLog, Tally, share, users
from checks.sandbox.mase_plugin import BAD_RELEASE, GOOD_RELEASE, Plugin
from checks.sandbox.mase_site import Site
from checks.sandbox.mase_source import Source
from checks.sandbox.mase_support import SupportDesk

_VISITORS = 60
_AT_START = 24  # visits before the system counts as ready
_ENOUGH = 20  # page views that a median is taken of
_BALLAST = 100_000_000  # bytes; a block this large goes back to the machine at once when it is freed
_PAGE = "/wp-admin/admin.php"
_REST = "/wp-json/mase/v1"


class Mase(Service):
    """WordPress with MASE installed: admin page, REST API, feature flags, debug log, archives, support desk."""

    name = "mase"
    rate = 5.0  # besides the visits, which are five requests each
    burst = 30
    FAULTS: ClassVar[Mapping[str, str]] = {
        "errors": "Nine of ten answers of the REST API are a 503.",
        "js-errors": "Release 2.5.1 is installed; its German strings are cut off, so the page's script fails for German users.",
        "php-errors": "Two requests in five raise a PHP warning.",
        "fatal": "One REST request in ten ends in a PHP fatal error.",
        "state": "The modern state manager confirms saves that it does not store, every other one.",
        "slow": "Pages take 0.4 s longer, previews 0.15 s and other REST answers 1.2 s.",
        "memory": "The service takes and holds 100 MB more.",
        "backups": "The newest archive of the plugin is cut off, and no further one is made.",
        "complaints": "Users complain: seven at once, then one every few seconds.",
        "adoption": "Six of ten users go back to the old editor.",
        "exposed-log": "debug.log is served to everybody.",
        "tests": "A change on main cuts off the German strings, so a test fails.",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.plugin = Plugin(folder / "wp-content" / "plugins" / "mase", self.backups)
        self.features = Features(self.database)
        self.tally = Tally(self.window_seconds)
        self.debug_log = DebugLog(folder / "wp-content" / "debug.log")
        self.requests = JsonLog(folder / "log" / "requests.jsonl")
        self.site = Site(
            self.database, self.plugin, self.features, self.faults,
            requests=self.requests, debug_log=self.debug_log, tally=self.tally,
        )  # fmt: skip
        self.tracker = IssueTracker(self.database, "mase/support")
        self.desk = SupportDesk(self.database, self.tracker)
        self.source: Source
        self._token = folder / "admin.token"
        self._ballast = bytearray()
        self._followed: frozenset[str] = frozenset()
        self._sick_at = float("-inf")
        self._visitors = 0
        self._lock = threading.Lock()

    def setup(self) -> None:
        """Install the plugin and create its rows where they are missing."""
        self.source = Source(self.folder / "source", self.faults)
        self.site.create(_VISITORS)
        self.features.create()
        self.database.script(
            "CREATE TABLE IF NOT EXISTS baseline"
            " (release TEXT NOT NULL, median_ms REAL NOT NULL, samples INTEGER NOT NULL, recorded_at TEXT NOT NULL);"
        )
        if not self._token.exists():
            self._token.touch(mode=0o600)
            self._token.write_text(secrets.token_urlsafe(24), encoding="utf-8")
        if not self.plugin.folder.exists():
            self.plugin.install(GOOD_RELEASE)
        self.debug_log.write("PHP Notice", "MASE: the site has started")

    def variables(self) -> dict[str, str]:
        """Adds the request and debug logs, the plugins' folder, the support desk, and the token that changes flags."""
        return {
            **super().variables(),
            "MASE_REQUEST_LOG": str(self.requests.path),
            "MASE_DEBUG_LOG": str(self.debug_log.path),
            "MASE_PLUGINS": str(self.plugin.folder.parent),
            "MASE_SUPPORT": f"{self.url}/repos/{self.tracker.repository}",
            "MASE_ORIGIN": str(self.source.origin),
            "MASE_CI": f"{self.url}/ci",
            "MASE_STAGING": f"{self.url}/staging",
            "MASE_STAGING_PLUGINS": str(self.source.staging.plugin.folder.parent),
            "MASE_ADMIN_TOKEN": self._token.read_text(encoding="utf-8"),
        }

    def routes(self) -> list[Route]:
        """What users meet, the support desk, and what operators ask for."""
        operator = Counted.OPERATOR
        return [
            Route("GET", _PAGE, self.site.page),
            Route("GET", f"{_REST}/preview", self.site.preview),
            Route("GET", f"{_REST}/settings", self.site.settings),
            Route("POST", f"{_REST}/settings", self.site.save),
            Route("POST", "/beacon", self.site.beacon),
            Route("GET", "/wp-content/debug.log", self.site.debug_file, operator),
            Route("GET", f"{_REST}/features", self._show_features, operator),
            Route("PATCH", f"{_REST}/features", self._with_token(self._change_features), operator),
            Route("DELETE", f"{_REST}/transients", self._with_token(self._clear_transients), operator),
            Route("GET", f"{_REST}/metrics", self._metrics, operator),
            Route("GET", f"{_REST}/performance", self._performance, operator),
            *self.source.routes(),
            *self.tracker.routes(),
        ]

    def traffic(self) -> Call:
        """REST calls of users who have the page open."""
        user = self.random.randint(1, _VISITORS)
        if self.random.random() < 0.5:
            return Call("GET", f"{_REST}/settings?user={user}")
        return Call("GET", f"{_REST}/preview?user={user}&primary=%23{self.random.randrange(0x1000000):06x}&template=forest")

    def jobs(self) -> list[Job]:
        """Faults are followed twice a second; the first visits make the baseline, then about two visits a second follow."""
        return [
            Job("faults", 0.5, self._follow_faults),
            Job("archive", 60, self._archive),
            Job("source", 1.0, self.source.work),
            Job("support", 20, lambda: self.desk.catch_up(datetime.now(UTC))),
            Job("complaints", 5, self._complain),
            Job("first visits", 86_400, self._first_visits),
            Job("late baseline", 10, self._record_late_baseline, at_start=False),
            Job("visits", 0.8, self._visit, at_start=False),
            Job("more visits", 0.9, self._visit, at_start=False),
        ]

    def stop(self) -> None:
        """Close the request log and the staging site too."""
        super().stop()
        self.requests.close()
        self.source.staging.close()

    # What happens by itself --------------------------------------------------------------------------------------

    def _visit(self) -> None:
        with self._lock:
            number = self._visitors = self._visitors % _VISITORS + 1
        locale = str(self.database.value("SELECT locale FROM visitor WHERE number = ?", number))
        # One user in fifteen has always kept the old editor.
        legacy = number % 15 == 0 or ("adoption" in self.faults and number % 10 < 6)
        visit(self.url, Visitor(number, locale, prefers_legacy=legacy), self.random)

    def _first_visits(self) -> None:
        with ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(self._visit) for _ in range(_AT_START)]:
                done.result()
        self._record_baseline()

    def _record_late_baseline(self) -> None:
        """Where the first visits met a fault, the first whole window without one makes the baseline."""
        if time.monotonic() - self._sick_at >= self.window_seconds:
            self._record_baseline()

    def _record_baseline(self) -> None:
        """Keep the visits' median, once; a sick site gives no baseline."""
        figures = self.window.figures(_PAGE)
        known = self.database.value("SELECT count(*) FROM baseline")
        if known or self.faults.on() or figures.count < _ENOUGH:
            return
        self.database.run(
            "INSERT INTO baseline VALUES (?, ?, ?, ?)",
            self.plugin.version(), figures.p50_ms, figures.count, utc_text(datetime.now(UTC)),
        )  # fmt: skip

    def _archive(self) -> None:
        if "backups" not in self.faults:
            self.plugin.archive()

    def _complain(self) -> None:
        if "complaints" in self.faults:
            self.desk.complain()

    def _follow_faults(self) -> None:
        """Do once what a fault does once, when it comes and when it goes."""
        on = self.faults.on()
        came, gone, self._followed = on - self._followed, self._followed - on, on
        if on or gone:
            self._sick_at = time.monotonic()
        if "js-errors" in came:
            self.plugin.archive()
            self.plugin.install(BAD_RELEASE)
        if "js-errors" in gone:
            self.plugin.install(GOOD_RELEASE)
        if "backups" in came:
            self.plugin.archive(cut_off=True)
        if "backups" in gone:
            self.plugin.archive()
        if "memory" in came:
            self._ballast = bytearray(b"\x01") * _BALLAST
        if "memory" in gone:
            self._ballast = bytearray()
        if "complaints" in came:
            self.desk.complain()
        if "complaints" in gone:
            self.desk.calm_down()

    # What operators ask for --------------------------------------------------------------------------------------

    def _with_token(self, handler: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
        def guarded(request: Request) -> Answer:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self._token.read_bytes()):
                raise HttpError(401, "expected the administrator's token")
            return handler(request)

        return guarded

    def _show_features(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        return Answer(self.features.as_json())

    def _change_features(self, request: Request) -> Answer:
        self.features.change(request.json())
        return Answer(self.features.as_json())

    def _clear_transients(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        return Answer({"cleared": self.site.clear_transients()})

    def _metrics(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        events = self.tally.events()
        flags = self.features.as_json()
        enabled = {**{one["name"]: one["enabled"] for one in flags["features"]}, LEGACY: flags[LEGACY]}
        return Answer({
            "window_s": self.tally.seconds,
            "release": self.plugin.version(),
            "overall": share(events),
            "javascript": share([event for event in events if event.act is Act.VIEW]),
            "state": share([event for event in events if event.act is Act.SAVE]),
            "features": [
                {"name": name, "enabled": enabled[name], **share([event for event in events if event.feature == name])}
                for name in (*MODERN, LEGACY)
            ],
            "users": users(events),
            "adoption": self._adoption(),
        })  # fmt: skip

    def _adoption(self) -> dict[str, float | int | None]:
        """Of the users of the last hour who get the modern preview engine: the share that last used its editor."""
        seen: list[tuple[int, str]] = self.database.rows(
            "SELECT number, editor FROM visitor WHERE seen_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-1 hour')"
        )
        offered = [editor for number, editor in seen if self.features.has(MODERN[0], number)]
        modern = offered.count("modern")
        return {"offered": len(offered), "modern": modern, "percent": round(100 * modern / len(offered), 3) if offered else None}

    def _performance(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        figures = self.window.figures(_PAGE)
        rows = self.database.rows("SELECT release, median_ms, samples, recorded_at FROM baseline")
        keys = ("release", "median_ms", "samples", "recorded_at")
        baseline: dict[str, Any] | None = dict(zip(keys, rows[0], strict=True)) if rows else None
        now = {"median_ms": figures.p50_ms, "samples": figures.count, "window_s": figures.window_s}
        return Answer({"initial_load": {"now": now, "baseline": baseline}})
