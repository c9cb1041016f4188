"""Who may write a run's end and take its slot once a worker is gone; a test class of each database inherits these."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from checks.errors import Refused
from checks.journal import Journal, open_journal, owner
from checks.journal.leases import LEASE
from checks.model import Run, RunState, Status
from tests.journal.samples import NOW, a_result, a_run, ended

LATER = NOW + LEASE + timedelta(seconds=1)
SLOT = ("shop/morning", "sandbox", NOW)
_STARTS = """
import sys
from checks.journal import open_journal, owner
from tests.journal.samples import NOW, a_run
journal = open_journal(sys.argv[1])
if sys.argv[2] == "claimed":
    assert journal.claim_slot("shop/morning", "sandbox", NOW, NOW, owner.me())
else:
    journal.start_run(a_run())
"""


def _lost(run: Run) -> Run:
    return ended(run, Status.UNKNOWN, LATER - run.started_at, state=RunState.LOST, reason="its process is gone")


def _give_up_all(journal: Journal) -> int:
    return sum(journal.give_up(lease, _lost(lease.run)) for lease in journal.abandoned(LATER))


def _started_by_a_process_that_ended(url: str, how: str = "started") -> None:
    subprocess.run([sys.executable, "-c", _STARTS, url, how], timeout=60, check=True)


class LeaseContract:
    def test_a_run_at_work_is_nobody_elses(self, journal: Journal, url: str) -> None:
        """As long as its lease lasts, a run is not abandoned; its end gives the lease back."""
        run = a_run()
        journal.start_run(run)
        with open_journal(url) as other:
            assert other.abandoned(NOW + LEASE - timedelta(seconds=1)) == []
            journal.finish_run(ended(run), [])
            assert other.abandoned(LATER) == []

    def test_who_is_at_work_on_a_runbook_is_known_to_others(self, journal: Journal, url: str) -> None:
        """Its runs that go on are told, here only and the oldest first; one that has ended is not."""
        first, second, other = a_run(), a_run(NOW + timedelta(seconds=1)), a_run(runbook="shop/evening")
        for run in (second, first, other, a_run(environment="production")):
            journal.start_run(run)
        with open_journal(url) as another:
            assert [run.id for run in another.under_way("shop/morning", "sandbox")] == [first.id, second.id]
            journal.finish_run(ended(first), [])
            assert [run.id for run in another.under_way("shop/morning", "sandbox")] == [second.id]

    def test_a_lease_lasts_as_long_as_it_is_renewed(self, journal: Journal) -> None:
        """A sign of life makes a lease last on, by the clock of whoever gives it."""
        journal.start_run(a_run())
        journal._holdings._clock = lambda: LATER
        journal._holdings.renew()
        assert journal.abandoned(LATER) == []
        assert len(journal.abandoned(LATER + LEASE)) == 1

    def test_a_worker_that_comes_back_too_late_is_refused(self, journal: Journal, url: str) -> None:
        """Once its run was given up, a worker cannot write results any more, and the journal stays as it was."""
        run = a_run()
        journal.start_run(run)
        with open_journal(url) as other:
            assert _give_up_all(other) == 1
        with pytest.raises(Refused, match="ends once"):
            journal.finish_run(ended(run), [a_result()])
        assert journal.latest_runs("sandbox")["shop/morning"].state is RunState.LOST
        assert journal.results(run.id) == []

    def test_a_sign_of_life_at_the_last_moment_counts(self, journal: Journal, url: str) -> None:
        """A run whose worker renewed its lease after it was found abandoned is not given up."""
        run = a_run()
        journal.start_run(run)
        with open_journal(url) as other:
            (lease,) = other.abandoned(LATER)
            journal._holdings.renew()
            assert not other.give_up(lease, _lost(run))
        journal.finish_run(ended(run), [a_result()])
        assert journal.latest_runs("sandbox")["shop/morning"].state is RunState.FINISHED

    def test_a_run_is_given_up_once(self, journal: Journal, url: str) -> None:
        """Of several processes that find an abandoned run at the same moment, one writes its end."""
        _started_by_a_process_that_ended(url)
        leases = journal.abandoned(NOW)
        assert [owner.gone(lease.owner) for lease in leases] == [True]
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda _: journal.give_up(leases[0], _lost(leases[0].run)), range(8)))
        assert sorted(told) == [*[False] * 7, True]
        assert len(journal.events("run-ended")) == 1

    def test_a_slot_that_was_lost_is_taken_once_more(self, journal: Journal, url: str) -> None:
        """The slot of a lost run is claimed again by one, whoever asks, and when that one is lost as well by nobody."""
        assert journal.claim_slot(*SLOT, NOW, "first")
        run = a_run()
        journal.start_run(run)
        assert journal.last_slots("sandbox", LATER) == {}
        with open_journal(url) as other:
            assert not other.claim_slot(*SLOT, NOW, "second")
            assert _give_up_all(other) == 1
            with ThreadPoolExecutor(8) as pool:
                told = list(pool.map(lambda n: other.claim_slot(*SLOT, LATER, f"second-{n}"), range(8)))
            assert sorted(told) == [*[False] * 7, True]
            again = replace(a_run(LATER), id="01ARZ3NDEKTSV4RRFFQ69G5FAV")
            other.start_run(again)
            late = LATER + LEASE + timedelta(seconds=1)
            (lease,) = other.abandoned(late)
            assert other.give_up(lease, ended(again, Status.UNKNOWN, late - LATER, state=RunState.LOST))
            assert not other.claim_slot(*SLOT, late, "third")
            assert other.last_slots("sandbox", late) == {"shop/morning": NOW}

    def test_a_slot_whose_run_ended_is_done(self, journal: Journal) -> None:
        """However late it is, a slot that was executed is not taken again."""
        assert journal.claim_slot(*SLOT, NOW, "first")
        run = a_run()
        journal.start_run(run)
        journal.finish_run(ended(run), [a_result()])
        assert not journal.claim_slot(*SLOT, LATER, "second")
        assert journal.last_slots("sandbox", LATER) == {"shop/morning": NOW}

    def test_a_taker_that_waited_too_long_starts_nothing(self, journal: Journal, url: str) -> None:
        """Who took a slot and let its lease lapse cannot start the slot's run once another has taken it over."""
        assert journal.claim_slot(*SLOT, NOW, "first")
        with open_journal(url) as other:
            assert other.claim_slot(*SLOT, LATER, "second")
        with pytest.raises(Refused, match="taken this slot over"):
            journal.start_run(a_run(LATER))
        assert journal.runs() == []

    def test_a_slot_whose_taker_died_before_the_run_lapses(self, journal: Journal, url: str) -> None:
        """A process that took a slot and died before it started the run leaves a slot that another one takes at once."""
        _started_by_a_process_that_ended(url, "claimed")
        assert not journal.claim_slot(*SLOT, NOW, "second")
        journal.lapse_slots(NOW)
        assert journal.claim_slot(*SLOT, NOW, "second")
