"""``proofbook sandbox``: the five stand-ins, started, ended, broken and healed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from checks.cli._shared import RootOption, root_of, say

if TYPE_CHECKING:
    from checks.sandbox.supervisor import Standing

app = typer.Typer(
    no_args_is_help=True,
    help="Small real services on this machine that stand in for the systems: they serve, log, back up, and break on command.",
)
SystemArgument = Annotated[str, typer.Argument(help="The system's slug.", show_default=False)]
FormatOption = Annotated[str, typer.Option("--format", help="text or json.")]


def _state(root: Path | None) -> Path:
    from checks.catalogue.settings import read_settings

    return read_settings(root_of(root)).state


@app.command("up")
def up(
    systems: Annotated[list[str] | None, typer.Argument(help="Which systems; default: all.", show_default=False)] = None,
    root: RootOption = None,
    output: FormatOption = "text",
) -> None:
    """Start the stand-ins and wait until each has answered real requests; exit 69 if one did not come up.

    Example: `proofbook sandbox up`
    """
    from checks import sandbox
    from checks.sandbox.keeper import Condition

    state = _state(root)
    standings = sandbox.up(state, systems)
    _print(standings.values(), output)
    if any(standing.condition is not Condition.READY for standing in standings.values()):
        raise typer.Exit(69)
    say(f"their files are in {state / 'sandbox'}; end them with `proofbook sandbox down`")


@app.command("down")
def down(root: RootOption = None) -> None:
    """End every stand-in; what they stored stays, so the next `up` has history.

    Example: `proofbook sandbox down`
    """
    from checks import sandbox

    ended = sandbox.down(_state(root))
    say(f"ended: {', '.join(ended)}" if ended else "the sandbox is down")


@app.command("status")
def status(root: RootOption = None, output: FormatOption = "text") -> None:
    """Show how each stand-in stands, where it serves and which faults are on.

    Example: `proofbook sandbox status --format json`
    """
    from checks import sandbox

    _print(sandbox.status(_state(root)).values(), output)


@app.command("break")
def break_(
    system: SystemArgument,
    fault: Annotated[str, typer.Argument(help="The fault; `proofbook sandbox faults SYSTEM` lists them.", show_default=False)],
    root: RootOption = None,
) -> None:
    """Switch a fault on: from now on the system really does it; one that is down does it when it comes up.

    Example: `proofbook sandbox break wellbeing errors`
    """
    from checks import sandbox

    say(f"{system} {fault}: {sandbox.break_(_state(root), system, fault)}")


@app.command("heal")
def heal(
    system: SystemArgument,
    fault: Annotated[str | None, typer.Argument(help="The fault; default: every one that is on.", show_default=False)] = None,
    root: RootOption = None,
) -> None:
    """Switch one fault off, or all; figures recover as their windows move on, and no log is edited.

    Example: `proofbook sandbox heal wellbeing`
    """
    from checks import sandbox

    healed = sandbox.heal(_state(root), system, fault)
    say(f"{system}: healed {', '.join(healed)}" if healed else f"{system}: nothing was broken")


@app.command("faults")
def faults(system: SystemArgument, output: FormatOption = "text") -> None:
    """List the faults that a system can have, and what really happens while each is on.

    Example: `proofbook sandbox faults wellbeing`
    """
    from checks.sandbox.supervisor import faults_of

    found = faults_of(system)
    if _wants_json(output):
        _print_json(dict(found))
        return
    for name, what in found.items():
        print(f"{name:<16} {what}")


def _print(standings: Iterable[Standing], output: str) -> None:
    if _wants_json(output):
        _print_json(
            [
                {
                    "system": one.system,
                    "condition": one.condition.value,
                    "url": one.url,
                    "pid": one.pid,
                    "reason": one.reason,
                    "faults": dict(one.faults),
                }
                for one in standings
            ]
        )
        return
    for one in standings:
        broken = f"  broken: {', '.join(one.faults)}" if one.faults else ""
        print(f"{one.system:<18} {one.condition.value:<9} {one.url or one.reason or '-'}{broken}")


def _wants_json(output: str) -> bool:
    from checks.errors import UsageError

    if output not in ("text", "json"):
        raise UsageError("no such format", where="--format", expected="text or json", found=output, remedy="give one of the two")
    return output == "json"


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2))
