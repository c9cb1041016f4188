"""Limits as operators write them, read into a `Limit`.

`_FORMS` is the grammar: a window (``for 5m``), a rolling count (``in 1h``) or a baseline becomes one more form.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from checks.errors import DataError
from checks.judge.units import Dimension, comparable, describe, parse_unit
from checks.model import Limit, Operator

_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_EXAMPLES = "> 500 ms\n>= 99.9 %\n== 0\nany\nbetween 0.5 % and 2 %\nolder than 26 h"
_READ_TODAY = "a comparison (>, >=, <, <=, ==, !=) with a number and a unit, `any`, `between … and …`, or `older than …`"
_OPERATORS = {
    ">": Operator.ABOVE,
    ">=": Operator.AT_LEAST,
    "≥": Operator.AT_LEAST,
    "<": Operator.BELOW,
    "<=": Operator.AT_MOST,
    "≤": Operator.AT_MOST,
    "==": Operator.EQUAL,
    "!=": Operator.DIFFERENT,
    "≠": Operator.DIFFERENT,
}


def parse_limit(text: str) -> Limit:
    """Read a limit: ``> 500 ms``, ``>= 99.9 %``, ``any``, ``between 0.5 % and 2 %``, ``older than 26h``.

    Spacing is free and the unit may have its long name; the limit's own text has one spacing and the short name.

    Args:
        text: the condition that breaks the limit.

    Returns:
        The limit; reading its `text` again gives an equal one.

    Raises:
        DataError: the text is no limit, or one that is not read today (windows, rolling counts, baselines, patterns).

    """
    plain = " ".join(text.split())
    for pattern, form in _FORMS:
        if match := pattern.fullmatch(plain):
            return form(plain, *match.groups())
    raise _refused(plain, "this limit is not understood")


def require_same_dimension(limit: Limit, unit: str) -> None:
    """Make sure that a limit can judge values in a unit.

    Args:
        limit: the limit as read.
        unit: the metric's unit; a bare number fits a count of anything, but neither ``%`` nor a rate, time or size.

    Raises:
        DataError: it cannot, or `unit` is no unit; its `remedy` is always given.

    """
    measured = parse_unit(unit)
    if limit.operator is Operator.ANY:
        return
    written = parse_unit(limit.unit)
    if not comparable(written, measured):
        bounds = " and ".join(plain_number(bound) for bound in limit.bounds)
        raise DataError(
            f"the limit `{limit.text}` compares {describe(written)} with {describe(measured)}",
            expected=f"a limit in {measured}" if str(measured) else "a bare number",
            found=limit.text,
            remedy=f"write the unit {measured} after {bounds}, or change the metric's unit"
            if str(measured)
            else "leave the unit out",
        )


def plain_number(number: float) -> str:
    """The shortest decimal that reads back as the same float: ``500``, ``0.5``, ``1e-09``."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


def _comparison(text: str, operator: str, number: str, unit: str) -> Limit:
    bound = _number(text, number)
    name = _unit(text, unit)
    kind = _OPERATORS[operator]
    return Limit(f"{kind.value} {_quantity(bound, name)}", kind, (bound,), name)


def _any(_text: str) -> Limit:
    return Limit("any", Operator.ANY)


def _between(text: str, low: str, low_unit: str, high: str, high_unit: str) -> Limit:
    name = _unit(text, high_unit)
    if low_unit.strip() and _unit(text, low_unit) != name:
        raise _refused(text, "both bounds need the same unit")
    bounds = (_number(text, low), _number(text, high))
    if bounds[0] > bounds[1]:
        raise _refused(text, "the lower bound stands after the higher one, so nothing could break this limit")
    return Limit(f"between {_quantity(bounds[0], name)} and {_quantity(bounds[1], name)}", Operator.BETWEEN, bounds, name)


def _older(text: str, number: str, unit: str) -> Limit:
    name = _unit(text, unit)
    if parse_unit(name).dimension is not Dimension.TIME or parse_unit(name).per:
        raise _refused(text, "an age needs a unit of time")
    bound = _number(text, number)
    if bound < 0:
        raise _refused(text, "an age is not negative")
    return Limit(f"older than {_quantity(bound, name)}", Operator.ABOVE, (bound,), name)


_FORMS: tuple[tuple[re.Pattern[str], Callable[..., Limit]], ...] = (
    (re.compile(r"any"), _any),
    (re.compile(rf"between ({_NUMBER})(.*?) and ({_NUMBER})(.*)"), _between),
    (re.compile(rf"older than ({_NUMBER})(.*)"), _older),
    (re.compile(rf"(>=|<=|==|!=|[><≥≤≠]) ?({_NUMBER})(.*)"), _comparison),
)


def _quantity(number: float, unit: str) -> str:
    return f"{plain_number(number)} {unit}".rstrip()


def _number(text: str, number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise _refused(text, f"{number} is too large for a number")
    return value + 0.0  # -0 and 0 are one bound and one text


def _unit(text: str, unit: str) -> str:
    try:
        return str(parse_unit(unit))
    except DataError as error:
        raise _refused(text, f"`{unit.strip()}` after the number is no unit") from error


def _refused(text: str, what: str) -> DataError:
    return DataError(
        what if f"`{text}`" in what else f"`{text}`: {what}",
        expected=_READ_TODAY,
        found=text,
        remedy="write one condition in one of these forms; windows (for, in), baselines and patterns are not read yet",
        example=_EXAMPLES,
    )
