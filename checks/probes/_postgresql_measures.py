"""What PostgreSQL's own statistics say of a database, each in one or two statements that only read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a database with its unit, what else was seen, and how many rows it rests on."""

    value: float
    unit: str
    detail: str = ""
    samples: int | None = None


class NoFigure(Exception):
    """That the statistics cannot tell, and why."""


def _size(connection: Connection, _: float) -> Figure:
    return Figure(_row(connection, "SELECT pg_database_size(current_database())")[0], "B")


def _slow_queries(connection: Connection, slower_than: float) -> Figure:
    import psycopg

    if not _row(connection, "SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'")[0]:
        raise NoFigure(
            "nobody times queries: the extension pg_stat_statements is not there (CREATE EXTENSION pg_stat_statements)"
        )
    try:
        total, slow, longest, query = _row(
            connection,
            "SELECT count(*), count(*) FILTER (WHERE mean_exec_time > %(ms)s), coalesce(max(mean_exec_time), 0),"
            " (array_agg(queryid ORDER BY mean_exec_time DESC))[1]"
            " FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
            {"ms": 1000 * slower_than},
        )
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        raise NoFigure("nobody times queries: pg_stat_statements is not among shared_preload_libraries") from error
    # The text of a query may hold what is nobody's business; its id finds it.
    return Figure(slow, "", f"the slowest takes {longest:,.0f} ms on average, queryid {query}" if total else "", total)


def _connections(connection: Connection, _: float) -> Figure:
    used, most = _row(
        connection,
        "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
        " current_setting('max_connections')::int",
    )
    return Figure(100 * used / most, "%", f"{used} of {most} connections, this one included")


def _lock_waits(connection: Connection, _: float) -> Figure:
    # Of pg_locks every role sees all; what others wait for in pg_stat_activity is hidden from most.
    waiting, blocker = _row(
        connection,
        "SELECT count(DISTINCT pid), min((pg_blocking_pids(pid))[1]) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE NOT granted AND datname = current_database()",
    )
    return Figure(waiting, "", f"process {blocker} holds one of them up" if waiting and blocker else "")


def _vacuum_age(connection: Connection, _: float) -> Figure:
    tables, never, name, age = _row(
        connection,
        "SELECT count(*), count(*) FILTER (WHERE at IS NULL), (array_agg(relname ORDER BY at NULLS FIRST))[1],"
        " extract(epoch FROM clock_timestamp() - min(at))::float8 FROM (SELECT relname::text,"
        " greatest(last_vacuum, last_autovacuum) AS at FROM pg_stat_user_tables WHERE n_live_tup + n_dead_tup > 0) AS tables",
    )
    if not tables:
        raise NoFigure("no table holds a row, so that there is nothing to vacuum")
    if never:
        raise NoFigure(f"{never} of {tables} tables with rows were never vacuumed ({name} is one), so they have no age")
    return Figure(max(0.0, age), "s", f"{name}, longest ago of {tables} tables", tables)


def _unused_indexes(connection: Connection, _: float) -> Figure:
    indexes, unused, name, since = _row(
        connection,
        "SELECT count(*), count(*) FILTER (WHERE idx_scan = 0),"
        " (array_agg(indexrelname::text ORDER BY idx_scan, pg_relation_size(indexrelid) DESC))[1],"
        " (SELECT stats_reset::date::text FROM pg_stat_database WHERE datname = current_database())"
        " FROM pg_stat_user_indexes JOIN pg_index USING (indexrelid) WHERE NOT indisunique",
    )
    counted = f"since {since}" if since else "since the statistics began"
    return Figure(unused, "", f"{name} is the largest; scans are counted {counted}" if unused else "", indexes)


def _row(connection: Connection, query: str, values: dict[str, float] | None = None) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(query, values).fetchone()
    if row is None:
        raise NoFigure("the statistics gave no row")
    return row


MEASURES: dict[str, Callable[[Any, float], Figure]] = {
    "size": _size,
    "slow-queries": _slow_queries,
    "connections": _connections,
    "lock-waits": _lock_waits,
    "vacuum-age": _vacuum_age,
    "unused-indexes": _unused_indexes,
}
