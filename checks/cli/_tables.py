"""Tables as commands print them: drawn on a terminal, plain and whole in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from checks.cli._shared import console

_NARROWEST = 16  # what a sentence needs to be read at all


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], styles: Mapping[str, str]) -> None:
    """Print rows below their headings.

    In a pipe columns are aligned by spaces and nothing is cut or wrapped, so that a line is a row. A terminal that is too narrow
    for the columns gets each row as a few lines.

    Args:
        headings: one a column.
        rows: one text a column; a text is data and never markup, nor anything else that a terminal would obey.
        styles: the style of a row's first text, by that text; used on a terminal only.

    """
    rows = [[_inert(text) for text in row] for row in rows]
    if not sys.stdout.isatty():
        # Loading what draws tables takes longer than most commands do what they do.
        widths = [max(len(row[at]) for row in (headings, *rows)) for at in range(len(headings))]
        for row in (headings, *rows):
            print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
        return
    target = console()
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    fixed = sum(2 + max(len(row[at]) for row in (headings, *rows)) for at in range(len(headings) - 1))
    if fixed + _NARROWEST > target.width:
        for first, second, *rest in rows:
            target.print(Text(f"{first:<{len('critical')}}  ", styles.get(first, "")).append(second, "default"))
            if said := " · ".join(text for text in rest if text):
                target.print(Padding(Text(said, "dim"), (0, 0, 0, 2)))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, heading in enumerate(headings, start=1):
        # The last column holds the sentence, and gives way where the terminal is narrow.
        table.add_column(heading, overflow="fold", no_wrap=number < len(headings))
    for first, *rest in rows:
        table.add_row(Text(first, styles.get(first, "")), *(Text(text) for text in rest))
    target.print(table)


def _inert(text: str) -> str:
    """The text on one line, its indentation kept."""
    from checks.journal.formats import inert

    return " " * (len(text) - len(text.lstrip(" "))) + inert(text)
