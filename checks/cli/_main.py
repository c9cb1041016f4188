"""The command ``proofbook`` and where each of its commands lives."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from checks.cli import check, checklist, incident, journal, lint, new, operate, publish, run, sandbox, schedule, serve, status
from checks.errors import CannotWrite, ProofbookError, UsageError

# Typer brings its own copy of click, whose UsageError has no public name but as the base of this one.
_WRONG_CALL: Any = typer.BadParameter.__mro__[1]
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

app = typer.Typer(
    name="proofbook",
    help="The document is the check: runbooks that measure, a journal of what they found, a site that shows it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would double the time that --help takes
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("publish", short_help="Run every runbook, build the site, swap it in.")(publish.publish)
app.command("run", short_help="Execute runbooks and journal what they find.")(run.run)
app.command("operate", short_help="Walk a runbook step by step, asked and journaled.")(operate.operate)
app.command("check", short_help="Measure and judge now, and journal nothing.")(check.check)
app.command("status", short_help="Say what the journal knows: what needs someone first.")(status.status)
app.command("serve", short_help="Serve the published site to this machine.")(serve.serve)
app.command("lint", short_help="Say what is wrong with what you wrote, and how to mend it.")(lint.lint)
app.add_typer(checklist.app, name="checklist")
app.add_typer(incident.app, name="incident")
app.add_typer(new.app, name="new", short_help="Begin a site, a system, a runbook or an incident.")
app.add_typer(schedule.app, name="schedule")
app.add_typer(journal.app, name="journal")
app.add_typer(sandbox.app, name="sandbox", short_help="Small real services that stand in for the systems.")


_IN_A_LIST = 62
"""How many letters of what a command does stand beside its name on 80 columns."""


def _briefly(said: str) -> str | None:
    """The beginning of a sentence that is too long for a list of commands, cut where it pauses; ``None`` where it need not be."""
    if len(said) <= _IN_A_LIST:
        return None
    for pause in ("; ", ": ", ", "):
        begun = said[:_IN_A_LIST].rpartition(pause)[0]
        if begun.count(" ") > 2:
            return f"{begun}."
    return None


for _group in (app, checklist.app, incident.app, new.app, schedule.app, journal.app, sandbox.app):
    for _command in _group.registered_commands:
        _command.short_help = _command.short_help or _briefly((_command.callback.__doc__ or "").partition("\n")[0])


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


def _require_text(arguments: Sequence[str]) -> None:
    """Refuse bytes that are no text, which neither a journal nor a page can hold; the name of a file may be anything.

    Raises:
        UsageError: an argument holds some.

    """
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument) and not Path(argument).exists():
            raise UsageError("an argument is no text", found=ascii(argument), expected="UTF-8")


def main() -> None:
    """Run the command line; every error of ours ends as one readable text and its exit code."""
    try:
        _require_text(sys.argv[1:])
        sys.exit(app(standalone_mode=False))
    except ProofbookError as error:
        from checks.site.words import harmless

        # What was found may be anything that stood in a file, or that a server answered.
        print(harmless(str(error)), file=sys.stderr)
        sys.exit(error.exit_code)
    except _WRONG_CALL as error:
        error.show()
        sys.exit(UsageError.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe left, as `head` does; there is nobody to tell.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        # It may have been the answer itself that nothing takes, or a file on the disk that these words go to as well.
        with suppress(OSError):
            full = CannotWrite(f"cannot write: {error.strerror}", where=error.filename, remedy="make room on the disk")
            print(full, file=sys.stderr, flush=True)
        sys.exit(CannotWrite.exit_code)
