"""Which metrics a runbook's text shows that it checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from checks.catalogue import notebook
from checks.catalogue.checked import checked_by, names_in
from tests.golden import cases


@pytest.mark.parametrize("case", cases("checked"))
def test_golden(case: dict[str, Any]) -> None:
    """Names are found wherever a cell of Python checks them, in steps of every class, and nowhere else."""
    assert list(checked_by(case["input"], "shop")) == case["expected"]


@pytest.mark.parametrize("case", cases("checked"))
def test_the_cells_are_those_of_jupytext(case: dict[str, Any]) -> None:
    """Reading without Jupytext finds what Jupytext's own cells hold."""
    read = notebook.read_text(case["input"], Path("morning.md"))
    cells = [cell.source for cell in read.cells if cell.cell_type == "code" and not cell.source.startswith("%%")]
    named = {name.removeprefix("shop/") for source in cells for name in names_in(source)}
    assert sorted(name for name in named if " " not in name) == case["expected"]
