"""What the journal says about systems now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalogue.probe_kinds import parse_duration
from checks.journal import EMPTY, RecordedResult, Snapshot
from checks.journal.report import Freshness, ItemKind, SystemReport, site_report, site_status, system_status
from checks.judge.lifetimes import Lifetimes
from checks.model import Metric, Result, Run, Runbook, RunbookKind, RunState, Status
from tests.golden import cases
from tests.journal.samples import NOW, a_metric, a_result, a_run, a_runbook, a_system, ended, recorded


def _duration(text: str) -> timedelta:
    return -parse_duration(text[1:]) if text.startswith("-") else parse_duration(text)


def _ago(text: str) -> Any:
    return None if text == "never" else NOW - _duration(text.removesuffix(" ago"))


def _metric(name: str, declared: dict[str, Any]) -> Metric:
    fresh_for = declared.get("fresh_for")
    changes: dict[str, Any] = {"every": _duration(declared["every"]), "probe": {"kind": "http"}} if "every" in declared else {}
    return a_metric(name, priority=declared.get("priority"), fresh_for=fresh_for and _duration(fresh_for), **changes)


def _runbook(name: str, declared: dict[str, Any]) -> Runbook:
    changes: dict[str, Any] = {key: declared[key] for key in ("system",) if key in declared}
    changes |= {key: tuple(declared[key]) for key in ("checks", "environments") if key in declared}
    if "fresh_for" in declared:
        changes["fresh_for"] = _duration(declared["fresh_for"])
    return a_runbook(name, kind=RunbookKind(declared.get("kind", "check")), **changes)


def _run(name: str, told: dict[str, Any]) -> Run:
    system = told.get("system", "shop")
    started = a_run(_ago(told["ago"]), runbook=f"{system}/{name}", system=system)
    return ended(started, Status(told["status"]), timedelta(0), state=RunState(told["state"]), reason=told.get("reason", ""))


def _result(name: str, told: dict[str, Any]) -> Result:
    result = a_result(name, Status(told["status"]), _ago(told["ago"]), told.get("value", 0.4))
    return replace(result, reason=told.get("reason", result.reason))


@pytest.mark.parametrize("case", cases("status"))
def test_status(case: dict[str, Any]) -> None:
    """A system's status, items and times follow from its declaration, the journal and the time alone."""
    given = case["input"]
    books = [_runbook(name, declared) for name, declared in given.get("runbooks", {}).items()]
    runs = (_run(name, told) for name, told in given.get("runs", {}).items())
    report = system_status(
        a_system(*(_metric(name, declared) for name, declared in given["metrics"].items())),
        books,
        {run.runbook: run for run in runs},
        {
            f"shop/{name}": recorded(_result(name, told), f"shop/{told.get('runbook', 'morning')}")
            for name, told in given["results"].items()
        },
        NOW,
        lifetimes=Lifetimes(books, given.get("environment", "")),
    )
    expected = case["expected"]
    assert report.status.value == expected["status"]
    assert report.stale is expected["stale"]
    assert (report.ok_count, report.total) == (expected["ok"], expected["total"])
    assert report.measured_at == _ago(expected["measured"])
    assert report.newest_at == _ago(expected["newest"])
    assert report.stale_at == (None if expected["stale_in"] == "never" else NOW + _duration(expected["stale_in"]))
    found = [[item.slug.partition("/")[2], item.label, item.status.value, item.reason] for item in report.items]
    assert found == [item[:4] for item in expected["items"]]
    for item, wanted in zip(report.items, expected["items"], strict=True):
        if len(wanted) > 4:
            assert item.since == _ago(wanted[4])


