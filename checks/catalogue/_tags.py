"""What may stand on a cell beside its code: a slip of the pen there must not make a step that only reads of one that destroys."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.errors import DataError, Place
from checks.model import StepClass

if TYPE_CHECKING:
    from nbformat import NotebookNode

_CLASSES = tuple(step_class.value for step_class in StepClass)
# What Jupyter's own tools give a meaning to.
_OF_JUPYTER = frozenset(
    f"{deed}{mark}{part}" for deed in ("hide", "remove") for mark in "-_" for part in ("input", "output", "cell")
) | {"full-width", "injected-parameters", "margin", "parameters", "raises-exception", "scroll-output", "skip-execution"}
_OWN = "x-"
_KEYS = frozenset(("tags", "name", "title", "jupyter", "slideshow", "editable", "deletable", "collapsed", "scrolled", "hidden"))
_OF_JUPYTEXT = frozenset(
    ("active", "cell_marker", "lines_to_end_of_cell_marker", "lines_to_next_cell", "magic_args", "region_name")
)
_UNREADABLE = "incorrectly_encoded_metadata"


def refuse_unknown(notebook: NotebookNode, text: str, path: Path) -> None:
    """Refuse a tag that nobody knows, and anything else on a fence that says nothing.

    Args:
        notebook: as it was read.
        text: what it was read from.
        path: the file; the error names it with the line.

    Raises:
        DataError: there is one.

    """
    for cell in notebook.cells:
        for key, value in cell.metadata.items():
            if key == "tags":
                for tag in value:
                    if tag not in _CLASSES and tag not in _OF_JUPYTER and not tag.startswith(_OWN):
                        raise _unknown(tag, _line_of(tag, text), path)
            elif key == _UNREADABLE or (key not in _KEYS | _OF_JUPYTEXT and cell.cell_type == "code"):
                shown = str(value) if key == _UNREADABLE else key
                raise DataError(
                    f"`{shown}` on a fence says nothing",
                    where=Place(path, _line_of(shown, text)),
                    expected="the class of its step as a tag, or nothing",
                    example='```bash tags=["change"]',
                )


def _unknown(tag: str, line: int | None, path: Path) -> DataError:
    near = difflib.get_close_matches(tag.lower(), [*_CLASSES, *_OF_JUPYTER], n=1)
    return DataError(
        f"the tag `{tag}` is not known",
        where=Place(path, line),
        expected=f"one of {', '.join(_CLASSES)}; Jupyter's own, such as skip-execution; yours, such as {_OWN}night",
        remedy=f"did you mean `{near[0]}`?" if near else "what it marks would be executed as a step that only reads",
    )


def _line_of(words: str, text: str) -> int | None:
    lines: Any = enumerate(text.splitlines(), start=1)
    return next((number for number, line in lines if words in line and line.startswith(("```", "~~~", "<!--"))), None)
