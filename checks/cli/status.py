"""``proofbook status``: what the journal says, for people, programs and monitoring."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from checks.cli._shared import EnvironmentOption, RootOption, root_of, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from checks.catalogue import Catalogue, Settings
    from checks.journal import Snapshot
    from checks.journal.report import Item, Report, SiteReport
    from checks.judge import Decision
    from checks.model import System

_STYLES = {"critical": "bold red", "unknown": "bold magenta", "stale": "magenta", "warning": "yellow", "ok": "green"}


class Format(StrEnum):
    """How the answer is printed."""

    TEXT = "text"
    JSON = "json"
    NAGIOS = "nagios"
    OPENMETRICS = "openmetrics"
    JUNIT = "junit"


def status(
    system: Annotated[str | None, typer.Argument(help="A system's name; default: all of them.", show_default=False)] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How the answer is printed.")] = Format.TEXT,  # noqa: A002
    environment: EnvironmentOption = None,
    root: RootOption = None,
) -> None:
    """Say what the journal knows; exit 0 ok, 1 warning, 2 critical, 3 unknown or stale.

    Nothing is measured by this. What was never measured is unknown, and what is too old to speak for now is stale.

    Example: `proofbook status wellbeing --format nagios`
    """
    from datetime import UTC, datetime

    from checks import catalogue
    from checks.journal.formats import to_json, to_nagios
    from checks.journal.report import site_report

    loaded = catalogue.load(root_of(root))
    place = environment or loaded.settings.environment
    systems = _systems(loaded, system, place)
    snapshot, lasts = _snapshot(loaded.settings, place), loaded.lifetimes(place)
    report = site_report(systems, loaded.runbooks.values(), snapshot, datetime.now(UTC), lasts)
    if format is Format.JSON:
        import json

        from checks.journal import decided

        answer = to_json(report, place)
        answer["decisions"] = [decided.to_json(name, decision) for name, decision in _decisions(systems, report)]
        print(json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False))
    elif format is Format.NAGIOS:
        print(to_nagios(report, system or "proofbook"))
    elif format is Format.OPENMETRICS:
        from checks.journal.openmetrics import to_openmetrics

        print(to_openmetrics(report, place), end="")
    elif format is Format.JUNIT:
        from checks.journal.junit import to_junit

        print(to_junit(report, place), end="")
    else:
        from zoneinfo import ZoneInfo

        _print_text(report, place, ZoneInfo(loaded.settings.timezone))
        print_decisions(_decisions(systems, report))
    raise typer.Exit(report.status.exit_code)


def _systems(loaded: Catalogue, name: str | None, environment: str) -> list[System]:
    """The systems asked for that live in the environment."""
    from checks.errors import UsageError

    asked = list(loaded.systems.values()) if name is None else [loaded.system(name)]
    here = [system for system in loaded.systems_in(environment) if system in asked]
    if asked and not here:
        names = sorted({place for system in asked for place in system.environments})
        raise UsageError(
            f"{name or 'no system'} {'does not live' if name else 'lives'} in this environment",
            where=environment,
            expected=f"one of {', '.join(names)}",
        )
    return here


def _decisions(systems: Sequence[System], report: SiteReport) -> list[tuple[str, Decision]]:
    """What each condition comes to now, with the name of its system."""
    from checks.journal.decided import decisions

    return [(system.name, decision) for system in systems for decision in decisions(system, report.items)]


def print_decisions(found: Sequence[tuple[str, Decision]]) -> None:
    """Print what conditions came to, each state that it rests on with its evidence."""
    from checks.cli._tables import print_table
    from checks.journal.formats import inert

    if not found:
        return
    print("\nDecisions")
    rows: list[Sequence[str]] = []
    for system, decision in found:
        rows.append((decision.met.value, f"{system}/{decision.condition.name}", decision.condition.title, decision.reason))
        for one in decision.evidence:
            status = one.result.status.value if one.result else "never judged"
            wanted = f"{one.state.metric} {one.state.at.value}"
            rows.append((f"  {one.met.value}", f"  {wanted}", status, inert(one.result.reason) if one.result else ""))
    print_table(("is", "condition", "what", "why"), rows, {"yes": "bold red", "unknown": "bold magenta", "no": "green"})


def _snapshot(settings: Settings, environment: str) -> Snapshot:
    from checks.journal import EMPTY, JournalMissing, open_journal

    try:
        with open_journal(settings.journal, create=False, state=settings.state) as journal:
            return journal.snapshot(environment)
    except JournalMissing as error:
        say(str(error))
        return EMPTY


def _print_text(report: SiteReport, environment: str, zone: ZoneInfo) -> None:
    from checks.cli._tables import print_table

    now = report.now
    print(_headline(report, environment, now))
    if report.needs:
        print("\nWhat needs someone")
        rows = [_need(item, now, zone) for item in report.needs]
        print_table(("status", "what", "now", "limit", "since", "age", "why"), rows, _STYLES)
    if report.systems:
        print("\nSystems")
        rows = [
            (one.status.value, one.system, f"{one.ok_count} of {one.total} ok", _ago(one.measured_at, now), _until(one, now))
            for one in report.systems
        ]
        print_table(("status", "system", "items", "oldest measurement", "goes stale"), rows, _STYLES)


def _headline(report: SiteReport, environment: str, now: datetime) -> str:
    wrong = len(report.needs)
    if not report.total:
        text = "nothing is declared, so nothing is known"
    elif wrong:
        text = f"{wrong} of {report.total} {'needs' if wrong == 1 else 'need'} someone"
    else:
        text = f"all {report.total} are ok"
    oldest = f"; oldest measurement {_ago(report.measured_at, now)}" if report.measured_at else "; nothing was ever measured"
    return f"{environment}: {report.status.value.upper()} - {text}{oldest}"


def _need(item: Item, now: datetime, zone: ZoneInfo) -> Sequence[str]:
    from checks.journal.formats import inert
    from checks.judge import format_observed
    from checks.model import Status

    result = item.result
    seen = result.observation if result is not None else None
    limits = () if result is None else (result.warning,) if result.status is Status.WARNING else (result.critical, result.warning)
    return (
        item.label,
        item.slug,
        format_observed(seen) if seen is not None else "-",
        next((limit for limit in limits if limit), "-"),
        _when(item.since, now, zone),
        _ago(item.measured_at, now),
        inert(item.reason),
    )


def _when(moment: datetime | None, now: datetime, zone: ZoneInfo) -> str:
    """The time of today, or the day, as the project's readers count it."""
    if moment is None:
        return "-"
    there = moment.astimezone(zone)
    return f"{there:%H:%M}" if there.date() == now.astimezone(zone).date() else f"{there:%Y-%m-%d}"


def _ago(moment: datetime | None, now: datetime) -> str:
    return "never" if moment is None else f"{_span((now - moment).total_seconds())} ago"


def _until(report: Report, now: datetime) -> str:
    if report.stale:
        return "already"
    return "-" if report.stale_at is None else f"in {_span((report.stale_at - now).total_seconds())}"


def _span(seconds: float) -> str:
    from checks.judge import format_value

    whole = max(0, round(seconds))
    return format_value(whole if whole < 60 else whole - whole % 60, "s")
