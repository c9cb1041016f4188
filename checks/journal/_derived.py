"""What is kept beside the facts, so that no question has to read a history: the latest, changes, days and stretches.

None of it is a fact. It is written in the same transaction as the facts that it is drawn from, and `rebuild` draws all of it
anew from them; that the two agree is tested. Every migration of an older journal ends in a rebuild.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from checks.journal import _seals
from checks.journal import _tables as t
from checks.journal._put import among, put
from checks.journal._walk import Judged, walk
from checks.journal.facts import Sample
from checks.model import Run, RunState, Status

DAY = 86_400_000_000  # microseconds

_STATUSES = tuple(status.value for status in Status)
_PLACES = {status: place for place, status in enumerate(Status)}
_LAST = tuple(f"last_{status}" for status in _STATUSES)
_LATEST = ("series", "result", "judged_at", "status", "since", "seen_at", *_LAST)
TOLD = (
    *("run_id", "runbook", "title", "reason", "measured_at", "value", "unit", "took", "source", "detail", "warning", "critical"),
    *("cell", "step", "samples", "baseline"),
)
"""What is kept of the latest result beside its status and time: all that it says."""
_WIDTHS = tuple(width // t.MICROSECOND for width in t.WIDTHS)


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


_REPLACED, _RENEWED = _replaced(*_LATEST[1:], *TOLD), _replaced(*_LATEST[1:])


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
        held = sa.select(t.series.c.id).where(among(connection, t.series.c.id, series)).order_by(t.series.c.id)
        connection.execute(held.with_for_update(key_share=True)).all()


def known(connection: sa.Connection, series: Sequence[int]) -> dict[int, Judged]:
    """The latest result of each of these series."""
    return {row.series: _judged(row) for row in connection.execute(_known(connection, series))}


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
    told: Mapping[int, tuple[Any, ...]],
) -> None:
    """Keep what follows from facts that were just written; their series must be held.

    Args:
        connection: in the transaction that wrote them.
        judged: the series and what matters of each new result.
        seen: the new values.
        told: of each new result, by its key, what `TOLD` names.

    """
    _note_seals(connection, seen)
    _note_days(connection, judged, seen)
    _note_stretches(connection, seen)
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
    days: dict[tuple[int, int], list[int]] = {}
    told = [(series, one.judged_at, one.status) for series, one in judged]
    told += [(one.series, one.ts, one.status) for one in seen if one.status is not None]
    for series, micros, status in told:
        days.setdefault((series, micros // DAY), [0, 0, 0, 0])[_PLACES[status]] += 1
    rows = [(*key, *counts) for key, counts in sorted(days.items())]
    put(connection, t.series_days, ("series", "day", *_STATUSES), rows, _added(t.series_days, *_STATUSES))


def _note_stretches(connection: sa.Connection, seen: Sequence[Seen]) -> None:
    found: dict[tuple[int, int, int, str], list[Any]] = {}
    for one in seen:
        series, micros, value, unit = one.series, one.ts, one.value, one.unit
        for width in _WIDTHS:
            key = series, width, micros - micros % width, unit
            known = found.get(key)
            if known is None:
                found[key] = [1, value, value, value, micros]
                continue
            known[0] += 1
            known[1] = min(known[1], value)
            known[2] = max(known[2], value)
            known[3] += value
            known[4] = max(known[4], micros)
    rows = [(*key, *known) for key, known in sorted(found.items())]
    put(connection, t.stretches, [column.name for column in t.stretches.c], rows, _STRETCHED)


def _note_seals(connection: sa.Connection, seen: Sequence[Seen]) -> None:
    """Seal new observations; the seals are no part of what can be drawn anew."""
    found: dict[tuple[int, int], list[int]] = {}
    for one in seen:
        status = None if one.status is None else one.status.value
        seals = found.setdefault((one.series, one.ts - one.ts % _seals.HOUR), [])
        seals.append(_seals.of_observation(one.series, one.ts, one.value, one.unit, status))
    rows = [(*key, len(some), _seals.summed(some)) for key, some in sorted(found.items())]
    put(connection, t.seals, ("series", "start", "number", "total"), rows, _SEALED)


def _note_latest(
    connection: sa.Connection,
    touched: Sequence[int],
    judged: Sequence[tuple[int, Judged]],
    seen: Sequence[Seen],
    told: Mapping[int, tuple[Any, ...]],
) -> None:
    by_series: dict[int, list[Judged]] = {}
    for series, one in judged:
        by_series.setdefault(series, []).append(one)
    seen_at: dict[int, int] = {}
    for series, micros in [*((s, one.judged_at) for s, one in judged), *((one.series, one.ts) for one in seen)]:
        seen_at[series] = max(micros, seen_at.get(series, micros))
    known = {row.series: row for row in connection.execute(_known(connection, touched))}
    latest, changes, limits = [], [], []
    for series in touched:
        row, new = known.get(series), by_series.get(series, [])
        before, since = (None, None) if row is None else (_judged(row), row.since)
        if new and before is not None and min(one.order for one in new) < before.order:
            before, since, new = _rewound(connection, series, min(one.judged_at for one in new))
        if before and since and len(new) == 1 and (new[0].status, new[0].limits) == (before.status, before.limits):
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
    put(connection, t.latest, (*_LATEST, *TOLD), [(*one, *told[one[1]]) for one in latest if one[1] in told], _REPLACED)
    put(connection, t.latest, _LATEST, [one for one in latest if one[1] not in told], _RENEWED)


def _latest_row(
    row: sa.Row[Any] | None, last: Judged, since: int, new: Sequence[Judged], series: int, seen_at: int
) -> tuple[Any, ...]:
    moments: list[int | None] = [None] * len(_LAST) if row is None else list(row[-len(_LAST) :])
    for one in new:
        place = _PLACES[one.status]
        known = moments[place]
        moments[place] = one.judged_at if known is None else max(known, one.judged_at)
    if row is not None:
        seen_at = max(seen_at, row.seen_at)
    return series, last.result, last.judged_at, last.status.value, since, seen_at, *moments


def _micros(column: sa.Column[Any]) -> sa.ColumnElement[int]:
    return sa.type_coerce(column, sa.BigInteger).label(column.name)


_OF_RESULT = (t.results.c.id, _micros(t.results.c.judged_at), t.results.c.status, t.results.c.warning, t.results.c.critical)


def _known(connection: sa.Connection, touched: Sequence[int]) -> sa.Select[Any]:
    """What is kept of the latest of each series, moments as numbers; those of each status come last."""
    latest = t.latest.c
    moments = [_micros(latest[name]) for name in ("judged_at", "since", "seen_at", *_LAST)]
    return sa.select(latest.series, latest.result, latest.status, latest.warning, latest.critical, *moments).where(
        among(connection, latest.series, touched)
    )


def _judged(row: sa.Row[Any]) -> Judged:
    return Judged(row.result, row.judged_at, row.status, row.warning, row.critical)


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
