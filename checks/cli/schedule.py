"""``proofbook schedule``: what runs when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from checks.cli._shared import EnvironmentOption, RootOption, root_of, say

if TYPE_CHECKING:
    from datetime import datetime

    from checks.catalogue import Catalogue

app = typer.Typer(help="When runbooks are due.", no_args_is_help=True)


@app.command("next")
def next_(environment: EnvironmentOption = None, root: RootOption = None) -> None:
    """List what is due, and when each runbook is due next; nothing is run or claimed.

    Example: `proofbook schedule next`
    """
    from datetime import UTC, datetime

    from checks import catalogue
    from checks.cli._tables import print_table

    loaded = catalogue.load(root_of(root))
    rows = _rows(loaded, environment or loaded.settings.environment, datetime.now(UTC))
    if not rows:
        say("no runbook has a schedule here")
        return
    print_table(("due", "runbook", "in UTC", "schedule", "time zone"), rows, {"now": "bold yellow"})


def _rows(loaded: Catalogue, environment: str, now: datetime) -> list[tuple[str, ...]]:
    """What is due already, those waiting longest first; then what comes, the soonest first."""
    from checks.journal import JournalMissing, open_journal
    from checks.judge import format_value
    from checks.schedule import due_here, next_due, runbooks_here

    try:
        with open_journal(loaded.settings.journal, create=False) as journal:
            claimed = journal.last_slots(environment)
    except JournalMissing:
        claimed = {}
    books = {book.slug: book for book in runbooks_here(loaded, environment)}
    entries = [("now", slot.runbook, slot.due_at) for slot in due_here(loaded, claimed, environment, now)]
    coming = sorted((moment, slug) for slug, book in books.items() if (moment := next_due(book, now)) is not None)
    entries += [(f"in {format_value(round((moment - now).total_seconds()), 's')}", slug, moment) for moment, slug in coming]
    return [
        (when, slug, f"{moment:%Y-%m-%d %H:%M}", cron.expression, cron.timezone)
        for when, slug, moment in entries
        if (cron := books[slug].schedule) is not None
    ]
