"""What is kept beside the facts, so that no question has to read a history: the latest, changes, days and stretches.

None of it is a fact. It is written in the same transaction as the facts that it is drawn from, and `rebuild` draws all of it
anew from them; that the two agree is tested. Every migration of an older journal ends in a rebuild.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from checks.journal import _seals
from checks.journal import _tables as t
from checks.journal._put import of_keys, put, put_drawn
from checks.journal._walk import Judged, walk
from checks.journal.facts import Sample
from checks.model import Run, RunState, Status

DAY = 86_400_000_000  # microseconds

_STATUSES = tuple(status.value for status in Status)
_PLACES = {status: place for place, status in enumerate(Status)}
_ONCE = {status: tuple(int(one is status) for one in Status) for status in Status}
_BY_WORD = {status.value: status for status in Status}
_LAST = tuple(f"last_{status}" for status in _STATUSES)
_LATEST = ("series", "result", "judged_at", "status", "since", "seen_at", *_LAST)
_TOLD = ("warning", "critical", "runbook", "told")
_KEPT = ("result", "judged_at", "status", "warning", "critical", "since", "seen_at", *_LAST)
"""What is read of the latest result, moments as numbers; those of each status come last."""
_SINCE, _SEEN_AT = (_KEPT.index(name) for name in ("since", "seen_at"))
_WIDTHS = tuple(width // t.MICROSECOND for width in t.WIDTHS)
_STRETCH = tuple(column.name for column in t.stretches.c)


def _added(table: sa.Table, *counts: str) -> str:
    """What adds numbers to those that are there."""
    key = ", ".join(column.name for column in table.primary_key.columns)
    return f"ON CONFLICT ({key}) DO UPDATE SET " + ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in counts)


# SQLite and PostgreSQL have different names for the smaller of two.
_STRETCHED = (
    _added(t.stretches, "number", "total")
    + ", low = CASE WHEN excluded.low < stretches.low THEN excluded.low ELSE stretches.low END"
    + ", high = CASE WHEN excluded.high > stretches.high THEN excluded.high ELSE stretches.high END"
    + ", last = CASE WHEN excluded.last > stretches.last THEN excluded.last ELSE stretches.last END"
)
_SEALED = f"{_added(t.seals, 'number')}, total = (seals.total + excluded.total) & {_seals.MASK}"


def _replaced(*names: str) -> str:
    return "ON CONFLICT (series) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in names)


_REPLACED, _RENEWED = _replaced(*_LATEST[1:], *_TOLD), _replaced(*_LATEST[1:])


class Seen(NamedTuple):
    """A value that was new to the journal.

    Attributes:
        ts: when, in microseconds since 1970.
        status: what it was judged to be, where it has no result of its own.

    """

    series: int
    ts: int
    value: float
    unit: str
    status: Status | None = None


def upsert(connection: sa.Connection, table: sa.Table) -> Any:
    """An INSERT of the connection's database that can say what to do about a row that is there."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        return insert_postgresql(table)
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite

    return insert_sqlite(table)


def hold(connection: sa.Connection, series: Iterable[int]) -> None:
    """Let no other writer of these series past until the transaction ends; on SQLite there is none anyway."""
    if connection.dialect.name == "postgresql":
        # What is written refers to them row by row; of some hundred, the server would rather read all than look one up.
        connection.exec_driver_sql("SET LOCAL random_page_cost = 1.1")
        of_keys(connection, t.series, "id", ["id"], sorted(set(series)), "ORDER BY id FOR NO KEY UPDATE")


def known(connection: sa.Connection, series: Sequence[int]) -> dict[int, Judged]:
    """The latest result of each of these series."""
    return {key: _judged(row) for key, row in _known(connection, series).items()}


def is_old_news(sample: Sample, before: Judged) -> bool:
    """Whether a sample says what the latest result says: that the metric is ok, by the same limits, not long ago."""
    result = sample.result
    return (
        result.status is Status.OK
        and result.observation is not None
        and before.status is Status.OK
        and before.limits == (result.warning, result.critical)
        and 0 <= t.to_micros(result.judged_at) - before.judged_at < sample.renew // t.MICROSECOND
    )


