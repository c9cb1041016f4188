"""The questions that need more than one row's filter; each is answered by seeks, however long the history.

Those that are always the same are built once, as building one takes longer than answering it; their parameters are named.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from checks.journal import _tables as t
from checks.journal._derived import DAY
from checks.journal._rows import RESULT_COLUMNS, RUN_COLUMNS
from checks.model import Status

_END = datetime.max.replace(tzinfo=UTC)
_HERE = sa.bindparam("environment", type_=sa.Text)


_NAMED = (t.series.c.system, t.series.c.metric)
_LATEST = t.series.join(t.latest, t.latest.c.series == t.series.c.id)
_IS_HERE = t.series.c.environment == _HERE


def runs_with_ends() -> sa.Select[Any]:
    """Every run with its end, if it has one."""
    return sa.select(*RUN_COLUMNS).select_from(t.runs.outerjoin(t.run_ends, t.run_ends.c.run_id == t.runs.c.id))


@cache
def latest_runs() -> sa.Select[Any]:
    """The ended run of each runbook in an ``environment`` that started last: one given up long after hides no later one."""
    named = _each(t.runs.c.runbook, t.runs.c.environment == _HERE)
    other, end = t.runs.alias(), t.run_ends.alias()
    latest = (
        sa.select(other.c.id)
        .join(end, end.c.run_id == other.c.id)
        .where(other.c.environment == _HERE, other.c.runbook == named.c.name)
        .order_by(other.c.started_at.desc(), other.c.id.desc())
        .limit(1)
        .correlate(named)
        .scalar_subquery()
    )
    return sa.select(*RUN_COLUMNS).select_from(
        named.join(t.runs, t.runs.c.id == latest).join(t.run_ends, t.run_ends.c.run_id == t.runs.c.id)
    )


@cache
def newest_runs(limit: int, *columns: sa.Column[Any]) -> sa.Select[Any]:
    """Some columns of the runs of each runbook that started last, the newest first; of several at one time maybe more.

    Its parameter: ``environment``.
    """
    named = _each(t.runs.c.runbook, t.runs.c.environment == _HERE)
    other = t.runs.alias()
    oldest = (
        sa.select(other.c.started_at)
        .where(other.c.environment == _HERE, other.c.runbook == named.c.name)
        .order_by(other.c.started_at.desc(), other.c.id.desc())
        .limit(1)
        .offset(limit - 1)
        .correlate(named)
        .scalar_subquery()
    )
    mine = (t.runs.c.environment == _HERE) & (t.runs.c.runbook == named.c.name)
    since = sa.type_coerce(t.runs.c.started_at, sa.BigInteger) >= sa.func.coalesce(sa.type_coerce(oldest, sa.BigInteger), 0)
    return (
        sa.select(*dict.fromkeys((t.runs.c.runbook, *columns)))
        .select_from(named.join(t.runs, mine & since).outerjoin(t.run_ends, t.run_ends.c.run_id == t.runs.c.id))
        .order_by(t.runs.c.runbook, t.runs.c.started_at.desc(), t.runs.c.id.desc())
    )


@cache
def counted() -> sa.Select[Any]:
    """How many runs each runbook in an ``environment`` has, how many of them have ended, and when the first of them started."""
    return (
        sa.select(
            t.runs.c.runbook,
            sa.func.count().label("number"),
            sa.func.count(t.run_ends.c.run_id).label("ended"),
            sa.func.min(t.runs.c.started_at).label("first"),
        )
        .select_from(t.runs.outerjoin(t.run_ends, t.run_ends.c.run_id == t.runs.c.id))
        .where(t.runs.c.environment == _HERE)
        .group_by(t.runs.c.runbook)
    )


def run_marks(environment: str, *runbooks: str, after: tuple[datetime, str] | None = None) -> sa.Select[Any]:
    """The runs of some runbooks that started after another one, the earliest first; all of them where none is named."""
    mine = (t.runs.c.environment == environment) & t.runs.c.runbook.in_(runbooks)
    if after is not None:
        at, id_ = after
        mine &= (t.runs.c.started_at > at) | ((t.runs.c.started_at == at) & (t.runs.c.id > id_))
        # By itself, the database would look at every run of the runbook for the sake of the second half.
        mine &= t.runs.c.started_at >= at
    return (
        sa.select(t.runs.c.runbook, t.runs.c.id, t.runs.c.started_at, t.run_ends.c.state, t.run_ends.c.evidence)
        .select_from(t.runs.outerjoin(t.run_ends, t.run_ends.c.run_id == t.runs.c.id))
        .where(mine)
        .order_by(t.runs.c.runbook, t.runs.c.started_at, t.runs.c.id)
    )


def last_slots(environment: str, which: sa.ColumnElement[bool] | None = None) -> sa.Select[Any]:
    """The latest slot of each runbook, of those for which something is true."""
    named = _each(t.slots.c.runbook, t.slots.c.environment == environment)
    last = (
        sa.select(t.slots.c.due_at)
        .where(t.slots.c.environment == environment, t.slots.c.runbook == named.c.name)
        .where(sa.true() if which is None else which)
        .order_by(t.slots.c.due_at.desc())
        .limit(1)
        .correlate(named)
        .scalar_subquery()
    )
    return sa.select(named.c.name.label("runbook"), last.label("due_at")).where(named.c.name.is_not(None))


def _each(column: sa.Column[Any], which: sa.ColumnElement[bool]) -> sa.CTE:
    """Each value of an index's next column as ``name``, by one seek a value: DISTINCT would read every row there is."""
    first = sa.select(sa.func.min(column).label("name")).where(which).cte("each_name", recursive=True)
    following = sa.select(sa.func.min(column)).where(which, column > first.c.name).correlate(first).scalar_subquery()
    return first.union_all(sa.select(following).where(first.c.name.is_not(None)))


