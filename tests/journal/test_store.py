"""The journal on SQLite, to the same contract as on PostgreSQL (``tests/services``)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from checks.journal import Journal, Sample, _tables, open_journal
from checks.journal._walk import Judged, walk
from checks.model import Status
from tests.journal.contract import JournalContract
from tests.journal.derived_contract import DerivedContract
from tests.journal.samples import NOW, a_result, keep
from tests.journal.seal_contract import SealContract


class TestSqlite(JournalContract):
    pass


class TestDerived(DerivedContract):
    pass


class TestSealed(SealContract):
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
    """Facts are told by adding rows alone; only what follows from them, and who is at work on what, is ever changed."""
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
    assert {one.split()[2] for one in changing} <= {"leases", "heads", "seals", *(table.name for table in _tables.DERIVED)}


_MINUTES = "WITH RECURSIVE m(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM m WHERE n < :last)"
_LONG = (
    f'{_MINUTES} INSERT INTO runs (id, runbook, system, environment, "trigger", started_at, parameters, source, host, actor)'
    " SELECT 'r' || n, 'shop/book-' || n % 2, 'shop', 'sandbox', 'schedule', :now - n * 60000000, '{}', '', '', '' FROM m",
    f"{_MINUTES} INSERT INTO run_ends (run_id, state, status, ended_at, reason)"
    " SELECT 'r' || n, CASE n % 50 WHEN 7 THEN 'failed' ELSE 'finished' END, 'ok', :now - n * 60000000, '' FROM m",
    f"{_MINUTES} INSERT INTO observations SELECT 1, :now - n * 60000000, 0.4, '%', NULL FROM m",
    f"{_MINUTES} INSERT INTO results (run_id, series, title, status, reason, judged_at, measured_at, value, unit, took, source,"
    " detail, warning, critical) SELECT 'r' || n, 1, 'Error rate', CASE n % 60 WHEN 3 THEN 'warning' ELSE 'ok' END, '',"
    " :now - n * 60000000, :now - n * 60000000, 0.4, '%', 0.1, '', '', '>= 1 %', '> 10 %' FROM m ORDER BY n DESC",
    f"{_MINUTES} INSERT INTO events (kind, at, subject, actor, detail)"
    " SELECT 'run-ended', :now - n * 60000000, 'r' || n, '', '{}' FROM m",
    f"{_MINUTES} INSERT INTO slots (environment, runbook, due_at, claimed_at, owner)"
    " SELECT 'sandbox', 'shop/book-' || n % 2, :now - n * 60000000, :now, '' FROM m",
)


def _count(steps: list[int]) -> int:
    steps.append(1)
    return 0  # go on


def _steps(folder: Path, minutes: int) -> dict[str, int]:
    """How many steps SQLite takes to answer each question about a metric that was measured for so many minutes."""
    with open_journal(f"sqlite:///{folder}/{minutes}.db") as journal:
        with closing(sqlite3.connect(f"{folder}/{minutes}.db")) as raw, raw:
            raw.execute("INSERT INTO series VALUES (1, 'sandbox', 'shop', 'error-rate')")
            for statement in _LONG:
                given = {"last": minutes - 1, "now": _tables.to_micros(NOW)}
                raw.execute(statement, {key: value for key, value in given.items() if f":{key}" in statement})
        journal.rebuild()
        told: list[tuple[str, Any]] = []
        sa.event.listen(journal._engine, "before_cursor_execute", lambda _c, _cur, text, values, *_: told.append((text, values)))
        hour, day = NOW - timedelta(hours=1), NOW - timedelta(days=1)
        questions: dict[str, Callable[[], object]] = {
            "snapshot": lambda: journal.snapshot("sandbox"),
            "last critical": lambda: journal.last_critical("sandbox"),
            "last seen": lambda: journal.last_seen("sandbox"),
            "ever measured": lambda: journal.ever_measured("sandbox"),
            "newest": lambda: journal.newest("sandbox"),
            "daily worst": lambda: journal.daily_worst("sandbox", day),
            "tally": lambda: journal.tally("shop/error-rate", "sandbox", day),
            "tallies": lambda: journal.tallies("sandbox", day),
            "observations": lambda: journal.observations("shop/error-rate", "sandbox", hour),
            "stretches": lambda: journal.stretches("sandbox", hour, timedelta(hours=1)),
            "limits": lambda: journal.limits_in_force("sandbox"),
            "changes": lambda: journal.status_changes("sandbox", hour),
            "the newest changes": lambda: journal.status_changes("sandbox", NOW - timedelta(days=99), limit=2),
            "runs": lambda: journal.runs(runbook="shop/book-1", environment="sandbox", limit=3),
            "last slots": lambda: journal.last_slots("sandbox", NOW),
            "newest runs": lambda: journal.bulk("sandbox").latest_runs(["shop/book-0", "shop/book-1"], 20),
            "marks": lambda: journal.bulk("sandbox").marks(20),
            "seen": lambda: journal.bulk("sandbox").seen(hour),
            "events": lambda: journal.events(kind="checklist-signed"),
            "events of a run": lambda: journal.events(subject="r7"),
            "abandoned": lambda: journal.abandoned(NOW),
            "lapse": lambda: journal.lapse_slots(NOW),
        }
        found = {}
        with closing(sqlite3.connect(f"{folder}/{minutes}.db", isolation_level=None)) as raw:
            for name, ask in questions.items():
                told.clear()
                ask()
                steps: list[int] = []
                raw.set_progress_handler(partial(_count, steps), 1)
                for text, values in told:
                    if text.split()[0] in ("SELECT", "WITH"):
                        raw.execute(text, values).fetchall()
                raw.set_progress_handler(None, 0)
                found[name] = len(steps)
    return found


def test_no_question_reads_a_history(tmp_path: Path) -> None:
    """Whatever is asked of a journal takes as many steps after three days of minutes as after three hours."""
    short, long = _steps(tmp_path, 180), _steps(tmp_path, 4320)
    assert all(short.values())
    grown = {name: (short[name], long[name]) for name in short if long[name] > 1.5 * short[name] + 30}
    assert grown == {}


@given(
    st.lists(st.sampled_from(Status), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(Status), st.sampled_from([None, "> 1 %"])), max_size=12),
)
def test_a_walk_in_two_parts_is_one_walk(first: list[Status], rest: list[tuple[int, Status, str | None]]) -> None:
    """Going along results in two parts finds the changes that one walk along all of them finds."""
    early = [Judged(number, number, status, None, "> 9 %") for number, status in enumerate(first)]
    later = [Judged(100 + number, 20 + hours, status, warning, "> 9 %") for number, (hours, status, warning) in enumerate(rest)]
    whole, one = walk(None, [*later, *early]), walk(None, early)
    two = walk(one.last, later)
    assert whole.changed == one.changed + two.changed
    assert whole.judged_by == one.judged_by + two.judged_by
    assert whole.last == two.last
    assert whole.changed[0] == (early[0], None)
