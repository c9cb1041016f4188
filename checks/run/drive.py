"""Drives one kernel through a notebook by papermill's engine: deadlines, cancelling, and what came of each cell."""

from __future__ import annotations

import ast
import asyncio
import json
import signal
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from queue import Empty
from typing import TYPE_CHECKING, Any

import zmq
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.util import ensure_async, run_sync

from checks.errors import Refused
from checks.run import kernels
from checks.run._papermill import NBClientEngine, NotebookExecutionManager, PapermillNotebookClient, papermill_engines
from checks.run.payload import MIME
from checks.run.progress import CellOutcome as CellOutcome
from checks.run.progress import Drive as Drive
from checks.run.progress import Stopped as Stopped
from checks.run.valve import HELD_BACK, size_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

ENGINE = "proofbook"

_GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.1
_START_SECONDS = 60
_ASK_SECONDS = 1.0
_RETRY_MILLISECONDS = 3
# While a cell goes on and on, what it has said so far is kept, ever less often: each time it is written as a whole.
_FIRST_NEWS_SECONDS = 1.0
_NEWS_SECONDS = 60.0
_OUT_OF_TIME = 128 + signal.SIGXCPU
_HEAR_SECONDS = 0.05
# Tasks that have not ended by then are ended with their kernel, as daemon threads are.
_TASKS_SECONDS = 1.0
_READS_RESULTS = "checks.run._payload_models"
_SETTLE = "__import__('json').dumps(__import__('checks.run.strict', fromlist=['settle']).settle())"


