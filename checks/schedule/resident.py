"""The scheduler that stays: runs what is due, samples what is sampled, and gives signs of life, until it is asked to end.

Several may live in one environment. Each slot is claimed, so that one of them runs it; metrics are sampled by the one that
holds the sign of the scheduler, and by another one when that falls silent. A slot is claimed only when there is room to run it
at once: what waits is free for others, and what dies with this process was at work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from checks.errors import ProofbookError
from checks.journal import owner
from checks.journal.facts import SCHEDULER
from checks.model import Run, Runbook, Trigger
from checks.run.many import Watcher, run_many
from checks.run.order import rank_of
from checks.run.selection import prepare_all
from checks.schedule.alive import Teller
from checks.schedule.claims import due_here, going_on, pass_over
from checks.schedule.due import Slot, admit
from checks.schedule.place import Place
from checks.schedule.sampler import Listener
from checks.schedule.sampling import Sampling, tasks_of

if TYPE_CHECKING:
    from checks.journal import Journal
    from checks.run.ends import Outcome

SILENCE = timedelta(seconds=60)
"""How long a scheduler may be silent before another one samples in its place."""

_SECONDS = 1.0
_SIGN_EVERY = timedelta(seconds=15)
_LOOK_EVERY = timedelta(seconds=5)
_RECOVER_EVERY = timedelta(seconds=30)


class Reporter(Watcher, Listener):
    """Told what a scheduler does; does nothing by itself. Calls may come from any thread."""

    def took(self, slot: Slot) -> None:
        """A slot has been claimed; its run begins."""

    def passed_over(self, slot: Slot) -> None:
        """A slot is given up, because the run before is still going on."""

    def lost(self, run: Run) -> None:
        """A run that nobody was at work on any more has been ended."""

    def sampling(self, metrics: int, other: str) -> None:
        """So many metrics are sampled from now on; where it is another scheduler that does it, its name."""

    def reloaded(self, error: ProofbookError | None) -> None:
        """What people wrote has changed and holds from now on; with an error, what held before still does."""

    def away(self, error: ProofbookError | None) -> None:
        """The journal is away, so that nothing is begun; ``None`` when it is back."""

    def trouble(self, text: str) -> None:
        """Something else that a person should know of."""


class Resident:
    """A scheduler.

    Args:
        look: reads what people wrote and the variables, anew each time.
        journal: where slots are claimed and everything is kept.
        clock: gives the time, aware, in UTC.
        jobs: how many runbooks run at once.
        reporter: is told what it does.

    """

    def __init__(
        self,
        look: Callable[[], Place],
        journal: Journal,
        *,
        clock: Callable[[], datetime],
        jobs: int,
        reporter: Reporter,
    ) -> None:
        self._look = look
        self._journal = journal
        self._clock = clock
        self._jobs = jobs
        self._reporter = reporter
        self._place = look()
        self._me = owner.me()
        self._cancelled = threading.Event()
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="slot")
        self._under_way: dict[Future[list[Outcome]], Slot] = {}
        self._sampling = Sampling(journal, self._place.environment, clock, reporter)
        self._teller = Teller(self._place.catalogue.settings.alive)
        self._last: dict[str, datetime] = {}
        self._told: dict[str, str] = {}
        self._sampled: tuple[int, str] = (-1, "")

    def run(self, stop: threading.Event) -> None:
        """Live until an event is set; then end what runs, as cancelled, and write what was found."""
        try:
            while True:
                self.tick(self._clock())
                if stop.wait(_SECONDS):
                    return
        finally:
            self.end()

    def tick(self, now: datetime) -> None:
        """Do what is to be done now; a journal or a catalogue that cannot be read is told, and tried again."""
        self._collect()
        if self._is_time("look", now, _LOOK_EVERY):
            self._look_again()
        try:
            if self._is_time("sign", now, _SIGN_EVERY):
                self._sign(now)
            if self._is_time("recover", now, _RECOVER_EVERY):
                self._recover(now)
            self._begin(now)
        except ProofbookError as error:
            if self._is_news("journal", str(error)):
                self._reporter.away(error)
        else:
            if self._is_news("journal", ""):
                self._reporter.away(None)

    def end(self) -> None:
        """End what runs and what is sampled, write it down, and make room for another scheduler."""
        self._cancelled.set()
        self._sampling.stop()
        self._pool.shutdown(wait=True)
        self._collect()
        try:
            self._journal.sign_off(self._place.environment, SCHEDULER, self._me, self._clock())
        except ProofbookError as error:
            self._reporter.away(error)

    def _is_time(self, what: str, now: datetime, every: timedelta) -> bool:
        last = self._last.get(what)
        # A clock that was set back must not keep it waiting for the old time to come again.
        if last is not None and last <= now < last + every:
            return False
        self._last[what] = now
        return True

    def _look_again(self) -> None:
        try:
            place = self._look()
        except ProofbookError as error:
            if self._is_news("catalogue", str(error)):
                self._reporter.reloaded(error)
            return
        if self._is_news("catalogue", "") or place.catalogue is not self._place.catalogue:
            self._reporter.reloaded(None)
        self._place = place

    def _sign(self, now: datetime) -> None:
        place = self._place
        mine = self._journal.sign(place.environment, SCHEDULER, self._me, now, SILENCE)
        tasks = tasks_of(place.catalogue, place.environment, place.variables) if mine else []
        self._sampling.sample(tasks)
        other = "" if mine else next((owner.shown(sign.owner) for sign in self._journal.signs(place.environment)), "")
        if (len(tasks), other) != self._sampled:
            self._sampled = len(tasks), other
            self._reporter.sampling(len(tasks), other)
        self._teller.tell(now)
        trouble = self._teller.trouble
        if self._is_news("alive", trouble) and trouble:
            self._reporter.trouble(trouble)

    def _recover(self, now: datetime) -> None:
        from checks.run.lost import recover

        for run in recover(self._journal, self._place.catalogue.settings.state, now):
            self._reporter.lost(run)

    def _begin(self, now: datetime) -> None:
        place = self._place
        room = self._jobs - len(self._under_way)
        if room <= 0:
            return
        slots = due_here(place.catalogue, self._journal.last_slots(place.environment, now), place.environment, now)
        books = place.catalogue.runbooks
        ours = {slot.runbook for slot in self._under_way.values()}
        busy = ours | going_on(self._journal, (slot for slot in slots if slot.runbook not in ours))
        begin, give_up = admit(slots, books, busy)
        for slot in pass_over(self._journal, give_up, now):
            self._reporter.passed_over(slot)
        for slot in sorted(begin, key=lambda one: (self._rank(books[one.runbook]), one.due_at, one.runbook)):
            if room and self._journal.claim_slot(slot.runbook, slot.environment, slot.due_at, now, self._me):
                self._reporter.took(slot)
                self._start(slot, now)
                room -= 1

    def _rank(self, runbook: Runbook) -> int:
        try:
            return rank_of(runbook.path.read_text(encoding="utf-8"), self._place.catalogue.systems[runbook.system])
        except (OSError, UnicodeDecodeError):
            return rank_of("", self._place.catalogue.systems[runbook.system])  # what cannot be read fails its run, which says why

    def _start(self, slot: Slot, now: datetime) -> None:
        place = self._place
        prepared = prepare_all(
            [place.catalogue.runbooks[slot.runbook]],
            place.catalogue,
            environment=place.environment,
            variables=place.variables,
            parameters={},
            trigger=Trigger.SCHEDULE,
            now=now,
        )
        work = self._pool.submit(
            run_many, prepared, self._journal, clock=self._clock, jobs=1, watcher=self._reporter, cancelled=self._cancelled
        )
        self._under_way[work] = slot

    def _collect(self) -> None:
        for work in [work for work in self._under_way if work.done()]:
            slot = self._under_way.pop(work)
            error = work.exception()
            if isinstance(error, ProofbookError):
                # Its lease expires, so that whoever finds the run ends it as lost, and the slot is taken once more.
                self._reporter.trouble(f"{slot.runbook} could not be recorded: {error}")
            elif error is not None:
                raise error

    def _is_news(self, what: str, text: str) -> bool:
        """Whether something has changed since it was last told."""
        if self._told.get(what, "") == text:
            return False
        self._told[what] = text
        return True
