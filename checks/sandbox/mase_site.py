"""What MASE's users meet: the admin page, the preview, their settings, and the beacon their browsers post."""

from __future__ import annotations

import html
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

from checks.sandbox.kit_http import Answer, HttpError, Request
from checks.sandbox.kit_store import Database, Faults, JsonLog, utc_text
from checks.sandbox.mase_features import API, PREVIEW, STATE, Features
from checks.sandbox.mase_figures import Act, DebugLog, Tally
from checks.sandbox.mase_plugin import LOCALES, Plugin, PluginMissing

_TABLES = """
CREATE TABLE IF NOT EXISTS setting (user INTEGER, name TEXT, value TEXT NOT NULL, PRIMARY KEY (user, name));
CREATE TABLE IF NOT EXISTS visitor (number INTEGER PRIMARY KEY, locale TEXT NOT NULL, editor TEXT, seen_at TEXT);
CREATE TABLE IF NOT EXISTS transient (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_PAGE_SECONDS, _PREVIEW_SECONDS, _REST_SECONDS = 0.11, 0.015, 0.03
_SLOWER = {"page": 0.4, "preview": 0.15, "rest": 1.2}  # seconds more, while the site is slow
_DIED = "There has been a critical error on this website."


class Site:
    """The site's handlers; each writes its request with what PHP said meanwhile.

    Args:
        requests: the log that gets one line a page view or REST call.
        tally: where acts of users are counted.

    """

    def __init__(
        self, database: Database, plugin: Plugin, features: Features, faults: Faults,
        *, requests: JsonLog, debug_log: DebugLog, tally: Tally,
    ) -> None:  # fmt: skip
        self._database = database
        self._plugin = plugin
        self._features = features
        self._faults = faults
        self._requests = requests
        self._debug_log = debug_log
        self._tally = tally
        self._random = random.Random()

    def create(self, visitors: int) -> None:
        """Create tables and visitors where they are missing."""
        self._database.script(_TABLES)
        rows = [(number, LOCALES[number % len(LOCALES)]) for number in range(1, visitors + 1)]
        self._database.many("INSERT OR IGNORE INTO visitor (number, locale) VALUES (?, ?)", rows)

    def page(self, request: Request) -> Answer:
        """The admin page; for users of the modern preview engine it embeds their language's strings."""
        return self._logged("page", self._page, request)

    def preview(self, request: Request) -> Answer:
        """The style sheet of a template with the user's colour."""
        return self._logged("rest", self._preview, request)

    def settings(self, request: Request) -> Answer:
        """A user's settings."""
        return self._logged("rest", self._settings, request)

    def save(self, request: Request) -> Answer:
        """Store the settings that the body names, and answer as if they were stored."""
        return self._logged("rest", self._save, request)

    def beacon(self, request: Request) -> Answer:
        """Count what a browser saw: scripts that failed, and whether a confirmed save could be read back."""
        seen = request.json()
        user, kept = int(seen.get("user", 0)), seen.get("settings_kept")
        failed = bool(seen.get("javascript_errors"))
        self._tally.add(Act.VIEW, self._features.serving(PREVIEW, user), user, failed=failed)
        if isinstance(kept, bool):
            self._tally.add(Act.SAVE, self._features.serving(STATE, user), user, failed=not kept)
        return Answer(status=204)

    def debug_file(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        """The debug log, which nobody may fetch."""
        if "exposed-log" not in self._faults:
            raise HttpError(403, "Forbidden")
        return Answer(self._debug_log.path.read_text(encoding="utf-8")[-20_000:])

    def clear_transients(self) -> int:
        """Remove what can be computed anew; how many rows there were."""
        count = int(self._database.value("SELECT count(*) FROM transient"))
        self._database.run("DELETE FROM transient")
        return count

    def _logged(self, area: str, handler: Callable[[Request], Answer], request: Request) -> Answer:
        started = time.perf_counter()
        user, php = _user(request), self._what_php_says(area)
        try:
            answer = Answer({"message": _DIED}, 500) if php == "fatal" else handler(request)
        except HttpError as error:
            answer = Answer({"message": error.message}, error.status)
        except PluginMissing as error:
            php = "fatal"
            self._debug_log.write("PHP Fatal error", f"MASE: Failed opening required '{error}'")
            answer = Answer({"message": _DIED}, 500)
        if area == "rest":
            self._tally.add(Act.REST, self._features.serving(API, user), user, failed=answer.status >= 500)
        self._requests.info(
            "request", area=area, method=request.method, path=request.path, status=answer.status, php=php, user=user,
            duration_ms=round((time.perf_counter() - started) * 1000, 2),
        )  # fmt: skip
        return answer

    def _what_php_says(self, area: str) -> str:
        if "fatal" in self._faults and area == "rest" and self._random.random() < 0.1:
            self._debug_log.write("PHP Fatal error", "Uncaught TypeError: MASE: Palette::mix() wants two colours")
            return "fatal"
        if "php-errors" in self._faults and self._random.random() < 0.4:
            self._debug_log.write("PHP Warning", "MASE: Undefined array key 'contrast' in includes/palette.php on line 88")
            return "warning"
        if self._random.random() < 0.02:
            self._debug_log.write("PHP Notice", "MASE: palette cache was empty in includes/palette.php on line 31")
            return "notice"
        return "none"

    def _page(self, request: Request) -> Answer:
        user, locale = _user(request), request.query.get("locale", "en")
        editor = request.query.get("editor", "modern")
        if locale not in LOCALES or editor not in ("modern", "legacy"):
            raise HttpError(400, "no such language or editor")
        version = self._plugin.version()
        time.sleep(_PAGE_SECONDS + self._slower("page"))
        script = ""
        if editor == "modern" and self._features.has(PREVIEW, user):
            config = f'{{"user": {user}, "strings": {self._plugin.strings(locale)}}}'
            script = f'<script id="mase-config" type="application/json">{config}</script>'
        self._database.run(
            "UPDATE visitor SET editor = ?, seen_at = ? WHERE number = ?", editor, utc_text(datetime.now(UTC)), user
        )
        body = f"<!doctype html><title>MASE {html.escape(version)}</title><h1>Colours</h1>{script}"
        return Answer(body, headers={"Content-Type": "text/html; charset=utf-8"})

    def _preview(self, request: Request) -> Answer:
        self._rest_may_fail()
        name = request.query.get("template", "default")
        template = self._template(name)
        time.sleep(_PREVIEW_SECONDS + self._slower("preview"))
        colours = {**template, **({"primary": request.query["primary"]} if "primary" in request.query else {})}
        css = ":root{" + "".join(f"--mase-{key}:{value};" for key, value in sorted(colours.items())) + "}"
        engine = "modern" if self._features.has(PREVIEW, _user(request)) else "legacy"
        return Answer({"engine": engine, "template": name, "css": css})

    def _template(self, name: str) -> dict[str, str]:
        cached = self._database.value("SELECT value FROM transient WHERE name = ?", f"mase_template_{name}")
        if cached is None:
            templates = self._plugin.templates()
            if name not in templates:
                raise HttpError(404, f"no template {name}")
            cached = json.dumps(templates[name])
            self._database.run("INSERT OR REPLACE INTO transient VALUES (?, ?)", f"mase_template_{name}", cached)
        found: dict[str, str] = json.loads(cached)
        return found

    def _settings(self, request: Request) -> Answer:
        self._rest_may_fail()
        time.sleep(_REST_SECONDS + self._slower("rest"))
        return Answer(dict(self._database.rows("SELECT name, value FROM setting WHERE user = ?", _user(request))))

    def _save(self, request: Request) -> Answer:
        self._rest_may_fail()
        time.sleep(_REST_SECONDS + self._slower("rest"))
        user, wanted = (
            _user(request),
            {name: str(value) for name, value in request.json().items() if name in ("primary", "template")},
        )
        if not wanted:
            raise HttpError(400, "expected primary or template")
        lost = "state" in self._faults and self._features.has(STATE, user) and self._random.random() < 0.5
        if not lost:
            rows = [(user, name, value) for name, value in wanted.items()]
            self._database.many("INSERT OR REPLACE INTO setting VALUES (?, ?, ?)", rows)
        return Answer(wanted)

    def _slower(self, what: str) -> float:
        return _SLOWER[what] if "slow" in self._faults else 0.0

    def _rest_may_fail(self) -> None:
        if "errors" in self._faults and self._random.random() < 0.9:
            raise HttpError(503, "the REST API is not available")


def _user(request: Request) -> int:
    text = request.query.get("user", "0")
    return int(text) if text.isdecimal() and len(text) < 10 else 0
