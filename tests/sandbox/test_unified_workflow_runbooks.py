"""The workflow system's runbooks, executed for real against its stand-in: healthy, broken, healed, and operated."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checks.catalogue import Catalogue, notebook, resolve
from checks.model import Status, StepClass
from checks.run import context
from checks.sandbox.kit import running
from checks.sandbox.unified_workflow import UnifiedWorkflow
from checks.sandbox.unified_workflow_store import RELEASES
from tests.sandbox.support import eventually
from tests.sandbox.walks import executed, not_ok

ROOT = Path(__file__).parents[2]
SYSTEM = "unified-workflow"
CHECKS = (f"{SYSTEM}/days-2-7-check", f"{SYSTEM}/tenant-isolation")
# What each fault breaks at the latest when its window has passed.
BREAKS = {
    "errors": {"api-availability", "http-5xx", "js-exceptions"},
    "slow": {"api-response", "query-time", "query-workflow-listing", "query-customer-search"},
    "memory": {"memory"},
    "database": {"database-connectivity", "database-errors", "api-availability"},
    "auth": {"auth-failures", "login-success"},
    "passwords": {"login-success"},
    "sessions": {"session-duration"},
    "leak": {"isolation-probe", "cross-tenant-access", "policies-off"},
    "snoop": {"policy-refusals", "http-4xx"},
    "audit": {"audit-age"},
    "role": {"beautician-not-refused"},
    "commissions": {"commission-errors", "commission-unlinked"},
    "codes": {"customer-code-collisions", "log-repetition"},
    "duplicates": {"customer-code-duplicates"},
    "events": {"events-failing", "fallback-polls"},
    "js-errors": {"js-exceptions"},
    "bundle": {"frontend-load", "page-load"},
    "standstill": {"workflow-creation", "customer-creation"},
    "index": {"queries-scanning", "queries-by-index"},
    "pool": {"connection-pool"},
    "rpc": {"rpc-failures", "component-errors"},
    "tokens": {"token-validation"},
    "stuffing": {"login-attempts", "failed-logins-of-one"},
    "tracing": {"events-traced"},
    "logs": {"logs-silent"},
    "unheard": {"commission-events-missing"},
    "dashboards": {"dashboards-away"},
}
# Faults that don't hide one another and show within seconds; test_unified_workflow looks at the others' figures.
TOGETHER = ("leak", "memory", "role", "commissions", "duplicates", "events", "js-errors")


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UnifiedWorkflow]:
    # It shares its process with the tests here, whose memory would be counted as its own.
    monkeypatch.setattr("checks.sandbox.unified_workflow_figures.ALLOTTED_BYTES", 2_000_000_000)
    monkeypatch.setattr("checks.sandbox.unified_workflow.ALLOTTED_BYTES", 2_000_000_000)
    with running(UnifiedWorkflow(tmp_path / SYSTEM)) as service:
        yield service


def test_every_fault_is_known_to_break_something(catalogue: Catalogue) -> None:
    """The table of what each fault breaks names every fault, and metrics that there are."""
    assert set(BREAKS) == set(UnifiedWorkflow.FAULTS)
    assert set().union(*BREAKS.values()) <= set(catalogue.systems[SYSTEM].metrics)


def test_every_metric_names_a_row_of_the_plan_and_a_priority(catalogue: Catalogue) -> None:
    """What is critical to the plan has a critical limit, and every metric says where it comes from."""
    metrics = catalogue.systems[SYSTEM].metrics.values()
    assert all(one.source and one.priority in ("Critical", "High", "Medium") for one in metrics)
    assert all(one.critical is not None for one in metrics if one.priority == "Critical")
    assert all(one.warning is not None for one in metrics if one.priority != "Critical")


@pytest.mark.slow
def test_broken_and_healed(service: UnifiedWorkflow, catalogue: Catalogue) -> None:
    """Faults break what they should, and only what looks back stays red."""
    variables = service.variables()
    for fault in TOGETHER:
        service.faults.add(fault)
    eventually(lambda: service.database.value("SELECT count(*) FROM commission WHERE workflow_id IS NULL"))
    eventually(lambda: service.database.value("SELECT count(*) FROM event WHERE failures > 0"))
    broken = not_ok(catalogue, CHECKS, variables)
    assert set().union(*(BREAKS[fault] for fault in TOGETHER)) <= set(broken)
    assert all("breaks" in reason for reason in broken.values()), broken

    service.faults.remove()
    eventually(lambda: not service.database.value("SELECT count(*) FROM event WHERE failures > 0 AND delivered_at IS NULL"))
    looking_back = {"cross-tenant-access", "js-exceptions", "event-latency", "queries-by-index", "fallback-polls"}
    assert set(not_ok(catalogue, CHECKS, variables)) <= looking_back


@pytest.mark.slow
def test_a_service_without_its_database_is_down_and_nothing_is_tried(service: UnifiedWorkflow, catalogue: Catalogue) -> None:
    """The database's fault is critical where it is measured, and the active probes say that they could not try."""
    variables = service.variables()
    service.faults.add("database")
    eventually(lambda: "database error" in service.database_log.path.read_text(encoding="utf-8"))

    broken = not_ok(catalogue, CHECKS, variables)

    assert BREAKS["database"] <= set(broken)
    assert "not tried to the end" in broken["isolation-probe"]
    assert "not tried to the end" in broken["beautician-not-refused"]


