from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from checks.errors import DataError
from checks.judge import format_value, judge, parse_limit, require_same_dimension
from checks.model import Metric, Observation, Status
from tests.golden import cases

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("case", cases("judge"))
def test_a_value_is_judged_as_the_table_says(case: dict[str, Any]) -> None:
    """Each value, on either side of and exactly at an edge, gets the status and the reason that the table gives."""
    given = case["input"]
    limits = {name: parse_limit(given[name]) for name in ("warning", "critical") if name in given}
    metric = Metric("shop", "figure", "Figure", given["unit"], {}, warning=limits.get("warning"), critical=limits.get("critical"))
    for limit in limits.values():
        require_same_dimension(limit, metric.unit)
    for value, status, reason in case["expected"]:
        observed = Observation(float(value), given.get("observed_in", metric.unit), NOW, 0.1, "a test")
        result = judge(metric, observed, NOW)
        assert (result.status, reason in result.reason) == (Status(status), True), (value, result.reason)
        assert result.warning == (limits["warning"].text if "warning" in limits else None)
        assert result.critical == (limits["critical"].text if "critical" in limits else None)


@pytest.mark.parametrize("case", cases("judge-limits"))
def test_a_limit_is_read_or_refused_as_the_table_says(case: dict[str, Any]) -> None:
    """Every spelling of a limit gives the same limit; what is not read today is refused with what is."""
    expected = case["expected"]
    for text in case["input"]:
        if "refused" in expected:
            with pytest.raises(DataError) as refusal:
                parse_limit(text)
            assert expected["refused"] in refusal.value.what
            assert refusal.value.expected
            assert refusal.value.found in text or refusal.value.found == " ".join(text.split())
            assert refusal.value.example
            continue
        limit = parse_limit(text)
        seen = {
            "text": limit.text,
            "operator": limit.operator.value,
            "bounds": list(limit.bounds),
            "unit": limit.unit,
            "against": limit.against.value,
            "span": limit.span and limit.span.value,
            "window": limit.window.total_seconds(),
            "pattern": limit.pattern,
        }
        assert seen == {"against": "figure", "span": None, "window": 0, "pattern": ""} | expected


@pytest.mark.parametrize("case", cases("judge-text"))
def test_a_value_is_shown_as_the_table_says(case: dict[str, Any]) -> None:
    """A reader sees a value with separators, sensible digits and a fitting unit."""
    for value, unit, text in case["expected"]:
        assert format_value(float(value), unit) == text


@pytest.mark.parametrize("case", [case for case in cases("judge-limits") if "refused" not in case.values[0]["expected"]])
def test_examples_in_a_refusal_are_themselves_read(case: dict[str, Any]) -> None:
    """The sample that a refusal shows is valid, and so is each canonical text."""
    with pytest.raises(DataError) as refusal:
        parse_limit("nonsense")
    for text in [*str(refusal.value.example).splitlines(), case["expected"]["text"]]:
        assert parse_limit(text).text == text
