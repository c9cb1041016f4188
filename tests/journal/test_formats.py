"""A report for programs and for monitoring."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalogue.probe_kinds import parse_duration
from checks.journal import Snapshot
from checks.journal.formats import inert, to_json, to_nagios
from checks.journal.report import site_report, system_status
from checks.model import Observation, Result, RunState, Status
from tests.golden import cases
from tests.journal.samples import NOW, a_metric, a_result, a_run, a_runbook, a_system, ended, recorded

_JSON = Path(__file__).parents[1] / "golden" / "status_json" / "report.json"


def _result(name: str, told: dict[str, Any]) -> Result:
    at = NOW - parse_duration(told["ago"]) if "ago" in told else NOW
    value = told["value"]
    seen = None if value is None else Observation(float(value), told["unit"], at, 0.1, "a source")
    status = Status(told["status"])
    return Result("shop", name, name, status, told.get("reason", ""), at, seen, told.get("warning"), told.get("critical"))


@pytest.mark.parametrize("case", cases("status_nagios"))
def test_nagios(case: dict[str, Any]) -> None:
    """The output is what the Monitoring Plugins guidelines ask for: text, bar, figures with ranges, then details."""
    metrics = [a_metric(name) for name in [*case["metrics"], *case.get("never", [])]]
    results = {f"shop/{name}": recorded(_result(name, told)) for name, told in case["metrics"].items()}
    report = system_status(a_system(*metrics), [], {}, results, NOW)
    assert to_nagios(report, case["service"]) + "\n" == case["expected"]


def test_figures_of_several_systems_are_told_apart() -> None:
    """Over several systems a figure's label carries its system."""
    blog = a_system(a_metric("error-rate", system="blog"), name="blog")
    text = to_nagios(site_report([a_system(a_metric()), blog], [], Snapshot(), NOW), "proofbook")
    assert text.splitlines()[0].endswith("| 'blog/error-rate'=U 'shop/error-rate'=U")
    assert text.startswith("PROOFBOOK UNKNOWN - ")


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["", "%", "ms", "MB", "errors"]))
def test_no_text_or_value_breaks_the_plugin_line(reason: str, value: float, unit: str) -> None:
    """Whatever is observed, the first line has one bar, and after it one figure of digits or U, as the guidelines ask."""
    seen = Observation(value, unit, NOW, 0.1, "a source")
    result = Result("shop", "error-rate", "", Status.WARNING, reason, NOW, seen, f"> 5 {unit}".strip(), None)
    report = system_status(a_system(a_metric()), [], {}, {"shop/error-rate": recorded(result)}, NOW)
    first, *rest = to_nagios(report, "shop").split("\n")
    assert len(rest) == 1
    text, figures = first.split("|")
    assert text.startswith("SHOP WARNING - ")
    assert re.fullmatch(r" 'error-rate'=(U|-?\d+(\.\d+)?(s|B|%)?;\d+(\.\d+)?)", figures)


@given(st.text())
def test_inert_text_is_one_plain_line(text: str) -> None:
    """No control, escape or direction character is left, and making it inert again changes nothing."""
    line = inert(text)
    assert inert(line) == line
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]", line)


def test_json() -> None:
    """The JSON document has the keys that programs rely on, every one always there, times in RFC 3339."""
    metrics = [a_metric("error-rate", priority="P1"), a_metric("latency", fresh_for=timedelta(minutes=5)), a_metric("never")]
    results = {
        "shop/error-rate": recorded(a_result(status=Status.CRITICAL, value=12.4)),
        "shop/latency": recorded(a_result("latency", at=NOW - timedelta(hours=1))),
    }
    failed = ended(a_run(id="02"), Status.UNKNOWN, state=RunState.FAILED, reason="cell 4 failed")
    since = {"shop/error-rate": NOW - timedelta(minutes=12, microseconds=1)}
    snapshot = Snapshot({"shop/morning": failed}, results, since)
    document = to_json(site_report([a_system(*metrics)], [a_runbook()], snapshot, NOW), "sandbox")
    assert document == json.loads(_JSON.read_text(encoding="utf-8"))
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_json_has_no_number_that_json_cannot_hold() -> None:
    """A value that is not a number is null."""
    results = {"shop/error-rate": recorded(a_result(value=float("nan"), status=Status.UNKNOWN))}
    document = to_json(site_report([a_system(a_metric())], [], Snapshot(latest_results=results), NOW), "sandbox")
    assert document["systems"][0]["items"][0]["value"] is None
    json.dumps(document, allow_nan=False)
