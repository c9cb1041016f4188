"""The history at 10⁵, 10⁶ and 10⁷ observations, on SQLite and PostgreSQL: what one question costs, and how that grows.

Filled by SQL, as 320 metrics of 10 systems that are sampled every five minutes would have filled it: each value is an
observation; a result of its own has what a run measured (every hour) and what was not ok (one in a hundred).

The peer is what one would build first: one table of (metric, time, value, status), by itself and with an index on metric and
time. It is in the same database, and is asked the same questions in the same round.
"""

from __future__ import annotations

import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from checks.journal import Journal, open_journal
from checks.journal import _queries as q
from checks.journal import _tables as t
from checks.journal._engine import reading
from checks.journal._rebuild import rebuild
from checks.model import Observation, Result, Run, RunState, Status, Trigger

_SYSTEMS, _METRICS = 10, 32
_EVERY = timedelta(minutes=5)
_NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
_DAY, _MONTH = timedelta(days=1), timedelta(days=30)
_ONE = "system-3/metric-7"
_ASKED = 25  # times each question is asked in a round

DATABASES = ("sqlite", "postgresql")

# SQL that both databases read; `numbers` is a table of 0, 1, 2, … as many as each metric has values.
_VALUE = "((numbers.n * 7919 + series.id * 104729) % 1000) / 10.0"
_STATUS = f"CASE WHEN {_VALUE} >= 99 THEN 'warning' ELSE 'ok' END"
_TOLD = f"(numbers.n % 12 = 0 OR {_VALUE} >= 99)"  # has a result of its own
_RUN = "'run-' || substr(series.system, 8) || '-' || (numbers.n / 12)"
_FILL = (
    "INSERT INTO runs (id, runbook, system, environment, trigger, started_at, parameters, source, host, actor)"
    " SELECT 'run-' || substr(system, 8) || '-' || (n / 12), system || '/hourly', system, 'production', 'schedule',"
    " :start + n * :step, {}, '', '', '' FROM series, numbers WHERE n % 12 = 0 AND metric = 'metric-0'",
    "INSERT INTO run_ends (run_id, state, status, ended_at, reason)"
    " SELECT id, CASE WHEN started_at % 97 = 0 THEN 'failed' ELSE 'finished' END, 'ok', started_at, '' FROM runs",
    f"INSERT INTO observations (series, ts, value, unit, status) SELECT series.id, :start + numbers.n * :step, {_VALUE}, 'ms',"
    f" CASE WHEN {_TOLD} THEN NULL ELSE 'ok' END FROM series, numbers ORDER BY series.id, numbers.n",
    "INSERT INTO results (run_id, series, title, status, reason, judged_at, measured_at, value, unit, took, source, detail,"
    f" warning, critical) SELECT CASE WHEN numbers.n % 12 = 0 THEN {_RUN} END, series.id, 'A metric', {_STATUS},"
    f" 'so it is', :start + numbers.n * :step, :start + numbers.n * :step, {_VALUE}, 'ms', 0.01, 'GET http://127.0.0.1/', '',"
    f" '>= 99 ms', '> 500 ms' FROM series, numbers WHERE {_TOLD} ORDER BY numbers.n, series.id",
    "INSERT INTO plain SELECT series.system || '/' || series.metric, :start + numbers.n * :step,"
    f" {_VALUE}, {_STATUS} FROM series, numbers ORDER BY numbers.n, series.id",
    "CREATE TABLE plain_indexed AS SELECT * FROM plain",
)
_PEER = {
    "latest": "SELECT p.metric, p.ts, p.value, p.status FROM {0} p JOIN (SELECT metric, max(ts) AS ts FROM {0} GROUP BY metric) l"
    " ON l.metric = p.metric AND l.ts = p.ts",
    "sparkline": "SELECT ts / 600000000, min(value), avg(value), max(value) FROM {0} WHERE metric = :one AND ts >= :day"
    " GROUP BY ts / 600000000",
    "uptime": "SELECT avg(CASE WHEN status = 'ok' THEN 1.0 ELSE 0 END) FROM {0} WHERE metric = :one AND ts >= :month",
}


