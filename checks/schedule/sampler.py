"""Takes observations of metrics with ``every:`` without a notebook, so that windows have data between runs.

One process, one loop, thousands of probes: each metric has a task that sleeps until its next moment (`checks.schedule.cadence`),
asks for a place among all probes and among those of its target, measures in a thread, and sleeps again. A sample that takes
longer than its metric's cadence is skipped over, never queued up.

What becomes of a sample. It is judged like any check, by the same limits and the same history, because a page that shows a
metric red only when the next runbook runs shows what is no longer true. But it is not made a run: a run is an execution of a
runbook with evidence, and 2,000 metrics every 30 seconds would bury those under six million a day. So the journal
(`Journal.record_samples`) keeps every value and every judgement, and a result of its own where that says something new:
another status, other limits, anything that is not ok, or simply that it is still so after a quarter of an hour. A sample that
failed is such a result, unknown with its reason and without a value; windows see the gap it leaves. Nothing unmeasured is
ever green: if this sampler dies, what it said goes stale.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from checks.catalogue.environment import Settled
from checks.errors import ProofbookError
from checks.journal.facts import Sample
from checks.judge import judge, needed_since
from checks.judge.lifetimes import RENEW
from checks.model import Metric, Observation, Result, Status, Unmeasured
from checks.probes import measure
from checks.run.history import Historian, earlier
from checks.schedule._threads import Threads
from checks.schedule.cadence import next_moment, target

if TYPE_CHECKING:
    from checks.journal import Journal

Measure = Callable[[Metric, Settled, datetime], Observation | Unmeasured]

AT_ONCE = 32
"""How many probes are under way at most."""

AT_ONE_TARGET = 4
"""How many of them ask the same server, database or system."""

TICK = timedelta(seconds=5)
"""How often what was found is written: one transaction a tick."""

_LONGEST_WAIT = timedelta(seconds=60)
_MOST_KEPT = 100_000
"""How many samples are kept for a journal that is away; the oldest go first, and leave a gap."""


@dataclass(frozen=True, slots=True)
class Task:
    """A metric that is sampled.

    Attributes:
        metric: with its settings filled in.
        renew: how old the metric's latest result may be before a good sample becomes a result again.

    """

    metric: Metric
    settled: Settled
    every: timedelta
    renew: timedelta = RENEW

    @property
    def deadline(self) -> timedelta:
        """How long a sample may take: the next one is due then."""
        return min(self.every, _LONGEST_WAIT)


@dataclass(slots=True)
class Figures:
    """What a sampler has done.

    Attributes:
        taken: samples that gave a value.
        gaps: samples that did not.
        worst_lag: how late the latest one began.

    """

    taken: int = 0
    gaps: int = 0
    worst_lag: timedelta = timedelta(0)

    def began(self, lag: timedelta) -> None:
        """A sample began so much later than it was due."""
        self.worst_lag = max(self.worst_lag, lag)


class Listener:
    """Told what a sampler finds; does nothing by itself. Calls come from the sampler's thread."""

    def changed(self, result: Result, before: Status | None) -> None:
        """A sampled metric has another status than this sampler saw before; the first one of each is told only if not ok."""

    def troubled(self, error: ProofbookError) -> None:
        """The journal could not be written; what was found is kept and written later."""


