"""Opening a journal: made, migrated, or refused with what to do."""

from __future__ import annotations

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from checks.errors import Busy, CannotWrite, DataError, ProofbookError, ServiceAway, UsageError
from checks.journal import JournalMissing, Tally, _engine, _migrate, _tables, open_journal
from tests.journal import claimants
from tests.journal.samples import NOW, a_result, a_run, ended, keep


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def test_an_empty_place_becomes_a_journal(url: str) -> None:
    """Opening makes the folder, the file (for its owner only) and the tables, and opening again changes nothing."""
    open_journal(url).close()
    assert stat.S_IMODE(_file(url).stat().st_mode) == 0o600
    before = _file(url).read_bytes()
    open_journal(url).close()
    assert _file(url).read_bytes() == before


def test_reading_makes_nothing(url: str) -> None:
    """A journal that is not there is missing (69) when only reading is wanted, and no file appears."""
    with pytest.raises(JournalMissing) as told:
        open_journal(url, create=False)
    assert told.value.exit_code == 69
    assert "proofbook run" in str(told.value)
    assert not _file(url).exists()


def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    """The schema that the migrations lead to is the declared one, column by column, and its last number is the code's."""
    engine = _engine.engine_for(f"sqlite:///{tmp_path}/journal.db")
    with _engine.writing(engine) as connection:
        _migrate.upgrade(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, _tables.metadata) == []
    config = Config()
    config.set_main_option("script_location", str(Path(_migrate.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == _tables.HEAD
    assert {script.revision for script in scripts.walk_revisions()} == _tables.KNOWN


def test_a_new_journal_is_what_the_migrations_lead_to(tmp_path: Path) -> None:
    """What is made at once in an empty place has the tables, columns, keys and indexes that the migrations make, all of them."""
    shapes = []
    for name, make in (("made", _migrate.make), ("migrated", _migrate.upgrade)):
        engine = _engine.engine_for(f"sqlite:///{tmp_path}/{name}.db")
        with _engine.writing(engine) as connection:
            make(connection)
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as raw:
            shapes.append(_shape(raw))
    assert len(shapes[0]) > 16
    assert shapes[0] == shapes[1]


def _shape(raw: sqlite3.Connection) -> dict[str, object]:
    """The tables: columns in any order, keys, references, indexes with what they leave out; and the schema's number."""

    def asked(pragma: str, name: str) -> list[Any]:
        return raw.execute(f"SELECT * FROM pragma_{pragma}(?)", (name,)).fetchall()

    found: dict[str, object] = {"version": raw.execute("SELECT version_num FROM alembic_version").fetchall()}
    for _, table, kind, _, without_rowid, strict in raw.execute("SELECT * FROM pragma_table_list WHERE schema = 'main'"):
        indexes = {
            name if origin == "c" else origin: (unique, partial, [column[2] for column in asked("index_info", name)])
            for _, name, unique, origin, partial in asked("index_list", table)
        }
        references = sorted(reference[2:] for reference in asked("foreign_key_list", table))
        columns = sorted(column[1:] for column in asked("table_info", table))
        found[table] = (kind, without_rowid, strict, columns, indexes, references)
    where = "SELECT name, substr(sql, instr(sql, 'WHERE')) FROM sqlite_master WHERE type = 'index' AND sql LIKE '%WHERE%'"
    found["parts"] = raw.execute(where).fetchall()
    return found


def test_an_older_journal_is_copied_and_then_migrated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the schema moves, the file is copied beside itself, readable by its owner only; every fact is in both."""
    with open_journal(url) as journal:
        done = keep(journal, a_result())
    monkeypatch.setattr(_migrate, "HEAD", "next")
    monkeypatch.setattr(_migrate, "KNOWN", frozenset({_tables.HEAD, "next"}))
    monkeypatch.setattr(_migrate, "upgrade", _add_a_column)
    with open_journal(url) as journal:
        assert journal.run(done.id) == done
    (copy,) = _file(url).parent.glob(f"journal-schema-{_tables.HEAD}-*.db")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as old, closing(sqlite3.connect(_file(url))) as new:
        assert old.execute("SELECT id FROM runs").fetchall() == [(done.id,)]
        assert old.execute("SELECT version_num FROM alembic_version").fetchone() == (_tables.HEAD,)
        assert new.execute("SELECT version_num FROM alembic_version").fetchone() == ("next",)


def test_a_first_journal_is_brought_up_to_date(url: str) -> None:
    """What the very first schema held is read as before; what it could not hold is absent."""
    engine = _engine.engine_for(url)
    _engine.make_file(_file(url))
    with _engine.writing(engine) as connection:
        _migrate.upgrade(connection, "0001")
        connection.execute(
            sa.text("INSERT INTO runs VALUES ('01', 'shop/morning', 'shop', 'sandbox', 'command', 5, '{}', '', '', '');")
        )
        connection.execute(sa.text("INSERT INTO series VALUES (1, 'sandbox', 'shop', 'error-rate')"))
        connection.execute(
            sa.text(
                "INSERT INTO results"
                " (run_id, series, title, status, reason, judged_at, measured_at, value, unit, took, source, detail)"
                " VALUES ('01', 1, 'Error rate', 'ok', 'fine', 5, 5, 0.4, '%', 0.1, 'a test', '')"
            )
        )
        connection.execute(sa.text("INSERT INTO observations VALUES (1, 5, 0.4, '%')"))
        connection.execute(sa.text("INSERT INTO run_ends VALUES ('01', 'finished', 'ok', 6, '', NULL)"))
        connection.execute(sa.text("INSERT INTO events VALUES (1, 'run-ended', 6, '01', 'ada', '{\"status\": \"ok\"}')"))
    engine.dispose()
    with open_journal(url, create=False) as journal:
        (result,) = journal.results("01")
        assert (result.reason, result.baseline) == ("fine", None)
        assert journal.latest_results("sandbox")["shop/error-rate"].result == result
        assert journal.status_since("sandbox") == {"shop/error-rate": result.judged_at}
        assert journal.tally("shop/error-rate", "sandbox", result.judged_at) == Tally(ok=1)
        (stretch,) = journal.stretches("sandbox", result.judged_at - timedelta(hours=1), timedelta(hours=1))["shop/error-rate"]
        told = journal.verify(None)
        assert (told.findings, told.number, told.unsealed) == ([], 1, 1)
    assert (stretch.mean, stretch.count) == (0.4, 1)
    assert result.observation is not None
    assert (result.observation.value, result.observation.samples) == (0.4, None)
    (copy,) = _file(url).parent.glob("journal-schema-0001-*.db")
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("SELECT count(*) FROM results").fetchone() == (1,)


def test_what_was_derived_under_an_older_schema_is_derived_anew(url: str) -> None:
    """A journal whose derived tables another schema made, and filled, says the same after it was brought up to date."""
    engine = _engine.engine_for(url)
    _engine.make_file(_file(url))
    with _engine.writing(engine) as connection:
        _migrate.upgrade(connection, "0005")
        for statement in (
            "INSERT INTO series VALUES (1, 'sandbox', 'shop', 'error-rate')",
            "INSERT INTO results (id, series, title, status, reason, judged_at) VALUES (1, 1, 'Errors', 'unknown', 'gone', 5)",
            "INSERT INTO latest (series, result, judged_at, status, since, seen_at, title) VALUES (1, 1, 5, 'ok', 5, 5, 'E')",
            "INSERT INTO status_changes VALUES (1, 5, 1, 'unknown', NULL)",
            "INSERT INTO limit_changes VALUES (1, 5, 1, NULL, NULL)",
            "INSERT INTO series_days VALUES (1, 0, 0, 0, 0, 1)",
            "INSERT INTO stretches VALUES (1, 600000000, 0, '%', 1, 0, 0, 0, 5)",
        ):
            connection.execute(sa.text(statement))
    engine.dispose()
    with open_journal(url, create=False) as journal:
        recorded = journal.latest_results("sandbox")["shop/error-rate"]
        assert (recorded.result.title, recorded.result.reason, recorded.run_id) == ("Errors", "gone", "")
        (change,) = journal.status_changes("sandbox", recorded.result.judged_at)
        assert change.result == recorded.result
        assert journal.stretches("sandbox", recorded.result.judged_at - timedelta(hours=1), timedelta(hours=1)) == {}


def _add_a_column(connection: sa.Connection) -> None:
    Operations(MigrationContext.configure(connection)).add_column("runs", sa.Column("fresh", sa.Text))
    connection.execute(sa.text("UPDATE alembic_version SET version_num = 'next'"))


def test_a_migration_that_fails_changes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a migration breaks off, the journal is as it was."""
    open_journal(url).close()
    before = _file(url).read_bytes()

    def break_off(connection: sa.Connection) -> None:
        _add_a_column(connection)
        raise RuntimeError("power cut")

    monkeypatch.setattr(_migrate, "HEAD", "next")
    monkeypatch.setattr(_migrate, "upgrade", break_off)
    with pytest.raises(RuntimeError, match="power cut"):
        open_journal(url)
    assert _file(url).read_bytes() == before


def test_a_newer_journal_is_refused(url: str) -> None:
    """A journal of a newer Proofbook is not touched; the error says what to upgrade."""
    open_journal(url).close()
    with closing(sqlite3.connect(_file(url))) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    before = _file(url).read_bytes()
    with pytest.raises(DataError, match="newer Proofbook") as told:
        open_journal(url)
    assert "found: schema 9999" in str(told.value)
    assert "upgrade Proofbook" in str(told.value)
    assert _file(url).read_bytes() == before


def test_the_database_of_another_program_is_refused(url: str) -> None:
    """A database with tables of something else is left alone."""
    _file(url).parent.mkdir()
    with closing(sqlite3.connect(_file(url))) as raw, raw:
        raw.execute("CREATE TABLE customers (name)")
    with pytest.raises(DataError, match="belongs to something else") as told:
        open_journal(url)
    assert "customers" in str(told.value)


def test_a_file_that_is_no_database_is_refused(url: str) -> None:
    """A damaged or foreign file is told as such, with the remedy, and is not written over."""
    _file(url).parent.mkdir()
    _file(url).write_bytes(b"This was a journal once. " * 200)
    with pytest.raises(DataError, match="damaged, or is not a journal") as told:
        open_journal(url)
    assert "backup" in str(told.value)
    assert _file(url).read_bytes().startswith(b"This was")


def test_a_damaged_journal_is_named_when_it_cannot_be_copied(url: str, tmp_path: Path) -> None:
    """A backup of a journal that cannot be read is not made, and what is said names the journal and not the copy."""
    with open_journal(url) as journal:
        with closing(sqlite3.connect(_file(url))) as raw:
            (size,) = raw.execute("PRAGMA page_size").fetchone()
            (page,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events'").fetchone()
        with _file(url).open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"Z" * size)
        with pytest.raises(DataError, match="damaged") as told:
            journal.back_up(tmp_path / "backup.db")
    assert told.value.where == url
    assert "backup.db" not in str(told.value)
    assert list(tmp_path.glob("*backup*")) + list(tmp_path.glob(".*backup*")) == []


@pytest.mark.parametrize(
    ("url", "kind", "text"),
    [
        ("sqlite://", UsageError, "needs a file"),
        ("sqlite:///:memory:", UsageError, "needs a file"),
        ("mysql://ada:hunter2@db/journal", UsageError, "sqlite or postgresql"),
        ("not an address", UsageError, "cannot be read"),
        ("sqlite:////proc/none/journal.db", CannotWrite, "cannot be made"),
    ],
)
def test_an_address_that_cannot_work_is_refused(url: str, kind: type[ProofbookError], text: str) -> None:
    """An address without a lasting, known and writable database is refused, and no password is repeated."""
    with pytest.raises(kind, match=text) as told:
        open_journal(url)
    assert "hunter2" not in str(told.value)


def test_a_journal_that_is_held_is_busy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another process holds the journal for longer than one waits, the error is busy (75), and nothing is written."""
    monkeypatch.setattr(_engine, "BUSY_TIMEOUT", 0.05)
    with open_journal(url) as journal:
        run = a_run()
        with closing(sqlite3.connect(_file(url), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(Busy) as told:
                journal.start_run(run)
        assert told.value.exit_code == 75
        assert journal.runs() == []
        journal.start_run(run)
        assert journal.runs() == [run]


def test_a_writer_waits_for_another(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends while another process is writing waits for it, and both are kept."""
    monkeypatch.setattr(_engine, "BUSY_TIMEOUT", 5.0)
    with open_journal(url) as journal, ThreadPoolExecutor(1) as pool:
        run = a_run()
        journal.start_run(run)
        with closing(sqlite3.connect(_file(url), isolation_level=None, timeout=5.0, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO events (kind, at, subject, actor, detail) VALUES ('noted', 0, 's', 'a', '{}')")
            finishing = pool.submit(journal.finish_run, ended(run), [a_result()])
            with pytest.raises(TimeoutError):
                finishing.result(timeout=0.3)
            other.execute("COMMIT")
            finishing.result(timeout=10)
        assert {event.kind for event in journal.events()} == {"noted", "run-ended"}


def test_a_journal_that_vanished_is_told(url: str) -> None:
    """A table that is gone from under an open journal is told as the database's trouble, not as a traceback."""
    with open_journal(url) as journal:
        with closing(sqlite3.connect(_file(url))) as raw, raw:
            raw.execute("DROP TABLE events")
        with pytest.raises(ServiceAway, match="does not answer"):
            journal.events()


def test_facts_cannot_point_at_nothing(url: str) -> None:
    """The database itself refuses a result of a run that does not exist."""
    with open_journal(url) as journal, pytest.raises(sa.exc.IntegrityError), _engine.writing(journal._engine) as connection:
        connection.execute(sa.insert(_tables.run_ends), {**_end_of_nothing()})


def _end_of_nothing() -> dict[str, object]:
    from checks.journal._rows import end_row

    return end_row(ended(a_run(NOW)))


def test_processes_that_open_at_once_make_one_journal(url: str) -> None:
    """Several processes that open a journal that is not there yet all get the same one; one of them claims the slot."""
    assert claimants.race(url, 3) == 1
