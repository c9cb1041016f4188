"""Takes out what is older than anybody wants to keep, and never what still counts.

Events stay, all of them: they are the audit, and sign-offs and the stories of incidents are made of them. Of each metric stay the
latest result, the last one of each status and the first of its present one; of each runbook its latest run; and of a system with
an open incident everything since shortly before that began. Runs are kept or taken out as a whole, with all they found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from checks.journal import _queries, _seals
from checks.journal import _tables as t
from checks.journal._engine import reading, writing
from checks.journal._rebuild import rebuild
from checks.journal.verify import PRUNED

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was, or would be, taken out.

    Attributes:
        before: what is older was looked at.
        results: those of these runs, and those that were sampled between runs.
        kept: older runs that stay, because something still rests on them.
        evidence: digests of evidence that no run rests on any more.
        inputs: digests of sources and systems that no run rests on any more.

    """

    before: datetime
    runs: int
    results: int
    observations: int
    slots: int
    kept: int
    evidence: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which runs go, up to when each series does, and which results of it stay all the same."""

    runs: Sequence[str]
    kept: int
    until: Mapping[int, datetime]
    stay: Mapping[int, Sequence[int]]


def would_prune(engine: sa.Engine, before: datetime, spared: Mapping[str, datetime]) -> Pruned:
    """Say what `prune` would take out, and take out nothing."""
    before = _hour(before)
    with reading(engine) as connection:
        plan = _plan(connection, before, spared)
        results = sum(_count(connection, t.results, t.results.c.run_id.in_(some)) for some in _portions(plan.runs))
        results += sum(_count(connection, t.results, which) for which in _sampled(plan))
        observations = sum(_count(connection, t.observations, which) for which in _observed(connection, plan))
        slots = _count(connection, t.slots, _done(before))
        gone = _evidence(connection, plan.runs), _inputs(connection, plan.runs)
    return Pruned(before, len(plan.runs), results, observations, slots, plan.kept, *gone)


def prune(engine: sa.Engine, before: datetime, spared: Mapping[str, datetime], now: datetime, actor: str) -> Pruned:
    """Take out what is older, in one transaction, and note it.

    Args:
        engine: the journal's database.
        before: what is older goes, as far as it may; rounded down to the hour.
        spared: systems with an open incident, and since when all of theirs stays.
        now: the time.
        actor: whose wish it is.

    """
    before = _hour(before)
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            # Who writes results holds their series; nobody may meanwhile.
            connection.exec_driver_sql("LOCK TABLE series, runs IN EXCLUSIVE MODE")
        plan = _plan(connection, before, spared)
        observed = list(_observed(connection, plan))
        gone = _evidence(connection, plan.runs), _inputs(connection, plan.runs)
        # What is drawn from results goes first, and is drawn anew in the end.
        for table in t.DERIVED:
            connection.execute(sa.delete(table))
        results = sum(_delete(connection, t.results, t.results.c.run_id.in_(some)) for some in _portions(plan.runs))
        results += sum(_delete(connection, t.results, which) for which in _sampled(plan))
        for some in _portions(plan.runs):
            _delete(connection, t.run_ends, t.run_ends.c.run_id.in_(some))
            _delete(connection, t.runs, t.runs.c.id.in_(some))
        observations = sum(_delete(connection, t.observations, which) for which in observed)
        for series, until in _hours_until(connection, plan).items():
            _delete(connection, t.seals, (t.seals.c.series == series) & (t.seals.c.start < t.to_micros(until)))
        slots = _delete(connection, t.slots, _done(before))
        rebuild(connection)
        done = Pruned(before, len(plan.runs), results, observations, slots, plan.kept, *gone)
        detail = {
            "before": before.isoformat(),
            "runs": done.runs,
            "results": results,
            "observations": observations,
            "slots": slots,
        }
        event = {"kind": PRUNED, "at": now, "subject": "journal", "actor": actor, "detail": detail | {"spared": sorted(spared)}}
        _seals.chained(connection, event)
    return done


def _plan(connection: sa.Connection, before: datetime, spared: Mapping[str, datetime]) -> _Plan:
    latest, results, runs, ends = t.latest.c, t.results.c, t.runs.c, t.run_ends.c
    moments = [latest[f"last_{status}"] for status in ("ok", "warning", "critical", "unknown")]
    counts = (results.series == latest.series) & (results.judged_at.in_([*moments, latest.since]) | (results.id == latest.result))
    stay: dict[int, list[int]] = {}
    held = set()
    for series, result, run in connection.execute(
        sa.select(results.series, results.id, results.run_id).join_from(t.latest, t.results, counts)
    ):
        stay.setdefault(series, []).append(result)
        held.add(run)
    for (environment,) in connection.execute(sa.select(runs.environment).distinct()).all():
        held |= {row.id for row in connection.execute(_queries.latest_runs(), {"environment": environment})}
    old = (
        sa.select(runs.id, runs.system, ends.ended_at)
        .join_from(t.runs, t.run_ends, ends.run_id == runs.id)
        .where(ends.ended_at < before)
    )
    going, kept = [], 0
    for run, system, ended_at in connection.execute(old.order_by(runs.id)):
        if run in held or ended_at >= spared.get(system, before):
            kept += 1
        else:
            going.append(run)
    systems = connection.execute(sa.select(t.series.c.id, t.series.c.system)).all()
    until = {series: min(before, spared.get(system, before)) for series, system in systems}
    return _Plan(going, kept, until, stay)


def _sampled(plan: _Plan) -> Iterator[sa.ColumnElement[bool]]:
    """Which sampled results go, series by series."""
    told = t.results.c
    for series, until in plan.until.items():
        stay = told.id.not_in(plan.stay.get(series, ()))
        yield (told.series == series) & told.run_id.is_(None) & (told.judged_at < until) & stay


def _observed(connection: sa.Connection, plan: _Plan) -> Iterator[sa.ColumnElement[bool]]:
    """Which values go, series by series."""
    for series, until in _hours_until(connection, plan).items():
        yield (t.observations.c.series == series) & (t.observations.c.ts < until)


def _hours_until(connection: sa.Connection, plan: _Plan) -> dict[int, datetime]:
    """Up to which whole hour each series' values go: that of its last value stays."""
    found = {}
    for series, until in plan.until.items():
        last = connection.execute(sa.select(sa.func.max(t.observations.c.ts)).where(t.observations.c.series == series)).scalar()
        found[series] = _hour(until if last is None else min(until, last))
    return found


