"""Reads the results of a run out of its executed notebook."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.errors import DataError
from checks.model import Result, Step
from checks.run.payload import MIME, from_payload

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass(frozen=True, slots=True)
class Reading:
    """What stood in a notebook's outputs.

    Attributes:
        results: each valid result with its cell and step, in the order of the cells.
        faults: why an output that claims to be a result is none, one sentence each; with any, the run is unknown.

    """

    results: tuple[Result, ...]
    faults: tuple[str, ...]


def read_results(notebook: NotebookNode, *, run: str, system: str, metrics: Collection[str], steps: Iterable[Step]) -> Reading:
    """Read the results that the cells of an executed notebook emitted.

    Args:
        notebook: the executed notebook, its secrets masked.
        run: the run's id; a payload of another run is a fault.
        system: the runbook's system; a payload of another system is a fault.
        metrics: the names that the system declares; a payload of any other is a fault.
        steps: the notebook's steps.

    """
    step_of = {cell: step.number for step in steps for cell in step.cells}
    results: list[Result] = []
    faults: list[str] = []
    for position, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []) if cell.cell_type == "code" else []:
            if MIME not in output.get("data", {}):
                continue
            try:
                result = from_payload(output["data"][MIME], run, cell=position, step=step_of.get(position))
                _require_declared(result, system, metrics)
            except DataError as error:
                faults.append(f"cell {position}: {error.what}")
            else:
                results.append(result)
    return Reading(tuple(results), tuple(faults))


def _require_declared(result: Result, system: str, metrics: Collection[str]) -> None:
    if result.system != system:
        raise DataError(f"the result belongs to another system, {result.system}")
    if result.metric not in metrics:
        raise DataError(f"{system} declares no metric {result.metric}")
