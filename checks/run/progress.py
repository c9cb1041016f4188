"""One notebook on its way through a kernel: what may be executed, what came of each cell, why it stopped."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from checks.model import Step
from checks.run import kernels
from checks.run.permit import Permit
from checks.run.valve import TAKEN_CHARACTERS

if TYPE_CHECKING:
    from nbformat import NotebookNode


class CellOutcome(Enum):
    """What came of one cell of code."""

    EXECUTED = "executed"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    NOT_REACHED = "not reached"


class Stopped(Exception):
    """The drive ended before its last cell."""

    def __init__(self, outcome: CellOutcome, why: str) -> None:
        super().__init__(why)
        self.outcome = outcome
        self.why = why


@dataclass(slots=True)
class Drive:
    """One notebook on its way through a kernel; what is learnt on the way is written into it.

    Attributes:
        room: where the kernel lives.
        cell_seconds: the longest that one cell may take; `run_seconds`: all of them together.
        clock: gives the time, aware, in UTC.
        permit: which steps may be executed; cells of the others are skipped, or refused where a person drives.
        cancelled: set by whoever wants the drive to end.
        on_cell: is called before each cell that is executed; `on_output` with each output that a cell gives.
        on_news: is called when a cell has ended, and now and then while one goes on saying something.
        steps: the notebook's steps, as its own tags class them.
        outcomes: position of a cell of code → what came of it.
        timings: position of a cell → when it began, and how many seconds it took.
        stopped: why the drive ended early; ``None`` where it did not.
        stopped_at: position of the cell that it ended at; ``None`` where it was none.
        emitted: how many results the kernel says it emitted; ``None`` where it could not be asked.
        replaced: how many results went when their cell was executed again.
        lost: failures in the background that no cell was told of.
        dropped: position of a cell → characters of output that were not taken in; `taken`: those that were; `held`: those
            of the dropped that never left the kernel.

    """

    room: kernels.Room
    cell_seconds: float
    run_seconds: float
    clock: Callable[[], datetime]
    permit: Permit = field(default_factory=Permit)
    cancelled: threading.Event = field(default_factory=threading.Event)
    on_cell: Callable[[int], object] = lambda _: None
    on_output: Callable[[Any], object] = lambda _: None
    on_news: Callable[[int], object] = lambda _: None
    steps: tuple[Step, ...] = ()
    outcomes: dict[int, CellOutcome] = field(default_factory=dict)
    timings: dict[int, tuple[datetime, float]] = field(default_factory=dict)
    stopped_at: int | None = None
    stopped: Stopped | None = None
    emitted: int | None = None
    replaced: int = 0
    lost: tuple[str, ...] = ()
    dropped: Counter[int] = field(default_factory=Counter)
    taken: Counter[int] = field(default_factory=Counter)
    held: Counter[int] = field(default_factory=Counter)

    def take(self, position: int, size: int) -> int:
        """How many of `size` more characters of a cell's output are taken in."""
        taken = min(size, TAKEN_CHARACTERS - self.taken[position])
        self.taken[position] += taken
        self.dropped[position] += size - taken
        return taken

    def held_back(self, position: int, size: int) -> None:
        """Note what the kernel kept to itself of a cell's output, in all so far."""
        self.dropped[position] += size - self.held[position]
        self.held[position] = size

    def step_of(self, position: int) -> Step:
        """The step that a cell belongs to."""
        return next(step for step in self.steps if position in step.cells)

    def begin(self, notebook: NotebookNode) -> None:
        """Class the notebook's steps, and say of every cell what it is before anything ran."""
        from checks.catalogue.notebook import steps

        self.steps = steps(notebook)
        for position, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                left_out = not self.permit.operator and not self.permit.allows(self.step_of(position))
                skipped = left_out or "skip-execution" in cell.metadata.get("tags", [])
                self.outcomes[position] = CellOutcome.SKIPPED if skipped else CellOutcome.NOT_REACHED
