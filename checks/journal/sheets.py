"""CSV for spreadsheets: figures as figures, and texts that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checks.model import Result

_ACTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - spreadsheets read these as they do the others


RESULTS = (
    "judged_at", "status", "value", "unit", "measured_at", "warning", "critical", "reason", "source", "detail", "run"
)  # fmt: skip
"""The columns of results."""
OBSERVED = ("measured_at", "value", "unit")
"""The columns of observations."""


def results(judged: Iterable[tuple[Result, str | None]]) -> Iterator[tuple[object, ...]]:
    """Rows of results, each with the id of its run."""
    for one, run_id in judged:
        seen = one.observation
        value = (seen.value, seen.unit, seen.measured_at) if seen else (None, None, None)
        where = (seen.source, seen.detail) if seen else (None, None)
        yield (one.judged_at, one.status.value, *value, one.warning, one.critical, one.reason, *where, run_id)


def observed(values: Iterable[tuple[datetime, float, str]]) -> Iterator[tuple[object, ...]]:
    """Rows of observations."""
    yield from values


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV (RFC 4180); numbers and moments stand as they are, and ``'`` stands before a text that begins as a formula.

    Args:
        header: the names of the columns.
        rows: one value a column; ``None`` is an empty cell.

    """
    written = io.StringIO()
    sheet = csv.writer(written, lineterminator="\r\n")
    sheet.writerow(header)
    sheet.writerows([_cell(value) for value in row] for row in rows)
    return written.getvalue()


def _cell(value: object) -> str | int | float:
    if isinstance(value, int | float):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return harmless("" if value is None else str(value))


def harmless(text: str) -> str:
    """A text that a spreadsheet shows instead of working it out."""
    return f"'{text}" if text.lstrip(" \u00a0\ufeff").startswith(_ACTS) else text
