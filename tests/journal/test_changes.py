"""What became of a metric over time: stretches of values, limits in force, changes of status."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from checks.journal import InForce, Journal
from checks.model import Observation, Status
from tests.journal.samples import NOW, a_result, keep

HOUR = timedelta(hours=1)


def test_stretches_sum_up_what_was_observed(journal: Journal) -> None:
    """A stretch has the lowest, mean and highest of its values, and the time of the last; an empty one is not there."""
    for minutes, value in ((0, 1.0), (10, 4.0), (20, 1.0), (130, 7.0)):
        at = NOW + timedelta(minutes=minutes)
        keep(journal, a_result(at=at, observation=Observation(value, "%", at, 0.1, "a test")), at=at)
    first, second = journal.stretches("sandbox", NOW, HOUR)["shop/error-rate"]
    assert (first.low, first.high, first.count, first.unit) == (1.0, 4.0, 3, "%")
    assert first.mean == pytest.approx(2.0)
    assert first.at == NOW + timedelta(minutes=20)
    assert (second.low, second.count, second.at) == (7.0, 1, NOW + timedelta(minutes=130))
    assert journal.stretches("production", NOW, HOUR) == {}
    assert [one.count for one in journal.stretches("sandbox", NOW + HOUR, HOUR)["shop/error-rate"]] == [1]


def test_values_of_another_unit_are_another_stretch(journal: Journal) -> None:
    """Values from before a metric's unit was changed are never averaged with those of after."""
    for minutes, unit in ((0, "%"), (1, "ms")):
        at = NOW + timedelta(minutes=minutes)
        keep(journal, a_result(at=at, observation=Observation(5.0, unit, at, 0.1, "a test")), at=at)
    assert {(one.unit, one.count) for one in journal.stretches("sandbox", NOW, HOUR)["shop/error-rate"]} == {("%", 1), ("ms", 1)}


def test_each_limit_has_its_time(journal: Journal) -> None:
    """Each pair of limits is told from when to when it judged; one that came back is told twice, one that stayed once."""
    limits = [("> 1 %", "> 10 %"), ("> 1 %", "> 10 %"), (None, "> 10 %"), ("> 1 %", "> 10 %")]
    for hours, (warning, critical) in enumerate(limits):
        at = NOW + hours * HOUR
        keep(journal, replace(a_result(at=at), warning=warning, critical=critical), at=at)
    assert journal.limits_in_force("sandbox")["shop/error-rate"] == [
        InForce(NOW, NOW + 2 * HOUR, "> 1 %", "> 10 %"),
        InForce(NOW + 2 * HOUR, NOW + 3 * HOUR, None, "> 10 %"),
        InForce(NOW + 3 * HOUR, None, "> 1 %", "> 10 %"),
    ]


def test_changes_of_status_are_told_newest_first(journal: Journal) -> None:
    """Only a result whose status is not that of the one before is a change; a metric's first result is one."""
    for hours, status in enumerate((Status.OK, Status.OK, Status.CRITICAL, Status.CRITICAL, Status.OK)):
        keep(journal, a_result("error-rate", status, NOW + hours * HOUR), at=NOW + hours * HOUR)
    keep(journal, a_result("latency", Status.UNKNOWN, NOW), at=NOW)
    changes = journal.status_changes("sandbox", NOW)
    assert [(one.result.metric, one.before, one.result.status) for one in changes] == [
        ("error-rate", Status.CRITICAL, Status.OK),
        ("error-rate", Status.OK, Status.CRITICAL),
        ("latency", None, Status.UNKNOWN),
        ("error-rate", None, Status.OK),
    ]
    assert [one.result.status for one in journal.status_changes("sandbox", NOW + 2 * HOUR)] == [Status.OK, Status.CRITICAL]
    assert len(journal.status_changes("sandbox", NOW, limit=1)) == 1
