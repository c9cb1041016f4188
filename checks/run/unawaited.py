"""Watches the asyncio tasks that cells create, so that one which fails is seen although nobody awaits it."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_in_a_cell: ContextVar[bool] = ContextVar("proofbook_in_a_cell", default=False)


class Tasks:
    """The tasks that cells of one shell created and that have not ended well.

    Args:
        shell: its cells are watched.

    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._open: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        shell.events.register("pre_run_cell", self._before_cell)
        shell.events.register("post_run_cell", self._after_cell)

    @property
    def pending(self) -> int:
        """How many have not ended."""
        return sum(not task.done() for task in self._open)

    def lost(self) -> list[str]:
        """Those that failed and that nobody has awaited, one sentence each."""
        # Asking a task for its exception would count as awaiting it.
        failed = [task for task in self._open if task.done() and getattr(task, "_log_traceback", False)]
        found = [(task.get_name(), getattr(task, "_exception", None)) for task in failed]
        return sorted(f"task {name} ended by {type(error).__name__}: {error}, and nobody awaited it" for name, error in found)

    def _before_cell(self, *_: object) -> None:
        _in_a_cell.set(True)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if loop is not self._loop:
            self._loop = loop
            self._inherited = loop.get_task_factory()
            loop.set_task_factory(self._create)

    def _after_cell(self, *_: object) -> None:
        _in_a_cell.set(False)

    def _create(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        make = self._inherited or (lambda loop, coroutine, **options: asyncio.Task(coroutine, loop=loop, **options))
        task = make(loop, coroutine, **options)
        # What the kernel itself creates is not the author's.
        if _in_a_cell.get() and isinstance(task, asyncio.Task):
            self._open.add(task)
            task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or getattr(task, "_exception", None) is None:
            self._open.discard(task)
