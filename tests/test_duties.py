from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from checks.duties import BusinessHours, Severity
from checks.judge.durations import parse_duration
from tests.golden import cases


def _at(text: str) -> timedelta:
    hour, minute = text.split(":")
    return timedelta(hours=int(hour), minutes=int(minute))


@pytest.mark.parametrize("case", cases("business_hours"))
def test_a_clock_runs_in_business_hours(case: dict[str, Any]) -> None:
    """A promise made in business hours is due when so many of them have passed, and the hours are said in words."""
    told = case["hours"]
    hours = BusinessHours(tuple(told["days"]), _at(told["from"]), _at(told["until"]), told["timezone"])
    severity = {one["why"]: Severity("P2", "Slow", parse_duration(one["promised"]), None, "", hours) for one in case["cases"]}
    due = {one["why"]: severity[one["why"]].acknowledge_by(datetime.fromisoformat(str(one["opened"]))) for one in case["cases"]}
    assert due == {one["why"]: datetime.fromisoformat(str(one["due"])) for one in case["cases"]}
    assert str(hours) == case["said"]
