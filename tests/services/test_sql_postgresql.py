"""The sql probe on a real PostgreSQL: what it measures, that it only reads, and that nothing of it stays behind."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from checks.model import Observation
from tests.probes.conftest import measured, reason_of, settings, value_of
from tests.services.conftest import Postgresql

pytestmark = pytest.mark.service


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    """A database with three orders."""
    address = new_database()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id serial PRIMARY KEY, state text, total numeric)")
        connection.execute("INSERT INTO orders (state, total) VALUES ('open', 9.5), ('paid', 1), ('paid', NULL)")
    return address


@pytest.fixture
def other(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Another session in the same database."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def sql(query: str | None = None, **options: Any) -> dict[str, Any]:
    """A declared sql probe on the environment's database."""
    return {"kind": "sql", "database": "{database}", **({"query": query} if query is not None else {}), **options}


def asked(url: str, query: str | None = None, **options: Any) -> str:
    """Why there is no observation."""
    return reason_of(sql(query, **options), settled=settings({"database": url}))


def number(url: str, query: str | None = None, unit: str = "", **options: Any) -> float:
    """The value that is measured."""
    return value_of(sql(query, **options), unit, settings({"database": url}))


def seen_by(url: str, **options: Any) -> Observation:
    """The whole observation of a shortcut in its own unit."""
    seen = measured(sql(**options), settled=settings({"database": url}))
    assert isinstance(seen, Observation), seen
    return seen


def probes_at_work(connection: psycopg.Connection[Any]) -> int:
    """How many sessions of ours the server still has."""
    found = -1
    for _ in range(100):
        connection.execute("SELECT pg_stat_clear_snapshot()")  # within a transaction the server would repeat its first answer
        found = len(connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'proofbook'").fetchall())
        if found == 0:
            break
        time.sleep(0.05)
    return found


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("SELECT count(*) FROM orders", 3),
        ("SELECT max(total) FROM orders;", 9.5),
        ("SELECT 100.0 * count(*) FILTER (WHERE state LIKE 'op%') / count(*) FROM orders WHERE id < 3", 50),
        ("WITH open AS (SELECT * FROM orders WHERE state = 'open') SELECT count(*)::float4 FROM open", 1),
        ("VALUES (7)", 7),
        ("(SELECT 1)", 1),
        ("SELECT state = 'open' FROM orders WHERE id = 1", 1),
        ("SELECT ';' = ';'", 1),
    ],
)
def test_the_querys_number_is_the_value(url: str, query: str, value: float) -> None:
    """One row with one number is the value, whatever type it has."""
    assert number(url, query) == value


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT total FROM orders WHERE id = 3", "null, not a number"),
        ("SELECT state FROM orders WHERE id = 1", "the text 'open', not a number"),
        ("SELECT now()", "datetime, not a number"),
        ("SELECT 'NaN'::float8", "is not a number"),
        ("SELECT 'Infinity'::numeric", "infinite"),
        ("SELECT id FROM orders WHERE id > 9", "gave no row"),
        ("SELECT id FROM orders", "gave more than one row"),
        ("SELECT generate_series(1, 1000000000)", "gave more than one row"),
        ("SELECT id, total FROM orders WHERE id = 1", "gave 2 columns"),
        ("SELECT absent FROM orders", 'column "absent" does not exist'),
        ("SELECT FROM FROM", "syntax error"),
        ("SELECT 1 / 0", "division by zero"),
    ],
)
def test_an_answer_that_is_not_one_number_is_no_observation(url: str, query: str, reason: str) -> None:
    """NULL, text, several rows or none, and mistakes in the query are unknown with the reason."""
    assert reason in asked(url, query)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM orders",
        "INSERT INTO orders (state) VALUES ('x') RETURNING id",
        "WITH gone AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM gone",
        "SELECT * INTO copy FROM orders",
        "SELECT nextval('orders_id_seq')",
        "SELECT id FROM orders WHERE id = 1 FOR UPDATE",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT 1; COMMIT; SET default_transaction_read_only = off; DELETE FROM orders",
        "COPY (SELECT 1) TO PROGRAM 'touch {folder}/ran'",
        "DO $$ BEGIN DELETE FROM orders; END $$",
        "CREATE TABLE t (a int)",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "",
    ],
)
def test_a_query_can_only_read(url: str, other: psycopg.Connection[Any], tmp_path: Path, query: str) -> None:
    """No statement that could change anything is carried out, alone or behind one that reads."""
    assert asked(url, query.replace("{folder}", str(tmp_path)))
    row = other.execute("SELECT count(*), max(id), (SELECT last_value FROM orders_id_seq) FROM orders").fetchone()
    assert row == (3, 3, 3)
    assert list(tmp_path.iterdir()) == []


