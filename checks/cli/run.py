"""``proofbook run``: execute runbooks and journal what they find."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from checks.cli._ending import ending_cleanly
from checks.cli._shared import EnvironmentOption, RootOption, say, workspace

if TYPE_CHECKING:
    from datetime import datetime

    from checks.cli._shared import Workspace
    from checks.journal import Journal
    from checks.run.ends import Outcome, Prepared
    from checks.run.fresh import Decision

ParametersOption = Annotated[
    list[str] | None, typer.Option("--param", "-p", help="A parameter as name=value; may be repeated.", show_default=False)
]
FreshOption = Annotated[
    bool,
    typer.Option(
        "--fresh-enough",
        help="Leave out what need not run: nothing it rests on has changed, and its last results are well and still fresh.",
    ),
]


class Format(StrEnum):
    """How the answer is printed."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"


def run(
    runbooks: Annotated[
        list[str] | None, typer.Argument(metavar="[RUNBOOK]...", help="Slugs, such as shop/morning.", show_default=False)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every runbook that may run in the environment.")] = False,
    due: Annotated[bool, typer.Option("--due", help="What is due and not yet run; safe to call from cron.")] = False,
    system: Annotated[str | None, typer.Option("--system", help="Every runbook of one system.", show_default=False)] = None,
    replay: Annotated[
        str | None,
        typer.Option("--replay", metavar="RUN", help="A recorded run, once more, and what differs.", show_default=False),
    ] = None,
    parameters: ParametersOption = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="How many at once; default: one a processor.", show_default=False)
    ] = None,
    fresh_enough: FreshOption = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say of each runbook why it runs, or why it does not.")] = False,
    format: Annotated[Format, typer.Option("--format", "-f", help="How the answer is printed.")] = Format.TEXT,  # noqa: A002
    environment: EnvironmentOption = None,
    root: RootOption = None,
) -> None:
    """Execute runbooks and journal what they find; exit 0 ok, 1 warning, 2 critical, 3 unknown: the worst of them.

    Every runbook asked for is executed, whatever is known already; with --fresh-enough an earlier run counts instead where
    source, files, parameters, system.yml, settings and installed packages are the same, every result is ok or a warning, and
    none is older than its `fresh-for`. What matters most (the priority of its metrics) is first, and systems take turns.
    Steps that change or destroy something, or that wait for a person, are left alone: see `proofbook operate`.

    Example: `proofbook run shop/morning -p hours=12`

    With --replay the source, system.yml, parameters and history of a recorded run are used once more, with today's settings and
    secrets, and a table says what differs. Of a replay the journal gets an event and nothing that pages or alerts read.

    Example: `proofbook run --all --fresh-enough --explain`

    Example: `proofbook run --replay 01JD2Q6V9K7ZC8M4T5R3W1X0YB`
    """
    import os
    from datetime import UTC, datetime

    from checks.errors import UsageError
    from checks.journal import open_journal
    from checks.model import Status
    from checks.run import kernels

    if sum((bool(runbooks), all_, due, system is not None, replay is not None)) != 1:
        raise UsageError(
            "which runbooks?",
            expected="either slugs, or one of --all, --due, --system and --replay",
            example="proofbook run --all",
        )
    if replay is not None:
        from checks.cli._replay import replay as execute_again

        if parameters or jobs or fresh_enough or explain or format is Format.JUNIT:
            raise UsageError(
                "a replay takes what the recorded run had",
                expected="--replay with nothing but --environment, --root and --format text or json",
                example="proofbook run --replay 01JD2Q6V9K7ZC8M4T5R3W1X0YB --format json",
            )
        raise typer.Exit(execute_again(replay, root, environment, as_json=format is Format.JSON).exit_code)
    if not (due or fresh_enough):
        # Something will be executed for sure; what kernels need can be loaded while this process looks at the catalogue.
        kernels.warm_up(())
    place = workspace(root, environment)
    place.catalogue.require_inhabited(place.environment)
    # Whatever is wrong with what was asked is said before there is a journal.
    prepared = [] if due else _named(place, runbooks or [], system, parameters or [], datetime.now(UTC))
    if not (due or prepared):
        say(f"no runbook may run in {place.environment}")
        _print(format, place, [], [])
        raise typer.Exit(Status.UNKNOWN.exit_code)
    with open_journal(place.catalogue.settings.journal) as journal:
        if due:
            prepared = _due(place, journal, parameters or [], datetime.now(UTC))
        if explain and not runbooks:
            _print_left_out(place, journal, system, {one.runbook.slug for one in prepared}, due=due)
        if not prepared:
            say("nothing is due")
            _print(format, place, [], [])
            raise typer.Exit
        decisions = decided(
            prepared, journal, datetime.now(UTC), fresh_enough=fresh_enough, asked="it is due" if due else "asked for"
        )
        if explain:
            print_reasons(decisions)
        outcomes = run_decided(decisions, journal, jobs or os.cpu_count() or 1)
    _print(format, place, outcomes, decisions)
    raise typer.Exit(Status.worst(outcome.run.status for outcome in outcomes).exit_code)


def decided(prepared: list[Prepared], journal: Journal, now: datetime, *, fresh_enough: bool, asked: str) -> list[Decision]:
    """Which of some runs are executed, and why; all of them, unless an earlier run may count instead."""
    from checks.run.fresh import Decision, decide

    return decide(prepared, journal, now) if fresh_enough else [Decision(one, asked) for one in prepared]


