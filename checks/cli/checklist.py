"""``proofbook checklist``: what is ticked by evidence, and what a person gives their word on."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from checks.cli._shared import EnvironmentOption, RootOption, root_of, say

if TYPE_CHECKING:
    from checks.respond.checklists import Line

app = typer.Typer(help="Read checklists, and sign what only a person can say.", no_args_is_help=True)


class Format(StrEnum):
    """How a checklist is printed."""

    TEXT = "text"
    JSON = "json"


@app.command("show")
def show(
    system: Annotated[str | None, typer.Argument(help="Of which system; default: of all.", show_default=False)] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How it is printed.")] = Format.TEXT,  # noqa: A002
    environment: EnvironmentOption = None,
    root: RootOption = None,
) -> None:
    """Show every item with what ticks it: evidence, or who signed it and until when.

    Example: `proofbook checklist show shop`
    """
    from datetime import UTC, datetime

    from checks import catalogue
    from checks.journal import open_journal
    from checks.respond import checklists

    loaded = catalogue.load(root_of(root))
    here = environment or loaded.settings.environment
    with open_journal(loaded.settings.journal) as journal:
        names = [system] if system else list(loaded.systems)
        found = [line for name in names for line in checklists.lines(loaded, journal, name, here, datetime.now(UTC))]
    if format is Format.JSON:
        import json

        print(json.dumps({"version": 1, "environment": here, "items": [_document(line) for line in found]}, indent=2))
    elif found:
        from checks.cli._tables import print_table

        rows = [("ticked" if line.ticked else "open", line.item.slug, line.said, line.item.text) for line in found]
        print_table(("box", "item", "by", "what it says"), rows, {"ticked": "green", "open": "yellow"})
    else:
        say("no checklist has an item with a name")


@app.command("sign")
def sign(
    system: Annotated[str, typer.Argument(help="The system whose checklist it is.")],
    item: Annotated[str, typer.Argument(help="The item's name, as `checklist show` gives it.")],
    for_: Annotated[str | None, typer.Option("--for", help="How long your word holds, such as 7d.", show_default=False)] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Or until when, such as 2024-11-30T18:00Z.", show_default=False)
    ] = None,
    note: Annotated[str, typer.Option("--note", help="What a reader should know of it.", show_default=False)] = "",
    as_: Annotated[str, typer.Option("--as", help="Your login; another's is refused.", show_default=False)] = "",
    environment: EnvironmentOption = None,
    root: RootOption = None,
) -> None:
    """Give your word on an item; it is journaled with your login, and it ends.

    Refused, and journaled (exit 77): in another's name, from a pipe or a schedule, for longer than the item allows, and
    where a measurement speaks against it.

    Example: `proofbook checklist sign shop shelves --for 7d`
    """
    from datetime import UTC, datetime

    from checks import catalogue
    from checks.cli._moments import moment, span
    from checks.errors import UsageError
    from checks.journal import open_journal
    from checks.respond import checklists
    from checks.run.login import login

    if for_ and until:
        raise UsageError("it ends once", where="--for --until", remedy="give one of the two")
    loaded = catalogue.load(root_of(root))
    with open_journal(loaded.settings.journal) as journal:
        given = checklists.sign(
            loaded,
            journal,
            f"{system}/{item}",
            environment=environment or loaded.settings.environment,
            actor=login(),
            at_a_terminal=sys.stdin.isatty(),
            now=datetime.now(UTC),
            until=moment(until) if until else None,
            lasts=span(for_) if for_ else None,
            in_the_name_of=as_,
            note=note,
        )
    say(f"{given.actor} signed {given.item} until {given.until:%Y-%m-%d %H:%M} UTC")


def _document(line: Line) -> dict[str, Any]:
    item, signed = line.item, line.signed
    word = (
        {"by": signed.actor, "at": signed.at.isoformat(), "until": signed.until.isoformat(), "note": signed.note}
        if signed
        else None
    )
    about = {"item": item.slug, "text": item.text, "section": item.section, "ticked_by": item.proof.value}
    return {**about, "ticked": line.ticked, "reason": line.said, "signed": word}
