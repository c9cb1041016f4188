"""The one value that is meant of what a query answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checks.model import Observation, Unmeasured
from checks.probes._steps import note
from checks.probes._support import Measuring, clipped


def value_of(
    rows: Sequence[Sequence[Any]], columns: Sequence[str], column: str | None, shown: str, measuring: Measuring, unit: str
) -> Observation | Unmeasured:
    """Take the only column of the only row, or the named one of several.

    Args:
        rows: the first two rows, as far as there are two.
        columns: their names.
        column: which of several is meant; ``None``: there is only one.
        shown: what the database is called in reasons.
        measuring: the measurement that this is for.
        unit: the metric's unit.

    """
    note(f"the answer has {len(rows) if len(rows) < 2 else 'more than one'} row of {', '.join(columns)}")
    if not rows:
        return measuring.failed(f"the query on {shown} gave no row")
    if len(rows) > 1:
        return measuring.failed(f"the query on {shown} gave more than one row, not one number")
    if column is None and len(columns) != 1:
        return measuring.failed(
            f"the query on {shown} gave {len(columns)} columns, not one number; `column:` names the one that is meant"
        )
    if column is not None and list(columns).count(column) != 1:
        named = clipped(", ".join(columns), 100)
        return measuring.failed(f"the query on {shown} gave no column {column}, or several, but {named}")
    at = list(columns).index(column) if column is not None else 0
    others = [f"{name} {clipped(str(value), 40)}" for name, value in zip(columns, rows[0], strict=True) if name != column]
    return measuring.gave(rows[0][at], unit, ", ".join(others) if column is not None else "", name=column or "the query's answer")
