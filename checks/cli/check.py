"""``proofbook check``: measure and judge now, or try a limit on what the journal has; keep nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from checks.cli._shared import EnvironmentOption, RootOption, Workspace, workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from checks.catalogue import Catalogue
    from checks.judge import Decision
    from checks.model import Metric, Result


class Format(StrEnum):
    """How the answer is printed."""

    TEXT = "text"
    JSON = "json"


def check(
    metrics: Annotated[
        list[str], typer.Argument(metavar="SYSTEM[/METRIC]...", help="Metrics, or systems for all that they declare.")
    ],
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also say from what, what happened on the way, and why it is judged so.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="LIMIT", help="Try a limit on past values instead of measuring.", show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DURATION", help="With --against: how far back; 7d without it.", show_default=False),
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How the answer is printed.")] = Format.TEXT,  # noqa: A002
    environment: EnvironmentOption = None,
    root: RootOption = None,
) -> None:
    """Measure metrics by their probes and judge them now; exit 0 ok, 1 warning, 2 critical, 3 unknown: the worst of them.

    Nothing is journaled; earlier values are read from the journal, for limits that look back. A metric that only a
    runbook's cell can measure is unknown here.

    With --against nothing is measured: a proposed limit is tried on the values that the journal has, next to today's limits,
    and the exit status is 0.

    Example: `proofbook check shop/error-rate -v`

    Example: `proofbook check --against "> 300 ms" shop/response-time --since 7d`
    """
    from datetime import UTC, datetime

    from checks.catalogue import resolve
    from checks.cli._ways import Way, print_way
    from checks.cli.status import print_decisions
    from checks.errors import UsageError
    from checks.judge import judge
    from checks.model import Status
    from checks.probes import Step, measure
    from checks.run.history import with_settings

    if since is not None and against is None:
        raise UsageError("--since goes with --against", example='proofbook check --against "> 1 %" shop/error-rate --since 7d')
    place = workspace(root, environment)
    if against is not None:
        _try(place, metrics, against, since or "7d", datetime.now(UTC), format)
        return
    ways: list[Way] = []
    for metric in named(place.catalogue, metrics):
        settled = resolve(place.catalogue.systems[metric.system], place.environment, place.variables)
        steps: list[Step] = []
        seen = measure(metric, settled, datetime.now(UTC), steps)
        metric = with_settings(metric, settled)
        earlier = _earlier(metric, place, datetime.now(UTC))
        ways.append(Way(judge(metric, seen, datetime.now(UTC), earlier), seen, steps, earlier))
    results = [way.result for way in ways]
    decided = _decided(place.catalogue, results)
    if format is Format.JSON:
        _print_json(place.environment, results, decided)
    else:
        print_results(results)
        print_decisions(decided)
        for way in ways if verbose else ():
            print_way(way)
    raise typer.Exit(Status.worst(result.status for result in results).exit_code)


def _try(place: Workspace, names: list[str], against: str, since: str, now: datetime, shown: Format) -> None:
    from checks.cli._paper import as_json, parse_since, print_trial, tried
    from checks.judge import parse_limit

    proposed, back = parse_limit(against), parse_since(since)
    trials = [tried(place, metric, proposed, back, now) for metric in named(place.catalogue, names)]
    if shown is Format.JSON:
        import json

        answer = {"version": 1, "environment": place.environment, "trials": [as_json(trial) for trial in trials]}
        print(json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False))
        return
    for number, trial in enumerate(trials):
        if number:
            print()
        print_trial(trial)


def named(catalogue: Catalogue, names: Sequence[str]) -> list[Metric]:
    """The metrics of these names; a system's name stands for all that it declares."""
    found: dict[str, Metric] = {}
    for name in names:
        if "/" in name:
            found[name] = catalogue.metric(name)
        else:
            found |= {metric.slug: metric for metric in catalogue.system(name).metrics.values()}
    return list(found.values())


def _decided(catalogue: Catalogue, results: Sequence[Result]) -> list[tuple[str, Decision]]:
    """What each condition comes to by what was measured just now: those that it settles, or of which all was measured."""
    from checks.judge import decide
    from checks.judge.windows import Broken

    found = []
    for system in catalogue.systems.values():
        mine = {result.metric: result for result in results if result.system == system.name}
        for condition in system.conditions.values():
            decision = decide(condition, mine.values())
            if decision.met is Broken.YES or {state.metric for state in condition.states} <= set(mine):
                found.append((system.name, decision))
    return found


def _earlier(metric: Metric, place: Workspace, now: datetime) -> Sequence[tuple[datetime, float]]:
    """What the journal has of a metric, where its limits need it; without a journal nothing."""
    from checks.journal import JournalMissing, open_journal
    from checks.judge import needed_since
    from checks.run.history import earlier

    if needed_since(metric, now) is None:
        return ()
    try:
        with open_journal(place.catalogue.settings.journal, create=False) as journal:
            return earlier(metric, place.environment, journal, now)
    except JournalMissing:
        return ()


def _print_json(environment: str, results: list[Result], decided: list[tuple[str, Decision]]) -> None:
    import json

    from checks.journal.decided import to_json
    from checks.model import Status
    from checks.run.payload import to_payload

    worst = Status.worst(result.status for result in results)
    answer = {
        "version": 1,
        "environment": environment,
        "status": worst.value,
        "results": [{key: part for key, part in to_payload(result, "").items() if key != "run"} for result in results],
        "decisions": [to_json(system, decision) for system, decision in decided],
    }
    print(json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False))


def print_results(results: list[Result]) -> None:
    """Print a table of what was found, in the order in which it was judged."""
    from checks.cli._progress import STYLES
    from checks.cli._tables import print_table
    from checks.journal.formats import inert
    from checks.judge import format_observed

    headings = ["status", "metric", "observed", "warning", "critical", "why"]
    rows = []
    for result in results:
        seen = result.observation
        row = [
            result.status.value,
            f"{result.system}/{result.metric}",
            format_observed(seen) if seen else "-",
            result.warning or "-",
            result.critical or "-",
        ]
        rows.append([*row, inert(result.reason) if result.status.value != "ok" else ""])
    print_table(headings, rows, STYLES)
