"""How many samples an observation of a probe rests on, as far as its declaration settles it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import ProbeDeclaration

# The measures of each kind that say how many requests, lines or things they rest on; of the other kinds, none does.
_COUNTED: dict[str, frozenset[str]] = {
    "http": frozenset({"time", "availability"}),
    "redis": frozenset({"hit-rate"}),
    "backup": frozenset({"shrinkage"}),
    "sql": frozenset({"slow-queries", "vacuum-age", "unused-indexes"}),
}
_ALWAYS_COUNTED = frozenset({"log", "service", "github", "packages", "retention", "notebook"})


def most_samples(probe: ProbeDeclaration) -> float:
    """The most samples that an observation can rest on: 0 where nobody counts them, infinite where nothing bounds them."""
    match probe.kind:
        case "http" if probe.measure in _COUNTED["http"]:
            return probe.repeat
        case "http" | "command" if getattr(probe, "samples", None):
            return math.inf
        case "service":
            return len(probe.names)
        case "backup" if probe.measure == "shrinkage":
            return probe.previous
        case "prometheus":
            # Without a step it takes sixty of them.
            return math.floor(probe.range / (probe.step or probe.range / 60)) + 1 if probe.range else 0
        case kind if kind in _ALWAYS_COUNTED:
            return math.inf
        case kind:
            return math.inf if getattr(probe, "measure", None) in _COUNTED.get(kind, ()) else 0
