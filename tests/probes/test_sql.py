from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from checks.errors import DataError
from checks.model import Observation
from tests.probes.conftest import measured, reason_of, settings, value_of

SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with three orders, one of them open, whose path needs quoting in an address."""
    path = tmp_path / "shop #1?mode=rwc%20.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT, total REAL);"
            "INSERT INTO orders (state, total) VALUES ('open', 9.5), ('paid', 1), ('paid', NULL);"
        )
    connection.close()
    return path


def ask(database: Path, query: str, **options: Any) -> dict[str, Any]:
    """A declared sql probe."""
    return {"kind": "sql", "database": str(database), "query": query, **options}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("SELECT count(*) FROM orders", 3.0),
        ("SELECT 100.0 * sum(state = 'open') / count(*) FROM orders WHERE id < 3", 50.0),
        ("SELECT max(total) FROM orders", 9.5),
        ("WITH open AS (SELECT * FROM orders WHERE state = 'open') SELECT count(*) FROM open;", 1.0),
        ("PRAGMA page_count", 2.0),
        ("SELECT count(*) FROM sqlite_master", 1.0),
    ],
)
def test_the_querys_number_is_the_value(database: Path, query: str, value: float) -> None:
    """One row with one number is the value."""
    assert value_of(ask(database, query)) == value


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT total FROM orders WHERE id = 3", "null, not a number"),
        ("SELECT sum(total) FROM orders WHERE id > 9", "null, not a number"),
        ("SELECT state FROM orders WHERE id = 1", "the text 'open', not a number"),
        ("SELECT x'00'", "binary, not a number"),
        ("SELECT 9e999", "infinite"),
        ("SELECT id FROM orders WHERE id > 9", "gave no row"),
        ("SELECT id FROM orders", "gave more than one row"),
        ("SELECT id, total FROM orders WHERE id = 1", "gave 2 columns"),
        ("SELECT absent FROM orders", "no such column: absent"),
        ("SELEC 1", "syntax error"),
        ("", "gave no row"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
    ],
)
def test_an_answer_that_is_not_one_number_is_no_observation(database: Path, query: str, reason: str) -> None:
    """NULL, text, several rows or none, and mistakes in the query are unknown with the reason."""
    assert reason in reason_of(ask(database, query))


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM orders",
        "INSERT INTO orders (state) VALUES ('x') RETURNING id",
        "UPDATE orders SET state = 'x' RETURNING id",
        "DROP TABLE orders",
        "CREATE TEMP TABLE t (a)",
        "ATTACH DATABASE '{folder}/new.db' AS other",
        "PRAGMA journal_mode = WAL",
        "PRAGMA query_only = OFF",
        "VACUUM INTO '{folder}/copy.db'",
        "BEGIN EXCLUSIVE",
        "SELECT load_extension('x')",
    ],
)
def test_a_query_can_only_read(database: Path, query: str) -> None:
    """No statement that could change anything, here or elsewhere, is carried out."""
    before = database.read_bytes()
    said = reason_of(ask(database, query.replace("{folder}", str(database.parent))))
    assert "it may only read" in said
    assert database.read_bytes() == before
    assert list(database.parent.iterdir()) == [database]


def test_a_database_that_is_missing_is_not_created(tmp_path: Path) -> None:
    """A missing file is unknown, and still missing afterwards."""
    assert reason_of(ask(tmp_path / "no.db", "SELECT 1")) == f"the database {tmp_path / 'no.db'} does not exist"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_unknown(tmp_path: Path) -> None:
    """Other content is told apart."""
    (tmp_path / "text.db").write_text("hello " * 1000)
    assert "file is not a database" in reason_of(ask(tmp_path / "text.db", "SELECT count(*) FROM sqlite_master"))


def test_a_query_over_its_time_is_cancelled(database: Path) -> None:
    """A query that would never end is ended at its deadline."""
    started = time.monotonic()
    assert reason_of(ask(database, SLOW, timeout="300ms")).endswith("did not end within 300 ms")
    assert time.monotonic() - started < 1.3


def test_a_locked_database_is_waited_for_no_longer_than_the_deadline(database: Path) -> None:
    """A writer that holds the database makes it unknown in bounded time; afterwards it is measured again."""
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    said = reason_of(ask(database, "SELECT count(*) FROM orders", timeout="300ms"))
    assert "did not end within 300 ms" in said or "database is locked" in said
    assert time.monotonic() - started < 3
    writer.execute("COMMIT")
    writer.close()
    assert value_of(ask(database, "SELECT count(*) FROM orders")) == 3


def test_rows_written_meanwhile_are_seen(database: Path) -> None:
    """A database in WAL mode with a writer at work is read at its newest commit."""
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("INSERT INTO orders (state) VALUES ('open')")
    assert value_of(ask(database, "SELECT count(*) FROM orders")) == 4
    writer.close()


def test_source_names_database_and_query(database: Path) -> None:
    """The source is enough to ask the same by hand; braces in a query are its own."""
    query = """SELECT json_extract('{"a": 5}', '$.a')"""
    seen = measured(ask(Path("{database}"), query), settled=settings({"database": str(database), "a": "no"}))
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.source) == (5.0, f"{database}: {query}")


def test_the_size_of_an_sqlite_file_is_measured(database: Path) -> None:
    """The size shortcut gives the pages that the database has; the others are PostgreSQL's."""
    probe = {"kind": "sql", "database": str(database)}
    assert value_of({**probe, "measure": "size"}, "B") == database.stat().st_size
    assert "measured in PostgreSQL only" in reason_of({**probe, "measure": "lock-waits"})


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed, it is unknown with the command that installs it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    said = reason_of({"kind": "sql", "database": "postgresql://shop:pa55word@127.0.0.1/shop", "query": "SELECT 1"})
    assert said == "PostgreSQL needs psycopg, which is not installed: pip install 'proofbook[postgresql]'"


@pytest.mark.parametrize("options", [{}, {"measure": "size", "query": "SELECT 1"}, {"measure": "median"}])
def test_a_query_goes_with_its_measure(options: dict[str, Any]) -> None:
    """A declaration without a query, or with one that nobody would ask, is refused."""
    with pytest.raises(DataError, match="the probe of shop/figure is not valid"):
        measured({"kind": "sql", "database": "a.db", **options})


def test_one_column_of_a_row_is_the_value(database: Path) -> None:
    """Of a row with several columns the named one counts, and the others are told beside it."""
    row = "SELECT count(*) AS orders, sum(state = 'open') AS open, max(total) FROM orders"
    seen = measured(ask(database, row, column="open"))
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.detail) == (1, "orders 3, max(total) 9.5")
    assert "gave 3 columns, not one number; `column:` names" in reason_of(ask(database, row))
    assert "no column paid, or several, but orders, open, max(total)" in reason_of(ask(database, row, column="paid"))
    assert "no column n, or several" in reason_of(ask(database, "SELECT 1 AS n, 2 AS n", column="n"))
    assert "the column" not in reason_of(ask(database, "SELECT 1 AS n WHERE 0", column="n"))