class DriveClient(PapermillNotebookClient):
    """nbclient as papermill extends it, with real deadlines and without its own bookkeeping."""

    drive: Drive
    ends_at: float
    bound_by_run: bool
    at: int
    tell_at: float
    tell_again: float
    untold: bool

    def __init__(self, nb_man: Any, *, drive: Drive, **options: Any) -> None:
        options |= {"km": kernels.manager(drive.room), "startup_timeout": _START_SECONDS, "force_raise_errors": True}
        super().__init__(nb_man, **options, skip_cells_with_tag="", store_widget_state=False)  # type: ignore[no-untyped-call]
        self.drive = drive
        self.started_manager = self.km
        self.ends_at = time.monotonic() + drive.run_seconds
        self.bound_by_run = False
        self._expect_news(-1)

    def open(self) -> None:
        """Start the kernel and connect to it.

        Raises:
            Stopped: it did not start.

        """
        self.reset_execution_trackers()
        if _READS_RESULTS not in sys.modules:
            # Until the kernel is there, this process has nothing else to do.
            threading.Thread(target=import_module, args=(_READS_RESULTS,), name="load").start()
        try:
            self.start_new_kernel(env=dict(self.drive.room.variables), cwd=str(self.drive.room.work))
            self._get_ready()
        except (RuntimeError, OSError) as error:
            raise Stopped(CellOutcome.FAILED, f"the kernel did not start: {error}") from error

    async def _async_get_ready(self) -> None:
        """Connect and wait until what the kernel says is heard.

        jupyter_client's own way ends by listening to nothing for 200 ms; messages of others are told apart by their parent.
        """
        assert self.km is not None  # noqa: S101 - open() has started it
        self.kc = kc = self.km.client()
        # A forked kernel is connected to before it listens; ZeroMQ would try again after 100 ms at the earliest.
        kc.context.setsockopt(zmq.RECONNECT_IVL, _RETRY_MILLISECONDS)
        kc.start_channels(stdin=False, hb=False, control=False)
        kc.allow_stdin = False
        ends_at = time.monotonic() + _START_SECONDS
        asked: set[str] = set()
        while time.monotonic() < ends_at:
            asked.add(kc.kernel_info())
            with suppress(Empty):
                while (await ensure_async(kc.shell_channel.get_msg(timeout=_ASK_SECONDS)))["msg_type"] != "kernel_info_reply":
                    continue
                while not _heard(await ensure_async(kc.iopub_channel.get_msg(timeout=_HEAR_SECONDS)), asked):
                    continue
                return
            await self._async_check_alive()
        raise RuntimeError(f"it did not answer in {_START_SECONDS} seconds")

    _get_ready = run_sync(_async_get_ready)

    def close(self) -> None:
        """End the kernel and everything that it started; a second time does nothing."""
        kernels.end(self.started_manager)
        if self.km is not None:
            self._cleanup_kernel()
            self.km = None

    def execute(self, **_options: Any) -> NotebookNode:
        """Execute every cell that may be, in order, until one stops the drive; see `Drive` for what came of it."""
        drive = self.drive
        try:
            self.open()
            for position, outcome in list(drive.outcomes.items()):
                if drive.cancelled.is_set():
                    raise Stopped(CellOutcome.CANCELLED, "cancelled")
                if outcome is CellOutcome.NOT_REACHED:
                    self.execute_one(position)
            self.settle()
        except Stopped as stopped:
            drive.stopped = stopped
        finally:
            self.close()
        if broken := drive.room.broken_bound:
            # Known only now where the operating system refused something, and a cell failed of it, or coped.
            outcome, why = (drive.stopped.outcome, drive.stopped.why) if drive.stopped else (CellOutcome.FAILED, "")
            drive.stopped = Stopped(outcome, why if broken in why else f"{broken}: {why}".removesuffix(": "))
        return self.nb

    def execute_one(self, position: int) -> None:
        """Execute one cell and note what came of it.

        Raises:
            Stopped: it failed, took too long, was cancelled, or the kernel died of it.
            Refused: its step changes something, and nobody allowed it.

        """
        drive = self.drive
        step = drive.step_of(position)
        if not drive.permit.allows(step):
            raise Refused(f"step {step.number} is a {step.step_class.value} step, and nobody allowed it", where=step.title)
        started, ticks = drive.clock(), time.monotonic()
        drive.on_cell(position)
        self._expect_news(position)
        drive.replaced += sum(MIME in output.get("data", {}) for output in self.nb.cells[position].outputs)
        outcome = CellOutcome.EXECUTED
        try:
            self.execute_cell(self.nb.cells[position], position)
        except CellExecutionError as error:
            outcome = CellOutcome.FAILED
            raise self._stop_at(position, outcome, f"{error.ename}: {error.evalue}") from error
        except CellTimeoutError as error:
            outcome = CellOutcome.FAILED
            raise self._stop_at(position, outcome, "outputs of the cell were lost on the way") from error
        except DeadKernelError as error:
            outcome, why = CellOutcome.FAILED, self._how_it_died()
            if drive.cancelled.is_set():
                outcome, why = CellOutcome.CANCELLED, "cancelled"
            raise self._stop_at(position, outcome, why) from error
        except Stopped as stopped:
            outcome = stopped.outcome
            raise self._stop_at(position, outcome, stopped.why) from stopped
        finally:
            drive.outcomes[position] = outcome
            drive.timings[position] = (started, time.monotonic() - ticks)
            drive.on_news(position)

    def settle(self) -> None:
        """Ask the kernel, once all is done, what it emitted and what was lost.

        Raises:
            Stopped: it does not answer; then nothing that it did can be trusted to be all.

        """
        patient_until = time.monotonic() + _TASKS_SECONDS
        try:
            told = self._ask_to_settle()
            while told["pending"] and time.monotonic() < patient_until:
                # Between two questions the kernel's tasks get on.
                time.sleep(_HEAR_SECONDS)
                told = self._ask_to_settle()
        except (DeadKernelError, Empty, ValueError, KeyError, TypeError) as error:
            if self.drive.cancelled.is_set():
                raise Stopped(CellOutcome.CANCELLED, "cancelled") from error
            late = isinstance(error, Empty)
            why = "a background thread did not end" if late else f"after the last cell, {self._how_it_died()}"
            raise Stopped(CellOutcome.TIMED_OUT if late else CellOutcome.FAILED, why) from error
        self.drive.emitted, self.drive.lost = told["results"], tuple(told["lost"])
        if self.drive.lost:
            raise Stopped(CellOutcome.FAILED, self.drive.lost[0])

    def _stop_at(self, position: int, outcome: CellOutcome, why: str) -> Stopped:
        self.drive.stopped_at = position
        return Stopped(outcome, why)

    def _how_it_died(self) -> str:
        code = kernels.end(self.started_manager)
        if why := self.drive.room.broken_bound:
            return f"the kernel was ended: {why}"
        if code is None:
            return "the kernel died, how is not known"
        if code == _OUT_OF_TIME:
            return "the kernel was ended: one process used more time of a processor than a run may have"
        return f"the kernel died, by signal {code - 128}" if code > 128 else f"the kernel died, with exit status {code}"

    async def _ask(self) -> dict[str, Any]:
        kc = self.kc
        assert kc is not None  # noqa: S101 - open() has been called
        sent = kc.execute("", silent=True, user_expressions={"settled": _SETTLE})
        ends_at = min(self.ends_at, time.monotonic() + self.drive.cell_seconds)
        while time.monotonic() < ends_at and not self.drive.cancelled.is_set():
            try:
                reply = await ensure_async(kc.shell_channel.get_msg(timeout=_POLL_SECONDS))
            except Empty:
                await self._async_check_alive()
                continue
            if reply["parent_header"].get("msg_id") == sent:
                # A kernel answers an expression with its repr; the expression itself gives JSON.
                told: dict[str, Any] = json.loads(
                    ast.literal_eval(reply["content"]["user_expressions"]["settled"]["data"]["text/plain"])
                )
                return told
        if self.drive.cancelled.is_set():
            raise DeadKernelError("cancelled")
        raise Empty

    _ask_to_settle = run_sync(_ask)

    def _get_timeout(self, _cell: Any) -> float:  # type: ignore[override]  # it is only added and compared; seconds may be parts
        left = self.ends_at - time.monotonic()
        self.bound_by_run = left < self.drive.cell_seconds
        return max(0.001, min(self.drive.cell_seconds, left))

    async def _async_handle_timeout(self, _timeout: float, _cell: Any = None) -> None:
        """Interrupt the cell, give it a moment to say where it was, and stop."""
        assert self.km is not None  # noqa: S101 - a cell is being executed
        assert self.kc is not None  # noqa: S101 - as above
        await ensure_async(self.km.interrupt_kernel())
        with suppress(Empty):
            await ensure_async(self.kc.shell_channel.get_msg(timeout=_GRACE_SECONDS))
            await asyncio.sleep(_POLL_SECONDS)  # what it printed travels on another socket
        limit = self.drive.run_seconds if self.bound_by_run else self.drive.cell_seconds
        name = "deadline of the run" if self.bound_by_run else "cell-deadline"
        raise Stopped(CellOutcome.TIMED_OUT, f"the {name} of {_seconds(limit)} passed")

    async def _async_poll_kernel_alive(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            self._tell_news()
            try:
                await self._async_check_alive()
            except DeadKernelError:
                # Its last outputs may still be on their way.
                await asyncio.sleep(_POLL_SECONDS)
            else:
                if not self.drive.cancelled.is_set():
                    continue
            if self.task_poll_for_reply is not None:
                self.task_poll_for_reply.cancel()
            return

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Take an output in, unless the cell has said too much already."""
        content = msg["content"]
        data = content.get("data", {})
        if HELD_BACK in data:
            self.drive.held_back(cell_index, int(data[HELD_BACK]["characters"]))
            return None
        text = content.get("text") if msg["msg_type"] == "stream" else None
        size = len(text) if text is not None else size_of(data) if MIME not in data else 0
        taken = self.drive.take(cell_index, size)
        if taken < size:
            if not taken or text is None:
                # Half a picture is none.
                self.drive.dropped[cell_index] += taken
                return None
            content["text"] = text[:taken]
        out = super().output(outs, msg, display_id, cell_index)
        if out:
            self.drive.on_output(out)
        self.untold = True
        return out

    def _expect_news(self, position: int) -> None:
        self.at, self.untold = position, True
        self.tell_again = _FIRST_NEWS_SECONDS
        self.tell_at = time.monotonic() + self.tell_again

    def _tell_news(self) -> None:
        if self.untold and time.monotonic() >= self.tell_at:
            self.untold = False
            self.drive.on_news(self.at)
            self.tell_again = min(2 * self.tell_again, _NEWS_SECONDS)
            self.tell_at = time.monotonic() + self.tell_again

    def handle_comm_msg(self, outs: list[Any], msg: dict[str, Any], cell_index: int) -> None:
        """Play no front end to widgets: nobody sees them, and what is shown inside one must stand in the evidence."""


class DriveEngine(NBClientEngine):
    """papermill's engine with our client: nothing is saved on the way, nothing is logged."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:  # type: ignore[override]
        """Execute a notebook; see `DriveClient.execute`."""
        return DriveClient(nb_man, drive=options["drive"], kernel_name=kernel_name).execute()


def client(notebook: NotebookNode, drive: Drive) -> DriveClient:
    """A client that a person drives cell by cell: open it, execute cells one by one, settle and close it."""
    notebook.metadata.papermill = {}
    drive.begin(notebook)
    clear(notebook)
    manager = NotebookExecutionManager(notebook, progress_bar=False, autosave_cell_every=0)
    return DriveClient(manager, drive=drive, kernel_name="")


def clear(notebook: NotebookNode) -> None:
    """Take out what an earlier execution may have left: only this run's outputs are evidence of it."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None


def execute(notebook: NotebookNode, drive: Drive) -> None:
    """Execute a notebook in place by papermill's engine; the kernel and all it started are gone when this returns.

    Args:
        notebook: its outputs are replaced.
        drive: how it is executed; holds what came of it afterwards.

    """
    notebook.metadata.papermill = {}
    drive.begin(notebook)
    papermill_engines.register(ENGINE, DriveEngine)
    papermill_engines.execute_notebook_with_engine(
        ENGINE, notebook, kernel_name="", output_path=None, progress_bar=False, autosave_cell_every=0, drive=drive
    )
    tidy(notebook)


def tidy(notebook: NotebookNode) -> None:
    """Take papermill's notes out again: they call a cell completed that was never reached."""
    for holder in (notebook, *notebook.cells):
        holder.metadata.pop("papermill", None)


def _heard(msg: dict[str, Any], asked: set[str]) -> bool:
    """Whether a message proves that we are subscribed: a welcome, or the end of what we asked."""
    if msg["msg_type"] == "iopub_welcome":
        return True
    return msg["parent_header"].get("msg_id") in asked and msg["content"].get("execution_state") == "idle"


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"