def _done(before: datetime) -> sa.ColumnElement[bool]:
    """The slots that are done, are not the last of their runbook, and are older."""
    slots, later = t.slots.c, t.slots.alias()
    newer = sa.exists().where(
        later.c.environment == slots.environment, later.c.runbook == slots.runbook, later.c.due_at > slots.due_at
    )
    return (slots.due_at < before) & slots.expires_at.is_(None) & newer


def _evidence(connection: sa.Connection, going: Sequence[str]) -> tuple[str, ...]:
    """The evidence that only runs which go rest on."""
    gone, rest = set(going), t.run_ends.c
    told = connection.execute(sa.select(rest.run_id, rest.evidence).where(rest.evidence.is_not(None))).all()
    return tuple(sorted({one for run, one in told if run in gone} - {one for run, one in told if run not in gone}))


def _inputs(connection: sa.Connection, going: Sequence[str]) -> tuple[str, ...]:
    """The sources and systems that only runs which go rest on."""
    gone, runs = set(going), t.runs.c
    rest: dict[bool, set[str]] = {True: set(), False: set()}
    for run, source, basis in connection.execute(sa.select(runs.id, runs.source, runs.basis)):
        rest[run in gone] |= {source, str((basis or {}).get("system", ""))} - {""}
    return tuple(sorted(rest[True] - rest[False]))


def _count(connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table).where(which)).scalar_one())


def _delete(connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.delete(table).where(which)).rowcount


def _portions(names: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for first in range(0, len(names), _AT_ONCE):
        yield names[first : first + _AT_ONCE]


def _hour(moment: datetime) -> datetime:
    return moment - (moment - datetime.min.replace(tzinfo=moment.tzinfo)) % timedelta(hours=1)
