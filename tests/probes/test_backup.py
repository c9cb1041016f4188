from __future__ import annotations

import bz2
import gzip
import itertools
import lzma
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.errors import DataError
from checks.model import Observation
from checks.probes._dump_rows import Rows, lines_of, sqlite_statements
from checks.probes._dumps import Kind, NotWhole, Reading, unpacked
from tests.probes.conftest import NOW, measured, reason_of, settings, value_of

Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that the setting `backups` names; what lies beside it is outside."""
    made = tmp_path / "back[ups]"
    made.mkdir()
    return made


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes a backup that is some hours old."""

    def write(name: str, content: bytes, hours: float = 1) -> Path:
        path = folder / name
        path.write_bytes(content)
        at = NOW.timestamp() - hours * 3600
        os.utime(path, (at, at))
        return path

    return write


@pytest.fixture
def look(folder: Path) -> Callable[..., tuple[dict[str, Any], str, Any]]:
    """What `measured` and its like are asked with."""

    def look(measure: str, unit: str = "", path: str = "{backups}/*", **options: Any) -> tuple[dict[str, Any], str, Any]:
        return {"kind": "backup", "path": path, "measure": measure, **options}, unit, settings({"backups": str(folder)})

    return look


Look = Callable[..., tuple[dict[str, Any], str, Any]]


def dump_of_sqlite(orders: int = 3) -> bytes:
    """A dump of SQLite with texts that look like statements, and a trigger that holds one."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT); CREATE TABLE users (name TEXT);"
            "CREATE TABLE log (at TEXT);"
            "CREATE TRIGGER logged AFTER INSERT ON users BEGIN\nINSERT INTO log VALUES ('now');\nEND;"
        )
        notes = ["it's; COMMIT;\nINSERT INTO orders VALUES (9, 'x');\n", "a),(b", "--"]
        database.executemany("INSERT INTO orders (note) VALUES (?)", [(notes[number % 3],) for number in range(orders)])
        return "\n".join(database.iterdump()).encode()


PG = b"""--
-- PostgreSQL database dump
--

\\restrict abc

CREATE TABLE public.orders (id integer, note text);
ALTER TABLE public.orders OWNER TO shop;
CREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS $$
INSERT INTO public.orders VALUES (1, 'not a row');
$$;
COPY public.orders (id, note) FROM stdin;
1\tfirst
2\tINSERT INTO public.orders VALUES (9);
3\t-- PostgreSQL database dump complete
\\.

COPY public.users (name) FROM stdin;
a
\\.

