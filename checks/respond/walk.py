"""One walk through one runbook: show, ask, do, note."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from checks.model import Step, StepClass
from checks.respond.person import Answer, Diary, Gone, Person
from checks.respond.steps import page_of
from checks.run import checkpoint, evidence, execution, files
from checks.run.calm import calm
from checks.run.permit import Permit

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from checks.respond.steps import Page
    from checks.run.drive import Drive, DriveClient, Stopped
    from checks.run.ends import Outcome, Prepared

_WAIT_SECONDS = 0.2
_END_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a walk ended before its last step."""

    why: str


class Walk:
    """One walk through one runbook."""

    def __init__(self, prepared: Prepared, person: Person, diary: Diary, clock: Callable[[], datetime]) -> None:
        self.prepared = prepared
        self.person = person
        self.diary = diary
        self.clock = clock
        self.mask = evidence.masker(prepared.settled.secrets)
        self.permit = Permit.of_operator(prepared.run.actor)
        self.notebook, self.steps = read(prepared)
        self.at: Step | None = None
        self.left_out: list[str] = []
        self.failed: tuple[int | None, Any] | None = None

    def go(self) -> Outcome:
        """Walk, and conclude."""
        from checks.run import drive as driving
        from checks.run import kernels

        prepared = self.prepared
        settings = prepared.catalogue.settings
        kept = checkpoint.Checkpoint(settings.state, prepared.run, prepared.settled.secrets, prepared.history)
        with kernels.room(prepared.context, prepared.settled, prepared.variables, settings.limits) as room:
            files.lay_out(prepared.files, settings.state, room.work)
            self.drive: Drive = driving.Drive(
                room,
                cell_seconds=prepared.runbook.cell_deadline.total_seconds(),
                # A person may think as long as they like; only cells have a deadline.
                run_seconds=math.inf,
                clock=self.clock,
                permit=self.permit,
                on_output=lambda output: self.person.hear(_masked(output, self.mask)),
                on_news=lambda position: kept.keep(self.notebook, self.drive, position),
            )
            self.client: DriveClient = driving.client(self.notebook, self.drive)
            # One thread for all of it: the kernel's sockets belong to the thread that opened them, and Ctrl-C to ours.
            with ThreadPoolExecutor(1, thread_name_prefix="operate") as self.pool:
                try:
                    self._drive_through()
                except KeyboardInterrupt:
                    # A closed terminal is told twice: nobody answers, and then a signal comes.
                    self._interrupted("interrupted by the operator")
                finally:
                    with calm():
                        self.pool.submit(self.client.close).result(timeout=_END_SECONDS)
                        kept.close()
        with calm():
            driving.tidy(self.notebook)
            unsure = "" if self.drive.stopped else "; ".join(self.left_out)
            return execution.conclude(prepared, self.notebook, self.drive, self.clock(), unsure=unsure)

    def _drive_through(self) -> None:
        from checks.run.drive import CellOutcome, Stopped

        try:
            self._do(self.client.open)
            for step in self.steps:
                self.at = step
                ended = self._take(step)
                if ended is not None:
                    self._stop(Stopped(CellOutcome.CANCELLED, ended.why))
                    return
            self._do(self.client.settle)
            if self.failed is not None:
                self.drive.stopped_at, self.drive.stopped = self.failed
        except Stopped as stopped:
            self.drive.stopped = stopped
        except Gone:
            self._interrupted("the terminal was closed")
        except KeyboardInterrupt:
            self._interrupted("interrupted by the operator")

    def _interrupted(self, how: str) -> None:
        from checks.run.drive import CellOutcome, Stopped

        with calm():
            where = f" at step {self.at.number} ({self.at.title or 'preface'})" if self.at else ""
            self._stop(Stopped(CellOutcome.CANCELLED, how + where))
            self._note("operate-interrupted", self.at, {"reason": how})

    def _stop(self, stopped: Stopped) -> None:
        """End the walk by a person's will, which names its step itself."""
        self.drive.stopped_at, self.drive.stopped = None, stopped

    def _take(self, step: Step) -> Ended | None:
        """Show a step, ask, and do what is answered; what ended the walk, or ``None``."""
        page = page_of(step, self.notebook, self.prepared.run.system)
        cells = [position for position in step.cells if position in self.drive.outcomes]
        if step.number == 0 and all(_injected(self.notebook.cells[position]) for position in cells):
            self.person.show_step(page, number=0, count=self.steps[-1].number)
            self._execute(step, cells)
            return None
        self.person.show_step(page, number=step.number, count=self.steps[-1].number)
        answer, note = self._ask(page, bool(cells))
        detail: dict[str, object] = {"answer": answer.value}
        if note:
            detail["note"] = self.mask(note)
        self._note("step-answered", step, detail)
        if answer is Answer.STOP:
            return Ended(f"stopped by the operator before step {step.number} ({step.title})")
        if answer in (Answer.SKIP, Answer.NOT_DONE):
            self._leave_out(step, cells, "skipped" if answer is Answer.SKIP else "not done")
            return None
        if step.step_class is StepClass.MANUAL:
            self._mark(cells)
            self._note("step-ended", step, {"outcome": "done by hand"})
            return None
        return self._perform(step, cells)

    def _ask(self, page: Page, has_cells: bool) -> tuple[Answer, str]:
        step = page.step
        if step.step_class is StepClass.MANUAL:
            answer = self.person.ask("Is it done?", (Answer.DONE, Answer.NOT_DONE, Answer.STOP), None)
            note = "" if answer is Answer.STOP else self.person.ask_text("A note for the journal (may be empty): ")
            return answer, note
        if step.step_class is StepClass.DESTRUCTIVE:
            return self._confirm(page), ""
        if step.step_class is StepClass.CHANGE:
            return self.person.ask("This changes the system. Run it?", (Answer.RUN, Answer.SKIP, Answer.STOP), None), ""
        if not has_cells:
            return self.person.ask("Go on?", (Answer.GO_ON, Answer.STOP), Answer.GO_ON), ""
        return self.person.ask("Run this step?", (Answer.RUN, Answer.SKIP, Answer.STOP), Answer.RUN), ""

    def _confirm(self, page: Page) -> Answer:
        """Let a destructive step be run only against its system's typed name, and only if a way back is written down."""
        system = self.prepared.run.system
        if not page.undo:
            self.person.tell("This step is refused: it names no way back. Add a paragraph that begins with **Undo:**.")
            self._note("step-refused", page.step, {"reason": "it names no way back"})
            return self.person.ask("Go on without it?", (Answer.SKIP, Answer.STOP), None)
        question = f"This destroys something. Type the system's name, {system}, to run it; or skip, or stop: "
        while True:
            typed = self.person.ask_text(question)
            if typed == system:
                self._note("step-confirmed", page.step, {"typed": typed, "undo": page.undo})
                return Answer.RUN
            if typed in (Answer.SKIP.value, Answer.STOP.value):
                return Answer(typed)
            self._note("step-not-confirmed", page.step, {"typed": self.mask(typed)[:200]})
            self.person.tell("That is not the system's name; nothing was run.")

    def _perform(self, step: Step, cells: list[int]) -> Ended | None:
        """Execute a step that the person has allowed, and again as long as it fails and the person says so."""
        self.permit.grant(step)
        while True:
            stopped = self._execute(step, cells)
            if stopped is None:
                if self.failed is not None and self.failed[0] in cells:
                    self.failed = None
                return None
            first_line = next(iter(self.mask(stopped.why).splitlines()), "it failed")
            self.person.tell(f"The step failed: {first_line}")
            self.failed = self.failed or (self.drive.stopped_at, stopped)
            answer = self.person.ask("What now?", (Answer.AGAIN, Answer.GO_ON, Answer.STOP), None)
            self._note("step-answered", step, {"answer": answer.value, "after": "failure"})
            if answer is Answer.GO_ON:
                return None
            if answer is Answer.STOP:
                raise stopped

    def _execute(self, step: Step, cells: list[int]) -> Any:
        """Execute a step's cells; the `Stopped` of a cell that failed, or ``None``.

        Raises:
            Stopped: the kernel died, a deadline passed or the walk was cancelled: nothing can go on.

        """
        from checks.run.drive import CellOutcome, Stopped

        for position in cells:
            try:
                self._do(lambda position=position: self.client.execute_one(position))  # type: ignore[misc]
            except Stopped as stopped:
                self._note("step-ended", step, {"outcome": stopped.outcome.value, "reason": self.mask(stopped.why)[:500]})
                if stopped.outcome is not CellOutcome.FAILED or not self._kernel_lives():
                    raise
                return stopped
        if cells:
            self._note("step-ended", step, {"outcome": CellOutcome.EXECUTED.value})
        return None

    def _do(self, work: Callable[[], object]) -> None:
        """Let the kernel's thread work, and end the cell when the person interrupts."""
        future = self.pool.submit(work)
        try:
            while not wait([future], timeout=_WAIT_SECONDS).done:
                continue
        except KeyboardInterrupt:
            self.drive.cancelled.set()
            wait([future], timeout=_END_SECONDS)
            raise
        future.result()

    def _kernel_lives(self) -> bool:
        process = getattr(getattr(self.client.started_manager, "provisioner", None), "process", None)
        return process is not None and process.poll() is None

    def _leave_out(self, step: Step, cells: list[int], how: str) -> None:
        self._mark(cells)
        self.left_out.append(f"step {step.number} ({step.title}) was {how}")
        self._note("step-ended", step, {"outcome": how})

    def _mark(self, cells: list[int]) -> None:
        from checks.run.drive import CellOutcome

        for position in cells:
            self.drive.outcomes[position] = CellOutcome.SKIPPED

    def _note(self, kind: str, step: Step | None, detail: Mapping[str, object]) -> None:
        run = self.prepared.run
        about: dict[str, object] = {"runbook": run.runbook, "environment": run.environment}
        if step is not None:
            about |= {"step": step.number, "title": step.title, "class": step.step_class.value}
        self.diary.record_event(kind, self.clock(), run.id, run.actor, {**about, **detail})


def read(prepared: Prepared) -> tuple[NotebookNode, tuple[Step, ...]]:
    """The runbook's notebook with its parameters bound, and its steps."""
    from checks.catalogue import notebook as reader

    notebook = execution.read(prepared)
    return notebook, reader.steps(notebook)


def _injected(cell: Any) -> bool:
    return bool(cell.metadata.get("proofbook", {}).get("injected"))


def _masked(output: Any, mask: Callable[[str], str]) -> Any:
    from copy import deepcopy

    return evidence.masked(deepcopy(output), mask)
