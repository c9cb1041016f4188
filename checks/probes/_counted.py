"""How many samples a number in a JSON document rests on, where the document says so itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from checks.model import Observation, Unmeasured
from checks.probes._support import Measuring, select


def counted(
    seen: Observation | Unmeasured, expression: str | None, document: Any, measuring: Measuring
) -> Observation | Unmeasured:
    """The observation with the number of its samples, taken by a JMESPath expression from the same document.

    A number that is missing, below zero or no whole number makes it unmeasured: its metric declares that it needs one.
    """
    if expression is None or isinstance(seen, Unmeasured):
        return seen
    found = select(expression, document, measuring, "")
    if isinstance(found, Unmeasured):
        return found
    if found.value < 0 or found.value != int(found.value):
        return measuring.failed(f"{expression} is {found.value:g}, which is no number of samples, in {measuring.source}")
    return replace(seen, samples=int(found.value))
