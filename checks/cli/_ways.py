"""How a check came to its answer: from what it measured, what happened on the way, and why it was judged so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.cli._shared import console

if TYPE_CHECKING:
    from datetime import datetime

    from checks.model import Observation, Result, Unmeasured
    from checks.probes import Step


@dataclass(frozen=True, slots=True)
class Way:
    """One check from its beginning to its end.

    Attributes:
        seen: what the probe gave.
        steps: what it did and saw on the way.
        earlier: the values that its limits looked back on, with their times.

    """

    result: Result
    seen: Observation | Unmeasured
    steps: Sequence[Step]
    earlier: Sequence[tuple[datetime, float]]


def print_way(way: Way) -> None:
    """Print it for a person to read, below the metric's name; whatever a system said is data and never markup."""
    from rich.text import Text

    from checks.journal.formats import inert

    target = console()
    target.print()
    target.print(Text(f"{way.result.system}/{way.result.metric}", "bold"))
    for name, text in _lines(way):
        line = Text.assemble((f"{name:>10}  ", "dim"), inert(text))
        if target.is_terminal:
            target.print(line)
        else:
            print(line.plain.rstrip())


def _lines(way: Way) -> list[tuple[str, str]]:
    from checks.judge import TEXT_UNIT, format_value
    from checks.model import Observation

    result, seen = way.result, way.seen
    lines = [("from", seen.source)]
    lines += [(format_value(step.at, "s"), step.text) for step in way.steps]
    if isinstance(seen, Observation):
        samples = f", resting on {seen.samples:,} samples" if seen.samples is not None else ""
        is_text = seen.unit == TEXT_UNIT
        value = "a text" if is_text else format_value(seen.value, seen.unit)
        lines.append(("measured", f"{value} in {format_value(seen.took, 's')}{samples}"))
        lines += [("the text" if is_text else "beside it", seen.detail)] if seen.detail else []
    else:
        lines.append(("measured", f"nothing, in {format_value(seen.took, 's')}"))
    if way.earlier:
        since = min(at for at, _ in way.earlier)
        lines.append(("history", f"{len(way.earlier):,} earlier values in the journal, since {since:%Y-%m-%d %H:%M} UTC"))
    if result.baseline is not None:
        used = result.baseline
        lines.append(("baseline", f"{format_value(used.value, used.unit)}, {used.about}"))
    lines += [(name, limit) for name, limit in (("warning", result.warning), ("critical", result.critical)) if limit]
    return [*lines, (result.status.value, result.reason)]