--
-- PostgreSQL database dump complete
--
"""

MYSQL = rb"""-- MySQL dump 10.13  Distrib 8.0
CREATE TABLE `orders` (`id` int, `note` text);
INSERT INTO `orders` VALUES (1,'a'),(2,'it\'s; ),('),
(3,'b''),(');
INSERT INTO `users` VALUES (1);
-- Dump completed on 2026-01-31  0:00:00
"""


def test_the_newest_backup_is_measured(write: Write, look: Look) -> None:
    """Age and size are those of the newest by its time, not by its name."""
    write("z-old.sql", b"x" * 100, hours=30)
    write("a-new.sql", b"x" * 2000, hours=2)
    assert value_of(*look("age", "h")) == 2
    assert value_of(*look("size", "kB")) == 2
    seen = measured(*look("age", "h", path="{backups}/z-*.sql"))
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.detail) == (30, "z-old.sql, 100 B")


def test_shrinkage_is_against_the_median_of_those_before(write: Write, look: Look) -> None:
    """One that is fresh but half as large as usual has shrunk by half; one that grew has shrunk by less than nothing."""
    for number, size in enumerate([1000, 1000, 9000, 1000], 2):
        write(f"{number}.gz", b"x" * size, hours=number)
    write("1.gz", b"x" * 500)
    seen = measured(*look("shrinkage", "%"))
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.samples) == (50.0, 4)
    assert seen.detail == "1.gz, 1 h old: 500 B, 1 kB the median of 4 before"
    write("1.gz", b"x" * 1500)
    assert value_of(*look("shrinkage", "%")) == -50
    write("1.gz", b"")
    assert value_of(*look("shrinkage", "%")) == 100
    assert value_of(*look("shrinkage", "%", previous=3, needs=3)) == 100
    assert "only 4 backups before" in reason_of(*look("shrinkage", "%", needs=5))


def test_an_alias_is_not_another_backup(write: Write, look: Look, folder: Path) -> None:
    """A link within the folder to a backup of it counts once."""
    path = write("1.gz", b"x")
    (folder / "latest.gz").symlink_to(path)
    assert value_of(*look("age", "h")) == 1
    assert "only 0 backups before" in reason_of(*look("shrinkage", "%"))


@pytest.mark.parametrize("measure", ["age", "size", "shrinkage", "bytes", "rows", "restored"])
def test_a_link_out_of_the_folder_is_no_backup(write: Write, look: Look, folder: Path, measure: str) -> None:
    """However fresh what it points at, it is told apart and never read."""
    write("old.sql", b"x", hours=50)
    outside = folder.parent / "outside.sql"
    outside.write_bytes(dump_of_sqlite())
    (folder / "new.sql").symlink_to(outside)
    unit = {"age": "h", "size": "B", "shrinkage": "%", "bytes": "B"}.get(measure, "rows")
    assert "new.sql, the newest that matches, is a link that leads out of" in reason_of(*look(measure, unit))


@pytest.mark.parametrize(
    ("measure", "content", "reason"),
    [
        ("age", b"", "has no byte, so it is no backup"),
        ("bytes", b"", "has no byte, so it is no backup"),
        ("bytes", gzip.compress(b""), "it holds nothing: its 20 bytes are the compression of no byte"),
        ("bytes", gzip.compress(os.urandom(10_000))[:-100], "its compression breaks off after"),
        ("bytes", gzip.compress(dump_of_sqlite(500))[:-9], "its compression breaks off after"),
        ("bytes", gzip.compress(b"x" * 9)[:-8] + b"\0" * 8, "its compression is damaged"),
        ("bytes", gzip.compress(b"x") + b"rubbish", "its compression is damaged"),
        ("bytes", bz2.compress(b"x" * 999)[:-5], "its compression breaks off"),
        ("bytes", bz2.compress(b"x" * 999)[:8] + b"\1" * 40, "its compression is damaged"),
        ("bytes", lzma.compress(b"x" * 999)[:-5], "its compression breaks off"),
        ("bytes", gzip.compress(dump_of_sqlite()[:-20]), "it breaks off"),
        (
            "bytes",
            PG.replace(b"dump complete\n--\n", b""),
            "it breaks off: it is a dump by pg_dump without its last line, after 4 rows",
        ),
        ("bytes", PG[: PG.index(b"3\t--") + 42], "it breaks off"),
        ("bytes", MYSQL[:-60], "it breaks off"),
        ("bytes", b"<!DOCTYPE html><title>Log in</title>", "it is a web page"),
        ("rows", b"rows of something", "it is no dump that is known, so it cannot be counted"),
        ("rows", b"SQLite format 3\0" + b"\0" * 999, "SQLite cannot restore it"),
        ("restored", MYSQL, "it is a dump by mysqldump, so it cannot be restored"),
        ("restored", PG, "and no `scratch:` names a server to restore it on"),
        ("restored", dump_of_sqlite()[:-8], "it breaks off: it is a dump of SQLite without its COMMIT"),
        ("restored", b"BEGIN TRANSACTION;\nATTACH '/tmp/other.db' AS other;\nCOMMIT;", "not authorized"),
        ("restored", b"BEGIN TRANSACTION;\nSELECT load_extension('x');\nCOMMIT;", "SQLite cannot restore it"),
        ("restored", b"BEGIN TRANSACTION;\nPRAGMA temp_store_directory = '/tmp';\nCOMMIT;", "not authorized"),
        ("restored", b"BEGIN TRANSACTION;\nINSERT INTO nowhere VALUES (1);\nCOMMIT;", "no such table: nowhere"),
        ("restored", b"BEGIN TRANSACTION;\nCOMMIT;", "it holds no table"),
    ],
    ids=itertools.count(),  # compressed bytes hold the time, and a name that changes is none
)
def test_what_is_no_whole_backup_is_told_apart(write: Write, look: Look, measure: str, content: bytes, reason: str) -> None:
    """Empty, broken off, damaged, another thing, hostile: each is unknown with its own reason."""
    write("dump", content)
    unit = {"age": "h", "bytes": "B"}.get(measure, "rows")
    assert reason in reason_of(*look(measure, unit))


def test_a_fresh_one_may_still_be_written(write: Write, look: Look) -> None:
    """That a backup of a few seconds breaks off may have that reason, and is said so."""
    write("dump.gz", gzip.compress(b"x" * 999)[:-5], hours=0.001)
    assert reason_of(*look("bytes", "B")).endswith("; it may still be written")


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_it_is_read_to_its_end(write: Write, look: Look, pack: Callable[[bytes], bytes]) -> None:
    """The bytes are those of the unpacked whole."""
    dump = dump_of_sqlite(1000)
    write("dump", pack(dump))
    assert value_of(*look("bytes", "B")) == len(dump)


@pytest.mark.parametrize(
    ("dump", "all_rows", "orders"),
    [(dump_of_sqlite(5), 5, 5), (PG, 4, 3), (MYSQL, 4, 3)],
    ids=["sqlite", "postgresql", "mysql"],
)
def test_the_rows_of_a_dump_are_counted(write: Write, look: Look, dump: bytes, all_rows: int, orders: int) -> None:
    """Each row counts once, whatever its text holds; of one table on request, and a table that is not there is unknown."""
    write("dump.gz", gzip.compress(dump))
    assert value_of(*look("rows", "rows")) == all_rows
    assert value_of(*look("rows", "", table="orders")) == orders
    assert "it holds no table gone" in reason_of(*look("rows", "rows", table="gone"))


def test_a_dump_of_sqlite_is_restored(write: Write, look: Look) -> None:
    """The rows are those of the database that the dump really makes."""
    write("dump.gz", gzip.compress(dump_of_sqlite(7)))
    assert value_of(*look("restored", "rows")) == 7
    assert value_of(*look("restored", "rows", table="users")) == 0
    assert "it holds no table gone" in reason_of(*look("restored", "rows", table="gone"))


def test_an_sqlite_database_is_opened_and_checked(write: Write, look: Look, tmp_path: Path) -> None:
    """A copy of a database is counted; one with damaged pages is unknown."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.executescript("CREATE TABLE orders (note TEXT);")
        database.executemany("INSERT INTO orders VALUES (?)", [("x" * 500,)] * 100)
        database.commit()
    whole = (tmp_path / "shop.db").read_bytes()
    write("shop.db.gz", gzip.compress(whole))
    for measure in ("rows", "restored"):
        assert value_of(*look(measure, "rows")) == 100
    damaged = whole[:8192] + b"\xff" * 4096 + whole[12288:]
    write("shop.db.gz", gzip.compress(damaged))
    assert "damaged" in reason_of(*look("rows", "rows")) or "cannot restore" in reason_of(*look("rows", "rows"))


