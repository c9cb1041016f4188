"""A runbook's Markdown as a notebook, and the steps it consists of."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from checks.catalogue import _tags
from checks.catalogue._front_matter import body_of
from checks.errors import DataError, Place
from checks.model import Runbook, Step, StepClass

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode

_HEADING = re.compile(r"^##\s+(.+?)\s*#*\s*$", re.MULTILINE)
# Left to itself, Jupytext takes the language that most fences have for the notebook's, and Python for a magic.
_PYTHON = "---\njupyter:\n  kernelspec: {name: python3, display_name: Python 3, language: python}\n---\n\n"
_MOST_KEPT = 256
_GRAVITY = (StepClass.READ, StepClass.MANUAL, StepClass.CHANGE, StepClass.DESTRUCTIVE)
_FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1`*~*[ \t]*$", re.MULTILINE | re.DOTALL)


def read(runbook: Runbook) -> NotebookNode:
    """Read a runbook with Jupytext; its front matter is left out, ```` ```bash ```` fences become ``%%bash`` cells.

    Raises:
        DataError: Jupytext cannot read the file, or a cell's tag is not known.

    """
    return read_text(runbook.path.read_text(encoding="utf-8"), runbook.path)


def read_text(text: str, path: Path) -> NotebookNode:
    """Read a runbook's Markdown; see `read`."""
    try:
        # Whoever asks may change what it gets, and several ask in one command.
        notebook = deepcopy(_parsed(text))
    except Exception as error:
        # Jupytext documents no error of its own; whatever it raises here, the file is at fault.
        why = " ".join(str(error).split())
        raise DataError(f"Jupytext cannot read this runbook: {why}", where=Place(path)) from error
    _tags.refuse_unknown(notebook, text, path)
    return notebook


@lru_cache(maxsize=_MOST_KEPT)
def _parsed(text: str) -> NotebookNode:
    import jupytext

    notebook: NotebookNode = jupytext.reads(_PYTHON + body_of(text), fmt={"extension": ".md", "format_name": "markdown"})
    _split_at_headings(notebook)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    notebook.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3", "language": "python"})
    return notebook


def steps(notebook: NotebookNode) -> tuple[Step, ...]:
    """The ``##`` sections of a notebook that `read` gave; step 0 is what stands before the first, if anything does."""
    sections: list[tuple[str, list[int]]] = [("", [])]
    for position, cell in enumerate(notebook.cells):
        heading = _HEADING.match(cell.source.lstrip("\n")) if cell.cell_type == "markdown" else None
        if heading:
            sections.append((heading.group(1), []))
        sections[-1][1].append(position)
    return tuple(
        Step(number, title, _class_of([notebook.cells[position] for position in cells]), tuple(cells))
        for number, (title, cells) in enumerate(sections)
        if cells
    )


def _class_of(cells: list[Any]) -> StepClass:
    tags = {tag for cell in cells for tag in cell.metadata.get("tags", [])}
    return max((step_class for step_class in _GRAVITY if step_class.value in tags), key=_GRAVITY.index, default=StepClass.READ)


def _split_at_headings(notebook: NotebookNode) -> None:
    """Let each ``##`` heading begin a cell of its own, as Jupytext splits Markdown at blank lines only."""
    from nbformat.v4 import new_markdown_cell

    cells = []
    for cell in notebook.cells:
        starts = _headings(cell.source) if cell.cell_type == "markdown" else []
        if not starts or (len(starts) == 1 and not cell.source[: starts[0]].strip()):
            cells.append(cell)
            continue
        edges = sorted({0, *starts, len(cell.source)})
        for begin, end in pairwise(edges):
            text = cell.source[begin:end].strip("\n")
            if text.strip():
                cells.append(new_markdown_cell(text, metadata=dict(cell.metadata)))
    notebook.cells = cells


def _headings(source: str) -> list[int]:
    """Where ``##`` headings begin; lines inside a code fence are none."""
    fences = [match.span() for match in _FENCED.finditer(source)]
    starts = (match.start() for match in _HEADING.finditer(source))
    return [start for start in starts if not any(begin <= start < end for begin, end in fences)]
