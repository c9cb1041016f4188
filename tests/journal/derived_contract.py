"""What is derived from facts agrees with them on every database; a test class of each database inherits these."""

from __future__ import annotations

import math
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from checks.journal import RecordedResult, Sample, Tally, _derived, _tables
from checks.journal._engine import reading
from checks.journal.store import Journal
from checks.model import BaselineUsed, Result, RunState, Status
from tests.journal.samples import NOW, a_result, a_run, ended, keep

MINUTE = timedelta(minutes=1)
RENEW = timedelta(minutes=15)


def derived(journal: Journal) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every derived table, sums rounded: they are the same numbers added in another order."""
    with reading(journal._engine) as connection:
        return {
            table.name: sorted(
                (tuple(round(part, 9) if isinstance(part, float) else part for part in row) for row in connection.execute(query)),
                key=repr,
            )
            for table in _tables.DERIVED
            for query in [sa.select(table)]
        }


def a_sample(status: Status = Status.OK, minutes: float = 0, value: float | None = 0.4, **changes: Any) -> Sample:
    return Sample(a_result(status=status, at=NOW + minutes * MINUTE, value=value, **changes), RENEW)


def _broken(*_: object) -> None:
    raise ConnectionError("the database went away")


class DerivedContract:
    def test_what_is_kept_beside_the_facts_is_what_they_say(self, journal: Journal) -> None:
        """After any story of runs and samples, late ones among them, each derived table is what a rebuild makes of the facts."""
        dice = random.Random(7)
        for chapter in range(48):
            if chapter % 12 == 11:
                self._agrees(journal)
            at = NOW + dice.randrange(0, 4000) * MINUTE
            found = [self._any(dice, at + dice.randrange(-90, 90) * MINUTE) for _ in range(dice.randrange(0, 6))]
            if dice.random() < 0.4:
                journal.record_samples("sandbox", [Sample(one, dice.choice([RENEW, 999 * RENEW])) for one in found])
                continue
            run = a_run(at, system=dice.choice(["shop", "blog"]))
            journal.start_run(run)
            state = dice.choice([RunState.FINISHED, RunState.FAILED])
            journal.finish_run(ended(run, Status.worst(one.status for one in found), state=state), found)
        self._agrees(journal)

    @staticmethod
    def _agrees(journal: Journal) -> None:
        before = derived(journal)
        assert before["latest"]
        journal.rebuild()
        assert derived(journal) == before

    @staticmethod
    def _any(dice: random.Random, at: Any) -> Result:
        value = dice.choice([None, 0.1, 0.2, 7.0, 12.5])
        status = Status.UNKNOWN if value is None else dice.choice(list(Status))
        found = a_result(dice.choice(["error-rate", "latency"]), status, at, value)
        return replace(found, warning=dice.choice([">= 1 %", None]))

    def test_a_late_result_is_put_where_it_belongs(self, journal: Journal) -> None:
        """A result that arrives after later ones changes what is said of its own time, and nothing that is said of now."""
        keep(journal, a_result(status=Status.OK, at=NOW), at=NOW)
        keep(journal, a_result(status=Status.OK, at=NOW + 60 * MINUTE), at=NOW + 60 * MINUTE)
        assert journal.status_since("sandbox") == {"shop/error-rate": NOW}
        keep(journal, a_result(status=Status.CRITICAL, at=NOW + 30 * MINUTE), at=NOW + 30 * MINUTE)
        assert journal.latest_results("sandbox")["shop/error-rate"].result.status is Status.OK
        assert journal.status_since("sandbox") == {"shop/error-rate": NOW + 60 * MINUTE}
        assert journal.last_critical("sandbox") == {"shop/error-rate": NOW + 30 * MINUTE}
        assert [(one.before, one.result.status) for one in journal.status_changes("sandbox", NOW)] == [
            (Status.CRITICAL, Status.OK),
            (Status.OK, Status.CRITICAL),
            (None, Status.OK),
        ]

    def test_a_good_sample_after_a_good_one_is_a_value(self, journal: Journal) -> None:
        """Every sampled value is kept; a result of its own has what is new, what is not ok, and what is due again."""
        journal.record_samples("sandbox", [a_sample(), a_sample(minutes=1, value=0.5), a_sample(minutes=2, value=0.6)])
        journal.record_samples("sandbox", [a_sample(minutes=16, value=0.7)])
        values = journal.observations("shop/error-rate", "sandbox", NOW)
        assert [value for _, value in values] == [0.4, 0.5, 0.6, 0.7]
        recorded = journal.latest_results("sandbox")["shop/error-rate"]
        assert (recorded.run_id, recorded.runbook, recorded.result.judged_at) == ("", "", NOW + 16 * MINUTE)
        assert journal.last_seen("sandbox") == {"shop/error-rate": NOW + 16 * MINUTE}
        assert journal.status_since("sandbox") == {"shop/error-rate": NOW}
        assert journal.tally("shop/error-rate", "sandbox", NOW) == Tally(ok=4)

    def test_what_is_not_well_is_told_each_time(self, journal: Journal) -> None:
        """Of a metric that is not ok each sample is a result, and so is the first that is ok again."""
        story = [(Status.OK, 0), (Status.CRITICAL, 1), (Status.CRITICAL, 2), (Status.OK, 3), (Status.OK, 4)]
        for status, minutes in story:
            journal.record_samples("sandbox", [a_sample(status, minutes)])
            latest = journal.latest_results("sandbox")["shop/error-rate"].result
            assert latest.status is status
            assert latest.judged_at == NOW + min(minutes, 3) * MINUTE
        assert journal.tally("shop/error-rate", "sandbox", NOW) == Tally(ok=3, critical=2)
        assert journal.last_critical("sandbox") == {"shop/error-rate": NOW + 2 * MINUTE}
        changes = [(one.result.status, one.run_id) for one in journal.status_changes("sandbox", NOW)]
        assert changes == [(Status.OK, ""), (Status.CRITICAL, ""), (Status.OK, "")]

    def test_a_sample_by_other_limits_is_a_result(self, journal: Journal) -> None:
        """The first sample that is judged by changed limits is told, so that limits are in force from then on."""
        journal.record_samples("sandbox", [a_sample(), a_sample(minutes=1, warning=">= 2 %")])
        assert [one.warning for one in journal.limits_in_force("sandbox")["shop/error-rate"]] == [">= 1 %", ">= 2 %"]

    def test_a_sample_that_failed_is_a_gap_with_its_reason(self, journal: Journal) -> None:
        """What could not be measured leaves no value behind, and a result that says why, each time."""
        journal.record_samples("sandbox", [a_sample()])
        for minutes in (1, 2):
            gap = a_sample(Status.UNKNOWN, minutes, None, reason="the connection was refused")
            journal.record_samples("sandbox", [gap])
        assert [value for _, value in journal.observations("shop/error-rate", "sandbox", NOW)] == [0.4]
        latest = journal.latest_results("sandbox")["shop/error-rate"].result
        assert (latest.status, latest.reason, latest.observation) == (Status.UNKNOWN, "the connection was refused", None)
        assert journal.tally("shop/error-rate", "sandbox", NOW) == Tally(ok=1, unknown=2)

    def test_a_run_between_samples_counts_for_what_is_new(self, journal: Journal) -> None:
        """A good sample after a run that found the metric critical is a result: it says something new."""
        journal.record_samples("sandbox", [a_sample()])
        keep(journal, a_result(status=Status.CRITICAL, at=NOW + MINUTE), at=NOW + MINUTE)
        journal.record_samples("sandbox", [a_sample(minutes=2)])
        assert journal.latest_results("sandbox")["shop/error-rate"].result.judged_at == NOW + 2 * MINUTE

    def test_days_are_counted_by_their_judgements(self, journal: Journal) -> None:
        """How often a metric was well is told by day, from what was judged; silence counts for nothing."""
        keep(journal, a_result(), a_result(status=Status.WARNING))
        journal.record_samples("sandbox", [a_sample(minutes=1440)])
        assert journal.tallies("sandbox", NOW) == {
            "shop/error-rate": {date(2026, 3, 2): Tally(ok=1, warning=1), date(2026, 3, 3): Tally(ok=1)}
        }
        tally = journal.tally("shop/error-rate", "sandbox", NOW)
        assert (tally.total, tally.worst, tally.ok_share) == (3, Status.WARNING, 2 / 3)
        nothing = journal.tally("shop/error-rate", "production", NOW)
        assert (nothing, nothing.worst, nothing.ok_share) == (Tally(), Status.UNKNOWN, None)

    def test_one_does_a_standing_task(self, journal: Journal) -> None:
        """Of several who say that they do a task one is told yes; another takes over when it is silent or signs off."""
        assert journal.sign("sandbox", "scheduler", "one", NOW, 2 * MINUTE)
        assert not journal.sign("sandbox", "scheduler", "two", NOW + MINUTE, 2 * MINUTE)
        assert journal.sign("sandbox", "scheduler", "one", NOW + MINUTE, 2 * MINUTE)
        assert journal.sign("production", "scheduler", "two", NOW, MINUTE)
        (sign,) = journal.signs("sandbox")
        assert (sign.owner, sign.since, sign.at, sign.until) == ("one", NOW, NOW + MINUTE, NOW + 3 * MINUTE)
        assert journal.sign("sandbox", "scheduler", "two", NOW + 3 * MINUTE, MINUTE)
        assert journal.signs("sandbox")[0].since == NOW + 3 * MINUTE
        journal.sign_off("sandbox", "scheduler", "one", NOW + 3 * MINUTE)  # it is not its own any more
        assert not journal.sign("sandbox", "scheduler", "one", NOW + 3 * MINUTE, MINUTE)
        journal.sign_off("sandbox", "scheduler", "two", NOW + 3 * MINUTE)
        assert journal.sign("sandbox", "scheduler", "one", NOW + 3 * MINUTE, MINUTE)

    def test_writers_at_once_leave_what_the_facts_say(self, journal: Journal) -> None:
        """Runs and samples of the same metrics that are written at the same moment leave nothing derived that is wrong."""

        def one(number: int) -> None:
            at = NOW + number * MINUTE
            status = Status.CRITICAL if number % 3 else Status.OK
            if number % 2:
                keep(journal, a_result(status=status, at=at), a_result("latency", at=at), at=at)
            else:
                journal.record_samples("sandbox", [a_sample(status, number), a_sample(Status.OK, number)])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, range(16)))
        before = derived(journal)
        journal.rebuild()
        assert derived(journal) == before

    def test_a_metric_that_was_not_written_in_the_end_is_not_remembered(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When what is first written of a metric is undone, the next time is the first once more."""
        with monkeypatch.context() as patch:
            patch.setattr(_derived, "note", _broken)
            with pytest.raises(ConnectionError):
                journal.record_samples("sandbox", [a_sample()])
        journal.record_samples("sandbox", [a_sample(minutes=1)])
        assert len(journal.observations("shop/error-rate", "sandbox", NOW)) == 1

    def test_a_latest_result_is_the_result_that_was_given(self, journal: Journal) -> None:
        """Whatever a result says, it says the same as its metric's latest: drawn at once, drawn anew, read again."""
        odd = [
            a_result("none", value=None, status=Status.UNKNOWN, warning=None, critical=None, cell=None, step=None),
            a_result("nan", value=math.nan, status=Status.UNKNOWN),
            a_result("tiny", value=-0.0, title='A "größer" one\n\u2028', reason=""),
            a_result("huge", value=1e308, baseline=BaselineUsed(0.1 + 0.2, "%", 412, "median of 28 d")),
            a_result("third", value=1 / 3),
        ]
        done = keep(journal, *odd)
        given = {f"shop/{one.metric}": RecordedResult(one, done.id, done.runbook) for one in journal.results(done.id)}
        for _ in range(2):
            for _ in range(2):
                assert repr(journal.latest_results("sandbox")) == repr({slug: given[slug] for slug in sorted(given)})
            journal.rebuild()
            journal = Journal(journal._engine)

    def test_what_is_as_it_was_is_not_put_together_again(self, journal: Journal) -> None:
        """Of an answer that is asked for again only what is new is new; another environment's answer is its own."""
        keep(journal, a_result(), a_result("latency"))
        keep(journal, a_result(value=0.7), environment="staging")
        first, other = journal.latest_results("sandbox"), journal.latest_results("staging")
        done = keep(journal, a_result(at=NOW + MINUTE, value=0.5), at=NOW + MINUTE)
        again = journal.snapshot("sandbox").latest_results
        assert again["shop/latency"] is first["shop/latency"]
        assert again["shop/error-rate"].run_id == done.id
        assert journal.latest_results("staging")["shop/error-rate"] is other["shop/error-rate"]

    def test_the_newest_runs_of_each_runbook_are_found_together(self, journal: Journal) -> None:
        """Of each runbook the runs that started last come back, the newest first, so many at most, with or without an end."""
        for minutes in range(5):
            at = NOW + minutes * MINUTE
            keep(journal, at=at, runbook=f"shop/book-{minutes % 2}")
            keep(journal, at=at, environment="staging", runbook="shop/book-0")
        running = a_run(NOW + timedelta(hours=1), runbook="shop/book-1")
        journal.start_run(running)
        bulk = journal.bulk("sandbox")
        both = bulk.latest_runs(["shop/book-0", "shop/book-1", "shop/none"], 2)
        assert both == {
            name: journal.runs(runbook=name, environment="sandbox", limit=2) for name in ("shop/book-0", "shop/book-1")
        }
        assert len(bulk.latest_runs(["shop/book-0"], 99)["shop/book-0"]) == 3
        marks = bulk.marks(2)
        assert marks["shop/book-1"] == ((running.id, ""), (both["shop/book-1"][1].id, "finished"))
        journal.finish_run(ended(running), [])
        assert bulk.marks(2)["shop/book-1"] != marks["shop/book-1"]
        assert bulk.marks(2)["shop/book-0"] == marks["shop/book-0"]
