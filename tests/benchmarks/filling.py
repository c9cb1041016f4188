"""Fills a journal by SQL, as 320 metrics of 10 systems that are sampled every five minutes would have filled it.

Each value is an observation; a result of its own has what a run measured (every hour) and what was not ok (one in a hundred).

Every five minutes, 10⁵ values reach back one day. Where they do not reach back thirty days, each day before them has one value
of each metric, so that questions about thirty days are about as many days whatever the size (see `tests.benchmarks.history`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from checks.journal import Journal
from checks.journal import _tables as t
from checks.journal._rebuild import rebuild

SYSTEMS, METRICS = 10, 32
EVERY = timedelta(minutes=5)
NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
DAY, MONTH = timedelta(days=1), timedelta(days=30)
_FULL_DAYS = 2  # those that 24 hours from noon to noon touch

# How two tables are gone through, the first one outside: what comes in the order in which it is kept need not be sorted.
_GONE_THROUGH = {
    "sqlite": "{0} CROSS JOIN {1}",
    "postgresql": "{0} CROSS JOIN LATERAL (SELECT * FROM {1} WHERE {0} IS NOT NULL OFFSET 0) AS {1}",
}
# SQL that both databases read; `numbers` has 0, 1, 2, … as many as each metric has values, and when each was measured.
_VALUE = "((numbers.n * 7919 + series.id * 104729) % 1000) / 10.0"
_STATUS = f"CASE WHEN {_VALUE} >= 99 THEN 'warning' ELSE 'ok' END"
_TOLD = f"(numbers.n % 12 = 0 OR {_VALUE} >= 99)"  # has a result of its own
_RUN = "'run-' || substr(series.system, 8) || '-' || (numbers.n / 12)"
_NUMBERS = (
    "INSERT INTO numbers WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n + 1 < :number)"
    " SELECT n, CASE WHEN n < :old THEN :first + n * CAST(:day AS BIGINT)"
    " ELSE :now - (:number - n) * CAST(:step AS BIGINT) END FROM c"
)
_FILL = (
    f"INSERT INTO runs (id, runbook, system, environment, trigger, started_at, parameters, source, host, actor) SELECT {_RUN},"
    " system || '/hourly', system, 'production', 'schedule', ts, {empty}, '', '', '' FROM {by_time}"
    " WHERE n % 12 = 0 AND metric = 'metric-0'",
    "INSERT INTO run_ends (run_id, state, status, ended_at, reason)"
    " SELECT id, CASE WHEN started_at % 97 = 0 THEN 'failed' ELSE 'finished' END, 'ok', started_at, '' FROM runs",
    f"INSERT INTO observations (series, ts, value, unit, status) SELECT series.id, ts, {_VALUE}, 'ms',"
    f" CASE WHEN {_TOLD} THEN NULL ELSE 'ok' END FROM {{by_series}}",
    "INSERT INTO results (run_id, series, title, status, reason, judged_at, measured_at, value, unit, took, source, detail,"
    f" warning, critical) SELECT CASE WHEN numbers.n % 12 = 0 THEN {_RUN} END, series.id, 'A metric', {_STATUS},"
    f" 'so it is', ts, ts, {_VALUE}, 'ms', 0.01, 'GET http://127.0.0.1/', '', '>= 99 ms', '> 500 ms' FROM {{by_time}}"
    f" WHERE {_TOLD}",
    f"INSERT INTO plain SELECT series.system || '/' || series.metric, ts, {_VALUE}, {_STATUS} FROM {{by_time}}",
)


def fill(journal: Journal, rows: int) -> dict[str, Any]:
    """Fill a journal, and draw what is derived; seconds of both.

    References are not checked meanwhile, which would take most of the time; they are in order.
    """
    with journal._engine.connect() as raw:
        if journal._engine.dialect.name == "postgresql":
            raw.exec_driver_sql("SET session_replication_role = replica")
        else:
            for setting in ("foreign_keys = OFF", "synchronous = OFF", "cache_size = -1000000"):
                raw.connection.dbapi_connection.execute(f"PRAGMA {setting}")  # type: ignore[union-attr]
        raw.commit()
        with raw.begin():
            began = time.perf_counter()
            _fill_facts(raw, _moments(rows))
            filled = time.perf_counter() - began
            rebuilt = timed(lambda: rebuild(raw))
    return {"filled_s": filled, "rebuilt_s": rebuilt}


def _moments(rows: int) -> dict[str, int]:
    """How many values each metric has, and when: one a day first, for so many days, and then every five minutes."""
    first = (NOW - MONTH).replace(hour=0)
    days = MONTH // DAY + 1 - _FULL_DAYS
    number = max(math.ceil(rows / (SYSTEMS * METRICS)), DAY // EVERY + days)
    old = next(old for old in range(days + 1) if (NOW - (number - old) * EVERY - first).days <= old)
    moments = {"first": t.to_micros(first + DAY / 2), "now": t.to_micros(NOW)}
    return moments | {"number": number, "old": old, "day": DAY // t.MICROSECOND, "step": EVERY // t.MICROSECOND}


def _fill_facts(connection: sa.Connection, moments: dict[str, int]) -> None:
    kind = connection.dialect.name
    if kind == "postgresql":
        # What is new in this transaction need not be written twice, into its place and into the log.
        connection.exec_driver_sql(
            f"TRUNCATE {', '.join(table.name for table in t.metadata.sorted_tables if table is not t.heads)}"
        )
    connection.execute(sa.text("CREATE TABLE plain (metric TEXT, ts BIGINT, value DOUBLE PRECISION, status TEXT)"))
    connection.execute(sa.text("CREATE TEMPORARY TABLE numbers (n BIGINT, ts BIGINT)"))
    connection.execute(sa.text(_NUMBERS), moments)
    names = [(f"system-{system}", f"metric-{metric}") for system in range(SYSTEMS) for metric in range(METRICS)]
    connection.execute(
        sa.insert(t.series),
        [{"environment": "production", "system": system, "metric": metric} for system, metric in names],
    )
    through = {
        "by_time": _GONE_THROUGH[kind].format("numbers", "series"),
        "by_series": _GONE_THROUGH[kind].format("series", "numbers"),
        "empty": "CAST('{}' AS json)" if kind == "postgresql" else "'{}'",
    }
    for statement in _FILL:
        connection.execute(sa.text(statement.format(**through)))


def timed(call: Callable[[], object]) -> float:
    """How many seconds a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
