"""What the conditions of a system come to now, by what the journal says of its metrics, their age included."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from checks.journal.report import Item, ItemKind
from checks.judge import Decision, decide
from checks.model import Result, System


def decisions(system: System, items: Iterable[Item]) -> tuple[Decision, ...]:
    """Each declared condition with the evidence of each of its states.

    A result that no longer speaks for now counts as its item does: a stale ok is unknown, a stale critical still critical.

    Args:
        system: the system that declares the conditions.
        items: the items of its report; those of others are left aside.

    """
    known = [_now(item) for item in items if item.system == system.name and item.kind is ItemKind.METRIC]
    results = [result for result in known if result is not None]
    return tuple(decide(condition, results) for condition in system.conditions.values())


def to_json(system: str, decision: Decision) -> dict[str, Any]:
    """A decision as JSON has it: ``met`` is yes, no or unknown, and so is each of its states."""
    return {
        "system": system,
        "condition": decision.condition.name,
        "title": decision.condition.title,
        "met": decision.met.value,
        "reason": decision.reason,
        "evidence": [
            {
                "metric": one.state.metric,
                "at": one.state.at.value,
                "met": one.met.value,
                "status": one.result.status.value if one.result else None,
                "reason": one.result.reason if one.result else None,
            }
            for one in decision.evidence
        ],
    }


def _now(item: Item) -> Result | None:
    return item.result and replace(item.result, status=item.status, reason=item.reason)
