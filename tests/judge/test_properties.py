from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.errors import DataError
from checks.judge import breaks, convert, format_value, judge, parse_limit, print_limit
from checks.judge.units import BINARY_SIZES, DECIMAL_SIZES, TIMES
from checks.model import Against, Limit, Metric, Observation, Operator, Span, Status, Unmeasured

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SIZES = DECIMAL_SIZES | BINARY_SIZES
UNITS = ["", "%", "requests", "/min", "requests/s", "MB/s", *TIMES, *SIZES]
numbers = st.floats(allow_nan=False, allow_infinity=False)
units = st.sampled_from(UNITS)


WINDOWS = st.integers(min_value=1, max_value=366 * 86400).map(lambda seconds: timedelta(seconds=seconds))
COMPARISONS = [Operator.ABOVE, Operator.AT_LEAST, Operator.BELOW, Operator.AT_MOST, Operator.EQUAL, Operator.DIFFERENT]


def _number(value: float) -> float:
    return value + 0.0


@st.composite
def limits(draw: st.DrawFn) -> Limit:
    """A limit that judges one number by itself, built from its parts."""
    operator = draw(st.sampled_from([*COMPARISONS, Operator.ANY, Operator.BETWEEN, Operator.NOT_BETWEEN, Operator.OLDER]))
    if operator is Operator.ANY:
        limit = Limit("", operator)
    elif operator in (Operator.BETWEEN, Operator.NOT_BETWEEN):
        limit = Limit("", operator, tuple(sorted((_number(draw(numbers)), _number(draw(numbers))))), draw(units))
    elif operator is Operator.OLDER:
        limit = Limit("", operator, (abs(draw(numbers)),), draw(st.sampled_from(list(TIMES))))
    else:
        limit = Limit("", operator, (_number(draw(numbers)),), draw(units))
    return replace(limit, text=print_limit(limit))


@st.composite
def any_limits(draw: st.DrawFn) -> Limit:
    """A limit of any form, built from its parts."""
    form = draw(st.sampled_from(["figure", "share", "between shares", "moved", "near", "changes", "pattern"]))
    shares = st.floats(min_value=0, max_value=1e6, exclude_min=True)
    if form == "pattern":
        pattern = draw(st.sampled_from([r"^v\d+", "a  b", "/", r"\/", "[a-z]{2,3}|x*", " ", "for 5m", "(?:é|ß)$"]))
        limit = Limit("", draw(st.sampled_from([Operator.MATCHES, Operator.NOT_MATCHES])), pattern=pattern)
        return replace(limit, text=print_limit(limit))
    if form == "figure":
        limit = draw(limits())
    elif form == "changes":
        limit = Limit("", Operator.CHANGES)
    elif form == "between shares":
        low, high = sorted((_number(draw(shares)), _number(draw(shares))))
        limit = Limit("", draw(st.sampled_from([Operator.BETWEEN, Operator.NOT_BETWEEN])), (low, high), "%", Against.BASELINE)
    else:
        operators = {
            "share": COMPARISONS,
            "moved": [Operator.RISEN, Operator.FALLEN],
            "near": [Operator.WITHIN, Operator.NOT_WITHIN],
        }[form]
        bounds = (draw(shares if form != "moved" else st.floats(min_value=1e-9, max_value=100)),)
        limit = Limit("", draw(st.sampled_from(operators)), bounds, "%", Against.BASELINE)
    counted = limit.operator is Operator.CHANGES or (form == "figure" and limit.operator is not Operator.OLDER)
    spans = [None, *([Span.HELD] if form != "changes" else []), *([Span.COUNTED] if counted else [])]
    span = draw(st.sampled_from(spans))
    limit = replace(limit, span=span, window=draw(WINDOWS) if span else timedelta(0))
    return replace(limit, text=print_limit(limit))


@given(any_limits())
def test_what_is_printed_is_read_as_the_same_limit(limit: Limit) -> None:
    """Every limit there can be has a text, and reading that text gives the limit back, part by part."""
    assert parse_limit(limit.text) == limit


@given(st.text(max_size=60))
def test_any_text_is_a_limit_or_a_readable_refusal(text: str) -> None:
    """No text makes the parser fail in any way but a refusal that says what is expected."""
    refusal: DataError | None = None
    try:
        limit = parse_limit(text)
    except DataError as error:
        refusal = error
    else:
        assert parse_limit(limit.text) == limit
    assert refusal is None or (refusal.expected and refusal.remedy)


same_kind = st.one_of(*[st.tuples(st.sampled_from(list(table)), st.sampled_from(list(table))) for table in (TIMES, SIZES)])


@given(st.floats(min_value=-1e200, max_value=1e200), same_kind)
def test_converting_there_and_back_gives_the_value_again(value: float, pair: tuple[str, str]) -> None:
    """No unit loses more than the last digit of a value."""
    there = convert(value, *pair)
    assert math.isclose(convert(there, pair[1], pair[0]), value, rel_tol=1e-15, abs_tol=1e-300)


@pytest.mark.parametrize("table", [TIMES, SIZES], ids=["times", "sizes"])
def test_every_ratio_is_pints(table: dict[str, Fraction]) -> None:
    """The table of ratios says what pint says, for each pair of units."""
    import pint

    registry: pint.UnitRegistry[float] = pint.UnitRegistry()
    names = {"w": "week", "d": "day", "h": "hour", "min": "minute"}
    for one in table:
        for other in table:
            by_pint = registry.Quantity(1.0, names.get(one, one)).to(names.get(other, other)).magnitude
            assert convert(1.0, one, other) == pytest.approx(by_pint, rel=1e-12), (one, other)


@given(st.sampled_from([math.nan, math.inf, -math.inf]), limits(), limits())
def test_what_is_no_finite_number_is_never_ok(value: float, warning: Limit, critical: Limit) -> None:
    """NaN and infinities are unknown under every limit, and are not kept as observations."""
    metric = Metric("shop", "figure", "Figure", "", {}, warning=warning, critical=critical)
    result = judge(metric, Observation(value, "", NOW, 0.0, "a test"), NOW)
    assert result.status is Status.UNKNOWN
    assert result.observation is None


@given(st.text(max_size=40), limits())
def test_nothing_measured_is_unknown_with_the_probes_reason(reason: str, limit: Limit) -> None:
    """Without an observation the result is unknown and gives the probe's own reason."""
    metric = Metric("shop", "figure", "Figure", limit.unit, {}, critical=limit)
    result = judge(metric, Unmeasured(reason, NOW, 0.0, "a test"), NOW)
    assert (result.status, result.reason, result.observation) == (Status.UNKNOWN, reason, None)
    assert result.critical == limit.text


@given(numbers, numbers, st.sampled_from(UNITS))
def test_a_comparison_and_its_opposite_never_both_hold(value: float, bound: float, unit: str) -> None:
    """Exactly one of a condition and its negation is broken by any value."""
    for one, other in (
        (Operator.ABOVE, Operator.AT_MOST),
        (Operator.AT_LEAST, Operator.BELOW),
        (Operator.EQUAL, Operator.DIFFERENT),
    ):
        broken = [breaks(Limit("", operator, (bound,), unit), value, unit) for operator in (one, other)]
        assert sorted(broken) == [False, True]


@given(numbers, units)
def test_every_value_can_be_shown_on_one_line(value: float, unit: str) -> None:
    """Any finite value has a text that holds a digit, and is not shown as zero unless it is zero."""
    text = format_value(value, unit)
    digits = [character for character in text if character.isdigit()]
    assert digits
    assert text == text.strip()
    assert "\n" not in text
    assert (value == 0) == (set(digits) == {"0"})
