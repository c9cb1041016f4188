"""The journal on SQLite, to the same contract as on PostgreSQL (``tests/services``)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from checks.journal import Journal
from checks.model import Status
from tests.journal.contract import JournalContract
from tests.journal.samples import NOW, a_result, keep


class TestSqlite(JournalContract):
    pass


def test_sqlite_keeps_what_it_says_it_kept(journal: Journal, tmp_path: Path) -> None:
    """The file uses the rollback journal, and observations are stored by their key alone."""
    keep(journal, a_result())
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        (sql,) = raw.execute("SELECT sql FROM sqlite_master WHERE name = 'observations'").fetchone()
        assert "WITHOUT ROWID" in sql


def test_each_connection_is_strict(tmp_path: Path) -> None:
    """Foreign keys are enforced and commits are synced in full on every connection that the journal makes."""
    from checks.journal._engine import engine_for

    engine = engine_for(f"sqlite:///{tmp_path}/journal.db")
    for _ in range(2):
        with engine.connect() as connection:
            settings = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("foreign_keys", "synchronous")]
        assert settings == [1, 2]


def test_nothing_written_is_ever_changed(journal: Journal) -> None:
    """A run from its start to its end, an event and a claim add rows alone; only who is at work on what is ever changed."""
    told: list[str] = []
    sa.event.listen(journal._engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: told.append(statement))
    keep(journal, a_result(), a_result(status=Status.CRITICAL))
    journal.record_event("noted", NOW, "shop", "ada", {})
    assert journal.claim_slot("shop/morning", "sandbox", NOW, NOW, "x")
    journal.snapshot("sandbox")
    changes = {" ".join(s.split()[:3]) for s in told if s.split()[0] not in ("BEGIN", "INSERT", "SELECT")}
    assert changes == {"DELETE FROM leases"}
