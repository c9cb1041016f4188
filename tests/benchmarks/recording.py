"""The file of figures: written whole after every round, so that a measurement that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import machine

# How busy the machine was is told, and is another thing each time.
_PASSING = "load_before"


class Sheet:
    """What is known of one subject, in a file that holds those of several.

    Figures that were measured with other versions, other sources or on another machine do not go on: they begin anew.
    """

    def __init__(self, path: Path, subject: str, here: Mapping[str, Any] | None = None) -> None:
        """Begin, or go on.

        Args:
            path: the file; it need not be there.
            subject: what is measured.
            here: the machine; default: this one.

        """
        self._path, self._subject = path, subject
        self._machine = dict(here or machine())
        before = read(path).get(subject, {})
        known = before.get("machine", {})
        same = {**known, _PASSING: 0} == {**self._machine, _PASSING: 0}
        self.figures: dict[str, Any] = before["figures"] if same else {}
        if same:
            self._machine = known

    def of(self, **conditions: object) -> dict[str, Any]:
        """The figures that are known under these conditions, which are figures themselves; to be added to."""
        if any(self.figures.get(name) != value for name, value in conditions.items()):
            self.figures = dict(conditions)
        return self.figures

    def keep(self, figures: Mapping[str, Any] | None = None) -> None:
        """Write what is known now; with `figures`, these instead of what was known."""
        if figures is not None:
            self.figures = dict(figures)
        told = {**read(self._path), self._subject: {"machine": self._machine, "figures": self.figures}}
        part = self._path.with_name(f"{self._path.name}.part")
        part.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        part.replace(self._path)


def read(path: Path) -> dict[str, Any]:
    """What a file holds: by subject, the machine and the figures; nothing where there is none."""
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return told


def seconds_of(figures: Mapping[str, Any], table: str) -> dict[str, list[float]]:
    """The seconds of each round of each way that a table of figures holds."""
    return {name: list(about["seconds"]) for name, about in figures.get(table, {}).items()}
