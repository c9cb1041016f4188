"""What a run has said so far, kept on disk as it goes on, so that it outlives the engine.

One file for each run that goes on: a line with the notebook, and then one line for each cell that ended, or that has been
going on for a while; of several lines of one cell the last counts. Everything in it is masked. A line that is cut short
by a crash is left out. When the run's end has been journaled the file is gone.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.errors import CannotWrite
from checks.run import described, evidence
from checks.run.redact import Also, Redactor

if TYPE_CHECKING:
    from collections.abc import Collection

    from nbformat import NotebookNode

    from checks.model import Run
    from checks.run.drive import Drive

LOST = "lost"
"""The outcome of a cell that was being executed when the engine went."""


class Checkpoint:
    """Writes the file of one run.

    Args:
        state: the project's state folder.
        run: the run.
        secrets: the values that may be nowhere in the file.
        history: earlier values that the run judges by.

    Attributes:
        fault: why nothing more is kept; empty while all is well.

    """

    def __init__(self, state: Path, run: Run, secrets: Collection[str], history: described.History) -> None:
        self.fault = ""
        self._path = path_of(state, run.id)
        self._run = run
        self._history = history
        self._known = Redactor(secrets)
        self._guessed = Redactor(secrets, Also.PATTERNS)
        self._file: int | None = None

    def keep(self, notebook: NotebookNode, drive: Drive, position: int) -> None:
        """Keep what a cell has said so far; a disk that takes nothing more is noted, and does not end the run."""
        if self.fault:
            return
        try:
            if self._file is None:
                self._begin(notebook, drive)
            self._write(self._cell(notebook, drive, position))
        except OSError as error:
            self.fault = error.strerror or str(error)

    def close(self) -> None:
        """Write nothing any more; the file stays until it is forgotten."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _begin(self, notebook: NotebookNode, drive: Drive) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        bare: Any = deepcopy(notebook)
        for cell in bare.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        described.describe(bare, self._run, drive, self._history)
        bare.metadata.pop("papermill", None)
        for cell in bare.cells:
            cell.metadata.pop("papermill", None)
        self._write(evidence.masked(bare, self._known))

    def _cell(self, notebook: NotebookNode, drive: Drive, position: int) -> dict[str, Any]:
        from checks.run.drive import CellOutcome

        cell = notebook.cells[position]
        about = described.of_cell(drive, drive.step_of(position), position)
        going_on = drive.outcomes[position] is CellOutcome.NOT_REACHED
        if going_on:
            about["outcome"] = LOST
        outputs = deepcopy(cell.outputs)
        if going_on:
            outputs = evidence.joined(outputs)
            for output in outputs:
                if output.output_type == "stream":
                    output.text = self._guessed.without_a_beginning(output.text)
        cleaned = evidence.clean_outputs(outputs, self._guessed, drive.dropped[position])
        return {"cell": position, "count": cell.execution_count, "about": about, "outputs": cleaned}

    def _write(self, line: Any) -> None:
        assert self._file is not None  # noqa: S101 - _begin has opened it
        data = json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        while data:
            data = data[os.write(self._file, data) :]


def path_of(state: Path, run_id: str) -> Path:
    """Where the file of a run lies below the project's state folder."""
    return state / "partial" / f"{run_id}.jsonl"


def forget(state: Path, run_id: str) -> None:
    """Take a run's file away, if there is one: its end has been journaled, and where the file cannot go it does no harm."""
    with suppress(OSError):
        path_of(state, run_id).unlink()


def conclude(state: Path, run: Run) -> str | None:
    """Make evidence of what a lost run left.

    Args:
        state: the project's state folder.
        run: the run with its end as it will be journaled.

    Returns:
        The digest of the evidence; ``None`` where the run left nothing on this machine, or it cannot be kept.

    """
    import nbformat

    lines = _whole_lines(path_of(state, run.id))
    if not lines:
        return None
    try:
        notebook: Any = nbformat.from_dict(lines[0])
        for line in lines[1:]:
            cell = notebook.cells[line["cell"]]
            cell.execution_count = line["count"]
            cell.outputs = nbformat.from_dict(line["outputs"])
            cell.metadata["proofbook"] = {**cell.metadata.get("proofbook", {}), **line["about"]}
        ended_at = run.ended_at.isoformat() if run.ended_at else None
        ended = {"state": run.state.value, "status": run.status.value, "reason": run.reason, "ended_at": ended_at}
        notebook.metadata["proofbook"] = {**notebook.metadata["proofbook"], **ended}
        return evidence.store(state, evidence.to_bytes(notebook))
    except (CannotWrite, ValueError, LookupError, TypeError, AttributeError):
        # A run is lost whatever became of its file; another one must not fail of it.
        return None


def _whole_lines(path: Path) -> list[Any]:
    """What a file holds up to its first line that is not whole: the one that was being written when the engine went."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    found = []
    for line in lines[:-1]:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