def measure(sizes: Sequence[int], rounds: int, databases: Sequence[str] = DATABASES) -> dict[str, Any]:
    """Measure and print; the figures."""
    figures: dict[str, Any] = {}
    for database in databases:
        with _server(database) as new_url:
            if new_url is None:
                print(f"{database}: not installed, not measured", file=sys.stderr)
                continue
            figures[database] = _on(database, new_url, sizes, rounds)
            _show(database, figures[database])
    return figures


def _on(database: str, new_url: Callable[[], str], sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """The figures by the number of observations; all journals are asked in turns, so that a noisy machine is noisy to all."""
    with ExitStack() as stack:
        journals = {rows: stack.enter_context(open_journal(new_url())) for rows in sizes}
        found: dict[str, Any] = {}
        for rows, journal in journals.items():
            print(f"{database}: {rows:,} observations", file=sys.stderr)
            found[str(rows)] = _fill(journal, rows)
            _analyze(journal)
        asked: dict[int, dict[str, dict[str, list[float]]]] = {rows: {} for rows in sizes}
        written: dict[int, list[dict[str, float]]] = {rows: [] for rows in sizes}
        for number in range(rounds):
            for name in _calls(next(iter(journals.values()))):
                for rows, journal in journals.items():
                    _ask(journal, name, asked[rows].setdefault(name, {}), first=number == 0)
            for again in range(4):
                for rows, journal in journals.items():
                    written[rows].append(_insert(journal, 4 * number + again))
    for rows in sizes:
        found[str(rows)] |= {
            f"insert_320_results_{name}": statistics.median(one[name] for one in written[rows]) for name in written[rows][0]
        }
        found[str(rows)] |= {
            "questions_ms": {
                name: {way: statistics.median(times) for way, times in ways.items()} for name, ways in asked[rows].items()
            },
            "quickest_ms": {name: {way: min(times) for way, times in ways.items()} for name, ways in asked[rows].items()},
        }
    return found


def _fill(journal: Journal, rows: int) -> dict[str, float]:
    """Fill a journal, and draw what is derived; seconds of both.

    References are not checked meanwhile, which would take most of the time; they are in order.
    """
    number = math.ceil(rows / (_SYSTEMS * _METRICS))
    start = _NOW - number * _EVERY
    given = {"start": t.to_micros(start), "step": _EVERY // t.MICROSECOND}
    with journal._engine.connect() as raw:
        if journal._engine.dialect.name == "postgresql":
            raw.exec_driver_sql("SET session_replication_role = replica")
        else:
            raw.connection.dbapi_connection.execute("PRAGMA foreign_keys = OFF")  # type: ignore[union-attr]
        raw.commit()
        with raw.begin():
            began = time.perf_counter()
            _fill_facts(raw, number, given)
            filled = time.perf_counter() - began
            rebuilt = _timed(lambda: rebuild(raw))
    return {"filled_s": filled, "rebuilt_s": rebuilt}


def _fill_facts(connection: sa.Connection, number: int, given: dict[str, int]) -> None:
    if connection.dialect.name == "postgresql":
        # What is new in this transaction need not be written twice, into its place and into the log.
        connection.exec_driver_sql(
            f"TRUNCATE {', '.join(table.name for table in t.metadata.sorted_tables if table is not t.heads)}"
        )
    connection.execute(sa.text("CREATE TABLE plain (metric TEXT, ts BIGINT, value DOUBLE PRECISION, status TEXT)"))
    connection.execute(sa.text("CREATE TEMPORARY TABLE numbers (n BIGINT)"))
    connection.execute(
        sa.text(
            "INSERT INTO numbers WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < :last) SELECT n FROM c"
        ),
        {"last": number - 1},
    )
    names = [(f"system-{system}", f"metric-{metric}") for system in range(_SYSTEMS) for metric in range(_METRICS)]
    connection.execute(
        sa.insert(t.series),
        [{"environment": "production", "system": system, "metric": metric} for system, metric in names],
    )
    empty = "CAST('{}' AS json)" if connection.dialect.name == "postgresql" else "'{}'"
    for statement in (_FILL[0].format(empty), *_FILL[1:]):
        connection.execute(sa.text(statement), given if ":start" in statement else {})
    connection.execute(sa.text("CREATE INDEX plain_by_time ON plain_indexed (metric, ts)"))


def _analyze(journal: Journal) -> None:
    # PostgreSQL does this by itself within a minute or so; SQLite's plans need no figures.
    if journal._engine.dialect.name == "postgresql":
        with journal._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))


