"""A step as a person reads it before deciding: its prose, its code, and the way back that it names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.model import Step

if TYPE_CHECKING:
    from nbformat import NotebookNode

# A sentence that begins with the word, plain or emphasised, or a small heading of that name.
_SENTENCE = re.compile(
    r"(?:^|(?<=[\s*_>]))((?:\*\*|__)?(?:Undo|Rollback|Roll back)(?:\*\*|__)?[:.](?:\*\*|__)?)(?:\s+(.*))?$", re.DOTALL
)
_HEADING = re.compile(r"^#{3,6}\s+(?:Undo|Rollback|Roll back)\b.*$", re.MULTILINE)
_FRONT_HEADING = re.compile(r"\A##\s+.*(?:\n|\Z)")
_MAGIC = re.compile(r"\A%%(bash|sh)\b.*\n?")


@dataclass(frozen=True, slots=True)
class Page:
    """A step ready to be shown.

    Attributes:
        system: the name of the system that it may change.
        parts: prose and code in their order: ``markdown``, ``bash`` or ``python``, and the text.
        undo: the paragraph that says how to undo it; empty where there is none.

    """

    step: Step
    system: str
    parts: tuple[tuple[str, str], ...]
    undo: str


def page_of(step: Step, notebook: NotebookNode, system: str) -> Page:
    """Take a step out of a notebook as a page.

    Args:
        step: one of the notebook's steps.
        notebook: the runbook as a notebook.
        system: the name of the runbook's system.

    """
    parts = []
    for position in step.cells:
        cell = notebook.cells[position]
        if cell.cell_type == "markdown":
            parts.append(("markdown", _FRONT_HEADING.sub("", cell.source, count=1).strip()))
        elif cell.cell_type == "code" and not cell.metadata.get("proofbook", {}).get("injected"):
            shell = _MAGIC.match(cell.source)
            parts.append(("bash" if shell else "python", cell.source[shell.end() :] if shell else cell.source))
    prose = "\n\n".join(text for kind, text in parts if kind == "markdown")
    return Page(step, system, tuple(part for part in parts if part[1]), undo_of(prose))


def undo_of(prose: str) -> str:
    """The paragraph that says how to undo a step, from the word on; empty where the prose holds none.

    Read are ``**Undo:** put it back``, ``Undo: put it back``, ``**Rollback.** ...`` and a heading ``### Undo`` with what
    follows it.
    """
    if heading := _HEADING.search(prose):
        following = prose[heading.end() :].strip()
        end = re.search(r"^#{1,6}\s", following, re.MULTILINE)
        return following[: end.start()].strip() if end else following
    paragraphs = re.split(r"\n\s*\n", prose)
    for number, paragraph in enumerate(paragraphs):
        if sentence := _SENTENCE.search(paragraph):
            # Where the paragraph ends with the word, the way back is what follows it.
            rest = paragraphs[number + 1 : number + 2] if not sentence.group(2) else []
            if found := "\n\n".join([sentence.group(2) or "", *rest]).strip():
                return found
    return ""