def test_an_item_says_where_it_comes_from() -> None:
    """An item carries its result, run, runbook and declaration, so that every figure can be traced."""
    metric = a_metric(runbook="shop/errors")
    result = a_result()
    since = {"shop/error-rate": NOW - timedelta(days=2)}
    report = system_status(a_system(metric), [], {}, {"shop/error-rate": recorded(result, run_id="07")}, NOW, since)
    (item,) = report.items
    assert (item.kind, item.result, item.run_id, item.runbook, item.metric) == (
        ItemKind.METRIC,
        result,
        "07",
        "shop/morning",
        metric,
    )
    assert item.since == NOW - timedelta(days=2)
    (never,) = system_status(a_system(metric), [], {}, {}, NOW).items
    assert (never.freshness, never.recorded, never.runbook) == (Freshness.NEVER, None, "shop/errors")


@pytest.mark.parametrize(("age", "status"), [(timedelta(minutes=39), Status.OK), (timedelta(minutes=40), Status.UNKNOWN)])
def test_what_was_sampled_goes_stale_with_its_sampler(age: timedelta, status: Status) -> None:
    """A metric that is sampled speaks until two results that should have followed are missing, a daily run's no longer."""
    metric = a_metric(every=timedelta(minutes=5), probe={"kind": "http", "url": "{base_url}"})
    daily = a_runbook(fresh_for=timedelta(hours=26), checks=(metric.name,))
    sampled = recorded(a_result(at=NOW - age), runbook="", run_id="")
    (item,) = system_status(a_system(metric), [daily], {}, {metric.slug: sampled}, NOW).items
    assert (item.status, item.run_id, item.runbook) == (status, None, None)
    (item,) = system_status(a_system(metric), [daily], {}, {metric.slug: recorded(a_result(at=NOW - age))}, NOW).items
    assert item.status is status
    of_a_cell = replace(metric, probe={"kind": "notebook"})
    (item,) = system_status(a_system(of_a_cell), [daily], {}, {metric.slug: recorded(a_result(at=NOW - age))}, NOW).items
    assert item.status is Status.OK


def test_a_site_is_as_bad_as_its_worst_system() -> None:
    """The site's answer is over all systems; its needs are the worst first across them, its age the oldest of all."""
    blog = a_system(replace(a_metric("posts"), system="blog"), name="blog")
    results = {
        "shop/error-rate": recorded(a_result(status=Status.WARNING)),
        "blog/posts": recorded(replace(a_result("posts", Status.CRITICAL, NOW - timedelta(hours=3)), system="blog")),
    }
    report = site_report([a_system(a_metric()), blog], [], Snapshot(latest_results=results), NOW)
    assert report.status is Status.CRITICAL
    assert [(one.system, one.status) for one in report.systems] == [("shop", Status.WARNING), ("blog", Status.CRITICAL)]
    assert [item.slug for item in report.needs] == ["blog/posts", "shop/error-rate"]
    assert report.measured_at == NOW - timedelta(hours=3)
    assert report.counts == {Status.CRITICAL: 1, Status.UNKNOWN: 0, Status.WARNING: 1, Status.OK: 0}


def test_a_site_without_systems_is_unknown() -> None:
    """No system, no answer: unknown."""
    assert site_status([], NOW).status is Status.UNKNOWN
    assert site_report([a_system(a_metric())], [], EMPTY, NOW).status is Status.UNKNOWN


NAMES = ["a", "b", "c", "d", "e"]
AGES = st.integers(-120, 60 * 24 * 3).map(lambda minutes: timedelta(minutes=minutes))
RESULTS = st.dictionaries(st.sampled_from(NAMES), st.tuples(st.sampled_from(Status), AGES))
FAILED = st.sets(st.sampled_from(NAMES))
BADNESS = {Status.OK: 0, Status.WARNING: 1, Status.UNKNOWN: 2, Status.CRITICAL: 3}
SYSTEM = a_system(*(a_metric(name) for name in NAMES))
BOOKS = [a_runbook(name) for name in NAMES]


def _recorded(found: dict[str, tuple[Status, timedelta]]) -> dict[str, RecordedResult]:
    return {f"shop/{name}": recorded(a_result(name, status, NOW - age)) for name, (status, age) in found.items()}


