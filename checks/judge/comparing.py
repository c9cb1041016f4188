"""One value against one condition; no window, no history."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from checks.judge.pattern import compile_pattern
from checks.judge.units import convert
from checks.model import Against, Limit, Operator, Span


def breaks(limit: Limit, value: float, unit: str, baseline: float | None = None) -> bool:
    """Whether a value breaks a limit's condition, its window left aside.

    Args:
        limit: the condition; neither a pattern nor ``changes``, which one number cannot break.
        value: a finite number in `unit`.
        unit: its unit.
        baseline: what is usual, in `unit`; needed where the limit is a share of it.

    Raises:
        DataError: the limit is written in a unit of another kind.
        ValueError: the value is NaN or infinite, or the condition needs what is not given; no comparison means anything.

    """
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be judged")
    return compare(limit.operator, value, bounds_in(limit, unit, baseline))


def matches(limit: Limit, text: str) -> bool:
    """Whether a text breaks the pattern of a limit."""
    return compile_pattern(limit.pattern).found_in(text) is (limit.operator is Operator.MATCHES)


@lru_cache(maxsize=4096)
def bounds_in(limit: Limit, unit: str, baseline: float | None = None) -> tuple[float, ...]:
    """The bounds that a value in a unit is compared with.

    Raises:
        DataError: the limit is written in a unit of another kind.
        ValueError: they are shares of a baseline that is not given.

    """
    if limit.against is Against.FIGURE:
        # A bare bound is in the metric's own unit only where `require_same_dimension` allows it; convert holds that too.
        return tuple(convert(bound, limit.unit, unit) for bound in limit.bounds)
    if baseline is None:
        raise ValueError(f"`{limit.text}` needs a baseline")
    return tuple(_share_of(baseline, percent) for percent in _percentages(limit))


def drawn_bounds(limit: Limit, unit: str) -> tuple[float, ...]:
    """The bounds of a limit that lie on the scale of its metric's values; none where they are of something else.

    Raises:
        DataError: the limit is written in a unit of another kind.

    """
    if limit.against is Against.BASELINE or limit.span is Span.COUNTED:
        return ()
    return bounds_in(limit, unit) if limit.unit else limit.bounds


def compare(operator: Operator, value: float, bounds: tuple[float, ...]) -> bool:
    """Whether a value stands to its bounds as an operator says.

    Raises:
        ValueError: the operator compares no number.

    """
    match operator:
        case Operator.ANY:
            return value > 0
        case Operator.BETWEEN | Operator.WITHIN:
            return bounds[0] <= value <= bounds[1]
        case Operator.NOT_BETWEEN | Operator.NOT_WITHIN:
            return not bounds[0] <= value <= bounds[1]
        case Operator.ABOVE | Operator.OLDER:
            return value > bounds[0]
        case Operator.AT_LEAST | Operator.RISEN:
            return value >= bounds[0]
        case Operator.BELOW:
            return value < bounds[0]
        case Operator.AT_MOST | Operator.FALLEN:
            return value <= bounds[0]
        case Operator.EQUAL:
            return value == bounds[0]
        case Operator.DIFFERENT:
            return value != bounds[0]
        case Operator.CHANGES | Operator.MATCHES | Operator.NOT_MATCHES:
            raise ValueError(f"`{operator.value}` compares no number")


def _percentages(limit: Limit) -> tuple[float, ...]:
    match limit.operator:
        case Operator.RISEN:
            return (100 + limit.bounds[0],)
        case Operator.FALLEN:
            return (100 - limit.bounds[0],)
        case Operator.WITHIN | Operator.NOT_WITHIN:
            return (100 - limit.bounds[0], 100 + limit.bounds[0])
        case _:
            return limit.bounds


def _share_of(baseline: float, percent: float) -> float:
    # In decimals, as both were written: 110 % of 0.3 is 0.33 and not 0.33000000000000004.
    return float(Fraction(repr(float(baseline))) * Fraction(repr(float(percent))) / 100)
