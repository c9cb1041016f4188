"""The sandbox's keeper: ``python -P -m checks.sandbox.keeper FOLDER SYSTEM…``, one detached process per state folder.

It starts one process per system, answers on a loopback port to who knows its token, and ends all of them when it is
told to stop or is terminated. A lock on ``keeper.lock`` is held as long as it lives.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from checks.sandbox.kit import RESTART_CODE
from checks.sandbox.kit_http import Answer, HttpError, Request, Route, Server
from checks.sandbox.kit_store import read_json, write_json

STATE_FILE = "keeper.json"
LOCK_FILE = "keeper.lock"
BUSY_CODE = 75
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "PYTHONPATH", "VIRTUAL_ENV")


class Condition(Enum):
    """How one system's process is."""

    DOWN = "down"
    STARTING = "starting"
    READY = "ready"
    ENDED = "ended"


class Charge:
    """One system's process, as its keeper sees it."""

    def __init__(self, system: str, folder: Path) -> None:
        self.system = system
        self.folder = folder
        self.ready_file = folder / "ready.json"
        self.process = self._start()

    def look(self) -> dict[str, Any]:
        """Its condition, and its variables where it is ready."""
        ready = read_json(self.ready_file)
        ours = ready.get("pid") == self.process.pid
        code = self.process.poll()
        if code is not None:
            reason = str(ready["error"]) if ours and "error" in ready else f"its process ended with {_exit_text(code)}"
            return {"condition": Condition.ENDED.value, "reason": reason}
        if ours and "variables" in ready:
            return {
                "condition": Condition.READY.value,
                "pid": self.process.pid,
                "url": ready["url"],
                "variables": ready["variables"],
            }
        return {"condition": Condition.STARTING.value, "pid": self.process.pid}

    def restart_if_asked(self) -> None:
        """Start it again where it ended with the code that asks for it."""
        if self.process.poll() == RESTART_CODE:
            self.process = self._start()

    def end(self) -> None:
        """Let go of its standard input, which ends it."""
        if self.process.stdin:
            self.process.stdin.close()

    def make_sure(self, seconds: float) -> None:
        """Wait for its end, then end its whole session by force."""
        try:
            self.process.wait(timeout=max(0.0, seconds))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.ready_file.unlink(missing_ok=True)

    def _start(self) -> subprocess.Popen[bytes]:
        (self.folder / "log").mkdir(parents=True, exist_ok=True)
        self.ready_file.unlink(missing_ok=True)
        with (self.folder / "log" / "process.out").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "checks.sandbox.process", self.system, str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                start_new_session=True,
            )


class Keeper:
    """Holds the systems of one state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = secrets.token_urlsafe(24)
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._charges: dict[str, Charge] = {}

    def start(self, systems: Sequence[str]) -> None:
        """Start the systems that do not run."""
        with self._lock:
            for system in systems:
                charge = self._charges.get(system)
                if charge is None or charge.process.poll() is not None:
                    self._charges[system] = Charge(system, self.folder / system)

    def look_after(self) -> None:
        """Start again what asks for it, until told to stop or its state file is gone; then end everything."""
        while not self.stopping.wait(0.2) and (self.folder / STATE_FILE).exists():
            with self._lock:
                for charge in self._charges.values():
                    charge.restart_if_asked()
        with self._lock:
            for charge in self._charges.values():
                charge.end()
            until = time.monotonic() + 5
            for charge in self._charges.values():
                charge.make_sure(until - time.monotonic())

    def routes(self) -> list[Route]:
        """What the keeper answers to."""
        return [
            Route("GET", "/state", self._state),
            Route("POST", "/start", self._start_more),
            Route("POST", "/stop", self._stop),
        ]

    def _state(self, request: Request) -> Answer:
        self._check(request)
        with self._lock:
            return Answer({"pid": os.getpid(), "systems": {name: charge.look() for name, charge in self._charges.items()}})

    def _start_more(self, request: Request) -> Answer:
        self._check(request)
        self.start([str(system) for system in request.json().get("systems", [])])
        return self._state(request)

    def _stop(self, request: Request) -> Answer:
        self._check(request)
        self.stopping.set()
        return Answer({"pid": os.getpid()})

    def _check(self, request: Request) -> None:
        if not secrets.compare_digest(request.headers.get("authorization", ""), f"Bearer {self.token}"):
            raise HttpError(403, "this keeper belongs to someone else")


def _exit_text(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def main(folder: Path, systems: Sequence[str]) -> int:
    """Keep the systems until told to stop; the exit code."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return BUSY_CODE
        keeper = Keeper(folder)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: keeper.stopping.set())
        server = Server(keeper.routes(), lambda *_: None, lambda path, error: print(path, repr(error), file=sys.stderr))
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        state_file = folder / STATE_FILE
        keeper.start(systems)
        write_json(state_file, {"pid": os.getpid(), "url": server.url, "token": keeper.token}, mode=0o600)
        try:
            keeper.look_after()
        finally:
            state_file.unlink(missing_ok=True)
            server.close_all()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
