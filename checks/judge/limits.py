"""Limits as operators write them: read into a `Limit`, and printed again.

`_FORMS` is the grammar. A condition may be followed by ``of baseline`` and by one window, ``for 15m`` or ``in 1h``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from checks.errors import DataError
from checks.judge.durations import DURATION, parse_duration, print_duration
from checks.judge.pattern import compile_pattern
from checks.judge.units import Dimension, comparable, describe, parse_unit
from checks.model import Against, Limit, Operator, Span

TEXT_UNIT = "text"
"""The unit of a metric whose observations are texts; only ``changes`` and patterns judge them."""

_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_EXAMPLES = "> 500 ms\n>= 99.9 %\nany\n> 70 % for 15m\n> 5 in 1h\n< 80 % of baseline\n+25 %\nolder than 26 h"
_EXPECTED = (
    "a comparison (>, >=, <, <=, ==, !=) with a number and a unit, `any`, `between … and …`, `older than …`, `+… %`, "
    "`within … % of baseline`, `changes` or `matches /…/`; after it `of baseline`, `for …` or `in …` where needed"
)
_COMPARISONS = {
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
PATTERNS = frozenset({Operator.MATCHES, Operator.NOT_MATCHES})
_RANGES = frozenset({Operator.BETWEEN, Operator.NOT_BETWEEN})
_UNCOUNTED = frozenset({Operator.OLDER, Operator.RISEN, Operator.FALLEN, Operator.WITHIN, Operator.NOT_WITHIN})
_WINDOW = re.compile(rf"(.*?) (for|in) ({DURATION})")
_OF_BASELINE = " of baseline"


@dataclass(frozen=True, slots=True)
class Form:
    """One form of the grammar, as the reference page shows it.

    Attributes:
        name: how it is written, with … for what varies.
        examples: texts of it.
        broken: when a limit of this form is broken, in one sentence.
        follows: whether it stands after a condition, and is none by itself.

    """

    name: str
    examples: tuple[str, ...]
    broken: str
    follows: bool = False


def forms() -> tuple[Form, ...]:
    """Every form that `parse_limit` reads: first the conditions, then what may follow one."""
    return (*(form for _, _, form in _FORMS), *_FOLLOWING)


@lru_cache(maxsize=2048)
def parse_limit(text: str) -> Limit:
    """Read a limit: ``> 500 ms``, ``any``, ``> 70 % for 15m``, ``> 5 in 1h``, ``< 80 % of baseline``, ``matches /…/``.

    A limit says what breaks it. Spacing is free and a unit may have its long name; the limit's own text has one spacing
    and the short name.

    Args:
        text: the condition that breaks the limit.

    Returns:
        The limit; reading its `text` again gives an equal one.

    Raises:
        DataError: the text is no limit.

    """
    plain = " ".join(text.split())
    if match := _PATTERN.fullmatch(text.strip()):
        return _printed(_matches(*match.groups()))
    window = _WINDOW.fullmatch(plain)
    condition = _condition(window.group(1) if window else plain, plain)
    return _printed(_over(condition, Span(window.group(2)), window.group(3), plain) if window else condition)


def print_limit(limit: Limit) -> str:
    """The canonical text of a limit, from its parts alone."""
    numbers = [f"{plain_number(bound)} {limit.unit}".rstrip() for bound in limit.bounds]
    match limit.operator:
        case Operator.ANY | Operator.CHANGES:
            text = limit.operator.value
        case Operator.MATCHES | Operator.NOT_MATCHES:
            text = f"{limit.operator.value} /{limit.pattern}/"
        case Operator.RISEN | Operator.FALLEN:
            text = limit.operator.value + numbers[0]
        case _:
            text = f"{limit.operator.value} {' and '.join(numbers)}"
            text += _OF_BASELINE if limit.against is Against.BASELINE else ""
    return text if limit.span is None else f"{text} {limit.span.value} {print_duration(limit.window)}"


def require_same_dimension(limit: Limit, unit: str) -> None:
    """Make sure that a limit can judge values in a unit.

    Args:
        limit: the limit as read.
        unit: the metric's unit; a bare number fits a count of anything, but neither ``%`` nor a rate, time or size.

    Raises:
        DataError: it cannot, or `unit` is no unit; its `remedy` is always given.

    """
    measured = parse_unit(unit)
    of_text = unit == TEXT_UNIT
    if limit.operator is Operator.CHANGES and limit.span is not Span.HELD:
        return
    if of_text is not (limit.operator in PATTERNS):
        raise DataError(
            f"the limit `{limit.text}` cannot judge {'a text' if of_text else describe(measured)}",
            expected="`matches /…/` or `changes`" if of_text else f"a limit in {describe(measured)}",
            found=limit.text,
            remedy="judge the text by a pattern" if of_text else f"compare numbers, or give the metric the unit {TEXT_UNIT}",
        )
    if not limit.bounds or limit.against is Against.BASELINE:
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


def _printed(limit: Limit) -> Limit:
    return replace(limit, text=print_limit(limit))


def _condition(text: str, whole: str) -> Limit:
    for pattern, read, _ in _FORMS:
        if match := pattern.fullmatch(text):
            return read(whole, *match.groups())
    raise _refused(whole, "this limit is not understood")


def _over(condition: Limit, span: Span, duration: str, text: str) -> Limit:
    try:
        window = parse_duration(duration)
    except ValueError as error:
        raise _refused(text, str(error)) from error
    if span is Span.COUNTED and (condition.operator in _UNCOUNTED or condition.against is Against.BASELINE):
        raise _refused(text, "`in` counts what happened, so its condition is a number of things, `any` or `changes`")
    if condition.operator in PATTERNS:
        raise _refused(text, "a pattern judges the latest text only, so it has no window")
    if span is Span.HELD and condition.operator is Operator.CHANGES:
        raise _refused(text, "a change is a moment, so it cannot hold; write `changes in …`")
    return replace(condition, span=span, window=window)


def _comparison(text: str, operator: str, number: str, rest: str) -> Limit:
    bound = _number(text, number)
    kind = _COMPARISONS[operator]
    if rest.endswith(_OF_BASELINE):
        return Limit("", kind, (bound,), _percent(text, rest), Against.BASELINE)
    return Limit("", kind, (bound,), _unit(text, rest))


def _any(_text: str) -> Limit:
    return Limit("", Operator.ANY)


def _changes(_text: str) -> Limit:
    return Limit("", Operator.CHANGES)


def _between(text: str, negation: str | None, low: str, low_unit: str, high: str, rest: str) -> Limit:
    of_baseline = rest.endswith(_OF_BASELINE)
    name = _percent(text, rest) if of_baseline else _unit(text, rest)
    if low_unit.strip() and _unit(text, low_unit) != name:
        raise _refused(text, "both bounds need the same unit")
    bounds = (_number(text, low), _number(text, high))
    if bounds[0] > bounds[1]:
        raise _refused(text, "the lower bound stands after the higher one, so nothing lies between them")
    kind = Operator.NOT_BETWEEN if negation else Operator.BETWEEN
    return Limit("", kind, bounds, name, Against.BASELINE if of_baseline else Against.FIGURE)


def _older(text: str, number: str, unit: str) -> Limit:
    name = _unit(text, unit)
    if parse_unit(name).dimension is not Dimension.TIME or parse_unit(name).per:
        raise _refused(text, "an age needs a unit of time")
    bound = _number(text, number)
    if bound < 0:
        raise _refused(text, "an age is not negative")
    return Limit("", Operator.OLDER, (bound,), name)


def _risen(text: str, sign: str, number: str) -> Limit:
    bound = _number(text, number)
    if bound == 0:
        raise _refused(text, "a rise of 0 % is always there")
    if sign == "-" and bound > 100:
        raise _refused(text, "nothing falls by more than 100 %, so nothing could break this limit")
    return Limit("", Operator(sign), (bound,), "%", Against.BASELINE)


def _within(text: str, negation: str | None, outside: str | None, number: str) -> Limit:
    bound = _number(text, number)
    if bound < 0:
        raise _refused(text, "a distance from the baseline is not negative")
    return Limit("", Operator.NOT_WITHIN if negation or outside else Operator.WITHIN, (bound,), "%", Against.BASELINE)


def _matches(negation: str | None, pattern: str) -> Limit:
    compile_pattern(pattern)
    return Limit("", Operator.NOT_MATCHES if negation else Operator.MATCHES, pattern=pattern)


_PATTERN = re.compile(r"(not )?matches /(.*)/")
_FORMS: tuple[tuple[re.Pattern[str], Callable[..., Limit], Form], ...] = (
    (
        re.compile(rf"(>=|<=|==|!=|[><≥≤≠]) ?({_NUMBER})(.*)"),
        _comparison,
        Form(
            "> … · >= … · < … · <= … · == … · != …",
            ("> 500 ms", "< 99.9 %", "!= 60 min"),
            "The value is above, at least, below, at most, exactly or anything but the number.",
        ),
    ),
    (re.compile(r"any"), _any, Form("any", ("any",), "The value is above zero: the first occurrence breaks it.")),
    (
        re.compile(rf"(not )?between ({_NUMBER})(.*?) and ({_NUMBER})(.*)"),
        _between,
        Form(
            "between … and … · not between … and …",
            ("between 0.5 % and 2 %", "not between 6 and 8"),
            "The value lies between the two numbers, each of them included; with `not`, below the first or above the second.",
        ),
    ),
    (
        re.compile(rf"older than ({_NUMBER})(.*)"),
        _older,
        Form("older than …", ("older than 26 h",), "The age that was measured is above this one."),
    ),
    (
        re.compile(r"([+-]) ?(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?) ?%(?: of baseline)?"),
        _risen,
        Form(
            "+… % · -… %",
            ("+25 %", "-20 %"),
            "The value is at least that much above the baseline; with a minus, at least that much below it.",
        ),
    ),
    (
        re.compile(rf"(?:(not )?within|(outside)) ({_NUMBER}) ?% of baseline"),
        _within,
        Form(
            "within … % of baseline · not within … % of baseline",
            ("within 10 % of baseline", "not within 10 % of baseline"),
            "The value lies no farther from the baseline than that, in either direction; with `not`, farther.",
        ),
    ),
    (
        re.compile(r"changes"),
        _changes,
        Form("changes", ("changes",), "The value is another one than in the sample before."),
    ),
    (
        _PATTERN,
        lambda _text, *groups: _matches(*groups),
        Form(
            "matches /…/ · not matches /…/",
            (r"not matches /^v\d+\.\d+\.\d+$/",),
            "The pattern is found in the text; with `not`, it is not found.",
        ),
    ),
)
_FOLLOWING = (
    Form(
        "… % of baseline",
        ("< 80 % of baseline", "> 120 % of baseline for 10m"),
        "The number is a share of what is usual for the metric, as its `baseline:` says.",
        follows=True,
    ),
    Form(
        "… for …",
        ("> 70 % for 15m", "> 10 % for 5m"),
        "Every sample since then broke the condition, and no gap between two of them is longer than twice `every:`.",
        follows=True,
    ),
    Form(
        "… in …",
        ("> 5 in 1h", "any in 5m", "changes in 24h"),
        "What happened in that time breaks the condition: events are summed, rises of a counter too, a restart at zero included.",
        follows=True,
    ),
)


def _number(text: str, number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise _refused(text, f"{number} is too large for a number")
    return value + 0.0  # -0 and 0 are one bound and one text


def _unit(text: str, unit: str) -> str:
    try:
        name = str(parse_unit(unit))
    except DataError as error:
        raise _refused(text, f"`{unit.strip()}` after the number is no unit") from error
    if name == TEXT_UNIT:
        raise _refused(text, "a text has no size; judge it by `matches /…/`")
    return name


def _percent(text: str, rest: str) -> str:
    if rest.removesuffix(_OF_BASELINE).strip() not in ("%", "percent"):
        raise _refused(text, "of a baseline one takes a percentage")
    return "%"


def _refused(text: str, what: str) -> DataError:
    return DataError(
        what if f"`{text}`" in what else f"`{text}`: {what}",
        expected=_EXPECTED,
        found=text,
        remedy="write one condition in one of these forms",
        example=_EXAMPLES,
    )
