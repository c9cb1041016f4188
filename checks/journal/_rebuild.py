"""Draws everything that is derived anew from the facts, inside the database; only what is latest is put into words here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from checks.journal import _seals
from checks.journal import _tables as t
from checks.journal._derived import DAY
from checks.journal._engine import asked, reading
from checks.journal._put import put
from checks.model import RunState, Status

_STATUSES = tuple(Status)
_LATEST = tuple(column.name for column in t.latest.c)


def rebuild(connection: sa.Connection) -> None:
    """Empty each derived table and fill it again; no fact is touched, and no writer may be at work meanwhile."""
    if connection.dialect.name == "postgresql":
        # What does not fit into the usual few megabytes would be sorted and grouped on the disk.
        connection.exec_driver_sql("SET LOCAL work_mem = '256MB'")
    for table in t.DERIVED:
        connection.execute(sa.delete(table))
    for table, columns, rows, *_ in _parts():
        connection.execute(sa.insert(table).from_select(columns, rows))
    put(connection, t.latest, _LATEST, _latest_rows(connection))


def differing(engine: sa.Engine) -> Iterator[tuple[str, int]]:
    """The derived tables that are not what a rebuild would make of the facts, and in how many rows."""
    series = [key for (key,) in asked(engine, sa.select(t.series.c.id))]
    for table, names, rows, which, by in _parts():
        # The long ones series by series, so that no writer waits for all of it.
        if by is None:
            number = _differing(engine, table, names, rows, which)
        else:
            number = sum(
                _differing(engine, table, names, rows.where(by == key), which & (table.c.series == key)) for key in series
            )
        if number:
            yield table.name, number
    with reading(engine) as connection:
        kept = {tuple(row) for row in connection.execute(sa.select(*(_plain(column) for column in t.latest.c)))}
        number = sum(1 for _ in kept.symmetric_difference(_latest_rows(connection)))
    if number:
        yield t.latest.name, number


def _differing(engine: sa.Engine, table: sa.Table, names: list[str], rows: Any, which: sa.ColumnElement[bool]) -> int:
    # Sums of the same numbers in another order differ in their last digits.
    places = [place for place, name in enumerate(names) if name != "total"]
    drawn = list(rows.subquery().c)
    anew = sa.select(*(drawn[place] for place in places))
    kept = sa.select(*(table.c[names[place]] for place in places)).where(which)
    count = sa.select(sa.func.count())
    both = (anew.except_(kept).subquery(), kept.except_(anew).subquery())
    return sum(int(asked(engine, count.select_from(one))[0][0]) for one in both)


_Part = tuple[sa.Table, list[str], Any, sa.ColumnElement[bool], sa.Column[int] | None]


def _parts() -> Iterator[_Part]:
    """Each derived table, its columns, the rows that belong there, which of its rows those are, and how to ask for a series."""
    narrow, *wider = (width // t.MICROSECOND for width in t.WIDTHS)
    names, width = [column.name for column in t.stretches.c], t.stretches.c.width
    yield t.stretches, names, _stretches(narrow), width == narrow, t.observations.c.series
    for wide in wider:
        yield t.stretches, names, _summed(narrow, wide), width == wide, t.stretches.c.series
    for table, rows in (
        (t.unfinished_days, _unfinished()),
        (t.series_days, _days()),
        (t.status_changes, _changes(t.results.c.status)),
        (t.limit_changes, _changes(t.results.c.warning, t.results.c.critical)),
    ):
        yield table, [column.name for column in table.c], rows, sa.true(), None


def _micros(column: sa.Column[Any]) -> sa.ColumnElement[int]:
    return sa.type_coerce(column, sa.BigInteger)


def _floor(column: sa.Column[Any], width: int) -> sa.ColumnElement[int]:
    """The largest multiple of a width that is not later; for moments before 1970, too."""
    rest = (_micros(column) % width + width) % width
    return _micros(column) - rest


def _day(column: sa.Column[Any]) -> sa.ColumnElement[int]:
    # What is divided is a multiple of a day, so that no database rounds.
    return sa.cast(_floor(column, DAY) // sa.literal_column(str(DAY), sa.BigInteger), sa.Integer)


def _stretches(width: int) -> sa.Select[Any]:
    seen, start = t.observations.c, _floor(t.observations.c.ts, width)
    return (
        sa.select(
            seen.series,
            sa.literal(width, sa.BigInteger),
            start,
            seen.unit,
            sa.func.count(),
            sa.func.min(seen.value),
            sa.func.max(seen.value),
            sa.func.sum(seen.value),
            sa.func.max(_micros(seen.ts)),
        )
        .group_by(seen.series, start, seen.unit)
        .order_by(seen.series, start)  # what is asked for together lies together
    )


def _summed(narrow: int, width: int) -> sa.Select[Any]:
    """Wider stretches, summed up from narrow ones: each width is a multiple of the narrowest."""
    seen, start = t.stretches.c, _floor(t.stretches.c.start, width)
    return (
        sa.select(
            seen.series,
            sa.literal(width, sa.BigInteger),
            start,
            seen.unit,
            sa.cast(sa.func.sum(seen.number), sa.BigInteger),
            sa.func.min(seen.low),
            sa.func.max(seen.high),
            sa.func.sum(seen.total),
            sa.func.max(_micros(seen.last)),
        )
        .where(seen.width == narrow)
        .group_by(seen.series, start, seen.unit)
        .order_by(seen.series, start)
    )


def _unfinished() -> sa.Select[Any]:
    day = _day(t.runs.c.started_at)
    return (
        sa.select(t.runs.c.environment, t.runs.c.system, day, sa.func.count())
        .select_from(t.runs.join(t.run_ends, t.run_ends.c.run_id == t.runs.c.id))
        .where(t.run_ends.c.state != RunState.FINISHED)
        .group_by(t.runs.c.environment, t.runs.c.system, day)
    )


def _days() -> sa.Select[Any]:
    results, seen = t.results.c, t.observations.c
    told = sa.union_all(
        sa.select(results.series, _day(results.judged_at).label("day"), results.status, sa.func.count().label("number")).group_by(
            results.series, sa.text("day"), results.status
        ),
        sa.select(seen.series, _day(seen.ts).label("day"), seen.status, sa.func.count().label("number"))
        .where(seen.status.is_not(None))
        .group_by(seen.series, sa.text("day"), seen.status),
    ).subquery()
    counts = [sa.func.sum(sa.case((told.c.status == status, told.c.number), else_=0)) for status in _STATUSES]
    return sa.select(told.c.series, told.c.day, *counts).group_by(told.c.series, told.c.day)


def _changes(*columns: sa.Column[Any]) -> sa.Select[Any]:
    """Results that differ in some columns from the one before; of a status also what it was before."""
    results = t.results.c

    def before(column: sa.Column[Any]) -> sa.Over[Any]:
        lag = sa.func.lag(column, type_=column.type)
        return lag.over(partition_by=results.series, order_by=(results.judged_at, results.id))

    told = sa.select(
        results.series,
        results.judged_at,
        results.id,
        *columns,
        *(before(column).label(f"{column.name}_before") for column in columns),
        before(results.id).label("id_before"),
    ).subquery()
    earlier = [told.c[f"{column.name}_before"] for column in columns]
    differs = [told.c[column.name].is_distinct_from(other) for column, other in zip(columns, earlier, strict=True)]
    shown = earlier if columns == (results.status,) else []
    return sa.select(told.c.series, told.c.judged_at, told.c.id, *(told.c[column.name] for column in columns), *shown).where(
        told.c.id_before.is_(None) | sa.or_(*differs)
    )


def _latest() -> sa.Select[Any]:
    other = t.results.alias()
    last = (
        sa.select(other.c.id)
        .where(other.c.series == t.series.c.id)
        .order_by(other.c.judged_at.desc(), other.c.id.desc())
        .limit(1)
        .correlate(t.series)
        .scalar_subquery()
    )
    changed = sa.select(sa.func.max(_micros(t.status_changes.c.judged_at))).where(t.status_changes.c.series == t.series.c.id)
    seen = sa.select(sa.func.max(_micros(t.observations.c.ts))).where(t.observations.c.series == t.series.c.id)
    judged, seen_at = _micros(t.results.c.judged_at), seen.scalar_subquery()
    names = (t.series.c.environment, t.series.c.system, t.series.c.metric)
    moments = (
        sa.select(
            t.results.c.series,
            *(sa.func.max(sa.case((t.results.c.status == status, judged))).label(status.value) for status in _STATUSES),
        )
        .group_by(t.results.c.series)
        .subquery()
    )
    return sa.select(
        *names,
        *(t.results.c[name] for name in _seals.SEALED),
        t.results.c.id,
        changed.scalar_subquery().label("since"),
        sa.case((seen_at > judged, seen_at), else_=judged).label("seen_at"),
        *(moments.c[status.value].label(f"last_{status.value}") for status in _STATUSES),
        t.runs.c.runbook,
    ).select_from(
        t.series.join(t.results, t.results.c.id == last)
        .join(moments, moments.c.series == t.series.c.id)
        .outerjoin(t.runs, t.runs.c.id == t.results.c.run_id)
    )


def _latest_rows(connection: sa.Connection) -> list[tuple[Any, ...]]:
    """What belongs into the table of the latest, as the database keeps it; what a result says is put into words here."""
    found = []
    for row in connection.execute(_latest()):
        values = _seals.values_of(row)
        kept = row._asdict() | dict(zip(_seals.SEALED, values, strict=True))
        kept |= {"result": row.id, "told": _seals.told((row.environment, row.system, row.metric), values)}
        found.append(tuple(kept[name] for name in _LATEST))
    return found


def _plain(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """A column as the database keeps it."""
    kind = sa.BigInteger if isinstance(column.type, t.Moment) else sa.Text if isinstance(column.type, sa.Enum) else column.type
    return sa.type_coerce(column, kind)
