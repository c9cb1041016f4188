"""``proofbook check``: measure and judge now, and keep nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from checks.cli._shared import EnvironmentOption, RootOption, Workspace, workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from checks.catalogue import Catalogue
    from checks.model import Metric, Result


def check(
    metrics: Annotated[
        list[str], typer.Argument(metavar="SYSTEM[/METRIC]...", help="Metrics, or systems for all that they declare.")
    ],
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also say from what, how fast, and what was seen.")] = False,
    environment: EnvironmentOption = None,
    root: RootOption = None,
) -> None:
    """Measure metrics by their probes and judge them now; exit 0 ok, 1 warning, 2 critical, 3 unknown: the worst of them.

    Nothing is journaled; earlier values are read from the journal, for limits that look back. A metric that only a
    runbook's cell can measure is unknown here.

    Example: `proofbook check shop/error-rate -v`
    """
    from datetime import UTC, datetime

    from checks.catalogue import resolve
    from checks.judge import judge
    from checks.model import Status
    from checks.probes import measure
    from checks.run.history import with_settings

    place = workspace(root, environment)
    results = []
    for metric in _named(place.catalogue, metrics):
        settled = resolve(place.catalogue.systems[metric.system], place.environment, place.variables)
        seen = measure(metric, settled, datetime.now(UTC))
        metric = with_settings(metric, settled)
        results.append(judge(metric, seen, datetime.now(UTC), _earlier(metric, place, datetime.now(UTC))))
    _print(results, verbose)
    raise typer.Exit(Status.worst(result.status for result in results).exit_code)


def _named(catalogue: Catalogue, names: list[str]) -> list[Metric]:
    found: dict[str, Metric] = {}
    for name in names:
        if "/" in name:
            found[name] = catalogue.metric(name)
        else:
            found |= {metric.slug: metric for metric in catalogue.system(name).metrics.values()}
    return list(found.values())


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


def _print(results: list[Result], verbose: bool) -> None:
    from checks.cli._tables import print_table
    from checks.cli.run import STYLES
    from checks.journal.formats import inert
    from checks.judge import format_value

    headings = ["status", "metric", "observed", "warning", "critical"]
    rows = []
    for result in results:
        seen = result.observation
        row = [
            result.status.value,
            f"{result.system}/{result.metric}",
            format_value(seen.value, seen.unit) if seen else "-",
            result.warning or "-",
            result.critical or "-",
        ]
        if verbose:
            row += [format_value(seen.took, "s") if seen else "-", inert(seen.source) if seen else "-"]
            row += [inert("; ".join(text for text in (result.reason, seen.detail if seen else "") if text))]
        else:
            row += [inert(result.reason) if result.status.value != "ok" else ""]
        rows.append(row)
    headings += ["took", "from", "why"] if verbose else ["why"]
    print_table(headings, rows, STYLES)
