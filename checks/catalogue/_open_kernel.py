"""Runbooks that JupyterLab would open with another kernel than the one that executes them here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from checks.catalogue import notebook as reader
from checks.catalogue._findings import Finding
from checks.errors import Place

if TYPE_CHECKING:
    from pathlib import Path

    from checks.model import Runbook

_PAIRING = "jupytext.toml"


def kernel(runbook: Runbook, root: Path) -> Iterator[Finding]:
    """Where notebooks are paired, a runbook that names no kernel and that Jupytext takes for one in another language.

    Most of its fences decide that; its Python cells would become processes of their own then, whose checks nobody sees.
    """
    if not (runbook.path.parents[1] / _PAIRING).is_file():
        return
    text = runbook.path.read_text(encoding="utf-8")
    magics = [cell.source.startswith("%%") for cell in reader.read(runbook).cells if cell.cell_type == "code"]
    if "\njupyter:" not in text and magics.count(True) <= magics.count(False):
        # Reading it once more, as JupyterLab would, takes longer than everything else that is looked for in it.
        return
    import jupytext

    notebook = jupytext.reads(text, fmt={"extension": ".md", "format_name": "markdown"})
    language = notebook.metadata.get("jupytext", {}).get("main_language", "python")
    if language != "python":
        shown = runbook.path.relative_to(root)
        yield Finding(
            Place(shown, 1),
            f"in JupyterLab this opens as a notebook in {language}, and checks show nothing there",
            f"name its kernel: jupytext --set-kernel python3 {shown}",
        )
