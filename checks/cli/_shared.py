"""What every command needs: the project it works on, and how talk and data leave it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from checks.catalogue import Catalogue

RootOption = Annotated[
    Path | None,
    typer.Option("--root", help="The project's folder; default: the nearest one upwards with an mkdocs.yml.", show_default=False),
]
EnvironmentOption = Annotated[
    str | None,
    typer.Option(
        "--environment", "-e", help="Where the systems live; default: the one that mkdocs.yml names.", show_default=False
    ),
]


@dataclass(frozen=True, slots=True)
class Workspace:
    """A project with the environment that a command works in.

    Attributes:
        variables: what ``${NAME}`` in system.yml is filled from: the running sandbox's variables in the environment
            ``sandbox`` (none while it is down), the caller's environment in each other.

    """

    catalogue: Catalogue
    environment: str
    variables: Mapping[str, str]


def root_of(root: Path | None) -> Path:
    """The project's folder, found from the current one where none is named."""
    from checks.catalogue import find_root

    return find_root(root if root is not None else Path.cwd())


def workspace(root: Path | None = None, environment: str | None = None) -> Workspace:
    """Load the project's catalogue and the variables of an environment.

    Raises:
        CatalogueErrors: what people wrote is not valid.
        UsageError: there is no project here.

    """
    from checks.catalogue import load

    catalogue = load(root_of(root))
    name = environment or catalogue.settings.environment
    return Workspace(catalogue, name, variables(catalogue.settings.state, name))


def variables(state: Path, environment: str) -> Mapping[str, str]:
    """What fills ``${NAME}`` in an environment; see `Workspace.variables`."""
    if environment != "sandbox":
        return dict(os.environ)
    from checks import sandbox

    found: Mapping[str, str] = sandbox.variables(state)
    return found


def say(text: str = "") -> None:
    """Talk to the person at the terminal; data goes to standard output, talk never does."""
    print(text, file=sys.stderr)


def console(*, stderr: bool = False) -> Console:
    """A rich console that is plain in a pipe and obeys NO_COLOR."""
    from rich.console import Console

    target = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=not target.isatty(), width=None if target.isatty() else 200)