def test_a_statement_over_its_time_is_ended_on_the_server(url: str, other: psycopg.Connection[Any]) -> None:
    """At the deadline it is unknown, and the server no longer works on it."""
    started = time.monotonic()
    assert asked(url, "SELECT count(*)::int FROM pg_sleep(60)", timeout="500ms").endswith("did not end within 500 ms")
    assert time.monotonic() - started < 3
    assert probes_at_work(other) == 0


def test_a_query_that_lifts_its_own_limit_is_ended_all_the_same(url: str, other: psycopg.Connection[Any]) -> None:
    """A function that swallows the server's time-out is cancelled again, from outside."""
    other.execute(
        "CREATE FUNCTION stubborn() RETURNS int LANGUAGE plpgsql AS $$ BEGIN"
        " BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END;"
        " PERFORM set_config('statement_timeout', '0', false); PERFORM pg_sleep(60); RETURN 1; END $$"
    )
    started = time.monotonic()
    assert asked(url, "SELECT stubborn()", timeout="500ms").endswith("did not end within 500 ms")
    assert time.monotonic() - started < 5
    assert probes_at_work(other) == 0


def test_a_lock_is_waited_for_no_longer_than_the_deadline(url: str, other: psycopg.Connection[Any]) -> None:
    """A table that another session holds makes it unknown in bounded time; afterwards it is measured again."""
    with other.transaction():
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        assert asked(url, "SELECT count(*) FROM orders", timeout="500ms").endswith("did not end within 500 ms")
        assert probes_at_work(other) == 0
    assert number(url, "SELECT count(*) FROM orders") == 3


def test_a_session_that_is_ended_mid_query_is_unknown(url: str, other: psycopg.Connection[Any]) -> None:
    """A connection that an administrator or a crash ends gives the reason."""

    def end() -> None:
        for _ in range(100):
            ended = other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'proofbook' AND query LIKE 'FETCH%'"
            ).fetchall()
            if ended:
                return
            time.sleep(0.05)

    thread = threading.Thread(target=end)
    thread.start()
    assert "went away while it was asked" in asked(url, "SELECT count(*) FROM pg_sleep(20)", timeout="15s")
    thread.join()


def test_a_database_that_goes_down_mid_query_is_unknown(postgresql: Postgresql, url: str) -> None:
    """A server that dies while it is asked is unknown; down, it cannot be connected to; up again, it is measured."""
    timer = threading.Timer(0.7, postgresql.stop)
    timer.start()
    try:
        assert "went away while it was asked" in asked(url, "SELECT count(*) FROM pg_sleep(20)", timeout="15s")
        timer.join()
        assert "cannot be connected to" in asked(url, "SELECT 1", timeout="2s")
    finally:
        timer.join()
        postgresql.start()
    assert number(url, "SELECT 1") == 1


