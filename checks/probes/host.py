"""This machine, or one process on it, by psutil."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from checks.catalogue.environment import Settled
from checks.model import Observation, Unmeasured
from checks.probes._steps import note
from checks.probes._support import Measuring, within

if TYPE_CHECKING:
    import psutil

    from checks.catalogue.probe_kinds import HostProbe

_INTERVAL = 1.0
# A program writes its pid file after it has started; one that is younger than the file has inherited the number.
_PID_SLACK = 2.0
# Where the kernel sets no bound it says the largest number that it has.
_NO_BOUND = 2**62


def probe(declaration: HostProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Measure this machine or a process; see `HostProbe`."""
    del unit
    if declaration.pid_file is not None:
        pid_file = Path(settled.fill(declaration.pid_file))
        measuring = Measuring(now, f"{declaration.measure} by {pid_file}", settled)
        work = _process(declaration.measure, pid_file, measuring)
    else:
        path = settled.fill(declaration.path)
        measuring = Measuring(now, f"{declaration.measure} of the machine that holds {path}", settled)
        work = _machine(declaration.measure, path, measuring)
    seconds = declaration.timeout.total_seconds()
    try:
        return within(seconds, work)
    except TimeoutError:
        return measuring.late(seconds)
    except OSError as error:
        return measuring.failed(f"{measuring.source} cannot be read: {error.strerror or error}")


def _machine(what: str, path: str, measuring: Measuring) -> Callable[[], Observation | Unmeasured]:
    def memory() -> Observation | Unmeasured:
        import psutil

        return measuring.gave(psutil.virtual_memory().percent, "%")

    def cpu() -> Observation | Unmeasured:
        import psutil

        return measuring.gave(psutil.cpu_percent(_INTERVAL), "%", f"over {_INTERVAL:.0f} s")

    def load() -> Observation | Unmeasured:
        cores = os.cpu_count() or 1
        return measuring.gave(os.getloadavg()[0] / cores, "", f"{os.getloadavg()[0]:.2f} on {cores} cores")

    def disk() -> Observation | Unmeasured:
        import psutil

        return measuring.gave(psutil.disk_usage(path).percent, "%")

    def inodes() -> Observation | Unmeasured:
        filesystem = os.statvfs(path)
        if not filesystem.f_files:
            return measuring.failed(f"the filesystem of {path} has no fixed number of inodes")
        return measuring.gave(100 * (filesystem.f_files - filesystem.f_ffree) / filesystem.f_files, "%")

    def open_files() -> Observation | Unmeasured:
        # https://docs.kernel.org/admin-guide/sysctl/fs.html#file-max-file-nr
        allocated, _, most = map(int, Path("/proc/sys/fs/file-nr").read_text().split())
        return measuring.gave(allocated, "", f"of {most:,} that may be" if most < _NO_BOUND else "")

    measures = {"memory": memory, "cpu": cpu, "load": load, "disk": disk, "inodes": inodes, "open-files": open_files}

    def work() -> Observation | Unmeasured:
        # A mount that is dead holds this up, too.
        if not Path(path).exists():
            return measuring.failed(f"{path} does not exist here, so this is not the machine that is meant")
        note(f"{path} is here, on {os.uname().nodename}")
        return measures[what]()

    return work


def _process(what: str, pid_file: Path, measuring: Measuring) -> Callable[[], Observation | Unmeasured]:
    def work() -> Observation | Unmeasured:
        import psutil

        try:
            with pid_file.open("rb") as file:
                text = file.read(64).strip()
            written = pid_file.stat().st_mtime
        except FileNotFoundError:
            return measuring.failed(f"{pid_file} does not exist, so the process does not run or was never started")
        if not text.isdigit():
            return measuring.failed(f"{pid_file} holds no process id")
        try:
            process = psutil.Process(int(text))
            if process.status() == psutil.STATUS_ZOMBIE:
                return measuring.failed(f"process {process.pid} of {pid_file} has ended and was not collected")
            if process.create_time() > written + _PID_SLACK:
                return measuring.failed(
                    f"process {process.pid} is younger than {pid_file}: it is another one, the right one has ended"
                )
            note(f"process {process.pid} is {process.name()}, {process.status()}")
            return _of_process(what, process, measuring)
        except (psutil.NoSuchProcess, OverflowError):
            return measuring.failed(f"process {int(text)} of {pid_file} does not run")
        except psutil.AccessDenied:
            return measuring.failed(f"process {int(text)} of {pid_file} may not be looked at")

    return work


def _of_process(what: str, process: psutil.Process, measuring: Measuring) -> Observation | Unmeasured:
    detail = f"process {process.pid}"
    if what == "process-memory":
        return measuring.gave(process.memory_info().rss, "B", detail)
    if what == "process-cpu":
        return measuring.gave(process.cpu_percent(_INTERVAL), "%", f"{detail} over {_INTERVAL:.0f} s")
    if what.startswith("process-files"):
        return _files(what, process, measuring)
    return measuring.gave(max(0.0, measuring.now.timestamp() - process.create_time()), "s", detail)


def _files(what: str, process: psutil.Process, measuring: Measuring) -> Observation | Unmeasured:
    import psutil

    held, (most, _) = process.num_fds(), process.rlimit(psutil.RLIMIT_NOFILE)
    if what == "process-files":
        return measuring.gave(held, "", f"process {process.pid}, which may hold {most:,}")
    if most <= 0:
        return measuring.failed(f"process {process.pid} may hold any number of files open, so there is no share of it")
    return measuring.gave(100 * held / most, "%", f"process {process.pid} holds {held:,} of {most:,}")