@cache
def latest_results() -> sa.Select[Any]:
    """The result of each metric that was judged last, of two at once the one recorded last, and since when its status is that.

    It is what `_rows.Recorded` reads, with a third column. Its parameter: ``environment``.
    """
    return sa.select(t.latest.c.told, t.latest.c.runbook, t.latest.c.since).select_from(_LATEST).where(_IS_HERE)


def results_of(*run_ids: str) -> sa.Select[Any]:
    """The results of some runs, in the order in which they were judged."""
    return (
        sa.select(*RESULT_COLUMNS)
        .select_from(t.results.join(t.series, t.series.c.id == t.results.c.series))
        .where(t.results.c.run_id.in_(run_ids))
        .order_by(t.results.c.id)
    )


def results_since(environment: str, system: str, metric: str, since: datetime) -> sa.Select[Any]:
    """How one metric was judged since a moment, the oldest first."""
    return (
        sa.select(*RESULT_COLUMNS)
        .select_from(t.results.join(t.series, t.series.c.id == t.results.c.series))
        .where(*_named(environment, system, metric), t.results.c.judged_at >= since)
        .order_by(t.results.c.judged_at, t.results.c.id)
    )


def newest(environment: str) -> sa.Select[Any]:
    """When each metric was last measured; ``NULL`` where it never was."""
    last = sa.select(sa.func.max(t.observations.c.ts)).where(t.observations.c.series == t.series.c.id).correlate(t.series)
    return sa.select(t.series.c.system, t.series.c.metric, last.scalar_subquery().label("ts")).where(
        t.series.c.environment == environment
    )


@cache
def latest(*names: str) -> sa.Select[Any]:
    """What is known of each metric without its history: some columns of `_tables.latest`. Its parameter: ``environment``."""
    return sa.select(*_NAMED, *(t.latest.c[name] for name in names)).select_from(_LATEST).where(_IS_HERE)


