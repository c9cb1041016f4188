"""One execution of a runbook: from its Markdown to a run, its results and its evidence."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from checks.catalogue import Catalogue, resolve
from checks.errors import CannotWrite, DataError, ProofbookError
from checks.model import Run, Runbook, RunState, Status, Step, Trigger
from checks.run import evidence, files
from checks.run.basis import FILES, basis
from checks.run.context import ParameterValue
from checks.run.described import describe
from checks.run.ends import Outcome, Prepared
from checks.run.login import login
from checks.run.parameters import validate
from checks.run.results import read_results
from checks.run.verify import verified

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from checks.run.drive import Drive

NOTHING_JUDGED = "no check judged anything"
_LONGEST_REASON = 500
_INJECTED = "from checks import parameters\n\nglobals().update(parameters)"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")


def prepare(
    runbook: Runbook,
    catalogue: Catalogue,
    *,
    environment: str,
    variables: Mapping[str, str],
    parameters: Mapping[str, object],
    trigger: Trigger,
    now: datetime,
    actor: str | None = None,
    refuse: bool = True,
) -> Prepared:
    """Give a run its id and check everything that can be checked before it begins.

    Args:
        runbook: what is to be executed.
        catalogue: the catalogue that it stands in.
        environment: where; one that the runbook and its system allow.
        variables: what ``${NAME}`` in system.yml is filled from.
        parameters: texts or values by name.
        trigger: who asked.
        now: the time, aware, in UTC.
        actor: the person's name; default: the user that this process belongs to.
        refuse: whether a parameter or a file that does not fit is refused, or makes a run that fails when it is executed.

    Raises:
        DataError: a parameter does not fit, a file that is declared cannot be read, or the runbook may not run in this
            environment.

    """
    from ulid import ULID

    require_environment(runbook, environment)
    system = catalogue.systems[runbook.system]
    settled = resolve(system, environment, variables)
    mask = evidence.masker(settled.secrets)
    fault = ""
    values: dict[str, ParameterValue] = {}
    declared: dict[str, str] = {}
    try:
        values = validate(runbook, parameters)
        declared = files.digests(runbook)
    except DataError as error:
        if refuse:
            raise
        fault = error.what
    run = Run(
        id=str(ULID.from_datetime(now)),
        runbook=runbook.slug,
        system=runbook.system,
        environment=environment,
        trigger=trigger,
        state=RunState.RUNNING,
        status=Status.UNKNOWN,
        started_at=now,
        parameters={name: mask(value) if isinstance(value, str) else value for name, value in values.items()},
        source=runbook.digest,
        host=socket.gethostname(),
        actor=actor if actor is not None else login(),
        basis=basis(system, settled, values, catalogue.settings.state) | ({FILES: files.digest_of(declared)} if declared else {}),
    )
    return Prepared(run, runbook, catalogue, variables, values, settled, fault, files=declared)


def require_environment(runbook: Runbook, environment: str) -> None:
    """Refuse an environment that the runbook's front matter does not list.

    Raises:
        DataError: it may not run there.

    """
    if runbook.environments and environment not in runbook.environments:
        raise DataError(
            f"{runbook.slug} may not run in {environment}",
            where=str(runbook.path),
            expected="one of " + ", ".join(runbook.environments),
            remedy="name one of these by --environment, or add it to `environments:` in the front matter",
        )


def execute(
    prepared: Prepared,
    *,
    clock: Callable[[], datetime],
    cancelled: threading.Event | None = None,
    on_step: Callable[[Step], object] = lambda _: None,
) -> Outcome:
    """Execute a runbook's read steps in a kernel of its own and keep the evidence; the journal is not touched.

    A runbook that fails, hangs or cannot be read is an outcome, never an exception: its run says so.

    Args:
        prepared: what `prepare` gave.
        clock: gives the time, aware, in UTC.
        cancelled: set by whoever wants the run to end now.
        on_step: is called when a step's first cell begins.

    """
    from checks.run import checkpoint, kernels

    runbook, settings = prepared.runbook, prepared.catalogue.settings
    if prepared.fault:
        return failed(prepared, prepared.fault, clock())
    kept = checkpoint.Checkpoint(settings.state, prepared.run, prepared.settled.secrets, prepared.history)
    try:
        notebook = read(prepared)
        with kernels.room(prepared.context, prepared.settled, prepared.variables, settings.limits) as room:
            from checks.run import drive as driving

            files.lay_out(prepared.files, settings.state, room.work)
            drive = driving.Drive(
                room,
                cell_seconds=runbook.cell_deadline.total_seconds(),
                run_seconds=runbook.deadline.total_seconds(),
                clock=clock,
                cancelled=cancelled or threading.Event(),
                on_cell=lambda position: announce(drive.step_of(position)),
                on_news=lambda position: kept.keep(notebook, drive, position),
            )
            announce = _announcer(on_step)
            driving.execute(notebook, drive)
    except (ProofbookError, OSError) as error:
        return failed(prepared, str(error), clock())
    finally:
        kept.close()
    return conclude(prepared, notebook, drive, clock())


def read(prepared: Prepared) -> NotebookNode:
    """The runbook as a notebook with its parameters bound; its source and its system are kept for whoever repeats the run.

    Raises:
        DataError: it cannot be read, or is not what it was when the run was made ready.
        CannotWrite: nothing can be kept.

    """
    from checks.catalogue import notebook as reader
    from checks.run import inputs

    path = prepared.runbook.path
    source = path.read_bytes()
    if hashlib.sha256(source).hexdigest() != prepared.run.source:
        raise DataError("the runbook was changed after it had been read", where=str(path), remedy="run it again")
    inputs.keep(prepared, source)
    files.keep(prepared.runbook, prepared.files, prepared.catalogue.settings.state)
    notebook = reader.read_text(source.decode("utf-8"), path)
    inject(notebook, prepared.parameters)
    return notebook


def conclude(prepared: Prepared, notebook: NotebookNode, drive: Drive, now: datetime, *, unsure: str = "") -> Outcome:
    """Read what a drive left, judge the run as a whole, and keep the evidence.

    Args:
        prepared: the run.
        notebook: as the drive left it; it is masked and cut in place.
        drive: what came of each cell.
        now: when the run ended, aware, in UTC.
        unsure: a reason why the run is unknown although the drive saw its end; empty where there is none.

    """
    secrets, steps = prepared.settled.secrets, drive.steps
    mask = evidence.masker(secrets)
    redacted = evidence.clean(notebook, secrets, drive.dropped)
    system = prepared.catalogue.systems[prepared.runbook.system]
    reading = read_results(notebook, run=prepared.run.id, system=system.name, metrics=system.metrics, steps=steps)
    state, reasons = _ending(steps, drive, mask)
    results, doubts = verified(reading.results, prepared, now)
    reasons += [unsure, *reading.faults, *doubts]
    if not reading.faults and drive.emitted is not None and drive.emitted - drive.replaced != len(reading.results):
        reasons.append(f"{drive.emitted} results were emitted, {len(reading.results)} are left in the outputs")
    if state is RunState.FINISHED and not results:
        reasons.append(NOTHING_JUDGED)
    reason = _one_line("; ".join(text for text in reasons if text))
    run = replace(
        prepared.run,
        state=state,
        status=Status.worst([*(result.status for result in results), *([Status.UNKNOWN] if reason else [])]),
        ended_at=now,
        reason=reason,
        redacted=redacted,
    )
    describe(notebook, run, drive, prepared.history)
    try:
        data = evidence.to_bytes(notebook)
        digest = evidence.store(prepared.catalogue.settings.state, data)
    except (CannotWrite, ValueError) as error:
        # Results that nobody can trace to a cell prove nothing.
        unkept = _one_line(f"{run.reason + '; ' if run.reason else ''}the evidence is lost: {error}")
        status = Status.worst([run.status, Status.UNKNOWN])
        return Outcome(replace(run, state=RunState.FAILED, status=status, reason=unkept), results, None)
    return Outcome(replace(run, evidence=digest), results, data)


def failed(prepared: Prepared, reason: str, now: datetime, state: RunState = RunState.FAILED) -> Outcome:
    """The outcome of a run that came to nothing: unknown, no results, no evidence."""
    masked = evidence.masker(prepared.settled.secrets)(reason)
    run = replace(prepared.run, state=state, status=Status.UNKNOWN, ended_at=now, reason=_one_line(masked))
    return Outcome(run, (), None)


def inject(notebook: NotebookNode, parameters: Mapping[str, ParameterValue]) -> None:
    """Put a cell at the top that binds the parameters; its source is always the same, values travel as data."""
    from nbformat.v4 import new_code_cell

    if parameters:
        cell = new_code_cell(_INJECTED, metadata={"tags": ["injected-parameters"], "proofbook": {"injected": True}})
        cell["id"] = "proofbook-parameters"
        notebook.cells.insert(0, cell)


def _ending(steps: Sequence[Step], drive: Drive, mask: Callable[[str], str]) -> tuple[RunState, list[str]]:
    from checks.run.drive import CellOutcome

    if drive.stopped is None:
        return RunState.FINISHED, []
    states = {CellOutcome.TIMED_OUT: RunState.TIMED_OUT, CellOutcome.CANCELLED: RunState.CANCELLED}
    place = ""
    if drive.stopped_at is not None:
        step = next(step for step in steps if drive.stopped_at in step.cells)
        title = f" ({step.title})" if step.title else ""
        place = f"step {step.number}{title}, cell {drive.stopped_at}: "
    # The first line of an error of ours says what; its remedy stands in the evidence. Masked while it is still whole.
    why = next((line for line in mask(_ANSI.sub("", drive.stopped.why)).splitlines() if line.strip()), "it says nothing")
    return states.get(drive.stopped.outcome, RunState.FAILED), [place + why.strip()]


def _announcer(on_step: Callable[[Step], object]) -> Callable[[Step], None]:
    last: list[int] = []

    def announce(step: Step) -> None:
        if last != [step.number]:
            last[:] = [step.number]
            on_step(step)

    return announce


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1] + "…"