def test_a_server_that_never_answers_is_unknown_at_the_deadline(tmp_path: Path) -> None:
    """A port that accepts and stays silent ends the wait, connecting included."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"postgresql://shop:pa55word@127.0.0.1:{listener.getsockname()[1]}/shop"
        started = time.monotonic()
        said = asked(address, "SELECT 1", timeout="500ms")
    assert time.monotonic() - started < 4
    assert said.endswith("did not end within 500 ms")
    assert "pa55word" not in said


def test_a_password_is_never_told(url: str) -> None:
    """The source names host and database only."""
    address = url.replace("postgres@", "postgres:pa55word@")
    seen = measured(sql("SELECT 'pa55word'"), settled=settings({"database": address}))
    assert "pa55word" not in f"{seen}"
    assert "the text" in f"{seen}"


@pytest.mark.parametrize(
    ("database", "reason"),
    [
        ("postgresql://elsewhere.test/shop", "elsewhere.test is no host of the environment"),
        ("postgresql://shop:pa55word@host:99999x/shop", "this is no address"),
        ("postgresql://shop:pa55word@host/shop?nonsense=1", "cannot be read"),
        ("mysql://shop:pa55word@{host}/shop", "neither a path of SQLite nor a postgresql:// address"),
    ],
)
def test_a_database_that_the_environment_does_not_name_is_not_asked(database: str, reason: str) -> None:
    """Only what the settings name is connected to, and no address tells its password."""
    probe = {"kind": "sql", "database": database, "query": "SELECT 1"}
    said = measured(probe, settled=settings({"host": "db.test"}))
    assert reason in f"{said}"
    assert "pa55word" not in f"{said}"


def test_the_size_is_the_databases(url: str, other: psycopg.Connection[Any]) -> None:
    """Rows make it larger."""
    before = number(url, None, "MB", measure="size")
    other.execute("INSERT INTO orders (state) SELECT repeat('x', 500) FROM generate_series(1, 10000)")
    assert 1 < before < number(url, None, "MB", measure="size") - 4


def test_connections_are_a_share_of_those_allowed(url: str) -> None:
    """Each open session is a hundredth, where a hundred are allowed."""
    before = number(url, None, "%", measure="connections")
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(psycopg.connect(url))
        assert number(url, None, "%", measure="connections") == pytest.approx(before + 5, abs=2)


def test_processes_that_wait_for_a_lock_are_counted(url: str, other: psycopg.Connection[Any]) -> None:
    """One session that waits for another is one; none waits afterwards."""

    def wait() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT count(*) FROM orders")

    assert number(url, measure="lock-waits") == 0
    with other.transaction():
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        thread = threading.Thread(target=wait)
        thread.start()
        for _ in range(100):
            if number(url, measure="lock-waits"):
                break
        seen = seen_by(url, measure="lock-waits")
        assert (seen.value, seen.detail) == (1, f"process {other.info.backend_pid} holds one of them up")
    thread.join()
    assert number(url, measure="lock-waits") == 0


def test_the_age_of_the_oldest_vacuum_counts_and_none_is_unknown(url: str, other: psycopg.Connection[Any]) -> None:
    """A table with rows that nobody ever vacuumed has no age; once all are, it is the oldest's."""
    said = ""
    for _ in range(100):
        said = asked(url, measure="vacuum-age")
        if "never vacuumed" in said:
            break
        time.sleep(0.1)
    assert "1 of 1 tables with rows were never vacuumed (orders is one)" in said
    other.execute("VACUUM ANALYZE")
    time.sleep(0.5)
    assert 0 <= number(url, None, "s", measure="vacuum-age") < 60


def test_indexes_that_were_never_scanned_are_counted(url: str, other: psycopg.Connection[Any]) -> None:
    """An index that serves no constraint and no query counts; the primary key never does."""
    assert number(url, measure="unused-indexes") == 0
    other.execute("CREATE INDEX by_state ON orders (state)")
    seen = seen_by(url, measure="unused-indexes")
    assert seen.value == 1
    assert seen.detail.startswith("by_state is the largest; scans are counted since")


def test_slow_queries_are_those_that_the_extension_timed(postgresql: Postgresql, url: str) -> None:
    """Without the extension it is unknown and says which; with it, those over the bound are counted."""
    assert "the extension pg_stat_statements is not there" in asked(url, measure="slow-queries")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        assert "not among shared_preload_libraries" in asked(url, measure="slow-queries")
        connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
    postgresql.stop()
    postgresql.start()
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_sleep(0.3)")
        seen = measured(sql(measure="slow-queries", **{"slower-than": "200ms"}), settled=settings({"database": url}))
        assert isinstance(seen, Observation), seen
        assert seen.value == 1
        assert "ms on average, queryid" in seen.detail
        assert number(url, measure="slow-queries", **{"slower-than": "30s"}) == 0
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM RESET shared_preload_libraries")
        postgresql.stop()
        postgresql.start()


def test_one_column_of_a_row_is_the_value(url: str) -> None:
    """Of a row with several columns the named one counts, and the others are told beside it."""
    row = "SELECT count(*) AS orders, count(*) FILTER (WHERE state = 'open') AS open, max(total) FROM orders"
    seen = seen_by(url, query=row, column="open")
    assert (seen.value, seen.detail) == (1, "orders 3, max 9.5")
    assert "gave 3 columns, not one number; `column:` names" in asked(url, row)
    assert "no column paid, or several, but orders, open, max" in asked(url, row, column="paid")


def test_a_rows_text_is_a_text(url: str) -> None:
    """A metric whose unit is text takes the text as it stands."""
    seen = measured(sql("SELECT state FROM orders WHERE id = 1"), "text", settings({"database": url}))
    assert isinstance(seen, Observation), seen
    assert seen.detail == "open"
