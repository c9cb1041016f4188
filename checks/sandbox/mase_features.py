"""MASE's feature flags and rollout percentages, as rows."""

from __future__ import annotations

from typing import Any

from checks.sandbox.kit_http import HttpError
from checks.sandbox.kit_store import Database

PREVIEW, STATE, API, LEGACY = "modern_preview_engine", "modern_state_manager", "modern_api_client", "legacy_fallback"
MODERN = (PREVIEW, STATE, API)
_ROLLOUT = {PREVIEW: 100, STATE: 50, API: 25}


class Features:
    """Which feature is on, and for how many percent of the users.

    The legacy code has a flag and no percentage: it serves whoever a modern feature does not.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self) -> None:
        """Create the rows of a rollout under way where they are missing."""
        self._database.script(
            "CREATE TABLE IF NOT EXISTS feature (name TEXT PRIMARY KEY, enabled INTEGER NOT NULL, rollout INTEGER NOT NULL);"
        )
        for name in (*MODERN, LEGACY):
            self._database.run("INSERT OR IGNORE INTO feature VALUES (?, 1, ?)", name, _ROLLOUT.get(name, 100))

    def has(self, feature: str, user: int) -> bool:
        """Whether a user gets the feature: it is on, and the user is among the first percent of a fixed order."""
        rows = self._database.rows("SELECT enabled, rollout FROM feature WHERE name = ?", feature)
        return bool(rows and rows[0][0]) and user * 37 % 100 < int(rows[0][1])

    def serving(self, feature: str, user: int) -> str:
        """What serves this user: the feature, or the legacy code in its place."""
        return feature if self.has(feature, user) else LEGACY

    def as_json(self) -> dict[str, Any]:
        """The flags and percentages."""
        rows = {
            name: (bool(on), percent) for name, on, percent in self._database.rows("SELECT name, enabled, rollout FROM feature")
        }
        return {
            LEGACY: rows[LEGACY][0],
            "features": [{"name": name, "enabled": rows[name][0], "rollout": rows[name][1]} for name in MODERN],
        }

    def change(self, wanted: dict[str, Any]) -> None:
        """Change the named flags and percentages, all or none; what is not named stays.

        Args:
            wanted: ``{"modern_api_client": {"enabled": false, "rollout": 0}, "legacy_fallback": true}``.

        Raises:
            HttpError: 400, a name is not known or a value is not allowed.

        """
        changes: list[tuple[str, object, str]] = []
        for name, value in wanted.items():
            if name == LEGACY and isinstance(value, bool):
                changes.append(("enabled", int(value), name))
            elif name in MODERN and isinstance(value, dict) and value and set(value) <= {"enabled", "rollout"}:
                changes += [(column, _checked(column, new), name) for column, new in value.items()]
            else:
                raise HttpError(400, f"{name}: expected one of {', '.join(MODERN)} with enabled or rollout, or {LEGACY}")
        self._database.many(
            "UPDATE feature SET enabled = coalesce(?, enabled), rollout = coalesce(?, rollout) WHERE name = ?",
            [(new if column == "enabled" else None, new if column == "rollout" else None, name) for column, new, name in changes],
        )


def _checked(column: str, value: object) -> int:
    if column == "enabled" and isinstance(value, bool):
        return int(value)
    if column == "rollout" and isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100:
        return value
    raise HttpError(400, f"{column}: expected true or false" if column == "enabled" else "rollout: expected 0 to 100")
