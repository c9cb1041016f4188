"""Writes many rows at once, as each database takes them quickest: a statement prepared once, or one with a list a column.

Values are those that the database keeps: numbers for moments, words for states, text for JSON. SQLAlchemy's own way takes
each value of each row through several functions, which for a run of some hundred results is most of the time. The names in
these statements are those of our own tables, and every value is a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

Row = tuple[Any, ...]

_NAMES = tuple(f"c{number}" for number in range(40))


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
        connection.exec_driver_sql(_of_lists(table, tuple(columns), then), _lists(table, columns, rows))
    else:
        connection.exec_driver_sql(_of_places(table, tuple(columns), then), list(rows))


def put_new(connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """Insert those rows that are not there yet; the keys of what was inserted.

    Args:
        connection: in a transaction that writes; nobody else adds rows of these keys meanwhile.
        table: into which; its key is two numbers.
        columns: what each row's values are, in their order; the first two are the key.
        rows: no two of the same key.

    """
    if not rows:
        return []
    if connection.dialect.name == "postgresql":
        statement = _of_lists(table, tuple(columns), f"ON CONFLICT DO NOTHING RETURNING {', '.join(columns[:2])}")
        return connection.exec_driver_sql(statement, _lists(table, columns, rows)).all()  # type: ignore[return-value]
    # One statement that inserts and tells would have to be made for each number of rows anew, which takes longer than both.
    there = {tuple(row) for row in connection.exec_driver_sql(_of_keys(table, tuple(columns[:2])), (_pairs(rows),))}
    new = [row for row in rows if row[:2] not in there] if there else rows
    put(connection, table, columns, new)
    return [row[:2] for row in new]


def of_keys(
    connection: sa.Connection, table: sa.Table, key: str, columns: Sequence[str], keys: Sequence[int], then: str = ""
) -> Sequence[Any]:
    """Rows as the database keeps them, by the number that is their key, however many: one parameter, always the same statement.

    Args:
        connection: in a transaction.
        table: from which.
        key: the column of the key.
        columns: what is read.
        keys: of which rows.
        then: what follows in the statement.

    """
    listed = ",".join(map(str, keys))
    read = f"SELECT {', '.join(map(_quoted, columns))} FROM {table.name} WHERE {key}"  # noqa: S608 - names are ours
    if connection.dialect.name == "postgresql":
        return connection.exec_driver_sql(f"{read} = ANY(%s::bigint[]) {then}", (f"{{{listed}}}",)).all()
    return connection.exec_driver_sql(f"{read} IN (SELECT value FROM json_each(?)) {then}", (f"[{listed}]",)).all()  # noqa: S608


def put_drawn(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row], drawn: str, then: str = ""
) -> None:
    """Insert into PostgreSQL what a question draws from rows, which are told once however often it takes them.

    Args:
        connection: in a transaction that writes.
        table: into which; all columns of it.
        columns: what each row's values are, called as in the table.
        rows: what the question is asked of; at least one.
        drawn: the question; ``{rows}`` stands for the rows.
        then: what follows in the statement.

    """
    kinds = ", ".join(f"%s::{kind}[]" for kind in _kinds(table, tuple(columns)))
    asked = drawn.format(rows=f"unnest({kinds}) AS given({', '.join(columns)})")
    names = tuple(column.name for column in table.c)
    connection.exec_driver_sql(f"{_head(table, names)} {asked} {then}", _lists(table, columns, rows))


def next_ids(connection: sa.Connection, table: sa.Table, number: int) -> list[int]:
    """The keys of the next so many rows of a table, rising; nobody else is given any of them."""
    if connection.dialect.name == "postgresql":
        # Which sequence it is, is asked once and not for each row.
        of = f"(SELECT pg_get_serial_sequence('{table.name}', 'id')::regclass AS told OFFSET 0) AS sequence"
        given = f"SELECT nextval(sequence.told) FROM {of}, generate_series(1, %s::int)"  # noqa: S608 - names are ours
        return sorted(connection.exec_driver_sql(given, (number,)).scalars())
    last = connection.exec_driver_sql(f"SELECT coalesce(max(id), 0) FROM {table.name}").scalar_one()  # noqa: S608
    return list(range(last + 1, last + 1 + number))


def _head(table: sa.Table, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table.name} ({', '.join(_quoted(name) for name in columns)})"


@lru_cache(maxsize=64)
def _of_places(table: sa.Table, columns: tuple[str, ...], then: str) -> str:
    return f"{_head(table, columns)} VALUES ({', '.join('?' * len(columns))}) {then}"


@lru_cache(maxsize=64)
def _of_keys(table: sa.Table, key: tuple[str, ...]) -> str:
    one, other = (f"json_extract(asked.value, '$[{place}]') = {table.name}.{name}" for place, name in enumerate(key))
    named = ", ".join(f"{table.name}.{name}" for name in key)
    return f"SELECT {named} FROM json_each(?) AS asked CROSS JOIN {table.name} ON {one} AND {other}"  # noqa: S608 - names are ours


def _pairs(rows: Sequence[Row]) -> str:
    return f"[{','.join([f'[{one},{other}]' for one, other, *_ in rows])}]"


@lru_cache(maxsize=64)
def _of_lists(table: sa.Table, columns: tuple[str, ...], then: str) -> str:
    names, kinds = _NAMES[: len(columns)], _kinds(table, columns)
    lists = ", ".join(f"%s::{'text' if kind == 'json' else kind}[]" for kind in kinds)
    taken = ", ".join(f"{name}::json" if kind == "json" else name for name, kind in zip(names, kinds, strict=True))
    return f"{_head(table, columns)} SELECT {taken} FROM unnest({lists}) AS rows({', '.join(names)}) {then}"  # noqa: S608


def _lists(table: sa.Table, columns: Sequence[str], rows: Sequence[Row]) -> tuple[str, ...]:
    """Each column's values as PostgreSQL reads a list."""
    kinds = _kinds(table, tuple(columns))
    return tuple(
        f"{{{','.join(_texts(values) if kind in _TEXTS else _numbers(values))}}}"
        for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)
    )


_TEXTS = frozenset({"text", "json"})


def _numbers(values: Sequence[float | None]) -> Iterator[str]:
    if None in values:
        return ("NULL" if value is None else repr(value) for value in values)
    return map(repr, values)


def _texts(values: Sequence[str | None]) -> Iterator[str]:
    # Most of what is said of one metric is said of others, too.
    quoted = {value: "NULL" if value is None else _quoted_text(value) for value in set(values)}
    return (quoted[value] for value in values)


def _quoted_text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@lru_cache(maxsize=64)
def _kinds(table: sa.Table, columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_kind(table.c[name].type) for name in columns)


def _kind(of: Any) -> str:
    impl = of.impl if isinstance(of, sa.types.TypeDecorator) else of
    if isinstance(impl, sa.JSON):
        return "json"
    if isinstance(impl, sa.Integer):
        return "bigint"
    return "float8" if isinstance(impl, sa.Float) else "text"


def _quoted(name: str) -> str:
    return f'"{name}"'
