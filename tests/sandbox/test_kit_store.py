"""Rows, logs, dumps and faults of a stand-in."""

from __future__ import annotations

import gzip
import json
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from checks.sandbox.kit_store import Database, Faults, JsonLog, dump


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A database with three notes."""
    made = Database(tmp_path / "notes.db")
    made.script("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    made.many("INSERT INTO note (text) VALUES (?)", [("one",), ("two",), ("it's three",)])
    return made


def lines_of(path: Path) -> list[dict[str, object]]:
    """The lines of a JSON log."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_dump_restores_to_the_same_rows_and_says_how_many_there_are(database: Database, tmp_path: Path) -> None:
    """What is dumped can be restored whole, and its last line holds each table's number of rows."""
    path = dump(database.path, tmp_path / "backups", name="notes")

    text = gzip.decompress(path.read_bytes()).decode()
    with closing(sqlite3.connect(":memory:")) as restored:
        restored.executescript(text)
        assert restored.execute("SELECT text FROM note ORDER BY id").fetchall() == [("one",), ("two",), ("it's three",)]
    assert json.loads(text.rstrip().rpartition("-- rows ")[2]) == {"note": 3}


def test_a_dump_that_breaks_off_cannot_be_restored(database: Database, tmp_path: Path) -> None:
    """A dump that was cut short is a file that no one can unpack."""
    path = dump(database.path, tmp_path / "backups", name="notes", break_off_at=40)

    assert path.stat().st_size == 40
    with pytest.raises((EOFError, zlib.error)):
        gzip.decompress(path.read_bytes())


def test_only_the_newest_dumps_are_kept(database: Database, tmp_path: Path) -> None:
    """Dumps beyond the number to keep are removed, oldest first, and other files stay."""
    folder = tmp_path / "backups"
    folder.mkdir()
    for day in (1, 2, 3):
        (folder / f"notes-2020010{day}T000000Z.sql.gz").write_bytes(b"old")
    (folder / "other.sql.gz").write_bytes(b"not ours")

    newest = dump(database.path, folder, name="notes", keep=2)

    assert sorted(path.name for path in folder.iterdir()) == ["notes-20200103T000000Z.sql.gz", newest.name, "other.sql.gz"]


def test_many_rows_are_stored_all_or_none(database: Database) -> None:
    """When one of many rows is refused, none of them is stored."""
    with pytest.raises(sqlite3.IntegrityError):
        database.many("INSERT INTO note (text) VALUES (?)", [("four",), (None,)])

    assert database.value("SELECT count(*) FROM note") == 3


def test_a_log_turns_over_at_its_bound(tmp_path: Path) -> None:
    """A log that has reached its bound begins anew, and so many of its older files stay as it was told."""
    log = JsonLog(tmp_path / "app.jsonl", bound=300, keep=2)
    for number in range(40):
        log.info("line", number=number)
    log.close()

    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["app.jsonl", "app.jsonl.1", "app.jsonl.2"]
    assert all(path.stat().st_size < 400 for path in tmp_path.iterdir())
    numbers = [line["number"] for name in reversed(files) for line in lines_of(tmp_path / name)]
    assert numbers == list(range(40))[-len(numbers) :]


def test_a_repeated_error_is_counted_and_not_written(tmp_path: Path) -> None:
    """An exact repetition within the quiet time leaves no line, and the next line that is written says how many there were."""
    log = JsonLog(tmp_path / "app.jsonl", quiet_for=600)
    for _ in range(5):
        log.error("engine away")
    log.error("something else")
    log.info("said twice")
    log.info("said twice")

    assert [line["message"] for line in lines_of(log.path)] == ["engine away", "something else", "said twice", "said twice"]
    log.quiet_for = 1e-9
    log.error("engine away")
    assert lines_of(log.path)[-1]["repeated"] == 4


def test_faults_are_kept_where_the_next_process_finds_them(tmp_path: Path) -> None:
    """A fault switched on by one process is on for another, keeps since when, and is off after healing."""
    path = tmp_path / "faults.json"
    Faults(path).add("errors")
    since = Faults(path).since()["errors"]
    Faults(path).add("slow")
    Faults(path).add("errors")

    other = Faults(path, look_every=0)
    assert other.on() == {"errors", "slow"}
    assert other.since()["errors"] == since
    other.remove("slow")
    assert "slow" not in Faults(path)
    assert "errors" in Faults(path)
    other.remove()
    assert Faults(path).on() == frozenset()


def test_a_broken_fault_file_is_no_fault(tmp_path: Path) -> None:
    """A fault file cut short by a crash reads as no fault, and the next one that is switched on is kept."""
    path = tmp_path / "faults.json"
    path.write_text('{"err', encoding="utf-8")

    assert Faults(path).on() == frozenset()
    Faults(path).add("slow")
    assert Faults(path).on() == {"slow"}