def test_nothing_that_matches_is_unknown(look: Look, folder: Path) -> None:
    """No match, no folder and a path that leads out each say so."""
    assert "no file matches" in reason_of(*look("age", "h", path="{backups}/*.gz"))
    probe, unit, _ = look("age", "h")
    assert "No such file" in reason_of(probe, unit, settings({"backups": str(folder / "gone")}))
    outside = settings({"backups": str(folder), "name": "../../etc"})
    assert "leads out of" in reason_of({**probe, "path": "{backups}/{name}/passwd"}, unit, outside)


def test_a_setting_may_be_the_file_itself(write: Write) -> None:
    """A path that is only a setting is that file."""
    path = write("dump [1].sql", b"x", hours=3)
    assert value_of({"kind": "backup", "path": "{dump}"}, "h", settings({"dump": str(path)})) == 3


def test_a_backup_from_the_future_is_unknown(write: Write, look: Look) -> None:
    """A clock that is wrong makes no backup fresh."""
    write("dump", b"x", hours=-2)
    assert "in the future; one of the clocks is wrong" in reason_of(*look("age", "h"))


def test_a_bomb_ends_at_the_deadline(write: Write, look: Look) -> None:
    """What unpacks to very much is not read for longer than declared."""
    write("bomb.gz", gzip.compress(b"\0" * 400_000_000, 1))
    started = time.monotonic()
    assert "did not end within 100 ms" in reason_of(*look("bytes", "B", timeout="100ms"))
    assert time.monotonic() - started < 2


def test_no_more_than_the_cap_is_read(write: Write) -> None:
    """A backup beyond the cap is refused by its size."""
    path = write("big.gz", gzip.compress(b"\0" * 2_000_000))
    with pytest.raises(NotWhole, match="it holds more than 1 MB"):
        list(unpacked(path.resolve(), Reading(1_000_000, time.monotonic() + 10)))


@given(st.lists(st.binary(max_size=20), max_size=20))
def test_lines_are_whole_however_they_are_cut(chunks: list[bytes]) -> None:
    """Cutting the bytes elsewhere gives the same lines, and nothing is lost."""
    lines = list(lines_of(chunks))
    assert b"".join(lines) == b"".join(chunks)
    assert lines == list(lines_of([b"".join(chunks)]))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30), max_size=8))
def test_any_text_in_a_row_is_one_row(notes: list[str]) -> None:
    """Whatever texts a database holds, the rows in its dump are as many as in the database."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE notes (note TEXT)")
        database.executemany("INSERT INTO notes VALUES (?)", [(note,) for note in notes])
        dump = "\n".join(database.iterdump()).encode()
    assert Rows(Kind.SQLITE, "notes").count([dump]) == len(notes)
    assert "".join(sqlite_statements(lines_of([dump]))).encode() == dump


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "/srv/backups/*"}, "should match pattern"),
        ({"path": "{backups}/../*"}, "without `..`"),
        ({"measure": "age", "table": "orders"}, "expected no `table:`"),
        ({"measure": "rows", "scratch": "{scratch}"}, "expected no `scratch:`"),
        ({"measure": "restored", "scratch": "postgresql://host"}, "should match pattern"),
        ({"measure": "age", "previous": 3}, "expected no `previous:`"),
        ({"measure": "shrinkage", "previous": 2}, "expected `needs:` to be no more"),
    ],
)
def test_a_declaration_that_could_not_mean_what_it_says_is_refused(options: dict[str, Any], message: str) -> None:
    """Options stand beside their measure, and paths below a setting."""
    with pytest.raises(DataError, match=message):
        measured({"kind": "backup", "path": "{backups}/*", **options}, "")
