"""What every stand-in is built from: subclass `Service`, give it routes, traffic, jobs and faults.

A stand-in is one process that really serves HTTP on 127.0.0.1, stores rows in SQLite, logs JSON lines, and gets
steady traffic of real requests. Its figures are computed from what it served (``self.window``) and stored
(``self.database``); a fault changes what it does, never what it says. All its files lie in ``self.folder``.

A whole stand-in::

    from checks.sandbox.kit import Answer, Call, Counted, Job, Request, Route, Service

    class Example(Service):
        name = "example"                       # the system's slug; variables are called EXAMPLE_URL, EXAMPLE_LOG …
        FAULTS = {"errors": "Seven of ten answers fail with status 503.", "slow": "One answer in four takes 2.5 s."}

        def setup(self) -> None:               # before serving; runs at every start, so create only what is missing
            self.database.script("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")

        def routes(self) -> list[Route]:
            return [
                Route("GET", "/notes/{id}", self.note),
                Route("POST", "/notes", self.add_note),
                Route("GET", "/metrics", self.metrics, Counted.OPERATOR),   # not in the window's figures
            ]

        def traffic(self) -> Call:             # the next request of the steady traffic; None: send nothing this time
            return Call("GET", "/notes/1") if self.random.random() < 0.9 else Call("POST", "/notes", {"text": "hello"})

        def jobs(self) -> list[Job]:
            return [Job("backup", every=60, run=lambda: self.back_up(keep=5))]

        def note(self, request: Request) -> Answer:
            if "errors" in self.faults and self.random.random() < 0.7:
                raise HttpError(503, "storage does not answer")
            rows = self.database.rows("SELECT id, text FROM note WHERE id = ?", request.args["id"])
            return Answer({"id": rows[0][0], "text": rows[0][1]}) if rows else Answer({"message": "Not Found"}, 404)
        …
        def metrics(self, request: Request) -> Answer:
            return Answer(self.window.figures().as_json())      # count, error_rate, mean_ms, p95_ms …

Register it in ``checks.sandbox.systems``. Try it in a test: ``with running(Example(tmp_path)) as service: …service.url``.
More to build from: `Repository` (bare origin and clone, kit_git), `IssueTracker` (GitHub's issue API, kit_issues),
`dump` (kit_store), `Window` (kit_window), further `JsonLog`s and `Database`s of your own.

``self.log`` is the application's log: what it reports by itself; an exact repetition of a warning or error within
ten minutes is counted, not written again. ``self.access`` has one line a request: ``method``, ``path``, ``status``,
``duration_ms``. ``self.restart()`` ends the process so that the supervisor starts it anew on the same port.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

from checks.sandbox.kit_git import Repository
from checks.sandbox.kit_http import Answer, Counted, Handler, HttpError, Request, Route, Server
from checks.sandbox.kit_issues import IssueTracker
from checks.sandbox.kit_store import Database, Faults, Job, JsonLog, dump, read_json, utc_text, write_json
from checks.sandbox.kit_traffic import Call, Traffic
from checks.sandbox.kit_window import Figures, Window

__all__ = [
    "RESTART_CODE",
    "Answer",
    "Call",
    "Counted",
    "Database",
    "Faults",
    "Figures",
    "Handler",
    "HttpError",
    "IssueTracker",
    "Job",
    "JsonLog",
    "Repository",
    "Request",
    "Route",
    "Service",
    "Window",
    "dump",
    "read_json",
    "running",
    "utc_text",
    "write_json",
]

RESTART_CODE = 75  # a process that ends so asks the supervisor to start it again
_WARM_UP_AT_MOST = 3.0  # seconds; a slow system is ready too, and is seen to be slow


class Service:
    """One system's stand-in; see the module's text for what to override.

    Attributes:
        name: the system's slug.
        FAULTS: each fault with one line that says what really happens while it is on.
        rate: requests per second of the steady traffic; `burst`: how many are sent at once before it is ready.
        window_seconds: length of the rolling window of ``self.window``.

    """

    name: ClassVar[str]
    FAULTS: ClassVar[Mapping[str, str]] = {}
    rate: ClassVar[float] = 10.0
    burst: ClassVar[int] = 60
    window_seconds: ClassVar[float] = 60.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.faults = Faults(folder / "faults.json")
        self.database = Database(folder / f"{self.name}.db")
        self.log = JsonLog(folder / "log" / "app.jsonl", bound=32_000_000, quiet_for=600)
        self.access = JsonLog(folder / "log" / "access.jsonl")
        self.window = Window(self.window_seconds)
        self.random = random.Random()
        self.backups = folder / "backups"
        self.pid_file = folder / "service.pid"
        self.exit_code: int | None = None
        self.ended = threading.Event()
        self._server: Server | None = None
        self._traffic: Traffic | None = None

    # To override -------------------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Create what is missing: tables, rows, repositories; runs before serving, at every start."""

    def routes(self) -> Sequence[Route]:
        """What is served."""
        return []

    def traffic(self) -> Call | None:
        """The next request of the steady traffic; asked from several threads."""
        return None

    def jobs(self) -> Sequence[Job]:
        """What is done again and again."""
        return []

    def opened(self) -> None:
        """Open what stands beside the server; runs when the server's port is known and before it answers anybody."""

    def variables(self) -> dict[str, str]:
        """What the system's ``system.yml`` refers to as ``${NAME}``; extend it with ``{**super().variables(), …}``."""
        prefix = self.name.upper().replace("-", "_")
        return {
            f"{prefix}_URL": self.url,
            f"{prefix}_DATABASE": str(self.database.path),
            f"{prefix}_LOG": str(self.log.path),
            f"{prefix}_ACCESS_LOG": str(self.access.path),
            f"{prefix}_BACKUPS": str(self.backups),
            f"{prefix}_PID_FILE": str(self.pid_file),
            f"{prefix}_FOLDER": str(self.folder),
        }

    # To use ------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where it serves, without a slash at the end; empty before it is started."""
        return self._server.url if self._server else ""

    def back_up(self, *, keep: int = 5, break_off_at: int | None = None) -> Path:
        """Dump the database into ``self.backups``; see `dump`."""
        return dump(self.database.path, self.backups, name=self.name, keep=keep, break_off_at=break_off_at)

    def restart(self) -> None:
        """End this process shortly, so that the answer still gets out, and have it started again."""
        self.exit_code = RESTART_CODE
        threading.Timer(0.2, self.ended.set).start()

    # The life of it ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Set up, serve, and send traffic until the first figures exist."""
        self.setup()
        port_file = self.folder / "port.json"
        self._server = Server(self.routes(), self._observe, self._failed, port=int(read_json(port_file).get("port", 0)))
        port = self._server.server_port
        write_json(port_file, {"port": port})
        self.pid_file.write_text(f"{os.getpid()}\n", encoding="utf-8")
        self.opened()
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="server", daemon=True).start()
        self.log.info("started", pid=os.getpid(), url=self.url)
        first_times = [threading.Thread(target=self._work, args=(job, self._begin(job)), daemon=True) for job in self.jobs()]
        for thread in first_times:
            thread.start()
        self._traffic = Traffic(port, self.traffic, rate=self.rate, burst=self.burst)
        self._traffic.start()
        self._traffic.warm.wait(_WARM_UP_AT_MOST)

    def stop(self) -> None:
        """Stop sending, serving and working, and close the files."""
        self.ended.set()
        if self._server:
            self._server.close_all()
        if self._traffic:
            self._traffic.stop()
        self.log.info("stopped", pid=os.getpid())
        self.pid_file.unlink(missing_ok=True)
        self.database.close()
        self.log.close()
        self.access.close()

    def _begin(self, job: Job) -> float:
        if not job.at_start:
            return job.every
        self._do(job)
        return job.every

    def _work(self, job: Job, wait: float) -> None:
        while not self.ended.wait(wait):
            self._do(job)
            wait = job.every

    def _do(self, job: Job) -> None:
        try:
            job.run()
        except Exception as error:  # a job that fails is logged, and tried again next time, as a service would
            if not self.ended.is_set():
                self.log.error(f"job {job.name} failed", cause=f"{type(error).__name__}: {error}")

    def _observe(self, method: str, path: str, route: Route | None, status: int, took_ms: float) -> None:
        if route is None or route.counted is Counted.USER:
            self.window.add(status, took_ms, route.pattern if route else "")
        if not self.ended.is_set():
            level = "ERROR" if status >= 500 else "WARNING" if status >= 400 else "INFO"
            self.access.write(level, "request", method=method, path=path, status=status, duration_ms=round(took_ms, 2))

    def _failed(self, path: str, error: Exception) -> None:
        if not self.ended.is_set():
            self.log.error("a handler failed", path=path, cause=f"{type(error).__name__}: {error}")


S = TypeVar("S", bound=Service)


@contextmanager
def running(service: S) -> Iterator[S]:
    """Run a stand-in in this process, for a test."""
    service.start()
    try:
        yield service
    finally:
        service.stop()
