"""The history at 10⁵, 10⁶ and 10⁷ observations, on SQLite and PostgreSQL: what one question costs, and how that grows.

Filled by SQL, as 320 metrics of 10 systems that are sampled every five minutes would have filled it: each value is an
observation; a result of its own has what a run measured (every hour) and what was not ok (one in a hundred).

What grows is the history behind an answer, not the answer. Every five minutes, 10⁵ values reach back one day; of the thirty
days that uptime sums up there would be two, and its growth would tell how much was asked for instead of how long the history
is. So where the values do not reach back thirty days, each day before them has one value of each metric, and every size is
asked for 320 latest results, the same ten-minute stretches and the same 31 days (10⁵ has a hundredth more values for it). How
many rows an answer rests on is counted and written beside the times.

The peer is what one would build first: one table of (metric, time, value, status), by itself and then with an index on metric
and time. It is in the same database; with its index it is asked the same questions in the same rounds.
"""

from __future__ import annotations

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
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from checks.journal import Journal, open_journal
from checks.journal import _queries as q
from checks.journal import _tables as t
from checks.journal._engine import reading
from checks.model import Observation, Result, Run, RunState, Status, Trigger
from tests.benchmarks.filling import DAY, EVERY, METRICS, MONTH, NOW, SYSTEMS, fill, timed

_ONE = "system-3/metric-7"
_ASKED = 25  # times each question is asked in a round

DATABASES = ("sqlite", "postgresql")

_PEER = {
    "latest": "SELECT p.metric, p.ts, p.value, p.status FROM plain p"
    " JOIN (SELECT metric, max(ts) AS ts FROM plain GROUP BY metric) l ON l.metric = p.metric AND l.ts = p.ts",
    "sparkline": "SELECT ts / 600000000, min(value), avg(value), max(value) FROM plain WHERE metric = :one AND ts >= :day"
    " GROUP BY ts / 600000000",
    "uptime": "SELECT avg(CASE WHEN status = 'ok' THEN 1.0 ELSE 0 END) FROM plain WHERE metric = :one AND ts >= :month",
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
            found[str(rows)] = fill(journal, rows)
        asked = {rows: _unindexed(journal) for rows, journal in journals.items()}
        for rows, journal in journals.items():
            _analyze(journal)
            found[str(rows)]["rows"] = _rows_read(journal)
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
            f"insert_320_results_quickest_{name}": min(one[name] for one in written[rows]) for name in written[rows][0]
        }
        found[str(rows)] |= {
            "questions_ms": {
                name: {way: statistics.median(times) for way, times in ways.items()} for name, ways in asked[rows].items()
            },
            "quickest_ms": {name: {way: min(times) for way, times in ways.items()} for name, ways in asked[rows].items()},
        }
    return found


def _unindexed(journal: Journal) -> dict[str, dict[str, list[float]]]:
    """Ask the peer without an index; it is a thousand times slower, so once is enough to know. Then it gets its index."""
    found = {name: {"plain": _raw(journal, *_of_peer(name), times=1)} for name in _PEER}
    with journal._engine.begin() as connection:
        connection.exec_driver_sql("CREATE INDEX plain_by_time ON plain (metric, ts)")
    return found


def _rows_read(journal: Journal) -> dict[str, int]:
    """How many rows what is derived gives for each answer."""
    one = sa.select(t.series.c.id).filter_by(**_named()).scalar_subquery()
    start, day = t.stretches.c.start >= NOW - DAY, t.series_days.c.day >= _month()
    kept = {
        "latest": sa.select(t.latest.c.series),
        "sparkline": sa.select(t.stretches.c.start).where(t.stretches.c.series == one, t.stretches.c.width == 600_000_000, start),
        "uptime": sa.select(t.series_days.c.day).where(t.series_days.c.series == one, day),
    }
    with reading(journal._engine) as connection:
        return {name: len(connection.execute(query).all()) for name, query in kept.items()}


def _analyze(journal: Journal) -> None:
    # PostgreSQL does this by itself within a minute or so; SQLite's plans need no figures.
    if journal._engine.dialect.name == "postgresql":
        with journal._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))


def _calls(journal: Journal) -> dict[str, Callable[[], object]]:
    return {
        # A journal remembers the latest results that it gave: whoever asks for the first time waits longer.
        "latest": lambda: Journal(journal._engine).latest_results("production"),
        "latest, asked again": lambda: journal.latest_results("production"),
        "status of all": lambda: journal.status_since("production"),
        "sparkline": lambda: journal.stretches("production", NOW - DAY, timedelta(minutes=10), slug=_ONE),
        "uptime": lambda: journal.tally(_ONE, "production", NOW - MONTH),
        "values of a day": lambda: journal.observations(_ONE, "production", NOW - DAY),
        "everything a report needs": lambda: Journal(journal._engine).snapshot("production"),
        "a report, asked again": lambda: journal.snapshot("production"),
        "last critical, of all": lambda: journal.last_critical("production"),
        "worst of 30 days, of all": lambda: journal.daily_worst("production", NOW - MONTH),
        "limits in force, of all": lambda: journal.limits_in_force("production"),
        "200 changes of status": lambda: journal.status_changes("production", NOW - MONTH),
        "last slots": lambda: journal.last_slots("production"),
    }


