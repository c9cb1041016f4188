"""``proofbook journal``: the store of what was found."""

from __future__ import annotations

import typer

from checks.cli._shared import RootOption, root_of, say

app = typer.Typer(help="The store of every run and what it found.", no_args_is_help=True)


@app.command("migrate")
def migrate(root: RootOption = None) -> None:
    """Make the journal, or bring an older one to this version's schema; an SQLite file is copied beside itself first.

    Every command that opens the journal does the same; this one does nothing else.

    Example: `proofbook journal migrate`
    """
    from checks.catalogue import read_settings
    from checks.journal import open_journal

    with open_journal(read_settings(root_of(root)).journal) as journal:
        say(f"{journal.where} is up to date")
