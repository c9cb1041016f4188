"""Writes many rows at once, as each database takes them quickest: a statement prepared once, or one with all rows as JSON.

Values are those that the database keeps: numbers for moments, words for states, text for JSON. SQLAlchemy's own way takes
each value of each row through several functions, which for a run of some hundred results is most of the time. The names in
these statements are those of our own tables, and every value is a parameter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

Row = tuple[Any, ...]

_NAMES = tuple(f"c{number}" for number in range(40))

_MOST_VALUES = 30_000  # SQLite has a bound for those of one statement


def put(connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row], then: str = "") -> None:
    """Insert rows.

    Args:
        connection: in a transaction that writes.
        table: into which.
        columns: what each row's values are, in their order.
        rows: no two of the same key.
        then: what follows in the statement, such as ``ON CONFLICT …``.

    """
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_of_json(table, tuple(columns), then), (_json(rows),))
    else:
        places = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"{_head(table, columns)} VALUES ({places}) {then}", list(rows))


def put_new(connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row], key: str) -> list[Row]:
    """Insert those rows that are not there yet; the keys of what was inserted."""
    if not rows:
        return []
    then = f"ON CONFLICT DO NOTHING RETURNING {key}"
    if connection.dialect.name == "postgresql":
        told = connection.exec_driver_sql(_of_json(table, tuple(columns), then), (_json(rows),))
        return [tuple(row) for row in told]
    found: list[Row] = []
    most = _MOST_VALUES // len(columns)
    for first in range(0, len(rows), most):
        some = rows[first : first + most]
        values = tuple(value for row in some for value in row)
        found += map(
            tuple, connection.exec_driver_sql(f"{_head(table, columns)} {_values(len(columns), len(some))} {then}", values)
        )
    return found


def among(connection: sa.Connection, column: sa.Column[int], numbers: Iterable[int]) -> sa.ColumnElement[bool]:
    """That a key is among some, however many: one parameter, and the same statement each time."""
    told = ",".join(map(str, sorted(set(numbers))))
    if connection.dialect.name == "postgresql":
        given: Any = sa.cast(sa.literal(f"{{{told}}}", sa.Text), sa.ARRAY(sa.BigInteger))
        return column == sa.any_(given)
    return column.in_(sa.select(sa.func.json_each(f"[{told}]").table_valued("value").c.value))


def next_ids(connection: sa.Connection, table: sa.Table, number: int) -> list[int]:
    """The keys of the next so many rows of a table, rising; nobody else is given any of them."""
    if connection.dialect.name == "postgresql":
        given = f"SELECT nextval(pg_get_serial_sequence('{table.name}', 'id')) FROM generate_series(1, {int(number)})"  # noqa: S608
        return sorted(connection.exec_driver_sql(given).scalars())
    last = connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0))).scalar_one()
    return list(range(last + 1, last + 1 + number))


def _head(table: sa.Table, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table.name} ({', '.join(_quoted(name) for name in columns)})"


@lru_cache(maxsize=64)
def _values(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return "VALUES " + ", ".join([row] * rows)


@lru_cache(maxsize=64)
def _of_json(table: sa.Table, columns: tuple[str, ...], then: str) -> str:
    names = _NAMES[: len(columns)]
    kinds = [_kind(table.c[name].type) for name in columns]
    typed = ", ".join(f"{name} {'text' if kind == 'json' else kind}" for name, kind in zip(names, kinds, strict=True))
    taken = ", ".join(f"{name}::json" if kind == "json" else name for name, kind in zip(names, kinds, strict=True))
    return f"{_head(table, columns)} SELECT {taken} FROM json_to_recordset(%s::json) AS rows({typed}) {then}"  # noqa: S608


def _json(rows: Sequence[Row]) -> str:
    names = _NAMES[: len(rows[0])]
    # JSON has no word for what is beyond all numbers; PostgreSQL reads it from a text.
    return (
        json.dumps([dict(zip(names, row, strict=True)) for row in rows])
        .replace(": Infinity", ': "Infinity"')
        .replace(": -Infinity", ': "-Infinity"')
    )


def _kind(of: Any) -> str:
    impl = of.impl if isinstance(of, sa.types.TypeDecorator) else of
    if isinstance(impl, sa.JSON):
        return "json"
    if isinstance(impl, sa.Integer):
        return "bigint"
    return "float8" if isinstance(impl, sa.Float) else "text"


def _quoted(name: str) -> str:
    return f'"{name}"'
