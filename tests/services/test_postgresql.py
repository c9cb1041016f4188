"""The journal on a real PostgreSQL, to the same contract as on SQLite (``tests/journal``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from checks.errors import DataError, ServiceAway
from checks.journal import Journal, JournalMissing, _migrate, open_journal, spool
from checks.journal import _tables as t
from tests.journal import claimants
from tests.journal.contract import JournalContract
from tests.journal.crash_contract import CrashContract
from tests.journal.derived_contract import DerivedContract
from tests.journal.lease_contract import LeaseContract
from tests.journal.samples import NOW, a_result, a_run, ended, keep
from tests.journal.seal_contract import SealContract
from tests.services.conftest import Postgresql

pytestmark = pytest.mark.service


@pytest.fixture
def url(postgresql: Postgresql) -> str:
    return postgresql.new_database()


@pytest.fixture
def new_url(postgresql: Postgresql) -> Callable[[], str]:
    return postgresql.new_database


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    with open_journal(url) as opened:
        yield opened


class TestPostgresql(JournalContract):
    pass


class TestDerived(DerivedContract):
    pass


class TestSealed(SealContract):
    pass


class TestKilledWriters(CrashContract):
    pass


class TestLeases(LeaseContract):
    pass


def test_an_empty_database_is_made_a_journal_only_if_asked(url: str) -> None:
    """Reading an empty database says that nothing was recorded, and makes nothing."""
    with pytest.raises(JournalMissing):
        open_journal(url, create=False)
    with sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:")).connect() as connection:
        assert sa.inspect(connection).get_table_names() == []


def test_a_new_journal_is_what_the_migrations_lead_to(new_database: Callable[[], str]) -> None:
    """What is made at once in an empty database has the columns, constraints and indexes that the migrations make."""
    shapes = []
    for make in (_migrate.make, _migrate.upgrade):
        with sa.create_engine(new_database().replace("postgresql:", "postgresql+psycopg:")).begin() as connection:
            make(connection)
            shapes.append([connection.exec_driver_sql(question).fetchall() for question in _SHAPE])
    assert [len(found) > 16 for found in shapes[0]] == [True] * 3
    assert shapes[0] == shapes[1]


_SHAPE = (
    "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default"
    " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
    "SELECT conrelid::regclass::text, contype, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2, 3",
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
)


def test_processes_that_open_at_once_make_one_journal(url: str) -> None:
    """Several processes that open an empty database at the same moment all get the same journal; one claims the slot."""
    assert claimants.race(url, 4) == 1


def test_a_newer_schema_is_refused(journal: Journal, url: str) -> None:
    """A journal that a newer Proofbook wrote is not touched."""
    with sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:")).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DataError, match="newer Proofbook"):
        open_journal(url)


def test_a_server_that_went_away_is_told_and_found_again(postgresql: Postgresql, journal: Journal, url: str) -> None:
    """While the server is down the journal is away (69); when it is back the same journal works on."""
    done = keep(journal, a_result())
    postgresql.stop()
    try:
        with pytest.raises(ServiceAway) as told:
            journal.latest_runs("sandbox")
        with pytest.raises(ServiceAway):
            open_journal(url)
    finally:
        postgresql.start()
    assert told.value.exit_code == 69
    assert journal.latest_runs("sandbox") == {"shop/morning": done}


def test_a_server_that_goes_away_in_the_middle_of_a_run_loses_nothing(
    postgresql: Postgresql, journal: Journal, url: str, tmp_path: Path
) -> None:
    """An end that the server could not take waits in a file; whoever opens the journal when it is back writes it, once."""
    run = a_run()
    journal.start_run(run)
    done = ended(run)
    postgresql.stop()
    try:
        with pytest.raises(ServiceAway):
            journal.finish_run(done, [a_result()])
        spool.keep(tmp_path, done, [a_result()])
        with pytest.raises(ServiceAway):
            open_journal(url, state=tmp_path)
    finally:
        postgresql.start()
    with ThreadPoolExecutor(3) as pool:
        for opened in pool.map(lambda _: open_journal(url, state=tmp_path), range(3)):
            opened.close()
    assert journal.latest_runs("sandbox") == {"shop/morning": done}
    assert journal.results(run.id) == [a_result()]
    assert [event.kind for event in journal.events()] == ["run-ended"]
    assert spool.waiting(tmp_path) == []


_LONG = (
    "INSERT INTO series_days SELECT 1, 20514 - n, 1, 0, 0, 0 FROM generate_series(0, 20000) AS n ON CONFLICT DO NOTHING",
    "INSERT INTO stretches SELECT 1, 600000000, t, 'ms', 1, 1, 1, 1, t FROM series, LATERAL"
    " (SELECT :now - n * 600000000::bigint AS t FROM generate_series(1, 20000) AS n) AS minutes",
)


def test_a_question_of_one_metric_is_planned_once_however_long_its_history(journal: Journal) -> None:
    """Asked often, the database keeps its plan: to plan anew each time would cost more than to answer."""
    keep(journal, a_result())
    with journal._engine.begin() as connection:
        for statement in _LONG:
            connection.execute(sa.text(statement.replace(":now", str(t.to_micros(NOW)))))
        connection.execute(sa.text("ANALYZE"))
    for _ in range(25):
        assert journal.tally("shop/error-rate", "sandbox", NOW - timedelta(days=30)).total == 31
        (found,) = journal.stretches("sandbox", NOW - timedelta(days=1), timedelta(minutes=10), slug="shop/error-rate").values()
        assert len(found) == 145  # that of the one result among them
    plans = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%series.metric%'"
    with journal._engine.connect() as connection:
        kept = [tuple(row) for row in connection.execute(sa.text(plans))]
    assert len(kept) == 2
    assert all(generic > custom for generic, custom in kept), kept


def test_a_password_is_never_shown() -> None:
    """The address in an error of a database that does not answer has no password in it."""
    with pytest.raises(ServiceAway) as told:
        open_journal("postgresql://ada:hunter2@127.0.0.1:1/journal")
    assert "127.0.0.1" in str(told.value)
    assert "hunter2" not in str(told.value)
