"""What is changed behind the journal's back is found, on every database; a test class of each database inherits these."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from checks.errors import CannotWrite, DataError, Refused, UsageError
from checks.journal import Journal, Sample, open_journal
from checks.journal._engine import writing
from checks.journal.verify import Noted, Verified
from checks.model import BaselineUsed, RunState, Status
from tests.journal.samples import NOW, a_result, a_run, ended, keep

HOUR = timedelta(hours=1)
# What somebody does to the database; words of where it must be found, and of what.
TAMPERINGS = {
    "a value": ("UPDATE results SET value = 0.5 WHERE id = 2", "result 2 of shop/latency", "0.5 %"),
    "a status": ("UPDATE results SET status = 'ok' WHERE id = 1", "result 1 of shop/error-rate", "now it says ok"),
    "a limit": ("UPDATE results SET critical = '> 99 ms' WHERE id = 1", "result 1 of", "not what was written"),
    "a baseline": ("UPDATE results SET baseline = NULL WHERE id = 2", "result 2 of", "not what was written"),
    "the name of a metric": ("UPDATE series SET metric = 'other' WHERE metric = 'latency'", "shop/other", "not what was written"),
    "a run's reason": ("UPDATE run_ends SET reason = 'all well'", "run 01", "its beginning, its end"),
    "a run's parameters": ("UPDATE runs SET parameters = '{}'", "run 01", "its beginning, its end"),
    "a result that is gone": (
        "DELETE FROM latest; DELETE FROM status_changes; DELETE FROM limit_changes; DELETE FROM results WHERE id = 2",
        "run 01",
        "the list of its results",
    ),
    "an end that is gone": ("DELETE FROM run_ends", "run 01", "its end is gone"),
    "an observation": (
        "UPDATE observations SET value = 0.25 WHERE value = 9",
        "shop/error-rate in sandbox, the hour from",
        "at least one",
    ),
    "an observation of a run": ("UPDATE observations SET value = 0.25 WHERE value = 0.4", "the hour from", "its result says 0.4"),
    "an observation that is gone": ("DELETE FROM observations WHERE value = 9", "the hour from", "there are"),
    "an observation that was put in": (
        "INSERT INTO observations VALUES (1, 5, 0.1, 'ms', 'ok')",
        "1970-01-01",
        "there are 1 values, and 0",
    ),
    "an event": ("UPDATE events SET actor = 'eve' WHERE kind = 'noted'", "event 3, noted of shop/1", "changed"),
    "an event's detail": ("UPDATE events SET detail = '[]' WHERE id = 3", "event 3", "changed"),
    "an event that is gone": ("DELETE FROM events WHERE id = 3", "event 4, noted of shop/2", "event 3 was taken out"),
    "the last event": ("DELETE FROM events WHERE id = 5", "the end of the chain", "1 of 5 events were taken out after event 4"),
    "two events that changed places": (
        "UPDATE events SET id = 40 WHERE id = 4",
        "event 5, noted of shop/3",
        "does not follow event 3",
    ),
    "what is derived": ("UPDATE latest SET status = 'unknown' WHERE series = 1", "the table latest", "rebuild"),
    "a count of a day": ("UPDATE series_days SET ok = 99", "the table series_days", "rebuild"),
}


def tell_a_story(journal: Journal) -> None:
    """A run of two results, samples in the hour after, and four events beside the end of the run."""
    journal.record_event("noted", NOW, "shop/0", "ada", {"note": "größer", "value": 0.1})
    baseline = BaselineUsed(0.1 + 0.2, "%", 412, "median of 28 d")
    keep(journal, a_result(status=Status.CRITICAL), a_result("latency", baseline=baseline), id="01ARZ3NDEKTSV4RRFFQ69G5FAV")
    samples = [a_result(at=NOW + HOUR + timedelta(minutes=minutes), value=float(minutes)) for minutes in (7, 9)]
    journal.record_samples("sandbox", [Sample(one, HOUR) for one in samples])
    for number in (1, 2, 3):
        journal.record_event("noted", NOW, f"shop/{number}", "ada", {})


def tampered(journal: Journal, statement: str) -> Verified:
    with writing(journal._engine) as connection:
        for one in statement.split(";"):
            connection.exec_driver_sql(one)
    return journal.verify(None)


class SealContract:
    def test_what_is_as_it_was_written_has_nothing_to_tell(self, journal: Journal) -> None:
        """Runs, samples, late results, lost runs, odd values and what several wrote at once verify without a finding."""
        tell_a_story(journal)
        keep(
            journal,
            a_result(value=float("inf")),
            a_result("none", value=float("nan")),
            a_result("zero", value=-0.0),
            at=NOW - HOUR,
        )
        lost = a_run(NOW + HOUR)
        journal.start_run(lost)
        journal.finish_run(ended(lost, Status.UNKNOWN, state=RunState.LOST), [])
        told = journal.verify(None)
        assert told.findings == []
        assert (told.runs, told.results, told.number, told.unsealed) == (3, 6, 7, 0)
        assert told.observations == 5

    @pytest.mark.parametrize("what", TAMPERINGS)
    def test_what_was_changed_is_found_where_it_is(self, journal: Journal, what: str) -> None:
        """Whatever is changed, put in or taken out behind the journal's back, verifying says where and what."""
        tell_a_story(journal)
        statement, where, said = TAMPERINGS[what]
        found = tampered(journal, statement).findings
        assert any(where in one.where and said in one.what for one in found), found

    def test_what_is_broken_in_the_chain_is_told_once(self, journal: Journal) -> None:
        """An event that was taken out is one finding, at the event behind it; what follows still fits."""
        tell_a_story(journal)
        (finding,) = tampered(journal, "DELETE FROM events WHERE id = 3").findings
        assert finding.where.startswith("event 4")

    def test_a_run_that_was_taken_out_is_missed(self, journal: Journal) -> None:
        """A run that is gone with all it found is known by the event that noted its end."""
        tell_a_story(journal)
        with writing(journal._engine) as connection:
            for table in ("latest", "status_changes", "limit_changes", "results", "run_ends", "runs"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
        found = journal.verify(None).findings
        assert any(one.where == "run 01ARZ3NDEKTSV4RRFFQ69G5FAV" and "taken out" in one.what for one in found)

    def test_a_chain_that_was_written_anew_is_found_by_its_head(self, journal: Journal) -> None:
        """Whoever kept a head of the chain finds that the events before it are not those of then."""
        tell_a_story(journal)
        head = journal.verify(None)
        noted = Noted(head.number, head.head[:12])
        journal.record_event("noted", NOW, "shop/4", "ada", {})
        assert journal.verify(None, noted).findings == []
        (finding,) = journal.verify(None, Noted(head.number - 1, noted.digest)).findings
        assert "when it was noted" in finding.what
        (finding,) = journal.verify(None, Noted(99, noted.digest)).findings
        assert finding.where == "the end of the chain"

    def test_evidence_with_other_bytes_is_found(self, journal: Journal) -> None:
        """Evidence is compared with its digest; what is missing is told of this machine's runs, and counted of others'."""
        import hashlib
        import socket

        data = b"{}"
        digest = hashlib.sha256(data).hexdigest()
        run = a_run(host=socket.gethostname())
        journal.start_run(run)
        journal.finish_run(ended(run, evidence=digest), [a_result()])
        assert journal.verify({digest: data}.get).evidence == 1
        for found, said in ((b"{ }", "other bytes"), (None, "missing")):
            (finding,) = journal.verify(lambda _, found=found: found).findings  # type: ignore[misc]
            assert said in finding.what

    def test_a_backup_is_the_same_journal(self, journal: Journal, tmp_path: Path, new_url: Callable[[], str]) -> None:
        """What a backup brings back is every fact, verifies, and can be written on; a journal with something in it is refused."""
        tell_a_story(journal)
        held = journal.back_up(tmp_path / "backup.db")
        assert (tmp_path / "backup.db").stat().st_mode & 0o777 == 0o600
        with pytest.raises(Refused, match="something in it"):
            journal.restore(tmp_path / "backup.db")
        with open_journal(new_url()) as other:
            assert other.restore(tmp_path / "backup.db") == held
            assert other.runs() == journal.runs()
            assert other.results("01ARZ3NDEKTSV4RRFFQ69G5FAV") == journal.results("01ARZ3NDEKTSV4RRFFQ69G5FAV")
            assert other.events() == journal.events()
            assert other.snapshot("sandbox") == journal.snapshot("sandbox")
            keep(other, a_result(at=NOW + HOUR), at=NOW + HOUR)
            assert other.verify(None).findings == []

    def test_a_damaged_backup_is_not_brought_back(self, journal: Journal, tmp_path: Path, new_url: Callable[[], str]) -> None:
        """A backup that was changed is refused with where, and the new journal stays empty; so is a file that is none."""
        tell_a_story(journal)
        journal.back_up(tmp_path / "backup.db")
        engine = sa.create_engine(f"sqlite:///{tmp_path}/backup.db")
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE results SET value = 0 WHERE id = 1"))
        (tmp_path / "notes.txt").write_text("notes")
        with open_journal(new_url()) as other:
            with pytest.raises(DataError, match=r"result 1 of shop/error-rate") as told:
                other.restore(tmp_path / "backup.db")
            assert "another one" in str(told.value)
            with pytest.raises(UsageError, match="no backup"):
                other.restore(tmp_path / "notes.txt")
            assert other.runs() == []
        with pytest.raises(UsageError, match="not written over"):
            journal.back_up(tmp_path / "notes.txt")
        with pytest.raises(UsageError, match="folder"):
            journal.back_up(tmp_path)
        with pytest.raises(CannotWrite, match=r"/proc/none/new\.db: the backup cannot be written"):
            journal.back_up(Path("/proc/none/new.db"))

    def test_pruning_leaves_what_counts(self, journal: Journal) -> None:
        """Old runs, values and slots go; what is latest, each last status, since when it holds, and every event stay."""
        for hours in range(48):
            at = NOW + hours * HOUR
            status = {3: Status.CRITICAL, 5: Status.WARNING, 7: Status.UNKNOWN}.get(hours, Status.OK)
            keep(journal, a_result(status=status, at=at), *([a_result("rare", at=at)] if hours == 1 else []), at=at)
            journal.record_samples("sandbox", [Sample(a_result("sampled", at=at + timedelta(minutes=m)), HOUR) for m in (1, 2)])
            assert journal.claim_slot("shop/morning", "sandbox", at, at, "x")
        keep(journal, a_result("old"), runbook="shop/other")
        keep(journal, source="cd" * 32, basis={"system": "ef" * 32, "packages": "no input"})
        before, now = NOW + 30 * HOUR, NOW + 50 * HOUR
        asked = (journal.latest_results, journal.latest_runs, journal.status_since, journal.last_critical, journal.statuses_seen)
        said = [ask("sandbox") for ask in (*asked, journal.newest, journal.last_slots)]
        events = len(journal.events(limit=999))

        would = journal.would_prune(before, {})
        assert [ask("sandbox") for ask in (*asked, journal.newest, journal.last_slots)] == said
        assert len(journal.runs(limit=999)) == 50
        done = journal.prune(before, {}, now, "ada")
        assert done == would
        assert done.inputs == ("cd" * 32, "ef" * 32)
        assert done.runs > 20
        assert done.observations > 50
        assert [ask("sandbox") for ask in (*asked, journal.newest, journal.last_slots)] == said
        assert len(journal.runs(limit=999)) == 50 - done.runs
        assert len(journal.events(limit=999)) == events + 1
        assert journal.verify(None).findings == []
        assert journal.would_prune(before, {}).runs == 0

    def test_pruning_spares_a_system_with_an_open_incident(self, journal: Journal) -> None:
        """Of a system with an open incident all stays since the given moment, runs and values alike."""
        for hours in range(6):
            keep(journal, a_result(at=NOW + hours * HOUR), at=NOW + hours * HOUR)
        done = journal.prune(NOW + 5 * HOUR, {"shop": NOW + 2 * HOUR}, NOW + 9 * HOUR, "ada")
        # The first run stays as well: since then the metric has been ok.
        assert (done.runs, done.observations) == (1, 2)
        assert {run.started_at for run in journal.runs()} == {NOW + hours * HOUR for hours in (0, 2, 3, 4, 5)}
        assert len(journal.observations("shop/error-rate", "sandbox", NOW)) == 4

    def test_a_run_that_was_pruned_is_not_missed_and_one_that_was_removed_is(self, journal: Journal) -> None:
        """After pruning, verifying still finds a run that somebody takes out of what was left."""
        for hours in range(6):
            keep(journal, a_result(at=NOW + hours * HOUR), at=NOW + hours * HOUR)
        journal.prune(NOW + 3 * HOUR, {}, NOW + 9 * HOUR, "ada")
        gone = journal.runs()[1]
        with writing(journal._engine) as connection:
            connection.execute(sa.text("DELETE FROM results WHERE run_id = :id"), {"id": gone.id})
            for table, column in (("run_ends", "run_id"), ("runs", "id")):
                connection.execute(sa.text(f"DELETE FROM {table} WHERE {column} = :id"), {"id": gone.id})
        assert f"run {gone.id}" in {one.where for one in journal.verify(None).findings}
