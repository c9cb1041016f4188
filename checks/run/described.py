"""What the evidence of a run says by itself: the ``proofbook`` blocks of the notebook and of its cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from checks.run.context import plain

if TYPE_CHECKING:
    from datetime import datetime

    from nbformat import NotebookNode

    from checks.model import Run, Step
    from checks.run.drive import Drive

History = Mapping[str, tuple[tuple["datetime", float], ...]]


def of_cell(drive: Drive, step: Step, position: int) -> dict[str, Any]:
    """What is known of one cell."""
    about: dict[str, Any] = {"step": step.number, "class": step.step_class.value}
    if position in drive.outcomes:
        about["outcome"] = drive.outcomes[position].value
    if position in drive.timings:
        started, took = drive.timings[position]
        about |= {"started_at": started.isoformat(), "took": round(took, 3)}
    return about


def of_run(run: Run, steps: tuple[Step, ...], history: History) -> dict[str, Any]:
    """What is known of a run; one that has not ended is described as it stands."""
    from checks.run.basis import distributions

    return {
        "version": 1,
        "run": run.id,
        "runbook": run.runbook,
        "system": run.system,
        "environment": run.environment,
        "trigger": run.trigger.value,
        "state": run.state.value,
        "status": run.status.value,
        "reason": run.reason,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "parameters": dict(run.parameters),
        "source": run.source,
        "steps": [{"number": step.number, "title": step.title, "class": step.step_class.value} for step in steps],
        "host": run.host,
        "basis": dict(run.basis),
        "made_with": dict(run.made_with),
        "packages": list(distributions()),
        "history": {name: [[plain(at), value] for at, value in values] for name, values in history.items()},
        "redacted": run.redacted,
    }


def describe(notebook: NotebookNode, run: Run, drive: Drive, history: History) -> None:
    """Write the blocks into a notebook that has been executed."""
    for step in drive.steps:
        for position in step.cells:
            cell = notebook.cells[position]
            cell.metadata["proofbook"] = {**cell.metadata.get("proofbook", {}), **of_cell(drive, step, position)}
            # The engine's own time stamps say the same in another way.
            cell.metadata.pop("execution", None)
    notebook.metadata["proofbook"] = of_run(run, drive.steps, history)
