"""Many runs one after another in one process: what would grow by each of them must not grow.

``python -m tests.benchmarks soak --in-a-row 1000``; the suite does the same with a hundred (tests/run/test_soak.py).
"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from checks.journal import open_journal
from checks.model import RunState, Trigger
from checks.run import kernels, selection, zygote
from checks.run.many import run_many
from tests.run.project import CHECK, Project

_BATCH = 10
_SETTLE_SECONDS = 5.0
# The one that renews leases lives as long as the journal is open.
_OF_THE_JOURNAL = 1
_MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Use:
    """What this process and all that it started use at one moment.

    Attributes:
        processes: this one and those below it; `threads`: its own.
        files: its open descriptors, sockets among them; `sockets`: the ends of sockets that the whole machine has.
        left: files and folders in the temporary folder and in the folder of partial evidence.
        memory: bytes of this process; `server`: bytes of the fork server.

    """

    processes: int
    threads: int
    files: int
    sockets: int
    left: int
    memory: int
    server: int


def use(*folders: Path, before: int) -> Use:
    """What is used now; what lies in `folders` counts as left behind, and so many threads were there before anything began."""
    gc.collect()
    ends_at = time.monotonic() + _SETTLE_SECONDS
    while threading.active_count() > before + _OF_THE_JOURNAL and time.monotonic() < ends_at:
        # Threads of an executor end a moment after it has gone.
        time.sleep(0.05)
    me = psutil.Process()
    below = me.children(recursive=True)
    files = os.listdir("/proc/self/fd")  # noqa: PTH208 - as few objects as can be
    servers = [process.pid for process in below if process.ppid() == me.pid]
    return Use(
        processes=1 + len(below),
        threads=threading.active_count(),
        files=len(files),
        sockets=sum(os.path.realpath(f"/proc/self/fd/{name}").rpartition("/")[2].startswith("socket:") for name in files),
        left=sum(1 for folder in folders if folder.is_dir() for _ in folder.iterdir()),
        memory=me.memory_info().rss,
        server=sum(psutil.Process(pid).memory_info().rss for pid in servers),
    )


@contextmanager
def surroundings(folder: Path) -> Iterator[Path]:
    """Kernels that are forked, and a temporary folder in which nobody else works."""
    rooms = folder / "t"
    rooms.mkdir()
    origin, temporary = os.environ.get(kernels.ORIGIN_VARIABLE), tempfile.tempdir
    os.environ[kernels.ORIGIN_VARIABLE] = kernels.Origin.FORK.value
    tempfile.tempdir = str(rooms)
    try:
        yield rooms
    finally:
        zygote.close()
        tempfile.tempdir = temporary
        os.environ.pop(kernels.ORIGIN_VARIABLE)
        if origin is not None:
            os.environ[kernels.ORIGIN_VARIABLE] = origin


def soak(folder: Path, runs: int, jobs: int = 2) -> Iterator[Use]:
    """Execute a small runbook many times, every fifth time one that fails; what was used after each tenth of the runs.

    Args:
        folder: an empty one with a short path.
        runs: how many runs in all, a multiple of a hundred.
        jobs: how many at once.

    Raises:
        AssertionError: a run did not end as it must.

    """
    threads = threading.active_count()
    project = Project(folder / "p")
    project.write(CHECK, "small")
    project.write("```bash\nsleep 60 & exit 3\n```\n", "fails")
    catalogue = project.catalogue
    books = [catalogue.runbooks["shop/fails" if number % 5 == 4 else "shop/small"] for number in range(_BATCH)]
    partial = catalogue.settings.state / "partial"
    with surroundings(folder) as rooms, open_journal(catalogue.settings.journal) as journal:
        for number in range(runs // _BATCH):
            prepared = selection.prepare_all(
                books,
                catalogue,
                environment="test",
                variables=project.variables,
                parameters={},
                trigger=Trigger.SCHEDULE,
                now=datetime.now(UTC),
            )
            outcomes = run_many(prepared, journal, clock=lambda: datetime.now(UTC), jobs=jobs)
            states = [outcome.run.state for outcome in outcomes]
            wanted = [RunState.FAILED if book.name == "fails" else RunState.FINISHED for book in books]
            assert states == wanted, [outcome.run.reason for outcome in outcomes]
            if (number + 1) % (runs // _BATCH // 10) == 0:
                yield use(rooms, partial, before=threads)


def measure(runs: int) -> dict[str, Any]:
    """Soak and print what was used after each tenth."""
    print(f"\n{runs:,} runs in one process: what is used after each tenth of them")
    print(f"{'processes':>9} {'threads':>8} {'files':>6} {'sockets':>8} {'left':>5} {'memory':>9} {'server':>9}")
    begun = time.perf_counter()
    found = []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        for one in soak(Path(folder), runs):
            found.append(one)
            print(
                f"{one.processes:>9} {one.threads:>8} {one.files:>6} {one.sockets:>8} {one.left:>5}"
                f" {one.memory / _MB:>6.1f} MB {one.server / _MB:>6.1f} MB",
                flush=True,
            )
    seconds = time.perf_counter() - begun
    print(f"{seconds:.0f} s, {1000 * seconds / runs:.0f} ms a run")
    return {"runs": runs, "seconds": seconds, "after_each_tenth": [asdict(one) for one in found]}