def _named() -> dict[str, Any]:
    system, _, metric = _ONE.partition("/")
    return {"environment": "production", "system": system, "metric": metric}


def _month() -> int:
    """The first of the thirty days, since 1970."""
    return t.to_micros(NOW - MONTH) // (DAY // t.MICROSECOND)


def _statements() -> dict[str, tuple[sa.Select[Any], dict[str, Any]]]:
    return {
        "latest": (q.latest_results(), {"environment": "production"}),
        "status of all": (q.latest("since"), {"environment": "production"}),
        "sparkline": (q.stretches_of_one(timedelta(minutes=10)), _named() | {"since": NOW - DAY}),
        "uptime": (q.tally(), _named() | {"since": _month()}),
    }


def _of_peer(name: str) -> tuple[sa.TextClause, dict[str, Any]]:
    text = _PEER[name]
    given = {"one": _ONE, "day": t.to_micros(NOW - DAY), "month": t.to_micros(NOW - MONTH)}
    return sa.text(text), {key: value for key, value in given.items() if f":{key}" in text}


def _ask(journal: Journal, name: str, found: dict[str, list[float]], *, first: bool) -> None:
    """Ask one question: by the whole call, by its statement in the database, and of the peer; milliseconds are added."""
    found.setdefault("call", []).extend(_each(_calls(journal)[name]))
    if name in _statements():
        found.setdefault("statement", []).extend(_raw(journal, *_statements()[name]))
    if name in _PEER and (first or name != "latest"):  # which takes seconds, each time
        found.setdefault("plain, indexed", []).extend(_raw(journal, *_of_peer(name), times=1 if name == "latest" else _ASKED))


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
    return [1000 * timed(call) for _ in range(times)]


def _insert(journal: Journal, number: int) -> dict[str, float]:
    """What writing the end of a run with a result of each metric takes, in milliseconds.

    Waiting for the disk is most of it where every commit is on the disk before it counts; so the processor's time stands beside:
    ours, and that of the server's process where there is one.
    """
    at = NOW + (number + 1) * EVERY
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
        for system in range(SYSTEMS)
        for metric in range(METRICS)
    ]
    journal.start_run(run)
    done = replace(run, state=RunState.FINISHED, status=Status.OK, ended_at=at)
    committed: list[float] = []
    sa.event.listen(journal._engine, "commit", begun := lambda _: committed.append(time.perf_counter()))
    served, spent = _of_server(journal), time.process_time()
    milliseconds = 1000 * timed(lambda: journal.finish_run(done, results))
    ended, spent = time.perf_counter(), time.process_time() - spent
    sa.event.remove(journal._engine, "commit", begun)
    taken = {"ms": milliseconds, "processor_ms": 1000 * spent, "commit_ms": 1000 * (ended - committed[-1])}
    return taken | {"server_ms": _of_server(journal) - served}


def _of_server(journal: Journal) -> float:
    """Milliseconds of the processor that the process of this journal's server has used, as Linux counts them; else 0."""
    if journal._engine.dialect.name != "postgresql":
        return 0.0
    with journal._engine.connect() as connection:
        process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    times = Path(f"/proc/{process}/schedstat")
    return int(times.read_text().split()[0]) / 1e6 if times.exists() else 0.0


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
        if name in next(iter(sizes.values()))["rows"]:
            print(f"  {'  rows it rests on':<34}" + "".join(f"{figures['rows'][name]:>14,}" for figures in sizes.values()))
    for key, title in (
        ("insert_320_results_ms", "a run's 320 results, written"),
        ("insert_320_results_quickest_ms", "  the quickest"),
        ("insert_320_results_processor_ms", "  of it, time of the processor"),
        ("insert_320_results_quickest_processor_ms", "  the least of the processor"),
        ("insert_320_results_server_ms", "  of it, the server's processor"),
        ("insert_320_results_quickest_server_ms", "  the server's least"),
        ("insert_320_results_commit_ms", "  of it, the commit (to the disk)"),
        ("filled_s", "filled (s)"),
        ("rebuilt_s", "all drawn anew (s)"),
    ):
        print(f"  {title:<34}" + "".join(f"{figures[key]:>14.2f}" for figures in sizes.values()))
