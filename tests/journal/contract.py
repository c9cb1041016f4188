"""What a journal promises on every database; a test class of each database inherits these."""

from __future__ import annotations

import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from checks.errors import Refused
from checks.journal.store import Journal
from checks.model import BaselineUsed, Observation, RunState, Status
from tests.journal.samples import NOW, a_result, a_run, ended, keep

# What means something to a database, to a list or to a statement, and must mean nothing in a text.
ODD = (
    *("", " ", "NULL", "null", "{}", '{"a", NULL}', ",", '"', "\\", '\\"', "\\N", "a\tb\r\nc", "größer 🍞 \u2028", "'; --"),
    *("%s %(run)s 100 %", ":run ? $1", "\x7f\x01", "x" * 20_000),
)
FAR = (5e-324, -5e-324, 1.7976931348623157e308, 0.1 + 0.2, -1e-9, float("inf"), float("-inf"))


class JournalContract:
    def test_a_run_comes_back_as_it_was_given(self, journal: Journal) -> None:
        """A finished run and its results are read back equal to what was written, to the microsecond."""
        started = NOW + timedelta(microseconds=123457)
        results = [a_result(at=started), a_result("latency", Status.UNKNOWN, started, None, reason="timed out", cell=None)]
        done = keep(journal, *results, at=started)
        assert journal.run(done.id) == done
        assert journal.results(done.id) == results

    def test_a_text_is_kept_whatever_is_in_it(self, journal: Journal) -> None:
        """Texts that are words of databases, and figures at the ends of all figures, come back as they were given, and verify."""
        told = [
            a_result(f"text {text[:9]}", reason=text, warning=text, observation=Observation(0.4, text, NOW, 0.01, text, text))
            for text in ODD
        ]
        told += [a_result(f"value {value}", value=value) for value in FAR]
        done = keep(journal, *told)
        assert journal.results(done.id) == told
        latest = journal.latest_results("sandbox")
        assert [latest[f"shop/{one.metric}"].result for one in told] == told
        assert journal.verify(None).findings == []

    def test_what_judged_a_result_is_kept_with_it(self, journal: Journal) -> None:
        """The baseline that a result was judged by, and how many samples its value rests on, are read back as given."""
        baseline = BaselineUsed(0.1 + 0.2, "%", 412, "median of 28 d, same hour of the week")
        seen = Observation(0.4, "%", NOW, 0.01, "a test", samples=480)
        results = [a_result(baseline=baseline, observation=seen), a_result("latency")]
        done = keep(journal, *results)
        assert journal.results(done.id) == results

    def test_a_started_run_is_running_and_unknown(self, journal: Journal) -> None:
        """A run without an end is shown as running, its status unknown, and is not anybody's latest run."""
        run = a_run()
        journal.start_run(run)
        assert journal.run(run.id) == run
        assert journal.latest_runs("sandbox") == {}

    def test_a_run_ends_once(self, journal: Journal) -> None:
        """A second end is refused and leaves no trace of itself."""
        done = keep(journal, a_result())
        with pytest.raises(Refused, match="ends once"):
            journal.finish_run(replace(done, status=Status.CRITICAL), [a_result("other", Status.CRITICAL)])
        assert journal.run(done.id) == done
        assert [result.metric for result in journal.results(done.id)] == ["error-rate"]

    def test_a_run_starts_once(self, journal: Journal) -> None:
        """The same id cannot start twice."""
        run = a_run()
        journal.start_run(run)
        with pytest.raises(Refused, match="started once"):
            journal.start_run(run)

    def test_an_end_needs_a_start(self, journal: Journal) -> None:
        """What was never started cannot end."""
        with pytest.raises(Refused, match="must be started"):
            journal.finish_run(ended(a_run()), [])

    def test_an_end_needs_an_ended_state(self, journal: Journal) -> None:
        """A run that is still running cannot be written as finished."""
        run = a_run()
        journal.start_run(run)
        with pytest.raises(ValueError, match="expected an ended run"):
            journal.finish_run(run, [])

    def test_a_result_that_cannot_be_kept_keeps_none(self, journal: Journal) -> None:
        """When one result of a run cannot be written, neither the run's end nor any other result is."""
        run = a_run()
        journal.start_run(run)
        naive = a_result("bad", at=NOW.replace(tzinfo=None))
        with pytest.raises(Exception, match="aware datetime"):
            journal.finish_run(ended(run), [a_result(), naive])
        assert journal.run(run.id) == run
        assert journal.results(run.id) == []
        assert journal.latest_results("sandbox") == {}
        assert journal.events() == []

    def test_times_are_kept_in_utc(self, journal: Journal) -> None:
        """A time written in another zone is the same moment when read, and in UTC."""
        abroad = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
        done = keep(journal, a_result(at=abroad), at=abroad)
        run = journal.run(done.id)
        assert run is not None
        assert (run.started_at, run.started_at.tzinfo) == (NOW, UTC)

    def test_no_number_survives(self, journal: Journal) -> None:
        """A value that is not a number comes back as that, and is no observation of the series."""
        done = keep(journal, a_result(value=math.nan, status=Status.UNKNOWN))
        (result,) = journal.results(done.id)
        assert result.observation is not None
        assert math.isnan(result.observation.value)
        assert journal.observations("shop/error-rate", "sandbox", NOW - timedelta(days=1)) == []

    def test_latest_result_is_the_last_judged(self, journal: Journal) -> None:
        """The latest result of a metric is the one judged last, whichever run it is in and whichever ended last."""
        slow = a_run(NOW - timedelta(hours=2), runbook="shop/slow")
        journal.start_run(slow)
        quick = keep(journal, a_result(status=Status.CRITICAL, at=NOW - timedelta(hours=1)), at=NOW - timedelta(hours=1))
        journal.finish_run(
            ended(slow, after=timedelta(hours=2)), [a_result(at=NOW - timedelta(hours=2)), a_result("latency", at=NOW)]
        )
        latest = journal.latest_results("sandbox")
        assert {slug: (one.run_id, one.runbook, one.result.status) for slug, one in latest.items()} == {
            "shop/error-rate": (quick.id, "shop/morning", Status.CRITICAL),
            "shop/latency": (slow.id, "shop/slow", Status.OK),
        }

    def test_of_two_at_once_the_last_recorded_is_latest(self, journal: Journal) -> None:
        """Two results of one metric at the same moment: the one recorded last counts."""
        keep(journal, a_result(), a_result(status=Status.WARNING))
        assert journal.latest_results("sandbox")["shop/error-rate"].result.status is Status.WARNING

    def test_latest_run_is_the_last_started(self, journal: Journal) -> None:
        """A run that is given up long after later ones ended does not hide them."""
        stuck = a_run(NOW - timedelta(hours=5))
        journal.start_run(stuck)
        good = keep(journal, a_result(), at=NOW - timedelta(hours=1))
        journal.finish_run(ended(stuck, Status.UNKNOWN, timedelta(hours=5), state=RunState.LOST), [])
        assert journal.latest_runs("sandbox") == {"shop/morning": good}

    def test_environments_are_apart(self, journal: Journal) -> None:
        """What was found in one environment is never shown in another."""
        keep(journal, a_result(status=Status.CRITICAL), environment="staging")
        assert journal.latest_results("sandbox") == {}
        assert journal.latest_runs("sandbox") == {}
        assert journal.daily_worst("sandbox", NOW - timedelta(days=1)) == {}
        assert journal.last_critical("sandbox") == {}
        assert set(journal.latest_results("staging")) == {"shop/error-rate"}

    def test_status_since_is_the_first_of_the_present_stretch(self, journal: Journal) -> None:
        """A metric has had its status since the first result after the last one with another status."""
        story = [Status.OK, Status.CRITICAL, Status.OK, Status.OK, Status.WARNING, Status.CRITICAL, Status.CRITICAL]
        for hour, status in enumerate(story):
            at = NOW + timedelta(hours=hour)
            keep(journal, a_result(status=status, at=at), a_result("calm", at=at), at=at)
        assert journal.status_since("sandbox") == {"shop/error-rate": NOW + timedelta(hours=5), "shop/calm": NOW}
        assert journal.last_critical("sandbox") == {"shop/error-rate": NOW + timedelta(hours=6)}

    def test_a_snapshot_is_the_sum_of_its_questions(self, journal: Journal) -> None:
        """One snapshot says what the single questions say."""
        keep(journal, a_result(status=Status.WARNING), a_result("latency"))
        snapshot = journal.snapshot("sandbox")
        assert snapshot.latest_runs == journal.latest_runs("sandbox") != {}
        assert snapshot.latest_results == journal.latest_results("sandbox") != {}
        assert snapshot.since == journal.status_since("sandbox") != {}

    def test_days_show_their_worst(self, journal: Journal) -> None:
        """A day is as bad as its worst result, or unknown by a run that did not finish; a silent day is left out."""
        yesterday, before = NOW - timedelta(days=1), NOW - timedelta(days=3)
        keep(journal, a_result(status=Status.WARNING), a_result(status=Status.CRITICAL), a_result())
        keep(journal, a_result(at=yesterday), at=yesterday)
        failed = a_run(yesterday, runbook="shop/other")
        journal.start_run(failed)
        journal.finish_run(ended(failed, Status.UNKNOWN, state=RunState.FAILED), [])
        midnight = datetime(2026, 2, 27, 0, 0, tzinfo=UTC)
        keep(journal, a_result(status=Status.WARNING, at=midnight - timedelta(microseconds=1)), at=before)
        keep(journal, a_result(at=midnight), at=midnight)
        assert journal.daily_worst("sandbox", NOW - timedelta(days=9)) == {
            "shop": {
                date(2026, 3, 2): Status.CRITICAL,
                date(2026, 3, 1): Status.UNKNOWN,
                date(2026, 2, 27): Status.OK,
                date(2026, 2, 26): Status.WARNING,
            }
        }

    def test_observations_are_a_line_in_one_unit(self, journal: Journal) -> None:
        """A series rises in time, counts a value judged twice once, and leaves out values from before its unit changed."""
        for hour, unit in enumerate(["ms", "%", "%"]):
            at = NOW + timedelta(hours=hour)
            result = a_result(at=at, value=float(hour))
            assert result.observation is not None
            result = replace(result, observation=replace(result.observation, unit=unit))
            keep(journal, result, result, at=at)
        line = [(NOW + timedelta(hours=1), 1.0), (NOW + timedelta(hours=2), 2.0)]
        assert journal.observations("shop/error-rate", "sandbox", NOW) == line
        assert journal.observations("shop/error-rate", "sandbox", NOW + timedelta(hours=2)) == line[1:]
        assert journal.observations("shop/none", "sandbox", NOW) == []

    def test_the_newest_observations_of_a_unit_are_found(self, journal: Journal) -> None:
        """Asked for a unit and a number, the journal gives the newest so many in that unit, oldest first."""
        for minute, value in enumerate((0.1, 0.2, 0.3)):
            at = NOW + timedelta(minutes=minute)
            keep(journal, a_result(value=value, at=at), at=at)
        later = NOW + timedelta(minutes=1)
        found = journal.observations("shop/error-rate", "sandbox", NOW, unit="%", limit=2)
        assert found == [(later, 0.2), (later + timedelta(minutes=1), 0.3)]
        assert journal.observations("shop/error-rate", "sandbox", NOW, unit="ms") == []

    def test_runs_are_found_by_what_they_were(self, journal: Journal) -> None:
        """Runs are listed the newest first, filtered and cut as asked."""
        old = keep(journal, at=NOW - timedelta(days=1))
        new = keep(journal, at=NOW, runbook="shop/evening")
        other = keep(journal, at=NOW - timedelta(hours=1), system="blog", runbook="blog/morning", environment="staging")
        assert [run.id for run in journal.runs()] == [new.id, other.id, old.id]
        assert journal.runs(limit=1) == [new]
        assert journal.runs(runbook="shop/morning") == [old]
        assert journal.runs(system="shop") == [new, old]
        assert journal.runs(environment="staging") == [other]
        assert journal.run("01ARZ3NDEKTSV4RRFFQ69G5FAV") is None

    def test_events_are_kept_in_order(self, journal: Journal) -> None:
        """The end of a run is an event, and so is what anybody notes; the last comes first."""
        done = keep(journal, a_result(status=Status.WARNING, at=NOW))
        journal.record_event("step-confirmed", NOW, done.id, "ada", {"step": 2, "typed": "shop"})
        last, first = journal.events(subject=done.id)
        assert (last.kind, last.at, last.actor, last.detail) == ("step-confirmed", NOW, "ada", {"step": 2, "typed": "shop"})
        assert (first.kind, first.detail["status"], first.detail["state"]) == ("run-ended", "warning", "finished")
        assert journal.events(kind="run-ended") == [first]
        assert journal.events(since=NOW + timedelta(days=1)) == []
        assert journal.events(limit=1) == [last]

    def test_a_slot_is_claimed_once(self, journal: Journal) -> None:
        """Of many who claim one slot at the same time one gets it; other slots stay free; the latest is remembered."""
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(journal.claim_slot, "shop/morning", "sandbox", NOW, NOW, f"worker-{n}") for n in range(8)]
            assert Counter(claim.result() for claim in asked) == {True: 1, False: 7}
        later = NOW + timedelta(days=1)
        assert journal.claim_slot("shop/morning", "sandbox", later, NOW, "x")
        assert journal.claim_slot("shop/morning", "staging", NOW, NOW, "x")
        assert journal.last_slots("sandbox") == {"shop/morning": later}

    def test_many_write_at_once(self, journal: Journal) -> None:
        """Runs that end at the same moment in several threads, with metrics nobody has seen before, are all kept whole."""

        def one(number: int) -> str:
            at = NOW + timedelta(seconds=number)
            return keep(journal, *(a_result(f"m-{name}", at=at) for name in range(5)), at=at).id

        with ThreadPoolExecutor(4) as pool:
            ids = list(pool.map(one, range(12)))
        assert {run.id for run in journal.runs()} == set(ids)
        assert all(len(journal.results(run)) == 5 for run in ids)
        assert len(journal.latest_results("sandbox")) == 5
