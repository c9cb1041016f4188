"""What a valid catalogue still leaves open: named, counted and shown, never guessed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.catalogue import notebook
from checks.errors import Place
from checks.model import StepClass

if TYPE_CHECKING:
    from checks.catalogue._load import Catalogue
    from checks.model import Runbook


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that nobody has filled in yet."""

    where: Place
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def find(catalogue: Catalogue) -> list[Gap]:
    """The gaps of a catalogue: contacts nobody filled in, metrics that no read step checks, runbooks that check nothing."""
    found: list[Gap] = []
    for system in catalogue.systems.values():
        place = Place(system.path.relative_to(catalogue.root))
        found += [Gap(place, f"nobody is named as {contact.role}") for contact in system.contacts if not contact.reach]
        checked: set[str] = set()
        for runbook in catalogue.runbooks_of(system.name):
            names = set(checked_in(runbook))
            if not names:
                found.append(Gap(Place(runbook.path.relative_to(catalogue.root)), "no read step of this runbook checks anything"))
            checked |= names
        found += [Gap(place, f"no runbook checks the metric {name}") for name in system.metrics if name not in checked]
    return found


def checked_in(runbook: Runbook) -> Iterator[str]:
    """The metrics that a runbook's read steps name in ``check("…")``, as far as its source shows them literally."""
    book = notebook.read(runbook)
    for step in notebook.steps(book):
        if step.step_class is not StepClass.READ:
            continue
        for position in step.cells:
            cell = book.cells[position]
            if cell.cell_type == "code" and not cell.source.startswith("%%"):
                yield from _checks_of(cell.source)


def _checks_of(source: str) -> Iterator[str]:
    plain = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("!", "%")))
    try:
        tree = ast.parse(plain)
    except SyntaxError:
        return
    literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check"]
    for call in calls:
        if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
            yield call.args[0].value
        else:
            # check(name) in a loop: any text in the cell may be the name.
            yield from literals