class Sampler:
    """Samples metrics and keeps what it finds.

    Args:
        journal: where samples are kept and earlier values are read.
        environment: where is measured.
        clock: gives the time, aware, in UTC.
        at_once: how many probes may be under way.
        at_one_target: how many of them at one target.
        measuring: measures one metric.
        listener: is told what is found.

    """

    def __init__(
        self,
        journal: Journal,
        environment: str,
        *,
        clock: Callable[[], datetime],
        at_once: int = AT_ONCE,
        at_one_target: int = AT_ONE_TARGET,
        measuring: Measure = measure,
        listener: Listener | None = None,
    ) -> None:
        self._journal = journal
        self._environment = environment
        self._clock = clock
        self._measure = measuring
        self._listener = listener or Listener()
        self._threads = Threads()
        self._places = asyncio.Semaphore(at_once)
        self._polite: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(at_one_target))
        self._found: list[tuple[Task, Observation | Unmeasured]] = []
        self._busy: dict[str, datetime] = {}
        self._statuses: dict[str, Status] = {}
        self.figures = Figures()

    def follow(self, before: Sampler) -> None:
        """Take over what an earlier sampler, which has ended, found and could not write, and what it has said."""
        self._found[:0] = before._found
        self._statuses = before._statuses

    async def run(self, tasks: Iterable[Task], until: asyncio.Event, tick: timedelta = TICK) -> None:
        """Sample until an event is set; then write what was found, and return without waiting for probes under way."""
        keeping = [asyncio.create_task(self._keep(task)) for task in tasks]
        try:
            while not until.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), tick.total_seconds())
                await self.write()
        finally:
            for one in keeping:
                one.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            await self.write()

    async def once(self, tasks: Iterable[Task]) -> list[Result]:
        """Sample each metric once, now, and write what was found; the results, in the order of the tasks."""
        await asyncio.gather(*(self._sample(task) for task in tasks))
        return await self.write()

    async def _keep(self, task: Task) -> None:
        slug = task.metric.slug
        while True:
            # Counted anew from the clock each time, so that a clock that jumps moves samples by less than one cadence.
            now = self._clock()
            due = next_moment(slug, task.every, now)
            began = asyncio.get_running_loop().time()
            await asyncio.sleep((due - now).total_seconds())
            late = asyncio.get_running_loop().time() - began - (due - now).total_seconds()
            await self._sample(task, timedelta(seconds=late))

    async def _sample(self, task: Task, late: timedelta = timedelta(0)) -> None:
        metric, loop = task.metric, asyncio.get_running_loop()
        waiting = loop.time()
        async with self._polite[target(metric, task.settled)], self._places:
            now = self._clock()
            if (since := self._busy.get(metric.slug)) is not None:
                self._note(task, Unmeasured(f"the sample of {since:%H:%M:%S} UTC has not ended yet", now, 0.0, _source(metric)))
                return
            self.figures.began(late + timedelta(seconds=loop.time() - waiting))
            self._busy[metric.slug] = now
            work = self._threads.submit(lambda: self._measure(metric, task.settled, now))
            work.add_done_callback(lambda done: self._ended(metric, done))
            done, _ = await asyncio.wait({work}, timeout=task.deadline.total_seconds())
        if done:
            self._note(task, _answer(metric, work, now))
        else:
            took = task.deadline.total_seconds()
            self._note(task, Unmeasured(f"no answer within {took:g} s", now, took, _source(metric)))

    def _ended(self, metric: Metric, work: asyncio.Future[Observation | Unmeasured]) -> None:
        self._busy.pop(metric.slug, None)
        if not work.cancelled():
            work.exception()  # it has been told, or came after its deadline

    def _note(self, task: Task, seen: Observation | Unmeasured) -> None:
        if isinstance(seen, Observation):
            self.figures.taken += 1
        else:
            self.figures.gaps += 1
        self._found.append((task, seen))

    async def write(self) -> list[Result]:
        """Judge and write what was found since the last time; while the journal is away it is kept."""
        found, self._found = self._found, []
        if not found:
            return []
        try:
            results = await self._threads.submit(lambda: self._judge_and_keep(found))
        except ProofbookError as error:
            self._found = [*found, *self._found][-_MOST_KEPT:]
            self._listener.troubled(error)
            return []
        for result in results:
            slug = f"{result.system}/{result.metric}"
            before = self._statuses.get(slug)
            self._statuses[slug] = result.status
            if result.status is not (before or Status.OK):
                self._listener.changed(result, before)
        return results

    def _judge_and_keep(self, found: Sequence[tuple[Task, Observation | Unmeasured]]) -> list[Result]:
        now = self._clock()
        results = judged([(task.metric, seen) for task, seen in found], self._environment, self._journal, now)
        self._journal.record_samples(
            self._environment,
            [Sample(result, task.renew) for (task, _), result in zip(found, results, strict=True)],
        )
        return results


def judged(
    found: Sequence[tuple[Metric, Observation | Unmeasured]], environment: str, historian: Historian, now: datetime
) -> list[Result]:
    """Judge samples by their metrics' limits and by what was measured before, earlier ones of the same batch included."""
    batch: Mapping[str, list[tuple[datetime, float]]] = defaultdict(list)
    results = []
    for metric, seen in found:
        history: list[tuple[datetime, float]] = []
        if needed_since(metric, now) is not None:
            history = [*earlier(metric, environment, historian, now), *batch[metric.slug]]
        if isinstance(seen, Observation):
            batch[metric.slug].append((seen.measured_at, seen.value))
        results.append(judge(metric, seen, now, history))
    return results


def _answer(metric: Metric, work: asyncio.Future[Observation | Unmeasured], now: datetime) -> Observation | Unmeasured:
    error = work.exception()
    if error is None:
        return work.result()
    # One metric's broken declaration, or a bug of ours in one probe, must not end the sampling of all others.
    why = str(error) if isinstance(error, ProofbookError) else f"a bug in Proofbook: {type(error).__name__}: {error}"
    return Unmeasured(" ".join(why.split()), now, 0.0, _source(metric))


def _source(metric: Metric) -> str:
    return f"{metric.probe.get('kind')} probe"
