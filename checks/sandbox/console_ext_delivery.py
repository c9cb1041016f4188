"""Console.ext's workers, which take notifications from the queue, and the receiver that they deliver to."""

from __future__ import annotations

import http.client
import json
import queue
import random
import sqlite3
import threading
from typing import ClassVar

from checks.sandbox.console_ext_logs import CorrelatedLog, new_id
from checks.sandbox.console_ext_store import Ledger
from checks.sandbox.kit import Answer, Faults, HttpError, Request, Route
from checks.sandbox.kit_http import Server

_ATTEMPTS = 3
_PAUSE = 0.15  # seconds between two attempts
_UNKNOWN_RECIPIENTS = 0.002  # share of deliveries that any receiver refuses for good


class Delivery:
    """A queue, four workers and a receiver on a port of its own.

    Args:
        ledger: where what becomes of a notification is recorded.
        log: where workers and receiver write.
        faults: ``delivery`` makes the receiver refuse, ``correlation`` makes workers lose the request's id.

    """

    workers: ClassVar[int] = 4

    def __init__(self, ledger: Ledger, log: CorrelatedLog, faults: Faults) -> None:
        self._ledger = ledger
        self._log = log
        self._faults = faults
        self._queue: queue.Queue[int | None] = queue.Queue()
        self._going = threading.Event()
        self._ended = threading.Event()
        self._idle = threading.Semaphore(self.workers)
        self._receiver: Server | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Open the receiver, take up what was left in the queue, and begin to deliver."""
        self._receiver = Server([Route("POST", "/deliver", self._receive)], lambda *_: None, self._broke)
        threading.Thread(target=self._receiver.serve_forever, args=(0.1,), name="receiver", daemon=True).start()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self.workers)]
        self._going.set()
        for thread in self._threads:
            thread.start()
        self.reload()

    def stop(self) -> None:
        """Finish what is under way and close the receiver; what waits is taken up at the next start."""
        self._ended.set()
        self._going.set()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout=3)
        if self._receiver:
            self._receiver.close_all()

    def put(self, number: int) -> None:
        """Queue a notification."""
        self._queue.put(number)

    def waiting(self) -> int:
        """How many wait in the queue."""
        return self._queue.qsize()

    def pause(self) -> None:
        """Begin no further delivery, and return when none is under way."""
        self._going.clear()
        still = sum(self._idle.acquire(timeout=5) for _ in range(self.workers))
        if still:
            self._idle.release(still)

    def resume(self) -> None:
        """Deliver again."""
        self._going.set()

    def reload(self) -> None:
        """Queue what the database says is waiting; a notification that is queued twice is delivered once."""
        try:
            for number in self._ledger.queued():
                self._queue.put(number)
        except sqlite3.Error as error:
            self._log.error(f"the queue can't be read: {error}", service="worker", event="failure")

    def _work(self) -> None:
        while (number := self._queue.get()) is not None and not self._ended.is_set():
            self._going.wait()
            with self._idle:
                if not self._going.is_set():  # paused just now; leave it for later
                    self._queue.put(number)
                    continue
                try:
                    self._deliver(number)
                except sqlite3.Error as error:
                    self._log.error(f"not recorded: {error}", service="worker", event="failure")
                    if not self._ended.wait(0.5):
                        self._queue.put(number)

    def _deliver(self, number: int) -> None:
        rows = self._ledger.rows(
            "SELECT recipient, text, correlation_id FROM notifications WHERE id = ? AND state = 'queued'", number
        )
        if not rows:
            return
        recipient, text, correlation_id = rows[0]
        correlation_id = self._log.follow(new_id() if "correlation" in self._faults else correlation_id)
        cause = ""
        for attempt in range(1, _ATTEMPTS + 1):
            self._log.write("DEBUG", "delivering", service="worker", event="debug", attempt=attempt)
            cause = self._send(number, recipient, text, correlation_id)
            if not cause:
                self._ledger.settle(number, "delivered", attempt, "")
                self._log.info("delivered", service="worker", event="delivered", notification=number, attempts=attempt)
                return
            if attempt < _ATTEMPTS and not cause.startswith("410") and not self._ended.wait(_PAUSE):
                continue
            break
        self._ledger.settle(number, "failed", attempt, cause)
        self._log.error(f"delivery failed: {cause}", service="worker", event="delivery-failed", notification=number)

    def _send(self, number: int, recipient: str, text: str, correlation_id: str) -> str:
        """Deliver once; the cause why not, empty where it succeeded."""
        port = self._receiver.server_port if self._receiver else 0
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            body = json.dumps({"notification": number, "recipient": recipient, "text": text})
            connection.request("POST", "/deliver", body, {"X-Correlation-Id": correlation_id})
            answer = connection.getresponse()
            said = json.loads(answer.read()).get("message", "")
            return "" if answer.status == 202 else f"{answer.status} {said}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    # The receiver ----------------------------------------------------------------------------------------------------

    def _receive(self, request: Request) -> Answer:
        self._log.follow(request.headers.get("x-correlation-id"))
        refusal = None
        if "delivery" in self._faults:
            refusal = HttpError(503, "the receiver takes nothing today")
        elif random.random() < _UNKNOWN_RECIPIENTS:
            refusal = HttpError(410, "this recipient has moved away")
        if refusal:
            self._log.warning("refused", service="sink", event="refused", status=refusal.status)
            raise refusal
        self._log.info("received", service="sink", event="received", status=202)
        return Answer({"message": "received"}, 202)

    def _broke(self, path: str, error: Exception) -> None:
        self._log.error(f"the receiver broke off: {error}", service="sink", event="failure", path=path)
