"""Between the journal's rows and the model's values."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from checks.journal import _seals
from checks.journal import _tables as t
from checks.journal._derived import Seen
from checks.journal._walk import Judged
from checks.journal.facts import Event, RecordedResult, Stretch
from checks.model import BaselineUsed, Observation, Result, Run, RunState, Status

RUN_COLUMNS = (
    *t.runs.c,
    t.run_ends.c.state,
    t.run_ends.c.status,
    t.run_ends.c.ended_at,
    t.run_ends.c.reason,
    t.run_ends.c.evidence,
    t.run_ends.c.redacted,
)
# Read by their places: to ask a row for each of its columns by name takes longer than to read it from the database.
_OF_A_RESULT = (
    *("title", "status", "reason", "judged_at", "measured_at", "value", "unit", "took", "source", "detail", "samples"),
    *("warning", "critical", "cell", "step", "baseline"),
)
_NAMED = (t.series.c.system, t.series.c.metric)
RESULT_COLUMNS = (*_NAMED, *(t.results.c[name] for name in _OF_A_RESULT), t.results.c.run_id)
_WIDTH = len(_NAMED) + len(_OF_A_RESULT)
_BY_WORD = {status.value: status for status in Status}


def start_row(run: Run) -> dict[str, Any]:
    """What is known of a run when it starts."""
    names = ("id", "runbook", "system", "environment", "trigger", "started_at", "source", "host", "actor")
    return {name: getattr(run, name) for name in names} | {
        "parameters": dict(run.parameters),
        "basis": dict(run.basis) or None,
        "made_with": dict(run.made_with) or None,
    }


def end_row(run: Run) -> dict[str, Any]:
    """What is known of a run only when it has ended."""
    return {
        "run_id": run.id,
        "state": run.state,
        "status": run.status,
        "ended_at": run.ended_at,
        "reason": run.reason,
        "evidence": run.evidence,
        "redacted": run.redacted,
    }


def to_run(row: sa.Row[Any]) -> Run:
    """A run and its end; one without an end is running, and its status unknown."""
    return Run(
        id=row.id,
        runbook=row.runbook,
        system=row.system,
        environment=row.environment,
        trigger=row.trigger,
        state=row.state or RunState.RUNNING,
        status=row.status or Status.UNKNOWN,
        started_at=row.started_at,
        ended_at=row.ended_at,
        parameters=row.parameters,
        reason=row.reason or "",
        source=row.source,
        evidence=row.evidence,
        host=row.host,
        actor=row.actor,
        basis=row.basis or {},
        made_with=row.made_with or {},
        redacted=row.redacted,
    )


def result_values(run_id: str | None, series: int, result: Result) -> list[Any]:
    """A result as the database keeps it, in the order of `_seals.SEALED`; with all its observation, so that it stays whole."""
    o, baseline = result.observation, result.baseline
    values: list[Any] = [run_id, series, result.title, result.status.value, result.reason, t.to_micros(result.judged_at)]
    if o is None:
        values += (None,) * 6
    else:
        # SQLite has no NaN; a measured value that is none comes back as NaN from the missing one. Nor a zero below zero.
        value = None if math.isnan(o.value) else float(o.value) + 0.0
        values += (t.to_micros(o.measured_at), value, o.unit, float(o.took) + 0.0, o.source, o.detail)
    values += (result.warning, result.critical, result.cell, result.step, o and o.samples)
    values.append(baseline and json.dumps(asdict(baseline), sort_keys=True))
    return values


_PLACES = {name: place for place, name in enumerate(_seals.SEALED)}
_seen = itemgetter(*(_PLACES[name] for name in ("series", "measured_at", "value", "unit")))
_judged = itemgetter(*(_PLACES[name] for name in ("judged_at", "warning", "critical")))


def judged_of(number: int, status: Status, values: Sequence[Any]) -> Judged:
    """What of a result's values matters to those that follow it."""
    judged_at, warning, critical = _judged(values)
    return Judged(number, judged_at, status, warning, critical)


def seen_of(values: Sequence[Any]) -> Seen | None:
    """A result's value as a point of its metric's line; ``None`` where there is none."""
    series, measured_at, value, unit = _seen(values)
    return None if value is None or not math.isfinite(value) else Seen(series, measured_at, value, unit)


def seen(series: int, result: Result, status: Status | None) -> Seen | None:
    """The same of a result that is not kept, with its status."""
    o = result.observation
    if o is None or not math.isfinite(o.value):
        return None
    return Seen(series, t.to_micros(o.measured_at), float(o.value) + 0.0, o.unit, status)


def to_result(row: Sequence[Any]) -> Result:
    """The result as it was given, from a row that begins with `RESULT_COLUMNS`."""
    system, metric, title, status, reason, judged_at, *seen, warning, critical, cell, step, baseline = row[:_WIDTH]
    used = _baseline(json.loads(baseline) if isinstance(baseline, str) else baseline)
    return Result(system, metric, title, status, reason, judged_at, _seen_in(*seen), warning, critical, cell, step, used)


def _baseline(told: Mapping[str, Any] | None) -> BaselineUsed | None:
    return BaselineUsed(**told) if told else None


def _seen_in(
    at: datetime | None, value: float | None, unit: str, took: float, source: str, detail: str, samples: int | None
) -> Observation | None:
    return None if at is None else Observation(math.nan if value is None else value, unit, at, took, source, detail, samples)


def to_recorded(told: str, runbook: str | None) -> RecordedResult:
    """A result with where it came from, as it stands among the latest; see `_seals.told`."""
    _, system, metric, run, _, title, status, reason, judged_at, measured_at, *more = json.loads(told)
    value, unit, took, source, detail, warning, critical, cell, step, samples, baseline = more
    judged = t.from_micros(judged_at)
    seen = None
    if measured_at is not None:
        at = judged if measured_at == judged_at else t.from_micros(measured_at)
        seen = _seen_in(at, value, unit, took, source, detail, samples)
    used = baseline and _baseline(json.loads(baseline))
    result = Result(system, metric, title, _BY_WORD[status], reason, judged, seen, warning, critical, cell, step, used)
    return RecordedResult(result, run or "", runbook or "")


class Recorded:
    """The latest results as they were read last: one that is as it was is not put together once more.

    A result is never changed, so what it says in words tells it from every other one.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[str, RecordedResult]]] = {}

    def by_metric(self, environment: str, rows: Iterable[Sequence[Any]]) -> dict[str, RecordedResult]:
        """By metric: its latest result.

        Args:
            environment: all latest results of which are given.
            rows: what each says and the runbook, first.

        """
        known, found = self._known.get(environment, {}), {}
        for told, runbook, *_ in rows:
            one = known.get(told)
            if one is None:
                recorded = to_recorded(told, runbook)
                one = f"{recorded.result.system}/{recorded.result.metric}", recorded
            found[told] = one
        self._known[environment] = found
        return dict(found.values())


def to_stretches(rows: Iterable[Sequence[Any]]) -> dict[str, list[Stretch]]:
    """By metric: what was observed in each stretch of time, in the order of the rows."""
    found: dict[str, list[Stretch]] = {}
    for system, metric, unit, at, low, mean, high, number in rows:
        found.setdefault(f"{system}/{metric}", []).append(Stretch(at, low, mean, high, number, unit))
    return found


def to_event(row: sa.Row[Any]) -> Event:
    """The event as it was noted."""
    return Event(row.id, row.kind, row.at, row.subject, row.actor, row.detail)
