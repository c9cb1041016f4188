"""Tables as commands print them: drawn on a terminal, plain and whole in a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from checks.cli._shared import console


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], styles: Mapping[str, str]) -> None:
    """Print rows below their headings.

    In a pipe columns are aligned by spaces and nothing is cut or wrapped, so that a line is a row.

    Args:
        headings: one a column.
        rows: one text a column; a text is data and never markup.
        styles: the style of a row's first text, by that text; used on a terminal only.

    """
    target = console()
    if not target.is_terminal:
        widths = [max(len(row[at]) for row in (headings, *rows)) for at in range(len(headings))]
        for row in (headings, *rows):
            print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, heading in enumerate(headings, start=1):
        # The last column holds the sentence, and gives way where the terminal is narrow.
        table.add_column(heading, overflow="fold", no_wrap=number < len(headings))
    for first, *rest in rows:
        table.add_row(Text(first, styles.get(first, "")), *(Text(text) for text in rest))
    target.print(table)
