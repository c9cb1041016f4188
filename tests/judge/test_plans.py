"""Every figure of the five systems' plans can be written as a limit, and is judged as the plan means it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from checks.catalogue._judging import faults, judged_by
from checks.catalogue._schema import MetricEntry
from checks.judge import judge
from checks.model import Metric, Observation, Span, Status
from tests.golden import cases

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def _metric(row: dict[str, Any]) -> Metric:
    entry = MetricEntry.model_validate({"title": "Figure", "probe": {"kind": "notebook"}} | row["metric"])
    assert not list(faults(entry, ()))
    return Metric("shop", "figure", "Figure", entry.unit, {}, **judged_by(entry))


def _covering(metric: Metric, value: float) -> list[tuple[datetime, float]]:
    """Samples that cover the metric's window: of the value itself where it is held, of nothing where it is counted."""
    limit = metric.critical or metric.warning
    if limit is None or limit.span is None or metric.every is None:
        return []
    many = int(limit.window / metric.every) + 1
    past = value if limit.span is Span.HELD else 0.0
    return [(NOW - number * metric.every, past) for number in range(many, 0, -1)]


PLANS: list[Any] = [case.values[0] for case in cases("limits")]
ROWS = [pytest.param(row, id=row["row"]) for plan in PLANS for row in plan["rows"]]


@pytest.mark.parametrize("row", ROWS)
def test_a_figure_of_a_plan_is_judged_on_each_side_and_at_its_edge(row: dict[str, Any]) -> None:
    """Below, above and exactly at its figure, a plan's limit says what the plan says; a window without history never does."""
    metric = _metric(row)
    seen = {}
    for value in row["values"]:
        observed = Observation(float(value), metric.unit, NOW, 0.1, "a test")
        history = _covering(metric, float(value))
        seen[value] = judge(metric, observed, NOW, history).status.value
        if history:
            alone = judge(metric, observed, NOW).status
            assert alone in (Status.UNKNOWN, Status(seen[value])), value
            assert seen[value] == "ok" or alone is Status.UNKNOWN or metric.series.value == "events"
    assert seen == row["values"]


def test_each_row_is_written_once() -> None:
    """No figure is judged in two ways."""
    names = [row["row"] for plan in PLANS for row in plan["rows"]]
    assert len(names) == len(set(names)) == 74
