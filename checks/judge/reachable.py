"""Which limits a metric's values can break at all, by the values that they can have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from checks.judge.comparing import bounds_in, compare
from checks.judge.limits import PATTERNS
from checks.judge.units import Dimension, parse_unit
from checks.model import Against, Limit, Operator, Span


@dataclass(frozen=True, slots=True)
class Domain:
    """The values that a metric can have, in its unit; both ends included.

    Attributes:
        low, high: the ends; infinite where there is none.
        whole: whether they are whole numbers.
        certain: whether nothing else is possible, or only unusual.

    """

    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    certain: bool = False


class Reach(Enum):
    """What the values of a domain can do to a limit."""

    SOME = "some break it"
    NONE = "none breaks it"
    ALL = "all break it"


def usual_domain(unit: str) -> Domain:
    """The values that are usual in a unit: shares from 0 to 100 %, times, sizes and counts from 0 on."""
    kind = parse_unit(unit)
    return Domain(0.0, 100.0 if kind.dimension is Dimension.SHARE and not kind.per else math.inf)


def reach(limit: Limit, domain: Domain, unit: str) -> Reach:
    """Whether some, none or all values of a domain break a limit; its window is left aside.

    A pattern and `changes` are broken by some.

    Raises:
        DataError: the limit is written in a unit of another kind.

    """
    verdicts = {broken for (broken,) in _verdicts([limit], domain, unit)}
    return Reach.SOME if len(verdicts) != 1 else Reach.ALL if True in verdicts else Reach.NONE


def hides(grave: Limit, light: Limit, domain: Domain, unit: str) -> bool:
    """Whether a graver limit is broken wherever a lighter one is, so that the lighter one never shows.

    Limits over windows, of other kinds of figures or of texts are not compared: false.

    Raises:
        DataError: a limit is written in a unit of another kind.

    """
    if grave.span or light.span or grave.against is not light.against:
        return False
    verdicts = _verdicts([grave, light], domain, unit)
    return any(light for _, light in verdicts) and all(grave for grave, light in verdicts if light)


def points(bounds: Sequence[float], domain: Domain) -> list[float]:
    """Values of a domain on each side of each bound, at it, and at the domain's ends; comparisons are settled by them."""
    edges = sorted({edge + 0.0 for edge in (*bounds, domain.low, domain.high) if math.isfinite(edge)}) or [0.0]
    if domain.whole:
        near = {math.floor(edge) + step for edge in edges for step in (-1, 0, 1, 2)}
        return [float(value) for value in sorted(near) if domain.low <= value <= domain.high]
    between = [one + (other - one) / 2 for one, other in pairwise(edges)]
    outside = [edges[0] - 1 - abs(edges[0]), edges[-1] + 1 + abs(edges[-1])]
    return [value for value in sorted({*edges, *between, *outside}) if domain.low <= value <= domain.high]


def _verdicts(limits: Sequence[Limit], domain: Domain, unit: str) -> list[tuple[bool, ...]]:
    """What each limit says of each point; nothing where one of them compares no number."""
    if any(limit.operator in PATTERNS or limit.operator is Operator.CHANGES for limit in limits):
        return []
    relative = any(limit.against is Against.BASELINE for limit in limits)
    counted = any(limit.span is Span.COUNTED for limit in limits)
    if relative or counted:
        # A share of what is usual, and a number of things in a window: neither has an upper end.
        domain = Domain(0.0 if counted else max(domain.low, 0.0) if domain.low >= 0 else -math.inf)
    bounds = [bounds_in(limit, unit, 100.0 if relative else None) for limit in limits]
    values = points([bound for some in bounds for bound in some], domain)
    return [tuple(compare(limit.operator, value, some) for limit, some in zip(limits, bounds, strict=True)) for value in values]
