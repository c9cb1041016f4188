"""``proofbook lint``: everything in the catalogue that is wrong, all at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from checks.cli._shared import RootOption, root_of, say


def lint(
    root: RootOption = None,
    schemas: Annotated[
        Path | None,
        typer.Option("--schemas", help="Also write the JSON Schemas that editors use to this folder.", show_default=False),
    ] = None,
) -> None:
    """Check every system.yml and every runbook; exit 65 if any is not valid.

    Named gaps (contacts that nobody filled in, metrics that no runbook checks) are counted, not refused.

    Example: `proofbook lint`
    """
    from checks import catalogue
    from checks.catalogue import gaps, json_schema

    loaded = catalogue.load(root_of(root))
    if schemas is not None:
        for path in json_schema.write(schemas):
            say(f"wrote {path}")
    found = gaps.find(loaded)
    for gap in found:
        print(gap)
    counts = (
        _count(len(loaded.systems), "system"),
        _count(sum(len(system.metrics) for system in loaded.systems.values()), "metric"),
        _count(len(loaded.runbooks), "runbook"),
    )
    say(f"{counts[0]}, {counts[1]} and {counts[2]} are valid; {_count(len(found), 'named gap')}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