@cache
def seen() -> sa.Select[Any]:
    """The latest result of each metric, when it was last seen, and how often it was judged from a day on.

    Its parameters: ``environment``, ``since`` (a day since 1970).
    """
    days = t.series_days.c
    judged = sa.select(sa.func.sum(sum((days[status.value] for status in Status), sa.literal_column("0", sa.BigInteger)))).where(
        days.series == t.series.c.id, days.day >= sa.bindparam("since", type_=sa.Integer)
    )
    number = judged.correlate(t.series).scalar_subquery().label("judged")
    return sa.select(*_NAMED, t.latest.c.result, t.latest.c.seen_at, number).select_from(_LATEST).where(_IS_HERE)


@cache
def last_written() -> sa.Select[Any]:
    """The ends of what only grows."""
    ends = (t.runs.c.id, t.events.c.id, t.latest.c.result, t.latest.c.seen_at)
    return sa.select(*(sa.select(sa.func.max(end)).scalar_subquery() for end in ends))


def with_a_value(environment: str) -> sa.Select[Any]:
    """The metrics of which there is any value."""
    any_value = sa.exists().where(t.observations.c.series == t.series.c.id)
    return sa.select(t.series.c.system, t.series.c.metric).where(t.series.c.environment == environment, any_value)


def days(environment: str, since: int) -> sa.Select[Any]:
    """How many judgements of each metric ended in which status, by day, from a day on."""
    return (
        sa.select(t.series.c.system, t.series.c.metric, *(c for c in t.series_days.c if c.name != "series"))
        .select_from(t.series.join(t.series_days, t.series_days.c.series == t.series.c.id))
        .where(t.series.c.environment == environment, t.series_days.c.day >= since)
    )


@cache
def days_of_systems() -> sa.Select[Any]:
    """How many judgements of a metric at the most ended in which status, by system and day, from a day on.

    Its parameters: ``environment``, ``since``. It tells whether there was any; to add them up would take longer.
    """
    counts = (sa.func.max(t.series_days.c[status.value]).label(status.value) for status in Status)
    return (
        sa.select(t.series.c.system, t.series_days.c.day, *counts)
        .select_from(t.series.join(t.series_days, t.series_days.c.series == t.series.c.id))
        .where(_IS_HERE, t.series_days.c.day >= sa.bindparam("since", type_=sa.Integer))
        .group_by(t.series.c.system, t.series_days.c.day)
    )


@cache
def unfinished_days() -> sa.Select[Any]:
    """The days on which runs of each system did not finish. Its parameters: ``environment``, ``since``."""
    return sa.select(t.unfinished_days.c.system, t.unfinished_days.c.day).where(
        t.unfinished_days.c.environment == _HERE, t.unfinished_days.c.day >= sa.bindparam("since", type_=sa.Integer)
    )


