"""The steps of runbooks as they are declared, kept by the text that they stand in: reading a notebook takes its time."""

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING

from checks.catalogue._kept import programs
from checks.model import Step, StepClass

if TYPE_CHECKING:
    from checks.model import Runbook

_FORMAT = 1


class KnownSteps:
    """The steps of a project's runbooks.

    Args:
        state: the folder of what Proofbook keeps; where there is none, nothing is kept.

    """

    def __init__(self, state: Path) -> None:
        self._path = state / "steps.json"
        self._known: dict[str, tuple[Step, ...]] | None = None
        self._fresh = False

    def of(self, runbook: Runbook) -> tuple[Step, ...]:
        """The steps of a runbook; see `checks.catalogue.notebook.steps`.

        Raises:
            DataError: Jupytext cannot read it.

        """
        if runbook.digest not in self._all():
            from checks.catalogue import notebook

            self.note(runbook, notebook.steps(notebook.read(runbook)))
        return self._all()[runbook.digest]

    def note(self, runbook: Runbook, steps: tuple[Step, ...]) -> None:
        """Take into account the steps of a runbook that somebody has read for another reason."""
        self._all()[runbook.digest] = steps
        self._fresh = True

    def keep(self, digests: frozenset[str]) -> None:
        """Keep what was read, of the runbooks whose texts have these digests, for whoever asks next."""
        if not self._fresh or self._known is None or not self._path.parent.is_dir():
            return
        steps = {
            digest: [[one.number, one.title, one.step_class.value, one.cells] for one in known]
            for digest, known in self._known.items()
            if digest in digests
        }
        aside = self._path.with_name(f".{self._path.name}-{os.getpid()}-{get_ident()}")
        aside.write_text(json.dumps({"format": _FORMAT, "programs": programs(), "steps": steps}), encoding="utf-8")
        aside.replace(self._path)
        self._fresh = False

    def _all(self) -> dict[str, tuple[Step, ...]]:
        if self._known is None:
            self._known = _read(self._path)
        return self._known


def _read(path: Path) -> dict[str, tuple[Step, ...]]:
    try:
        kept = json.loads(path.read_bytes())
        if kept["format"] != _FORMAT or kept["programs"] != programs():
            return {}
        return {
            digest: tuple(Step(number, title, StepClass(name), tuple(cells)) for number, title, name, cells in steps)
            for digest, steps in kept["steps"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
