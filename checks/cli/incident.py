"""``proofbook incident``: what went wrong, from the first word to the last."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from checks.cli._shared import EnvironmentOption, RootOption, root_of, say

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from checks.model import Incident

app = typer.Typer(help="Open, tell, acknowledge and resolve incidents.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The incident: the name of its page, as `incident list` gives it.")]
NoteOption = Annotated[str, typer.Option("--note", help="What to add to its story.", show_default=False)]


class Format(StrEnum):
    """How incidents are printed."""

    TEXT = "text"
    JSON = "json"


@app.command("open")
def open_(
    title: Annotated[str, typer.Argument(help="What is wrong, in a few words.")],
    system: Annotated[str, typer.Option("--system", "-s", help="The system that it happens to.")],
    severity: Annotated[str, typer.Option("--severity", help="How grave it is, such as P1.")],
    runbook: Annotated[
        str | None, typer.Option("--runbook", help="The runbook that is followed (system/name).", show_default=False)
    ] = None,
    note: NoteOption = "",
    environment: EnvironmentOption = None,
    root: RootOption = None,
) -> None:
    """Write an incident's page and start its clocks; prints the page.

    Example: `proofbook incident open "The API answers nobody" --system shop --severity P1`
    """
    from datetime import UTC, datetime

    from checks import catalogue
    from checks.journal import open_journal
    from checks.respond import incidents
    from checks.run.login import login

    loaded = catalogue.load(root_of(root))
    with open_journal(loaded.settings.journal) as journal:
        path = incidents.open_incident(
            loaded,
            journal,
            title,
            system=system,
            severity=severity,
            actor=login(),
            now=datetime.now(UTC),
            runbook=runbook,
            environment=environment or "",
            note=note,
        )
    print(path)
    say(f"next: proofbook incident ack {path.stem}")


@app.command("note")
def note(
    name: NameArgument,
    text: Annotated[str, typer.Argument(help="What happened, or what you did.")],
    root: RootOption = None,
) -> None:
    """Add a line to an incident's story.

    Example: `proofbook incident note 2024-11-02-the-api-answers-nobody "Restarted the API"`
    """
    from datetime import UTC, datetime

    from checks import catalogue
    from checks.journal import open_journal
    from checks.respond import incidents
    from checks.run.login import login

    loaded = catalogue.load(root_of(root))
    incident = loaded.incident(name)
    with open_journal(loaded.settings.journal) as journal:
        incidents.note(journal, incident, text, actor=login(), now=datetime.now(UTC))
    say(f"noted in {name}")


@app.command("ack")
def ack(name: NameArgument, note: NoteOption = "", root: RootOption = None) -> None:
    """Say that you are on it: the clock of the first answer stops.

    Example: `proofbook incident ack 2024-11-02-the-api-answers-nobody`
    """
    _step("acknowledge", name, note, root)


@app.command("resolve")
def resolve(name: NameArgument, note: NoteOption = "", root: RootOption = None) -> None:
    """Say that it is over; what nobody acknowledged is acknowledged by it.

    Example: `proofbook incident resolve 2024-11-02-the-api-answers-nobody --note "Errors are back to none"`
    """
    _step("resolve", name, note, root)


@app.command("draft")
def draft(name: NameArgument, environment: EnvironmentOption = None, root: RootOption = None) -> None:
    """Print the report of an incident as Markdown, with all that the journal knows of it; what only people know are named gaps.

    It holds its times beside what is promised, which metrics turned when, what people said and operated, and links to evidence.
    A system's own template is `docs/systems/<system>/incident-report.txt`.

    Example: `proofbook incident draft 2024-11-02-the-api-answers-nobody > report.md`
    """
    from datetime import UTC, datetime

    from checks import catalogue
    from checks.journal import open_journal
    from checks.respond import drafts

    loaded = catalogue.load(root_of(root))
    with open_journal(loaded.settings.journal) as journal:
        print(drafts.draft(loaded, journal, name, environment or loaded.settings.environment, datetime.now(UTC)), end="")


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", "-a", help="Those that are resolved, too.")] = False,
    format: Annotated[Format, typer.Option("--format", "-f", help="How they are printed.")] = Format.TEXT,  # noqa: A002
    root: RootOption = None,
) -> None:
    """List the incidents that are not over, the gravest clock first.

    Example: `proofbook incident list --all`
    """
    from datetime import UTC, datetime

    from checks import catalogue

    loaded = catalogue.load(root_of(root))
    now = datetime.now(UTC)
    shown = [one for one in loaded.incidents.values() if all_ or one.resolved is None]
    shown.sort(key=lambda one: (one.resolved is not None, one.opened))
    if format is Format.JSON:
        import json

        print(json.dumps({"version": 1, "incidents": [_document(one) for one in shown]}, indent=2, ensure_ascii=False))
    elif shown:
        from checks.cli._tables import print_table

        systems = loaded.systems
        rows = [_row(one, systems[one.system].severities.get(one.severity), now) for one in shown]
        print_table(
            ("status", "incident", "severity", "system", "open for", "acknowledge", "resolve"), rows, {"open": "bold red"}
        )
    else:
        say("no incident is open" if not all_ else "no incident was ever opened")


def _step(which: str, name: str, note: str, root: Any) -> None:
    from datetime import UTC, datetime

    from checks import catalogue
    from checks.journal import open_journal
    from checks.respond import incidents
    from checks.run.login import login

    loaded = catalogue.load(root_of(root))
    with open_journal(loaded.settings.journal) as journal:
        do = incidents.acknowledge if which == "acknowledge" else incidents.resolve
        print(do(loaded, journal, name, actor=login(), now=datetime.now(UTC), said=note))


def _row(incident: Incident, severity: Any, now: datetime) -> tuple[str, ...]:
    open_for = (incident.resolved or now) - incident.opened
    return (
        incident.status.value,
        incident.name,
        incident.severity,
        incident.system,
        _short(open_for),
        _clock(incident.opened, incident.acknowledged, severity and severity.acknowledge_by(incident.opened), now),
        _clock(incident.opened, incident.resolved, severity and severity.resolve_by(incident.opened), now),
    )


def _clock(opened: datetime, ended: datetime | None, due: datetime | None, now: datetime) -> str:
    if due is None:
        return f"after {_short(ended - opened)}" if ended else "no time promised"
    left = due - (ended or now)
    if ended is not None:
        return f"after {_short(ended - opened)}" + ("" if left.total_seconds() >= 0 else f", {_short(-left)} late")
    return f"due in {_short(left)}" if left.total_seconds() >= 0 else f"late by {_short(-left)}"


def _short(length: timedelta) -> str:
    from checks.judge import format_value

    return format_value(max(0, round(length.total_seconds())), "s")


def _document(incident: Incident) -> dict[str, Any]:
    def at(moment: datetime | None) -> str | None:
        return moment.isoformat() if moment else None

    times: Iterable[tuple[str, datetime | None]] = (
        ("opened", incident.opened),
        ("acknowledged", incident.acknowledged),
        ("resolved", incident.resolved),
    )
    about = {"name": incident.name, "title": incident.title, "system": incident.system, "severity": incident.severity}
    return {**about, "status": incident.status.value, "runbook": incident.runbook, **{key: at(value) for key, value in times}}
