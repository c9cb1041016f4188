"""Small, complete values for tests of the journal and of what is read out of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ulid import ULID

from checks.journal import RecordedResult
from checks.journal.store import Journal
from checks.model import (
    Cron,
    Environment,
    Metric,
    Observation,
    Result,
    Run,
    Runbook,
    RunbookKind,
    RunState,
    Status,
    System,
    Trigger,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def a_metric(name: str = "error-rate", **changes: Any) -> Metric:
    return replace(Metric("shop", name, name.capitalize(), "%", {"kind": "notebook"}), **changes)


def a_system(*metrics: Metric, name: str = "shop") -> System:
    environments = {"sandbox": Environment("sandbox", {})}
    return System(name, "Web shop", "Sells.", environments, {metric.name: metric for metric in metrics}, Path("system.yml"))


def a_runbook(name: str = "morning", cron: str | None = None, timezone: str = "UTC", **changes: Any) -> Runbook:
    runbook = Runbook("shop", name, name.capitalize(), RunbookKind.CHECK, "Is it well?", Path(f"{name}.md"), "0" * 64)
    return replace(runbook, schedule=None if cron is None else Cron(cron, timezone), **changes)


def a_run(started_at: datetime = NOW, **changes: Any) -> Run:
    run = Run(
        id=str(ULID.from_datetime(started_at)),
        runbook="shop/morning",
        system="shop",
        environment="sandbox",
        trigger=Trigger.COMMAND,
        state=RunState.RUNNING,
        status=Status.UNKNOWN,
        started_at=started_at,
        parameters={"hours": 24, "note": "größer"},
        source="ab" * 32,
        host="host-1",
        actor="ada",
    )
    return replace(run, **changes)


def ended(run: Run, status: Status = Status.OK, after: timedelta = timedelta(seconds=3), **changes: Any) -> Run:
    return replace(run, **{"state": RunState.FINISHED, "status": status, "ended_at": run.started_at + after, **changes})


def a_result(
    metric: str = "error-rate", status: Status = Status.OK, at: datetime = NOW, value: float | None = 0.4, **changes: Any
) -> Result:
    seen = None if value is None else Observation(value, "%", at, 0.012, "GET http://127.0.0.1:1/metrics", "2 of 480 requests")
    result = Result(
        "shop", metric, "Error rate", status, f"{value} % is {status.value}", at, seen, ">= 1 %", "> 10 %", cell=3, step=1
    )
    return replace(result, **changes)


def recorded(result: Result, runbook: str = "shop/morning", run_id: str = "01") -> RecordedResult:
    return RecordedResult(result, run_id, runbook)


def keep(journal: Journal, *results: Result, at: datetime = NOW, **changes: Any) -> Run:
    """Start a run and finish it with some results."""
    run = a_run(at, **changes)
    journal.start_run(run)
    done = ended(run, Status.worst(result.status for result in results))
    journal.finish_run(done, results)
    return done
