"""Seals what an older Proofbook wrote, as it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from checks.journal import _seals
from checks.journal import _tables as t

_AT_ONCE = 10_000


def seal_older(connection: sa.Connection) -> None:
    """Chain every event, and seal every result and every hour of observations; ten million take a minute or two."""

    def ask(query: sa.Select[Any]) -> Sequence[Any]:
        return connection.execute(query).all()

    number, before = 0, ""
    told = ("kind", "at", "subject", "actor", "detail")
    for some in portions(ask, t.events, told):
        digests = []
        for row in some:
            number, before = number + 1, _seals.of_event(before, row.kind, row.at, row.subject, row.actor, row.detail)
            digests.append({"of_id": row.id, "told": before})
        _set(connection, t.events.c.digest, digests)
    _seals.set_head(connection, number, before)
    names = names_of(connection)
    for some in portions(ask, t.results, _seals.SEALED):
        _set(connection, t.results.c.seal, [{"of_id": row.id, "told": _seals.of_row(names[row.series], row)} for row in some])
    for series in names:
        if rows := [{"series": series, **hour} for hour in hours(connection, series)]:
            connection.execute(sa.insert(t.seals), rows)


def names_of(connection: sa.Connection) -> dict[int, _seals.Name]:
    """What each series is called, by its key."""
    series = t.series.c
    rows = connection.execute(sa.select(series.id, series.environment, series.system, series.metric).order_by(series.id))
    return {key: (environment, system, metric) for key, environment, system, metric in rows}


def hours(connection: sa.Connection, series: int) -> Iterator[dict[str, int]]:
    """The hours of a series as their observations are now: ``start`` in microseconds, ``number`` and ``total``."""
    seen = t.observations.c
    columns = (sa.type_coerce(seen.ts, sa.BigInteger), seen.value, seen.unit, sa.type_coerce(seen.status, sa.Text))
    rows = connection.execute(sa.select(*columns).where(seen.series == series).order_by(seen.ts))
    told = ((ts - ts % _seals.HOUR, _seals.of_observation(series, ts, value, unit, status)) for ts, value, unit, status in rows)
    for start, some in groupby(told, key=lambda one: one[0]):
        found = [seal for _, seal in some]
        yield {"start": start, "number": len(found), "total": _seals.summed(found)}


def portions(ask: Callable[[sa.Select[Any]], Sequence[Any]], table: sa.Table, names: Sequence[str]) -> Iterator[Sequence[Any]]:
    """Some columns of a table's rows, in the order of their ids; a column that a later version added is not there yet.

    Args:
        ask: gives the rows of a question.
        table: one with an id that rises.
        names: the columns beside the id.

    """
    last = 0
    query = sa.select(table.c.id, *(table.c[name] for name in names)).order_by(table.c.id).limit(_AT_ONCE)
    while rows := ask(query.where(table.c.id > last)):
        yield rows
        last = rows[-1].id


def _set(connection: sa.Connection, column: sa.Column[Any], values: list[dict[str, Any]]) -> None:
    if values:
        mine = sa.update(column.table).where(column.table.c.id == sa.bindparam("of_id")).values({column: sa.bindparam("told")})
        connection.execute(mine, values)
