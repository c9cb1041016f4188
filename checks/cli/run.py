"""``proofbook run``: execute runbooks and journal what they find."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from checks.cli._shared import EnvironmentOption, RootOption, console, say, workspace

if TYPE_CHECKING:
    from datetime import datetime

    from checks.cli._shared import Workspace
    from checks.journal import Journal
    from checks.model import Run, Step
    from checks.run.execution import Outcome, Prepared
    from checks.run.many import Watcher

STYLES = {"critical": "bold red", "unknown": "bold magenta", "warning": "yellow", "ok": "green"}

ParametersOption = Annotated[
    list[str] | None, typer.Option("--param", "-p", help="A parameter as name=value; may be repeated.", show_default=False)
]


class Format(StrEnum):
    """How the answer is printed."""

    TEXT = "text"
    JSON = "json"


def run(
    runbooks: Annotated[
        list[str] | None, typer.Argument(metavar="[RUNBOOK]...", help="Slugs, such as shop/morning.", show_default=False)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every runbook that may run in the environment.")] = False,
    due: Annotated[bool, typer.Option("--due", help="What is due and not yet run; safe to call from cron.")] = False,
    system: Annotated[str | None, typer.Option("--system", help="Every runbook of one system.", show_default=False)] = None,
    parameters: ParametersOption = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="How many at once; default: one a processor.", show_default=False)
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How the answer is printed.")] = Format.TEXT,  # noqa: A002
    environment: EnvironmentOption = None,
    root: RootOption = None,
) -> None:
    """Execute runbooks and journal what they find; exit 0 ok, 1 warning, 2 critical, 3 unknown: the worst of them.

    Steps that change or destroy something, or that wait for a person, are left alone: see `proofbook operate`.

    Example: `proofbook run shop/morning -p hours=12`
    """
    from datetime import UTC, datetime

    from checks.errors import UsageError
    from checks.journal import open_journal
    from checks.model import Status
    from checks.run.many import run_many

    if sum((bool(runbooks), all_, due, system is not None)) != 1:
        raise UsageError(
            "which runbooks?",
            expected="either slugs, or one of --all, --due and --system",
            example="proofbook run --all",
        )
    place = workspace(root, environment)
    with open_journal(place.catalogue.settings.journal) as journal:
        prepared = _prepared(place, journal, runbooks or [], due, system, parameters or [], datetime.now(UTC))
        if not prepared:
            say("nothing is due" if due else f"no runbook may run in {place.environment}")
            if format is Format.JSON:
                _print_json(place.environment, [])
            raise typer.Exit(0 if due else Status.UNKNOWN.exit_code)
        with ending_cleanly(), _watcher(len(prepared)) as watcher:
            outcomes = run_many(prepared, journal, clock=lambda: datetime.now(UTC), jobs=jobs, watcher=watcher)
    if format is Format.JSON:
        _print_json(place.environment, outcomes)
    else:
        print_outcomes(outcomes)
    raise typer.Exit(Status.worst(outcome.run.status for outcome in outcomes).exit_code)


def print_outcomes(outcomes: list[Outcome]) -> None:
    """Print a table of runs, what needs someone first."""
    from checks.cli._tables import print_table
    from checks.journal.formats import inert
    from checks.run.many import worst_first

    rows = [
        (
            outcome.run.status.value,
            outcome.run.runbook,
            outcome.run.state.value,
            _took(outcome.run),
            f"{sum(result.status.value == 'ok' for result in outcome.results)} of {len(outcome.results)} ok",
            inert(_why(outcome)),
        )
        for outcome in worst_first(outcomes)
    ]
    print_table(("status", "runbook", "state", "took", "results", "why"), rows, STYLES)


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Treat being asked to end, and a terminal that is closed, as Ctrl-C: what runs is ended and journaled."""

    def interrupt(*_: object) -> None:
        # Once is enough; a second signal must not break off the writing of what was done.
        for signum in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {signum: signal.signal(signum, interrupt) for signum in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _prepared(
    place: Workspace, journal: Journal, slugs: list[str], due: bool, system: str | None, parameters: list[str], now: datetime
) -> list[Prepared]:
    from functools import partial

    from checks.model import Trigger
    from checks.run import selection
    from checks.run.parameters import parse

    catalogue, environment = place.catalogue, place.environment
    given = parse(parameters)
    named = partial(selection.prepare_named, catalogue=catalogue, environment=environment, variables=place.variables)
    ruled = partial(selection.prepare_all, catalogue=catalogue, environment=environment, variables=place.variables)
    if slugs:
        return named(slugs, parameters=given, trigger=Trigger.COMMAND, now=now)
    if not due:
        return ruled(selection.here(catalogue, environment, system), parameters=given, trigger=Trigger.COMMAND, now=now)
    from checks.schedule import claim_due

    books = [catalogue.runbooks[slot.runbook] for slot in claim_due(catalogue, journal, environment, now)]
    return ruled(books, parameters=given if books else {}, trigger=Trigger.SCHEDULE, now=now)


@contextmanager
def _watcher(count: int) -> Iterator[Watcher]:
    """Progress that moves on a terminal, and a line for each run that ended elsewhere."""
    from checks.run.many import Watcher

    target = console(stderr=True)

    class Lines(Watcher):
        def ended(self, outcome: Outcome) -> None:
            from checks.journal.formats import inert

            ended = outcome.run
            why = f"  {inert(ended.reason)}" if ended.reason else ""
            say(f"{ended.status.value:<8}  {ended.runbook}  {ended.state.value} in {_took(ended)}{why}")

    if not target.is_terminal:
        yield Lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.text import Text

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=target, transient=True) as progress:
        task = progress.add_task("runbooks", total=count)

        class Bar(Watcher):
            def __init__(self) -> None:
                self.steps: dict[str, str] = {}
                self.lock = threading.Lock()

            def started(self, run: Run) -> None:
                self._show(run, "starts")

            def reached(self, run: Run, step: Step) -> None:
                self._show(run, step.title or "begins")

            def ended(self, outcome: Outcome) -> None:
                with self.lock:
                    self.steps.pop(outcome.run.runbook, None)
                status = outcome.run.status.value
                progress.console.print(Text(f"{status:<8}  {outcome.run.runbook}", STYLES[status]))
                progress.advance(task)

            def _show(self, run: Run, step: str) -> None:
                with self.lock:
                    self.steps[run.runbook] = step
                    text = " · ".join(f"{runbook}: {title}" for runbook, title in self.steps.items())
                progress.update(task, description=text[: max(20, target.width - 40)])

        yield Bar()


