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


@app.command("rebuild")
def rebuild(root: RootOption = None) -> None:
    """Draw everything that is derived anew from the facts: what is latest, changes of status and limits, days, stretches.

    It is kept beside the facts as they are written, so this changes nothing unless somebody has changed the database by hand.
    No fact is touched. Ten million observations take a few minutes; runs wait meanwhile.

    Example: `proofbook journal rebuild`
    """
    from checks.catalogue import read_settings
    from checks.journal import open_journal

    with open_journal(read_settings(root_of(root)).journal, create=False) as journal:
        journal.rebuild()
        say(f"what is derived in {journal.where} is drawn anew")