@cache  # the two that are asked of one metric at a time are built once: building takes longer than answering
def tally() -> sa.Select[Any]:
    """How many judgements of one metric ended in which status, from a day on.

    Its parameters: ``environment``, ``system``, ``metric``, ``since`` (a day since 1970).
    """
    counts = (sa.func.coalesce(sa.func.sum(t.series_days.c[status.value]), 0).label(status.value) for status in Status)
    return (
        sa.select(*counts)
        .select_from(t.series.join(t.series_days, t.series_days.c.series == t.series.c.id))
        .where(*_one(), *_since(t.series_days.c.day, sa.Integer(), t.to_micros(_END) // DAY))
    )


@cache
def stretches_of_one(width: timedelta) -> sa.Select[Any]:
    """What `stretches` says of one metric; its parameters: ``environment``, ``system``, ``metric``, ``since`` (a moment)."""
    return _stretches(width).where(*_one(), *_since(t.stretches.c.start, t.Moment(), _END))


def _one() -> tuple[sa.ColumnElement[bool], ...]:
    return tuple(t.series.c[name] == sa.bindparam(name) for name in ("environment", "system", "metric"))


def _since(column: sa.Column[Any], kind: sa.types.TypeEngine[Any], end: object) -> tuple[sa.ColumnElement[bool], ...]:
    """From ``since`` on, to the end of all time, said so that PostgreSQL keeps the plan it has made.

    Where it knew the beginning, it would compare what it expects of it with a plan that fits any; the longer the history, the
    more it prefers to plan the question anew each time, which takes longer than answering it. Where it knew of no end, it would
    expect a third of the history.
    """
    since = sa.select(sa.bindparam("since", type_=kind)).scalar_subquery()
    return column >= since, column <= sa.bindparam("end", end, type_=kind)


def _named(environment: str, system: str, metric: str) -> tuple[sa.ColumnElement[bool], ...]:
    return t.series.c.environment == environment, t.series.c.system == system, t.series.c.metric == metric


def observations(environment: str, system: str, metric: str, since: datetime, limit: int | None = None) -> sa.Select[Any]:
    """The values of one metric, newest first; the newest so many where there is a limit."""
    return (
        sa.select(t.observations.c.ts, t.observations.c.value, t.observations.c.unit)
        .select_from(t.observations.join(t.series, t.series.c.id == t.observations.c.series))
        .where(*_named(environment, system, metric), t.observations.c.ts >= since)
        .order_by(t.observations.c.ts.desc())
        .limit(limit)
    )


def stretches(environment: str, since: datetime, width: timedelta) -> sa.Select[Any]:
    """What was observed in each stretch of time that began since a moment, oldest first.

    It is summed up from the widest stretches kept that fit into the width; that is a few times as many at most.
    """
    return _stretches(width).where(t.series.c.environment == environment, t.stretches.c.start >= since)


def _stretches(width: timedelta) -> sa.Select[Any]:
    kept = max((one for one in t.WIDTHS if not width % one), default=None)
    if kept is None:
        raise ValueError(f"expected a width that is a multiple of {t.WIDTHS[0]}, found {width}")
    wide, start = width // t.MICROSECOND, sa.type_coerce(t.stretches.c.start, sa.BigInteger)
    begin = (start - start % wide).label("begin")
    columns = (t.series.c.system, t.series.c.metric, t.stretches.c.unit)
    return (
        sa.select(
            *columns,
            sa.func.max(t.stretches.c.last).label("at"),
            sa.func.min(t.stretches.c.low).label("low"),
            (sa.func.sum(t.stretches.c.total) / sa.func.sum(t.stretches.c.number)).label("mean"),
            sa.func.max(t.stretches.c.high).label("high"),
            sa.cast(sa.func.sum(t.stretches.c.number), sa.BigInteger).label("number"),
        )
        .select_from(t.series.join(t.stretches, t.stretches.c.series == t.series.c.id))
        .where(t.stretches.c.width == kept // t.MICROSECOND)
        .group_by(*columns, begin)
        .order_by(t.series.c.system, t.series.c.metric, begin)
    )


def limit_changes(environment: str) -> sa.Select[Any]:
    """The first result of each metric, and each that was judged by other limits than the one before; oldest first."""
    return (
        sa.select(t.series.c.system, t.series.c.metric, t.limit_changes)
        .select_from(t.series.join(t.limit_changes, t.limit_changes.c.series == t.series.c.id))
        .where(t.series.c.environment == environment)
        .order_by(t.series.c.system, t.series.c.metric, t.limit_changes.c.judged_at, t.limit_changes.c.result)
    )


@cache
def status_changes() -> sa.Select[Any]:
    """Results since a moment whose status is not that of the one before, newest first.

    Its parameters: ``environment``, ``since``, ``limit``.
    """
    changed = t.status_changes.c
    # The plus keeps SQLite from going through the changes of each metric: those of all are there in the order of their time.
    series = sa.type_coerce(sa.literal_column("+status_changes.series"), sa.BigInteger)
    return (
        sa.select(*RESULT_COLUMNS, changed.before.label("status_before"))
        .select_from(t.status_changes.join(t.results, t.results.c.id == changed.result).join(t.series, t.series.c.id == series))
        .where(_IS_HERE, changed.judged_at >= sa.bindparam("since", type_=t.Moment()))
        .order_by(changed.judged_at.desc(), changed.result.desc())
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )
