"""Executes several runbooks at once and writes each to the journal as it ends."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime

from checks.errors import Refused
from checks.model import Run, RunState, Step
from checks.run import record
from checks.run.calm import calm
from checks.run.ends import Outcome, Prepared
from checks.run.execution import execute, failed
from checks.run.order import Waiting, kinds_of, rank_of
from checks.run.record import Recorder as Recorder


class Watcher:
    """Told how runs get on; does nothing by itself. Calls may come from any thread."""

    def started(self, run: Run) -> None:
        """A run has been journaled and begins."""

    def reached(self, run: Run, step: Step) -> None:
        """A run has come to a step."""

    def ended(self, outcome: Outcome) -> None:
        """A run has ended and has been journaled."""


def run_many(
    runs: Iterable[Prepared],
    recorder: Recorder,
    *,
    clock: Callable[[], datetime],
    jobs: int | None = None,
    watcher: Watcher | None = None,
    cancelled: threading.Event | None = None,
) -> list[Outcome]:
    """Execute prepared runs, `jobs` at once, each in a kernel of its own.

    Only the calling thread speaks to the recorder. A run that cannot be executed is an outcome like any other. A run's
    deadline counts from its own beginning, however long it waited for others.

    Args:
        runs: what to execute; `checks.run.order` says which is next.
        recorder: is told of each run before it begins and when it has ended.
        clock: gives the time, aware, in UTC.
        jobs: how many at once; default: one for each processor.
        watcher: is told how they get on.
        cancelled: set by another thread, it asks for what Ctrl-C asks for, but nothing is raised.

    Returns:
        The outcomes in the order of `runs`, of those that began.

    Raises:
        KeyboardInterrupt: the person asked to stop: what was running has been ended and journaled as cancelled, what had
            not begun has left no trace.

    """
    from checks.run import kernels

    watcher = watcher or Watcher()
    given = list(runs)
    if given:
        record.recover_lost(recorder, given[0], clock())
    sources = [_source(prepared) for prepared in given]
    systems = [prepared.catalogue.systems[prepared.runbook.system] for prepared in given]
    kernels.warm_up(sources, [kind for text, system in zip(sources, systems, strict=True) for kind in kinds_of(text, system)])
    ranks = [rank_of(text, system) for text, system in zip(sources, systems, strict=True)]
    waiting = Waiting(zip(ranks, given, strict=True))
    cancelled = cancelled or threading.Event()
    under_way: dict[Future[Outcome], tuple[int, Prepared]] = {}
    ended: list[tuple[Future[Outcome], int, Prepared]] = []
    outcomes: dict[int, Outcome] = {}
    workers = max(1, jobs or os.cpu_count() or 1)

    def finish() -> None:
        while ended:
            future, position, prepared = ended[0]
            outcome = record.finish(_outcome_of(future, prepared, clock), recorder, prepared)
            ended.pop(0)
            outcomes[position] = outcome
            watcher.ended(outcome)

    def collect(futures: Iterable[Future[Outcome]]) -> None:
        for future in futures:
            position, prepared = under_way.pop(future)
            waiting.ended(prepared)
            ended.append((future, position, prepared))

    with kernels.swept_behind(), ThreadPoolExecutor(workers, thread_name_prefix="run") as pool:
        try:
            while ended or under_way or (waiting and not cancelled.is_set()):
                while waiting and len(under_way) < workers and not cancelled.is_set():
                    position, prepared = waiting.take()
                    try:
                        prepared = record.begin(prepared, recorder, clock())
                    except Refused as refused:
                        waiting.ended(prepared)
                        outcomes[position] = record.not_begun(prepared, refused, clock())
                        continue
                    watcher.started(prepared.run)
                    under_way[pool.submit(_execute, prepared, clock, cancelled, watcher)] = (position, prepared)
                # The next ones are under way while the journal takes its time over the last.
                finish()
                # Woken now and then, because a wait without end would not let Ctrl-C through everywhere.
                collect(wait(under_way, timeout=1.0, return_when=FIRST_COMPLETED).done)
        except BaseException:
            # A second Ctrl-C must not leave runs in the journal that never end.
            with calm():
                cancelled.set()
                collect(wait(under_way).done)
                finish()
            raise
    return [outcomes[position] for position in sorted(outcomes)]


def _source(prepared: Prepared) -> str:
    try:
        return prepared.runbook.path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        # What cannot be read fails its run, which says why.
        return ""


def _execute(prepared: Prepared, clock: Callable[[], datetime], cancelled: threading.Event, watcher: Watcher) -> Outcome:
    return execute(prepared, clock=clock, cancelled=cancelled, on_step=lambda step: watcher.reached(prepared.run, step))


def _outcome_of(future: Future[Outcome], prepared: Prepared, clock: Callable[[], datetime]) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    # A bug of ours must not take the other runs with it, nor leave this one open; the traceback goes to the person.
    traceback.print_exception(error)
    return failed(prepared, f"a bug in Proofbook: {type(error).__name__}: {error}", clock(), RunState.FAILED)


def worst_first(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes with what needs someone at the top, in the order of their runbooks within a status."""
    order = ("critical", "unknown", "warning", "ok")
    return sorted(outcomes, key=lambda outcome: (order.index(outcome.run.status.value), outcome.run.runbook))
