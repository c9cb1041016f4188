"""Threads for probes: as many as work, reused, and none of them keeps the process from ending."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_Work = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Threads:
    """Does blocking work for a loop.

    concurrent.futures waits for each of its threads when the process ends, and so for a probe that hangs; these are left
    behind. How many there are is bounded by whoever asks.
    """

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[_Work] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self.made = 0

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Do some work in a thread that is idle, or in a new one; cancelling the future abandons it there."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.put((work, future, loop))
        if not self._idle.acquire(blocking=False):
            self.made += 1
            threading.Thread(target=self._serve, name=f"sampler-{self.made}", daemon=True).start()
        return future

    def _serve(self) -> None:
        while True:
            work, future, loop = self._waiting.get()
            found, error = None, None
            try:
                found = work()
            except BaseException as raised:
                # It is raised again where it is awaited.
                error = raised
            self._idle.release()
            try:
                loop.call_soon_threadsafe(_tell, future, found, error)
            except RuntimeError:
                return  # the loop has ended, and with it whoever asked


def _tell(future: asyncio.Future[Any], found: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(found)
