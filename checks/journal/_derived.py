"""What is kept beside the facts, so that no question has to read a history: the latest, changes, days and stretches.

None of it is a fact. It is written in the same transaction as the facts that it is drawn from, and `rebuild` draws all of it
anew from them; that the two agree is tested. Every migration of an older journal ends in a rebuild.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from checks.journal import _tables as t
from checks.journal._walk import Judged, walk
from checks.journal.facts import Sample
from checks.model import Run, RunState, Status

DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Seen:
    """A value that was new to the journal.

    Attributes:
        status: what it was judged to be, where it has no result of its own.

    """

    series: int
    ts: datetime
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
        held = sa.select(t.series.c.id).where(t.series.c.id.in_(sorted(set(series)))).order_by(t.series.c.id)
        connection.execute(held.with_for_update(key_share=True)).all()


def known(connection: sa.Connection, series: Sequence[int]) -> dict[int, Judged]:
    """The latest result of each of these series."""
    return {row.series: _judged(row) for row in connection.execute(_known(series))}


def is_old_news(sample: Sample, before: Judged) -> bool:
    """Whether a sample says what the latest result says: that the metric is ok, by the same limits, not long ago."""
    result = sample.result
    return (
        result.status is Status.OK
        and result.observation is not None
        and before.status is Status.OK
        and before.limits == (result.warning, result.critical)
        and timedelta(0) <= result.judged_at - before.judged_at < sample.renew
    )


def note(connection: sa.Connection, judged: Sequence[tuple[int, Judged]], seen: Sequence[Seen]) -> None:
    """Keep what follows from facts that were just written; their series must be held.

    Args:
        connection: in the transaction that wrote them.
        judged: the series and what matters of each new result.
        seen: the new values.

    """
    _note_days(connection, judged, seen)
    _note_stretches(connection, seen)
    touched = sorted({series for series, _ in judged} | {one.series for one in seen if one.status is not None})
    if touched:
        _note_latest(connection, touched, judged, seen)


def note_unfinished(connection: sa.Connection, run: Run) -> None:
    """Keep that a run did not finish."""
    if run.state is RunState.FINISHED:
        return
    row: dict[str, Any] = {
        "environment": run.environment,
        "system": run.system,
        "day": t.to_micros(run.started_at) // DAY,
        "number": 1,
    }
    _add(connection, t.unfinished_days, [row], "number")


def _note_days(connection: sa.Connection, judged: Sequence[tuple[int, Judged]], seen: Sequence[Seen]) -> None:
    days: dict[tuple[int, int], dict[str, int]] = {}
    told = [(series, one.judged_at, one.status) for series, one in judged]
    told += [(one.series, one.ts, one.status) for one in seen if one.status is not None]
    for series, moment, status in told:
        counts = days.setdefault((series, t.to_micros(moment) // DAY), dict.fromkeys((s.value for s in Status), 0))
        counts[status.value] += 1
    rows = [{"series": series, "day": day, **counts} for (series, day), counts in sorted(days.items())]
    _add(connection, t.series_days, rows, *(status.value for status in Status))


def _note_stretches(connection: sa.Connection, seen: Sequence[Seen]) -> None:
    found: dict[tuple[int, int, int, str], list[tuple[float, datetime]]] = {}
    widths = [width // t.MICROSECOND for width in t.WIDTHS]
    for one in seen:
        micros = t.to_micros(one.ts)
        for width in widths:
            found.setdefault((one.series, width, micros - micros % width, one.unit), []).append((one.value, one.ts))
    if not found:
        return
    rows = [
        {
            "series": series,
            "width": width,
            "start": t.from_micros(start),
            "unit": unit,
            "number": len(values),
            "low": min(values)[0],
            "high": max(values)[0],
            "total": sum(value for value, _ in values),
            "last": max(ts for _, ts in values),
        }
        for (series, width, start, unit), values in sorted(found.items())
    ]
    insert, kept = upsert(connection, t.stretches), t.stretches.c
    new = insert.excluded
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=list(t.stretches.primary_key.columns),
            set_={
                "number": kept.number + new.number,
                "total": kept.total + new.total,
                # SQLite and PostgreSQL have different names for the smaller of two.
                "low": sa.case((new.low < kept.low, new.low), else_=kept.low),
                "high": sa.case((new.high > kept.high, new.high), else_=kept.high),
                "last": sa.case((new.last > kept.last, new.last), else_=kept.last),
            },
        ),
        rows,
    )


def _note_latest(
    connection: sa.Connection, touched: Sequence[int], judged: Sequence[tuple[int, Judged]], seen: Sequence[Seen]
) -> None:
    by_series: dict[int, list[Judged]] = {}
    for series, one in judged:
        by_series.setdefault(series, []).append(one)
    seen_at: dict[int, datetime] = {}
    for series, moment in [*((s, one.judged_at) for s, one in judged), *((one.series, one.ts) for one in seen)]:
        seen_at[series] = max(moment, seen_at.get(series, moment))
    known = {row.series: row for row in connection.execute(_known(touched))}
    latest, changes, limits = [], [], []
    for series in touched:
        row, new = known.get(series), by_series.get(series, [])
        before, since = (None, None) if row is None else (_judged(row), row.since)
        if new and before is not None and min(one.order for one in new) < before.order:
            before, since, new = _rewound(connection, series, min(one.judged_at for one in new))
        walked = walk(before, new)
        if walked.changed:
            since = walked.changed[-1][0].judged_at
        if walked.last is None or since is None:
            continue  # values alone, of a metric without any result: there is nothing to be latest
        changes += [(series, one, status) for one, status in walked.changed]
        limits += [(series, one) for one in walked.judged_by]
        latest.append(_latest_row(row, walked.last, since, new, series, seen_at[series]))
    if changes:
        rows = [
            {"series": series, "judged_at": one.judged_at, "result": one.result, "status": one.status, "before": status}
            for series, one, status in changes
        ]
        connection.execute(sa.insert(t.status_changes), rows)
    if limits:
        by_limits = [
            {"series": series, "judged_at": one.judged_at, "result": one.result, "warning": one.warning, "critical": one.critical}
            for series, one in limits
        ]
        connection.execute(sa.insert(t.limit_changes), by_limits)
    if latest:
        insert = upsert(connection, t.latest)
        columns = {column.name: insert.excluded[column.name] for column in t.latest.c if column.name != "series"}
        connection.execute(insert.on_conflict_do_update(index_elements=["series"], set_=columns), latest)


def _latest_row(
    row: sa.Row[Any] | None, last: Judged, since: datetime, new: Sequence[Judged], series: int, seen_at: datetime
) -> dict[str, Any]:
    moments = {status: None if row is None else getattr(row, f"last_{status.value}") for status in Status}
    for one in new:
        known = moments[one.status]
        moments[one.status] = one.judged_at if known is None else max(known, one.judged_at)
    return {
        "series": series,
        "result": last.result,
        "judged_at": last.judged_at,
        "status": last.status,
        "since": since,
        "seen_at": seen_at if row is None else max(seen_at, row.seen_at),
        **{f"last_{status.value}": moment for status, moment in moments.items()},
    }


_OF_RESULT = (t.results.c.id, t.results.c.judged_at, t.results.c.status, t.results.c.warning, t.results.c.critical)


def _known(touched: Sequence[int]) -> sa.Select[Any]:
    return (
        sa.select(t.latest, t.results.c.warning, t.results.c.critical)
        .select_from(t.latest.join(t.results, t.results.c.id == t.latest.c.result))
        .where(t.latest.c.series.in_(touched))
    )


def _judged(row: sa.Row[Any]) -> Judged:
    return Judged(row.result, row.judged_at, row.status, row.warning, row.critical)


def _rewound(connection: sa.Connection, series: int, moment: datetime) -> tuple[Judged | None, datetime | None, list[Judged]]:
    """Forget what followed from results since a moment, because one came late that is older than others.

    Returns:
        The result before the moment, since when it has its status, and all results since, to be walked again.

    """
    for table in (t.status_changes, t.limit_changes):
        connection.execute(sa.delete(table).where(table.c.series == series, table.c.judged_at >= moment))
    told = sa.select(*_OF_RESULT).where(t.results.c.series == series)
    earlier = told.where(t.results.c.judged_at < moment).order_by(t.results.c.judged_at.desc(), t.results.c.id.desc()).limit(1)
    before = connection.execute(earlier).first()
    changed = sa.select(sa.func.max(t.status_changes.c.judged_at)).where(t.status_changes.c.series == series)
    since = connection.execute(told.where(t.results.c.judged_at >= moment)).all()
    return None if before is None else Judged(*before), connection.execute(changed).scalar(), [Judged(*row) for row in since]


def _add(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]], *counts: str) -> None:
    """Add numbers to those that are there."""
    if rows:
        insert = upsert(connection, table)
        summed = {name: table.c[name] + insert.excluded[name] for name in counts}
        connection.execute(insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=summed), rows)
