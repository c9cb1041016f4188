"""The journal on SQLite, to the same contract as on PostgreSQL (``tests/services``)."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from checks.journal import Journal, Sample, _tables
from checks.journal._walk import Judged, walk
from checks.model import Status
from tests.journal.contract import JournalContract
from tests.journal.derived_contract import DerivedContract
from tests.journal.samples import NOW, a_result, keep


class TestSqlite(JournalContract):
    pass


class TestDerived(DerivedContract):
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
    """Facts are told by adding rows alone; only what is derived from them, and who is at work on what, is ever changed."""
    told: list[str] = []
    sa.event.listen(journal._engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: told.append(statement))
    keep(journal, a_result(), a_result(status=Status.CRITICAL))
    keep(journal, a_result(at=NOW - timedelta(hours=1)), at=NOW - timedelta(hours=1))  # late: what was derived is drawn anew
    journal.record_samples("sandbox", [Sample(a_result(at=NOW + timedelta(hours=1)), timedelta(minutes=15))])
    journal.record_event("noted", NOW, "shop", "ada", {})
    assert journal.claim_slot("shop/morning", "sandbox", NOW, NOW, "x")
    journal.snapshot("sandbox")
    assert {statement.split()[0] for statement in told} == {"BEGIN", "INSERT", "DELETE", "SELECT", "WITH"}
    changing = [one for one in told if one.startswith("DELETE") or "DO UPDATE" in one]
    assert changing
    assert {one.split()[2] for one in changing} <= {"leases", *(table.name for table in _tables.DERIVED)}


def test_no_question_reads_a_history(journal: Journal, tmp_path: Path) -> None:
    """Whatever is asked of a journal is found by seeks: no table that grows with the history is read from end to end."""
    for hours in range(3):
        keep(journal, a_result(at=NOW + timedelta(hours=hours)), at=NOW + timedelta(hours=hours))
    told: list[tuple[str, Any]] = []
    sa.event.listen(journal._engine, "before_cursor_execute", lambda _c, _cursor, text, values, *_: told.append((text, values)))
    journal.snapshot("sandbox")
    journal.last_critical("sandbox")
    journal.ever_measured("sandbox")
    journal.daily_worst("sandbox", NOW)
    journal.tally("shop/error-rate", "sandbox", NOW)
    journal.tallies("sandbox", NOW)
    journal.observations("shop/error-rate", "sandbox", NOW)
    journal.stretches("sandbox", NOW, timedelta(hours=1))
    journal.stretches("sandbox", NOW, timedelta(hours=1), slug="shop/error-rate")
    journal.limits_in_force("sandbox")
    journal.status_changes("sandbox", NOW)
    journal.runs(runbook="shop/morning", environment="sandbox")
    journal.last_slots("sandbox")
    journal.last_slots("sandbox", NOW)
    journal.newest("sandbox")
    journal.abandoned(NOW)
    journal.lapse_slots(NOW)
    reading = [(text, values) for text, values in told if text.split()[0] in ("SELECT", "WITH")]
    assert len(reading) == 19
    grown = "runs|run_ends|results|observations|stretches|series_days|slots|events"
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as raw:
        for text, values in reading:
            plan = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {text}", values)]
            assert plan
            assert not [line for line in plan if re.search(rf"SCAN (\w+ AS )?({grown})(_\d+)?\b(?! USING.*_by_time)", line)], plan


@given(
    st.lists(st.sampled_from(Status), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(Status), st.sampled_from([None, "> 1 %"])), max_size=12),
)
def test_a_walk_in_two_parts_is_one_walk(first: list[Status], rest: list[tuple[int, Status, str | None]]) -> None:
    """Going along results in two parts finds the changes that one walk along all of them finds."""
    early = [Judged(number, NOW + timedelta(hours=number), status, None, "> 9 %") for number, status in enumerate(first)]
    later = [
        Judged(100 + number, NOW + timedelta(hours=20 + hours), status, warning, "> 9 %")
        for number, (hours, status, warning) in enumerate(rest)
    ]
    whole, one = walk(None, [*later, *early]), walk(None, early)
    two = walk(one.last, later)
    assert whole.changed == one.changed + two.changed
    assert whole.judged_by == one.judged_by + two.judged_by
    assert whole.last == two.last
    assert whole.changed[0] == (early[0], None)