def _why(outcome: Outcome) -> str:
    if outcome.run.reason:
        return outcome.run.reason
    return next(
        (f"{r.metric}: {r.reason}" for r in outcome.results if r.status is outcome.run.status and r.status.value != "ok"), ""
    )


def _took(run: Run) -> str:
    seconds = (run.ended_at - run.started_at).total_seconds() if run.ended_at else 0.0
    return f"{seconds:.1f} s"


def _print_json(environment: str, outcomes: list[Outcome]) -> None:
    import json

    from checks.model import Status
    from checks.run.payload import to_payload

    runs = [
        {
            "id": (run := outcome.run).id,
            "runbook": run.runbook,
            "trigger": run.trigger.value,
            "state": run.state.value,
            "status": run.status.value,
            "reason": run.reason,
            "started_at": run.started_at.isoformat(),
            "ended_at": run.ended_at.isoformat() if run.ended_at else None,
            "parameters": dict(run.parameters),
            "evidence": run.evidence,
            "results": [{**to_payload(r, run.id), "cell": r.cell, "step": r.step} for r in outcome.results],
        }
        for outcome in outcomes
    ]
    worst = Status.worst(outcome.run.status for outcome in outcomes)
    print(
        json.dumps({"version": 1, "environment": environment, "status": worst.value, "runs": runs}, indent=2, ensure_ascii=False)
    )