def _calls(journal: Journal) -> dict[str, Callable[[], object]]:
    return {
        "latest": lambda: journal.latest_results("production"),
        "status of all": lambda: journal.status_since("production"),
        "sparkline": lambda: journal.stretches("production", _NOW - _DAY, timedelta(minutes=10), slug=_ONE),
        "uptime": lambda: journal.tally(_ONE, "production", _NOW - _MONTH),
        "values of a day": lambda: journal.observations(_ONE, "production", _NOW - _DAY),
        "everything a report needs": lambda: journal.snapshot("production"),
        "last critical, of all": lambda: journal.last_critical("production"),
        "worst of 30 days, of all": lambda: journal.daily_worst("production", _NOW - _MONTH),
        "limits in force, of all": lambda: journal.limits_in_force("production"),
        "200 changes of status": lambda: journal.status_changes("production", _NOW - _MONTH),
        "last slots": lambda: journal.last_slots("production"),
    }


def _statements() -> dict[str, tuple[sa.Select[Any], dict[str, Any]]]:
    system, _, metric = _ONE.partition("/")
    one: dict[str, Any] = {"environment": "production", "system": system, "metric": metric}
    return {
        "latest": (q.latest_results("production"), {}),
        "status of all": (q.latest("production"), {}),
        "sparkline": (q.stretches_of_one(timedelta(minutes=10)), one | {"since": _NOW - _DAY}),
        "uptime": (q.tally(), one | {"since": t.to_micros(_NOW - _MONTH) // 86_400_000_000}),
    }


def _ask(journal: Journal, name: str, found: dict[str, list[float]], *, first: bool) -> None:
    """Ask one question: by the whole call, by its statement in the database, and of the peers; milliseconds are added."""
    found.setdefault("call", []).extend(_each(_calls(journal)[name]))
    if name in _statements():
        found.setdefault("statement", []).extend(_raw(journal, *_statements()[name]))
    if name not in _PEER:
        return
    given = {"one": _ONE, "day": t.to_micros(_NOW - _DAY), "month": t.to_micros(_NOW - _MONTH)}
    for peer, table in (("plain", "plain"), ("plain, indexed", "plain_indexed")):
        text = _PEER[name].format(table)
        slow = peer == "plain" or name == "latest"
        if slow and not first:
            continue  # it is a thousand times slower; once is enough to know
        wanted = {key: value for key, value in given.items() if f":{key}" in text}
        found.setdefault(peer, []).extend(_raw(journal, sa.text(text), wanted, 1 if slow else _ASKED))


def _raw(journal: Journal, statement: Any, given: dict[str, Any] | None = None, times: int = _ASKED) -> list[float]:
    """Milliseconds that the database takes to answer a statement, all rows fetched by its driver."""
    compiled = statement.compile(journal._engine, compile_kwargs={"render_postcompile": True})
    values = compiled.construct_params(given)
    with reading(journal._engine) as connection:
        cursor = connection.connection.cursor()
        processed = {
            key: (compiled._bind_processors[key](value) if key in compiled._bind_processors else value)
            for key, value in values.items()
        }
        ordered: Any = [processed[key] for key in compiled.positiontup] if compiled.positional else processed
        return _each(lambda: cursor.execute(str(compiled), ordered) and cursor.fetchall(), times)


def _each(call: Callable[[], object], times: int = _ASKED) -> list[float]:
    return [1000 * _timed(call) for _ in range(times)]


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _insert(journal: Journal, number: int) -> dict[str, float]:
    """What writing the end of a run with a result of each metric takes, in milliseconds.

    Waiting for the disk is most of it where every commit is on the disk before it counts; so the processor's time stands beside.
    """
    at = _NOW + (number + 1) * _EVERY
    run = Run(f"bench-{number}", "system-0/all", "system-0", "production", Trigger.SCHEDULE, RunState.RUNNING, Status.UNKNOWN, at)
    results = [
        Result(
            f"system-{system}",
            f"metric-{metric}",
            "A metric",
            Status.OK,
            "so it is",
            at,
            Observation(float(number), "ms", at, 0.01, "GET http://127.0.0.1/"),
            ">= 99 ms",
            "> 500 ms",
        )
        for system in range(_SYSTEMS)
        for metric in range(_METRICS)
    ]
    journal.start_run(run)
    done = replace(run, state=RunState.FINISHED, status=Status.OK, ended_at=at)
    committed: list[float] = []
    sa.event.listen(journal._engine, "commit", begun := lambda _: committed.append(time.perf_counter()))
    spent = time.process_time()
    milliseconds = 1000 * _timed(lambda: journal.finish_run(done, results))
    ended, spent = time.perf_counter(), time.process_time() - spent
    sa.event.remove(journal._engine, "commit", begun)
    return {"ms": milliseconds, "processor_ms": 1000 * spent, "commit_ms": 1000 * (ended - committed[-1])}


@contextmanager
def _server(database: str) -> Iterator[Callable[[], str] | None]:
    """What gives the URL of a new database; ``None`` where there is no server."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory(prefix="proofbook-bench-") as folder:
            yield lambda: f"sqlite:///{tempfile.mkdtemp(dir=folder)}/journal.db"
        return
    from tests.services.conftest import _POSTGRESQL, _USER, Postgresql

    if not (_POSTGRESQL / "postgres").exists():
        yield None
        return
    folder = tempfile.mkdtemp(prefix="proofbook-pg-")
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _USER, _USER)
        # What is filled in need not be replayed after a crash; the questions are asked of a server as it comes.
        options = ("wal_level=minimal", "max_wal_senders=0", "max_wal_size=8GB", "maintenance_work_mem=512MB")
        server = Postgresql(Path(folder), *options)
        server.start()
        try:
            yield server.new_database
        finally:
            server.stop()
    except subprocess.SubprocessError:
        yield None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _show(database: str, sizes: dict[str, Any]) -> None:
    names = next(iter(sizes.values()))["questions_ms"]
    print(f"\n{database}: milliseconds a question (medians), by observations; growth; the quickest at the most; times the peers")
    print(f"  {'':<34}" + "".join(f"{int(size):>14,}" for size in sizes) + "    growth  quickest  growth    plain  indexed")
    for name in names:
        for way in ("statement", "call"):
            found = [figures["questions_ms"][name].get(way) for figures in sizes.values()]
            if found[0] is None:
                continue
            line = f"  {name + (' (whole call)' if way == 'call' else ''):<34}"
            line += "".join(f"{milliseconds:>14.3f}" for milliseconds in found) + f"{found[-1] / found[0]:>9.2f}x"
            quickest = [figures["quickest_ms"][name][way] for figures in sizes.values()]
            line += f"{quickest[-1]:>10.3f}{quickest[-1] / quickest[0]:>8.2f}x"
            if way == "statement":
                most = list(sizes.values())[-1]["questions_ms"][name]
                line += "".join(
                    f"{most[peer] / most['statement']:>9,.0f}x" for peer in ("plain", "plain, indexed") if peer in most
                )
            print(line)
    for key, title in (
        ("insert_320_results_ms", "a run's 320 results, written"),
        ("insert_320_results_processor_ms", "  of it, time of the processor"),
        ("insert_320_results_commit_ms", "  of it, the commit (to the disk)"),
        ("filled_s", "filled (s)"),
        ("rebuilt_s", "all drawn anew (s)"),
    ):
        print(f"  {title:<34}" + "".join(f"{figures[key]:>14.2f}" for figures in sizes.values()))
