"""``proofbook new``: a site, a system or a runbook to begin from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from checks.cli._shared import RootOption, root_of, say

app = typer.Typer(help="Begin a site, a system or a runbook that `publish` accepts at once.", no_args_is_help=True)


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


def _tell(paths: Iterable[Path]) -> None:
    for path in paths:
        print(path)