def print_reasons(decisions: list[Decision]) -> None:
    """Say of each runbook whether it runs, and why."""
    from checks.journal.formats import inert

    for one in decisions:
        say(f"{'runs' if one.reused is None else 'fresh':<6} {one.prepared.runbook.slug}: {inert(one.because)}")


def _print_left_out(place: Workspace, journal: Journal, system: str | None, taken: set[str], *, due: bool) -> None:
    """Say of each runbook that a rule did not select why it is not run."""
    from datetime import UTC, datetime

    from checks.run.selection import not_here
    from checks.schedule import not_due

    environment, now = place.environment, datetime.now(UTC)
    if due:
        waiting = not_due(place.catalogue, journal.last_slots(environment, now), environment, now, taken)
        for slug, because in waiting.items():
            say(f"{'waits':<6} {slug}: {because}")
    for slug, because in not_here(place.catalogue, environment, system).items():
        say(f"{'never':<6} {slug}: {because}")


def run_decided(decisions: list[Decision], journal: Journal, jobs: int) -> list[Outcome]:
    """Execute what is to be executed and show how it gets on; the outcomes of all, earlier ones too, in their order."""
    from datetime import UTC, datetime

    waiting = [one.prepared for one in decisions if one.reused is None]
    executed: dict[str, Outcome] = {}
    if waiting:
        from checks.cli._progress import watching
        from checks.run.many import run_many

        with ending_cleanly(), watching(len(waiting), jobs, _usual(journal, waiting)) as watcher:
            try:
                outcomes = run_many(waiting, journal, clock=lambda: datetime.now(UTC), jobs=jobs, watcher=watcher)
            except KeyboardInterrupt:
                watcher.stopped()
                raise
        executed = {outcome.run.id: outcome for outcome in outcomes}
    return [one.reused or executed[one.prepared.run.id] for one in decisions]


def _usual(journal: Journal, prepared: list[Prepared]) -> dict[str, float]:
    """How many seconds each runbook took when it last ran."""
    (environment,) = {one.run.environment for one in prepared}
    names = {one.runbook.slug for one in prepared}
    return {
        slug: (run.ended_at - run.started_at).total_seconds()
        for slug, run in journal.latest_runs(environment).items()
        if slug in names and run.ended_at is not None
    }


def _print(format: Format, place: Workspace, outcomes: list[Outcome], decisions: list[Decision]) -> None:  # noqa: A002
    reused = {one.reused.run.id for one in decisions if one.reused is not None}
    if format is Format.JSON:
        _print_json(place.environment, outcomes, decisions)
    elif format is Format.JUNIT:
        from checks.run.junit import to_junit

        print(to_junit(outcomes, place.catalogue, place.environment), end="")
    elif outcomes:
        print_outcomes(outcomes, reused)


def print_outcomes(outcomes: list[Outcome], reused: Collection[str] = ()) -> None:
    """Print a table of runs, what needs someone first.

    Args:
        outcomes: the runs.
        reused: the ids of those that were not executed now.

    """
    from checks.cli._progress import STYLES, took, why
    from checks.cli._tables import print_table
    from checks.journal.formats import inert
    from checks.run.many import worst_first

    rows = [
        (
            outcome.run.status.value,
            outcome.run.runbook,
            "fresh" if outcome.run.id in reused else outcome.run.state.value,
            "-" if outcome.run.id in reused else took(outcome.run),
            f"{sum(result.status.value == 'ok' for result in outcome.results)} of {len(outcome.results)} ok",
            inert(why(outcome)),
        )
        for outcome in worst_first(outcomes)
    ]
    print_table(("status", "runbook", "state", "took", "results", "why"), rows, STYLES)


def _named(place: Workspace, slugs: list[str], system: str | None, parameters: list[str], now: datetime) -> list[Prepared]:
    """The runs of some runbooks, or of a system's, or of all that may run here."""
    from checks.model import Trigger
    from checks.run import selection
    from checks.run.parameters import parse

    catalogue, environment = place.catalogue, place.environment
    return selection.prepare_all(
        selection.named(catalogue, slugs) if slugs else selection.here(catalogue, environment, system),
        catalogue,
        environment=environment,
        variables=place.variables,
        parameters=parse(parameters),
        trigger=Trigger.COMMAND,
        now=now,
        asked=selection.Asked.BY_NAME if slugs else selection.Asked.BY_RULE,
    )


def _due(place: Workspace, journal: Journal, parameters: list[str], now: datetime) -> list[Prepared]:
    """The runs of what is due and was claimed now."""
    from checks.model import Trigger
    from checks.run import selection
    from checks.run.parameters import parse
    from checks.schedule import claim_due

    catalogue, environment = place.catalogue, place.environment
    books = [catalogue.runbooks[slot.runbook] for slot in claim_due(catalogue, journal, environment, now)]
    given = parse(parameters)
    return selection.prepare_all(
        books,
        catalogue,
        environment=environment,
        variables=place.variables,
        parameters=given if books else {},
        trigger=Trigger.SCHEDULE,
        now=now,
    )


def _print_json(environment: str, outcomes: list[Outcome], decisions: list[Decision]) -> None:
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
            "redacted": run.redacted,
            "executed": decision.reused is None,
            "because": decision.because,
            "results": [{**to_payload(r, run.id), "cell": r.cell, "step": r.step} for r in outcome.results],
        }
        for outcome, decision in zip(outcomes, decisions, strict=True)
    ]
    worst = Status.worst(outcome.run.status for outcome in outcomes)
    print(
        json.dumps({"version": 1, "environment": environment, "status": worst.value, "runs": runs}, indent=2, ensure_ascii=False)
    )
