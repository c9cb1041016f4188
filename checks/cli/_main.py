"""The command ``proofbook`` and where each of its commands lives."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from checks.cli import lint, new
from checks.errors import ProofbookError

app = typer.Typer(
    name="proofbook",
    help="The document is the check: runbooks that measure, a journal of what they found, a site that shows it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("lint")(lint.lint)
app.add_typer(new.app, name="new")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"proofbook {version('proofbook')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The document is the check: runbooks that measure, a journal of what they found, a site that shows it."""


def main() -> None:
    """Run the command line; every error of ours ends as one readable text and its exit code."""
    try:
        app()
    except ProofbookError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of a pipe left, as `head` does; there is nobody to tell.
        sys.stderr.close()
        sys.exit(0)
