"""A sampler in a thread of its own, begun anew whenever what it samples changes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from checks.catalogue import Catalogue, resolve
from checks.judge.lifetimes import renew_after
from checks.run.history import with_settings
from checks.schedule.cadence import sampled
from checks.schedule.sampler import Listener, Sampler, Task

if TYPE_CHECKING:
    from checks.journal import Journal

_SECONDS_TO_END = 15.0


def tasks_of(catalogue: Catalogue, environment: str, variables: Mapping[str, str]) -> list[Task]:
    """What is sampled in an environment, with its settings filled in as far as they are there."""
    settled = {system.name: resolve(system, environment, variables) for system in catalogue.systems_in(environment)}
    lifetimes = catalogue.lifetimes(environment)
    return [
        Task(
            with_settings(metric, settled[metric.system]),
            settled[metric.system],
            metric.every,
            renew_after(lifetimes.of(metric), metric.every),
        )
        for metric in sampled(catalogue, environment)
        if metric.every is not None
    ]


class Sampling:
    """Samples in the background.

    Args:
        journal: where samples are kept.
        environment: where is measured.
        clock: gives the time, aware, in UTC.
        listener: is told what is found.

    """

    def __init__(self, journal: Journal, environment: str, clock: Callable[[], datetime], listener: Listener) -> None:
        self._journal, self._environment, self._clock, self._listener = journal, environment, clock, listener
        self._tasks: Sequence[Task] = ()
        self._sampler: Sampler | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._until: asyncio.Event | None = None
        self._ready = threading.Event()

    @property
    def sampler(self) -> Sampler | None:
        """The one at work, or the last one."""
        return self._sampler

    def sample(self, tasks: Sequence[Task]) -> bool:
        """Sample these from now on, and nothing else; whether that is something new."""
        if tasks == self._tasks and (not tasks or (self._thread is not None and self._thread.is_alive())):
            return False
        self.stop()
        self._tasks = tasks
        if tasks:
            before = self._sampler
            self._sampler = Sampler(self._journal, self._environment, clock=self._clock, listener=self._listener)
            if before is not None:
                self._sampler.follow(before)
            self._ready.clear()
            self._thread = threading.Thread(target=self._live, args=(self._sampler, tasks), name="sampling", daemon=True)
            self._thread.start()
            self._ready.wait(_SECONDS_TO_END)
        return True

    def stop(self) -> None:
        """Sample no more; what was found is written first."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._until is None:
            return
        if thread.is_alive():
            self._loop.call_soon_threadsafe(self._until.set)
            thread.join(_SECONDS_TO_END)
        self._tasks = ()

    def _live(self, sampler: Sampler, tasks: Sequence[Task]) -> None:
        async def live() -> None:
            self._loop, self._until = asyncio.get_running_loop(), asyncio.Event()
            self._ready.set()
            await sampler.run(tasks, self._until)

        asyncio.run(live())
