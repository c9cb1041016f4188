"""What a valid catalogue still leaves open: named, counted and shown, never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.catalogue import notebook
from checks.catalogue.checked import names_in
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
                yield from names_in(cell.source)