def test_without_the_system_everything_is_unknown(catalogue: Catalogue) -> None:
    """With no variable set every check is made and gives unknown with a reason; none is left out and none fails."""
    results = {name: one for runbook in CHECKS for name, one in executed(catalogue, runbook, {}).items()}
    assert {result.status for result in results.values()} == {Status.UNKNOWN}
    assert all(result.reason for result in results.values())
    assert set(results) == set(catalogue.systems[SYSTEM].metrics)


@pytest.mark.slow
def test_the_critical_alert_rolls_back_and_can_be_undone(
    service: UnifiedWorkflow, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operated, it keeps the evidence, pauses, lets the release before serve, corrects and resumes; its undo goes back."""
    runbook, variables = catalogue.runbooks[f"{SYSTEM}/critical-alert"], service.variables()
    service.faults.add("commissions")
    eventually(lambda: service.database.value("SELECT count(*) FROM commission WHERE workflow_id IS NULL"))
    system = catalogue.systems[SYSTEM]
    told = context.Context("01TEST", runbook.slug, system, "sandbox", {})
    context.write(told, tmp_path / "context.json")
    settled = {key.upper(): value for key, value in resolve(system, "sandbox", variables).values.items()}
    for key, value in {**variables, **settled, context.VARIABLE: str(tmp_path / "context.json")}.items():
        monkeypatch.setenv(key, value)
    book = notebook.read(runbook)
    first = next(cell.source for cell in book.cells if cell.cell_type == "code")
    names: dict[str, Any] = {}
    exec(first.partition("check(")[0], names)  # noqa: S102 - a runbook's own cell, up to its first check
    names["parameters"] = {one.name: one.default for one in runbook.parameters.values()}
    paused = []
    for step in notebook.steps(book):
        if step.step_class in (StepClass.CHANGE, StepClass.DESTRUCTIVE):
            for position in step.cells:
                if book.cells[position].cell_type == "code":
                    exec(book.cells[position].source, names)  # noqa: S102 - a runbook's own cell
            paused.append(service._paused())

    assert service.store.release() == RELEASES[0]
    assert paused == [[], ["workflows"], ["workflows"], ["workflows"], []]
    (kept,) = service.backups.glob("incident-*")
    assert sorted(path.name for path in kept.iterdir()) == ["database.db", "database.jsonl", "metrics.json"]
    assert service.database.value("SELECT count(*) FROM commission WHERE workflow_id IS NULL") == 0

    text = (ROOT / f"notebooks/{SYSTEM}/critical-alert.md").read_text(encoding="utf-8")
    (undo,) = re.findall(r"`(curl [^`]*)`", text)
    command = undo.replace("<the release printed as before>", RELEASES[-1])
    subprocess.run(["bash", "-euc", command], env=os.environ, check=True, capture_output=True, timeout=10)
    assert service.store.release() == RELEASES[-1]
