"""Checklists as a reader meets them: what evidence ticks, and what people gave their word on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.model import ChecklistItem, Proof, Status, System
from checks.site import views

if TYPE_CHECKING:
    from checks.site.facts import Facts


@dataclass(frozen=True, slots=True)
class Section:
    """How far one section of a checklist is ticked.

    Attributes:
        first: one of its items, to link to its page.
        proven, measured: how many items evidence ticks, of how many that it can tick.
        signed, by_hand: how many items people signed, of how many that they can sign.

    """

    title: str
    first: ChecklistItem
    proven: int
    measured: int
    signed: int
    by_hand: int


def sections(facts: Facts, system: System) -> list[Section]:
    """A system's checklists, section by section."""
    parts: dict[str, list[ChecklistItem]] = {}
    for item in facts.catalogue.checklists.get(system.name, ()):
        parts.setdefault(item.section, []).append(item)
    found = []
    for title, items in parts.items():
        hand = [item for item in items if item.proof is Proof.HAND]
        ticked = [item for item in items if item.proof is not Proof.HAND and _ticked(facts, item)]
        held = [item for item in hand if holds(facts, item)]
        found.append(Section(title, items[0], len(ticked), len(items) - len(hand), len(held), len(hand)))
    return found


def _ticked(facts: Facts, item: ChecklistItem) -> bool:
    if item.proof is Proof.METRIC:
        return views.badge(facts.item(item.slug)).label == Status.OK.value
    return views.runbook_row(facts, facts.catalogue.runbook(item.slug)).badge.label == Status.OK.value


def holds(facts: Facts, item: ChecklistItem) -> bool:
    """Whether somebody's word on an item holds now."""
    signed = facts.signed.get(item.slug)
    return signed is not None and not why_not(facts, item)


def why_not(facts: Facts, item: ChecklistItem) -> str:
    """Why nobody's word holds for an item; empty where one does, or where none was given."""
    signed = facts.signed.get(item.slug)
    return signed.why_not(item, ended=facts.passed(signed.until)) if signed else ""


def address_of(item: ChecklistItem) -> str:
    """The address of the page that an item stands on."""
    return item.page.relative_to("docs").with_suffix(".html").as_posix()