def note(
    connection: sa.Connection,
    judged: Sequence[tuple[int, Judged]],
    seen: Sequence[Seen],
    told: Mapping[int, tuple[str | None, str]],
) -> None:
    """Keep what follows from facts that were just written; their series must be held.

    Args:
        connection: in the transaction that wrote them.
        judged: the series and what matters of each new result.
        seen: the new values.
        told: of each new result, by its key, the runbook, where a run found it, and all of it in words; see `_seals.told`.

    """
    ordered = sorted(seen)
    _note_seals(connection, ordered)
    _note_days(connection, judged, ordered)
    _note_stretches(connection, ordered)
    touched = sorted({series for series, _ in judged} | {one.series for one in seen if one.status is not None})
    if touched:
        _note_latest(connection, touched, judged, seen, told)


def note_unfinished(connection: sa.Connection, run: Run) -> None:
    """Keep that a run did not finish."""
    if run.state is RunState.FINISHED:
        return
    row = (run.environment, run.system, t.to_micros(run.started_at) // DAY, 1)
    put(connection, t.unfinished_days, ("environment", "system", "day", "number"), [row], _added(t.unfinished_days, "number"))


def _note_days(connection: sa.Connection, judged: Sequence[tuple[int, Judged]], seen: Sequence[Seen]) -> None:
    days = [(series, one.judged_at // DAY, *_ONCE[one.status]) for series, one in judged]
    days += [(one.series, one.ts // DAY, *_ONCE[one.status]) for one in seen if one.status is not None]
    rows = _merged(days, 2, lambda one, other: map(int.__add__, one, other))
    put(connection, t.series_days, ("series", "day", *_STATUSES), rows, _added(t.series_days, *_STATUSES))


# What `_note_stretches` sums up, for PostgreSQL: there a value is told once, and not three times for each width.
_DRAWN = (
    "SELECT series, width, last - mod(mod(last, width) + width, width) AS start, unit,"  # noqa: S608 - names and widths are ours
    " count(*), min(low), max(low), sum(low), max(last)"
    f" FROM {{rows}} CROSS JOIN (VALUES {', '.join(f'({width}::bigint)' for width in _WIDTHS)}) AS widths(width)"
    " GROUP BY series, width, start, unit ORDER BY series, width, start, unit"
)


def _note_stretches(connection: sa.Connection, seen: Sequence[Seen]) -> None:
    if not seen:
        return
    if connection.dialect.name == "postgresql":
        told = [(series, micros, value, unit) for series, micros, value, unit, _ in seen]
        put_drawn(connection, t.stretches, ("series", "last", "low", "unit"), told, _DRAWN, _STRETCHED)
        return
    each = [
        (series, width, micros - micros % width, unit, 1, value, value, value, micros)
        for series, micros, value, unit, _ in seen
        for width in _WIDTHS
    ]
    put(connection, t.stretches, _STRETCH, _merged(each, 4, _stretched), _STRETCHED)


def _stretched(one: Sequence[Any], other: Sequence[Any]) -> Sequence[Any]:
    (number, low, high, total, last), (more, lower, higher, plus, later) = one, other
    return number + more, min(low, lower), max(high, higher), total + plus, max(last, later)


def _note_seals(connection: sa.Connection, seen: Sequence[Seen]) -> None:
    """Seal new observations; the seals are no part of what can be drawn anew."""
    each = [
        (series, ts - ts % _seals.HOUR, 1, _seals.of_observation(series, ts, value, unit, status and status.value))
        for series, ts, value, unit, status in seen
    ]
    rows = _merged(each, 2, lambda one, other: (one[0] + other[0], _seals.summed((one[1], other[1]))))
    put(connection, t.seals, ("series", "start", "number", "total"), rows, _SEALED)


def _merged(
    rows: list[tuple[Any, ...]], keys: int, merge: Callable[[Sequence[Any], Sequence[Any]], Iterable[Any]]
) -> list[tuple[Any, ...]]:
    """Rows in the order of their keys, those with the same key made into one.

    Args:
        rows: the parts of each row's key first.
        keys: how many parts a key has.
        merge: gives the rest of a row from those of two.

    """
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in rows:
        key = row[:keys]
        known = found.get(key)
        found[key] = row if known is None else (*key, *merge(known[keys:], row[keys:]))
    return [found[key] for key in sorted(found)]


def _note_latest(
    connection: sa.Connection,
    touched: Sequence[int],
    judged: Sequence[tuple[int, Judged]],
    seen: Sequence[Seen],
    told: Mapping[int, tuple[str | None, str]],
) -> None:
    by_series: dict[int, list[Judged]] = {}
    seen_at: dict[int, int] = {}
    for series, one in judged:
        by_series.setdefault(series, []).append(one)
        seen_at[series] = max(one.judged_at, seen_at.get(series, one.judged_at))
    for value in seen:
        seen_at[value.series] = max(value.ts, seen_at.get(value.series, value.ts))
    known = _known(connection, touched)
    latest, changes, limits = [], [], []
    for series in touched:
        row, new = known.get(series), by_series.get(series, [])
        before, since = (None, None) if row is None else (_judged(row), row[_SINCE])
        if new and before is not None and min(one.order for one in new) < before.order:
            before, since, new = _rewound(connection, series, min(one.judged_at for one in new))
        if before and since and len(new) == 1 and new[0][2:] == before[2:]:
            latest.append(_latest_row(row, new[0], since, new, series, seen_at[series]))
            continue  # as nearly always: it says what the one before said
        walked = walk(before, new)
        if walked.changed:
            since = walked.changed[-1][0].judged_at
        if walked.last is None or since is None:
            continue  # values alone, of a metric without any result: there is nothing to be latest
        changes += [(series, one, status) for one, status in walked.changed]
        limits += [(series, one) for one in walked.judged_by]
        latest.append(_latest_row(row, walked.last, since, new, series, seen_at[series]))
    put(
        connection,
        t.status_changes,
        ("series", "judged_at", "result", "status", "before"),
        [(series, one.judged_at, one.result, one.status.value, status and status.value) for series, one, status in changes],
    )
    put(
        connection,
        t.limit_changes,
        ("series", "judged_at", "result", "warning", "critical"),
        [(series, one.judged_at, one.result, *one.limits) for series, one in limits],
    )
    # A result that comes in is the latest, or the one before still is.
    put(connection, t.latest, (*_LATEST, *_TOLD), [(*one, *told[one[1]]) for one in latest if one[1] in told], _REPLACED)
    put(connection, t.latest, _LATEST, [one[: len(_LATEST)] for one in latest if one[1] not in told], _RENEWED)


def _latest_row(
    row: tuple[Any, ...] | None, last: Judged, since: int, new: Sequence[Judged], series: int, seen_at: int
) -> tuple[Any, ...]:
    moments: list[int | None] = [None] * len(_LAST) if row is None else list(row[-len(_LAST) :])
    for one in new:
        place = _PLACES[one.status]
        known = moments[place]
        moments[place] = one.judged_at if known is None else max(known, one.judged_at)
    if row is not None:
        seen_at = max(seen_at, row[_SEEN_AT])
    return series, last.result, last.judged_at, last.status.value, since, seen_at, *moments, last.warning, last.critical


def _micros(column: sa.Column[Any]) -> sa.ColumnElement[int]:
    return sa.type_coerce(column, sa.BigInteger).label(column.name)


_OF_RESULT = (t.results.c.id, _micros(t.results.c.judged_at), t.results.c.status, t.results.c.warning, t.results.c.critical)


def _known(connection: sa.Connection, series: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    """What is kept of the latest of each series: `_KEPT`."""
    return {row[0]: tuple(row[1:]) for row in of_keys(connection, t.latest, "series", ("series", *_KEPT), series)}


def _judged(row: Sequence[Any]) -> Judged:
    """From the first columns of `_KEPT`."""
    return Judged(row[0], row[1], _BY_WORD[row[2]], row[3], row[4])


def _rewound(connection: sa.Connection, series: int, moment: int) -> tuple[Judged | None, int | None, list[Judged]]:
    """Forget what followed from results since a moment, because one came late that is older than others.

    Returns:
        The result before the moment, since when it has its status, and all results since, to be walked again.

    """
    since = t.from_micros(moment)
    for table in (t.status_changes, t.limit_changes):
        connection.execute(sa.delete(table).where(table.c.series == series, table.c.judged_at >= since))
    told = sa.select(*_OF_RESULT).where(t.results.c.series == series)
    earlier = told.where(t.results.c.judged_at < since).order_by(t.results.c.judged_at.desc(), t.results.c.id.desc()).limit(1)
    before = connection.execute(earlier).first()
    changed = sa.select(sa.func.max(_micros(t.status_changes.c.judged_at))).where(t.status_changes.c.series == series)
    later = connection.execute(told.where(t.results.c.judged_at >= since)).all()
    return None if before is None else Judged(*before), connection.execute(changed).scalar(), [Judged(*row) for row in later]
