"""The questions that need more than one row's filter; each is answered from an index."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from checks.journal import _tables as t
from checks.journal._rows import RESULT_COLUMNS, RUN_COLUMNS
from checks.model import RunState, Status

DAY = 86_400_000_000  # microseconds


def runs_with_ends() -> sa.Select[Any]:
    """Every run with its end, if it has one."""
    return sa.select(*RUN_COLUMNS).select_from(t.runs.outerjoin(t.run_ends, t.run_ends.c.run_id == t.runs.c.id))


def latest_runs(environment: str) -> sa.Select[Any]:
    """The ended run of each runbook that started last: a run given up long after its time hides no later one."""
    named = sa.select(t.runs.c.runbook).where(t.runs.c.environment == environment).distinct().subquery()
    other, end = t.runs.alias(), t.run_ends.alias()
    latest = (
        sa.select(other.c.id)
        .join(end, end.c.run_id == other.c.id)
        .where(other.c.environment == environment, other.c.runbook == named.c.runbook)
        .order_by(other.c.started_at.desc(), other.c.id.desc())
        .limit(1)
        .correlate(named)
        .scalar_subquery()
    )
    return sa.select(*RUN_COLUMNS).select_from(
        named.join(t.runs, t.runs.c.id == latest).join(t.run_ends, t.run_ends.c.run_id == t.runs.c.id)
    )


def latest_results(environment: str) -> sa.Select[Any]:
    """The result of each metric that was judged last; of two at once, the one recorded last."""
    other = t.results.alias()
    latest = (
        sa.select(other.c.id)
        .where(other.c.series == t.series.c.id)
        .order_by(other.c.judged_at.desc(), other.c.id.desc())
        .limit(1)
        .correlate(t.series)
        .scalar_subquery()
    )
    return (
        sa.select(*RESULT_COLUMNS, t.runs.c.runbook)
        .select_from(t.series.join(t.results, t.results.c.id == latest).join(t.runs, t.runs.c.id == t.results.c.run_id))
        .where(t.series.c.environment == environment)
    )


def results_of(*run_ids: str) -> sa.Select[Any]:
    """The results of some runs, in the order in which they were judged."""
    return (
        sa.select(*RESULT_COLUMNS)
        .select_from(t.results.join(t.series, t.series.c.id == t.results.c.series))
        .where(t.results.c.run_id.in_(run_ids))
        .order_by(t.results.c.id)
    )


def newest(environment: str) -> sa.Select[Any]:
    """When each metric was last measured; ``NULL`` where it never was."""
    last = sa.select(sa.func.max(t.observations.c.ts)).where(t.observations.c.series == t.series.c.id).correlate(t.series)
    return sa.select(t.series.c.system, t.series.c.metric, last.scalar_subquery().label("ts")).where(
        t.series.c.environment == environment
    )


def last_of_each_status(environment: str) -> sa.Select[Any]:
    """When each metric last had each status, and its latest status: one seek in an index for each, however long the history."""
    other = t.results.alias()
    latest = (
        sa.select(other.c.status)
        .where(other.c.series == t.series.c.id)
        .order_by(other.c.judged_at.desc(), other.c.id.desc())
        .limit(1)
        .correlate(t.series)
        .scalar_subquery()
    )
    return sa.select(
        *t.series.c,
        latest.label("latest"),
        *(_judged(sa.func.max(t.results.c.judged_at), status).label(status.name) for status in Status),
    ).where(t.series.c.environment == environment)


def with_a_value(environment: str) -> sa.Select[Any]:
    """The metrics of which there is any value."""
    any_value = sa.exists().where(t.observations.c.series == t.series.c.id)
    return sa.select(t.series.c.system, t.series.c.metric).where(t.series.c.environment == environment, any_value)


def _judged(which: sa.ColumnElement[datetime], status: Status) -> sa.ScalarSelect[Any]:
    return (
        sa.select(which)
        .where(t.results.c.series == t.series.c.id, t.results.c.status == status)
        .correlate(t.series)
        .scalar_subquery()
    )


def first_with(series: int, status: Status, since: datetime | None) -> sa.Select[Any]:
    """When a metric first had a status, counted from a moment."""
    query = sa.select(sa.func.min(t.results.c.judged_at)).where(t.results.c.series == series, t.results.c.status == status)
    return query if since is None else query.where(t.results.c.judged_at >= since)


def days(environment: str, since: datetime) -> sa.CompoundSelect[Any]:
    """Each (system, day in UTC, status) that was seen: of results, and unknown for a run that did not finish."""
    # Rows count days from 1970; the microseconds are cast away so that no database rounds them.
    judged = sa.type_coerce(t.results.c.judged_at, sa.BigInteger)
    started = sa.type_coerce(t.runs.c.started_at, sa.BigInteger)
    seen = (
        sa.select(t.series.c.system, ((judged - judged % DAY) / sa.literal(DAY, sa.BigInteger)).label("day"), t.results.c.status)
        .select_from(t.series.join(t.results, t.results.c.series == t.series.c.id))
        .where(t.series.c.environment == environment, t.results.c.status.in_(list(Status)), t.results.c.judged_at >= since)
        .distinct()
    )
    unfinished = (
        sa.select(t.runs.c.system, ((started - started % DAY) / sa.literal(DAY, sa.BigInteger)), t.run_ends.c.status)
        .select_from(t.runs.join(t.run_ends, t.run_ends.c.run_id == t.runs.c.id))
        .where(t.runs.c.environment == environment, t.runs.c.started_at >= since, t.run_ends.c.state != RunState.FINISHED)
        .distinct()
    )
    return sa.union_all(seen, unfinished)


def observations(environment: str, system: str, metric: str, since: datetime, limit: int | None = None) -> sa.Select[Any]:
    """The values of one metric, newest first; the newest so many where there is a limit."""
    return (
        sa.select(t.observations.c.ts, t.observations.c.value, t.observations.c.unit)
        .select_from(t.observations.join(t.series, t.series.c.id == t.observations.c.series))
        .where(
            t.series.c.environment == environment,
            t.series.c.system == system,
            t.series.c.metric == metric,
            t.observations.c.ts >= since,
        )
        .order_by(t.observations.c.ts.desc())
        .limit(limit)
    )


def stretches(environment: str, since: datetime, width: int) -> sa.Select[Any]:
    """What was observed of each metric in each stretch of time, oldest first; `width` in microseconds."""
    after = sa.type_coerce(t.observations.c.ts, sa.BigInteger) - sa.literal(t.to_micros(since), sa.BigInteger)
    stretch = ((after - after % width) / sa.literal(width, sa.BigInteger)).label("stretch")
    seen = (
        sa.select(
            t.series.c.system, t.series.c.metric, t.observations.c.unit, t.observations.c.ts, t.observations.c.value, stretch
        )
        .select_from(t.observations.join(t.series, t.series.c.id == t.observations.c.series))
        .where(t.series.c.environment == environment, t.observations.c.ts >= since)
        .subquery()
    )
    value, by = seen.c.value, (seen.c.system, seen.c.metric, seen.c.unit, seen.c.stretch)
    return (
        sa.select(
            seen.c.system,
            seen.c.metric,
            seen.c.unit,
            sa.func.max(seen.c.ts).label("at"),
            sa.func.min(value).label("low"),
            sa.func.avg(value).label("mean"),
            sa.func.max(value).label("high"),
            sa.func.count().label("number"),
        )
        .group_by(*by)
        .order_by(seen.c.system, seen.c.metric, sa.func.max(seen.c.ts))
    )


def limit_changes(environment: str) -> sa.Select[Any]:
    """The first result of each metric, and each that was judged by other limits than the one before; oldest first."""
    judged = _with_the_one_before(environment, t.results.c.warning, t.results.c.critical)
    changed = judged.c.warning.is_distinct_from(judged.c.warning_before) | judged.c.critical.is_distinct_from(
        judged.c.critical_before
    )
    return (
        sa.select(judged)
        .where(judged.c.before.is_(None) | changed)
        .order_by(judged.c.system, judged.c.metric, judged.c.judged_at, judged.c.id)
    )


def status_changes(environment: str, since: datetime, limit: int) -> sa.Select[Any]:
    """Results since a moment whose status is not that of the one before, newest first."""
    judged = _with_the_one_before(environment, t.results.c.status)
    return (
        sa.select(*RESULT_COLUMNS, judged.c.status_before)
        .select_from(judged.join(t.results, t.results.c.id == judged.c.id).join(t.series, t.series.c.id == t.results.c.series))
        .where(judged.c.judged_at >= since, judged.c.status.is_distinct_from(judged.c.status_before))
        .order_by(judged.c.judged_at.desc(), judged.c.id.desc())
        .limit(limit)
    )


def _with_the_one_before(environment: str, *columns: sa.Column[Any]) -> sa.Subquery:
    """Each result with some of its columns, and those of its metric's result before; ``before`` is NULL where there is none."""

    def before(column: sa.Column[Any]) -> sa.Over[Any]:
        return sa.func.lag(column, type_=column.type).over(
            partition_by=t.results.c.series, order_by=(t.results.c.judged_at, t.results.c.id)
        )

    return (
        sa.select(
            t.series.c.system,
            t.series.c.metric,
            t.results.c.id,
            t.results.c.judged_at,
            *columns,
            *(before(column).label(f"{column.name}_before") for column in columns),
            before(t.results.c.id).label("before"),
        )
        .select_from(t.results.join(t.series, t.series.c.id == t.results.c.series))
        .where(t.series.c.environment == environment)
        .subquery()
    )
