"""Every figure of the five systems' plans can be written as a limit, and is judged as the plan means it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checks.catalogue._judging import faults, judged_by
from checks.catalogue._schema import MetricEntry
from checks.judge import TEXT_UNIT, fingerprint, judge
from checks.model import Metric, Observation, Span, Status
from tests.golden import cases

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def _metric(row: dict[str, Any]) -> Metric:
    entry = MetricEntry.model_validate({"title": "Figure", "probe": {"kind": "notebook"}} | row["metric"])
    assert not list(faults(entry, ()))
    return Metric("shop", "figure", "Figure", entry.unit, {}, **judged_by(entry))


def _observed(metric: Metric, value: Any) -> Observation:
    if metric.unit == TEXT_UNIT:
        return Observation(fingerprint(value), TEXT_UNIT, NOW, 0.1, "a test", value)
    return Observation(float(value), metric.unit, NOW, 0.1, "a test")


def _covering(metric: Metric, value: float, before: float | None) -> list[tuple[datetime, float]]:
    """Samples that cover the metric's window: of the value itself where it is held, of nothing where it is counted."""
    limit = metric.critical or metric.warning
    if before is not None:
        return [(NOW - timedelta(hours=1), before)]
    if limit is None or limit.span is None or metric.every is None:
        return []
    many = int(limit.window / metric.every) + 1
    past = value if limit.span is Span.HELD else 0.0
    return [(NOW - number * metric.every, past) for number in range(many, 0, -1)]


COUNTS = {"console-ext": 72, "mase": 34, "turbo-octo-robot": 39, "unified-workflow": 48, "wellbeing": 93}
OURS = 204
PLANS: list[Any] = [case.values[0] for case in cases("limits")]
ROWS = [pytest.param(row, id=row["row"]) for plan in PLANS for row in plan["rows"]]


@pytest.mark.parametrize("row", ROWS)
def test_a_figure_of_a_plan_is_judged_on_each_side_and_at_its_edge(row: dict[str, Any]) -> None:
    """Below, above and exactly at its figure, a plan's limit says what the plan says; a window without history never does."""
    metric = _metric(row)
    seen = {}
    for value in row["values"]:
        observed = _observed(metric, value)
        history = _covering(metric, observed.value, row.get("before"))
        seen[value] = judge(metric, observed, NOW, history).status.value
        if history:
            alone = judge(metric, observed, NOW).status
            assert alone in (Status.UNKNOWN, Status(seen[value])), value
            assert seen[value] == "ok" or alone is Status.UNKNOWN or metric.series.value == "events"
    assert seen == row["values"]
    assert len(set(seen.values())) > 1, "a row has values on each side"


def test_each_row_is_written_once() -> None:
    """No figure is judged in two ways; of each plan every metric, check, trigger, alert and log has its row."""
    names = [row["row"] for plan in PLANS for row in plan["rows"]]
    assert len(names) == len(set(names))
    counts = Counter(name.partition(".")[0] for name in names)
    assert counts == COUNTS


def test_a_figure_that_no_plan_gives_is_said_to_be_ours() -> None:
    """Where a plan watches something and gives no figure, the row is marked, so that nobody takes it for the plan's."""
    assert sum("ours" in row for plan in PLANS for row in plan["rows"]) == OURS
