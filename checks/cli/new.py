"""``proofbook new``: a site, a system, a runbook or an incident to begin from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from checks.cli._shared import RootOption, root_of, say

app = typer.Typer(help="Begin a site, a system, a runbook or an incident that `publish` accepts at once.", no_args_is_help=True)


@app.command("site")
def site(folder: Annotated[Path, typer.Argument(help="A new or empty folder.")]) -> None:
    """Lay out a site of your own that watches this machine.

    Example: `proofbook new site our-runbooks && cd our-runbooks && proofbook publish`
    """
    from checks.catalogue import scaffold

    _tell(scaffold.new_site(folder))
    say(f"next: cd {folder} && proofbook publish")


@app.command("system")
def system(name: Annotated[str, typer.Argument(help="Its slug, such as web-shop.")], root: RootOption = None) -> None:
    """Add a system with its metrics, its page and a morning check.

    Example: `proofbook new system web-shop`
    """
    from checks.catalogue import scaffold

    _tell(scaffold.new_system(root_of(root), name))
    say(f"next: describe it in docs/systems/{name}/system.yml, then proofbook lint")


@app.command("runbook")
def runbook(
    slug: Annotated[str, typer.Argument(help="Its system and name, such as web-shop/evening.")], root: RootOption = None
) -> None:
    """Add a runbook that checks what its system declares.

    Example: `proofbook new runbook web-shop/evening`
    """
    from checks import catalogue
    from checks.catalogue import scaffold

    _tell(scaffold.new_runbook(catalogue.load(root_of(root)), slug))
    say(f"next: proofbook run {slug}")


@app.command("incident")
def incident(
    title: Annotated[str, typer.Argument(help="What went wrong, in a few words.")],
    system: Annotated[str, typer.Option("--system", "-s", help="The system that it happened to.")],
    severity: Annotated[str, typer.Option("--severity", help="How grave it is, such as P1.")],
    opened: Annotated[
        str | None, typer.Option("--opened", help="When, such as 2024-11-02T10:42Z; default: now.", show_default=False)
    ] = None,
    root: RootOption = None,
) -> None:
    """Write the page of an incident that is told afterwards; nothing is journaled. `proofbook incident open` opens one.

    Example: `proofbook new incident "The shop answered nobody" --system shop --severity P1 --opened 2024-11-02T10:42Z`
    """
    from datetime import UTC, datetime

    from checks import catalogue
    from checks.catalogue import scaffold
    from checks.cli._moments import moment

    began = moment(opened) if opened else datetime.now(UTC)
    _tell(scaffold.new_incident(catalogue.load(root_of(root)), scaffold.IncidentWords(title, system, severity, began)))


def _tell(paths: Iterable[Path]) -> None:
    for path in paths:
        print(path)