def _runs(failed: set[str]) -> dict[str, Run]:
    return {f"shop/{name}": ended(a_run(runbook=f"shop/{name}"), Status.UNKNOWN, state=RunState.FAILED) for name in failed}


@given(RESULTS, FAILED, st.permutations(NAMES), st.permutations(BOOKS))
def test_order_never_matters(
    found: dict[str, tuple[Status, timedelta]], failed: set[str], names: list[str], books: list[Runbook]
) -> None:
    """The same facts in any order give the same status and the same items."""
    results = _recorded(found)
    shuffled = {f"shop/{name}": results[f"shop/{name}"] for name in names if name in found}
    runs = _runs(failed)
    one = system_status(SYSTEM, BOOKS, runs, results, NOW)
    other = system_status(a_system(*(a_metric(name) for name in names)), books, runs, shuffled, NOW)
    assert (one.status, one.counts) == (other.status, other.counts)
    assert (one.measured_at, one.stale_at) == (other.measured_at, other.stale_at)
    assert sorted(one.items, key=repr) == sorted(other.items, key=repr)


@given(RESULTS, st.sampled_from(NAMES))
def test_losing_data_never_helps(found: dict[str, tuple[Status, timedelta]], lost: str) -> None:
    """Taking a result away makes its metric unknown; it never turns anything ok, nor a system that was not."""
    whole = system_status(SYSTEM, [], {}, _recorded(found), NOW)
    less = system_status(SYSTEM, [], {}, _recorded({name: one for name, one in found.items() if name != lost}), NOW)
    assert less.status is not Status.OK
    assert less.ok_count <= whole.ok_count
    assert next(item.status for item in less.items if item.slug == f"shop/{lost}") is Status.UNKNOWN


@given(RESULTS, FAILED, st.integers(0, 60 * 24 * 30).map(lambda minutes: timedelta(minutes=minutes)))
def test_waiting_never_helps(found: dict[str, tuple[Status, timedelta]], failed: set[str], later: timedelta) -> None:
    """While nothing is measured no item gets better by age, unless it waited for its clock to come round."""
    past = {name: (status, max(age, timedelta(0))) for name, (status, age) in found.items()}
    now = {item.slug: item.status for item in system_status(SYSTEM, BOOKS, _runs(failed), _recorded(past), NOW).items}
    then = {item.slug: item.status for item in system_status(SYSTEM, BOOKS, _runs(failed), _recorded(past), NOW + later).items}
    assert all(BADNESS[then[slug]] >= BADNESS[now[slug]] for slug in now)


@given(RESULTS)
def test_ok_was_measured_and_fresh(found: dict[str, tuple[Status, timedelta]]) -> None:
    """Whatever is shown as ok has an ok result that was measured no longer ago than it speaks for."""
    for item in system_status(SYSTEM, [], {}, _recorded(found), NOW).items:
        if item.status is Status.OK:
            status, age = found[item.slug.partition("/")[2]]
            assert status is Status.OK
            assert timedelta(minutes=-5) <= age < timedelta(hours=26)


@given(st.dictionaries(st.sampled_from(NAMES), st.tuples(st.sampled_from(Status), AGES.filter(lambda age: age >= timedelta(0)))))
def test_the_answer_goes_stale_when_it_says(found: dict[str, tuple[Status, timedelta]]) -> None:
    """Until `stale_at` as many items are fresh as now; at that moment fewer are."""

    def fresh(report: SystemReport) -> int:
        return sum(item.freshness is Freshness.FRESH for item in report.items)

    now = system_status(SYSTEM, [], {}, _recorded(found), NOW)
    if now.stale_at is None:
        assert fresh(now) == 0
    else:
        before = system_status(SYSTEM, [], {}, _recorded(found), now.stale_at - timedelta(microseconds=1))
        at = system_status(SYSTEM, [], {}, _recorded(found), now.stale_at)
        assert fresh(before) == fresh(now) > fresh(at)
