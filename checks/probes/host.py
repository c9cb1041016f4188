"""This machine, or one process on it, by psutil."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from checks.catalogue.environment import Settled
from checks.model import Observation, Unmeasured
from checks.probes._support import Measuring, within

if TYPE_CHECKING:
    import psutil

    from checks.catalogue.probe_kinds import HostProbe

_DEADLINE = 10.0
_INTERVAL = 1.0
# A program writes its pid file after it has started; one that is younger than the file has inherited the number.
_PID_SLACK = 2.0


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
        if not Path(path).exists():
            return measuring.failed(f"{path} does not exist here, so this is not the machine that is meant")
        work = _machine(declaration.measure, path, measuring)
    try:
        return within(_DEADLINE, work)
    except TimeoutError:
        return measuring.late(_DEADLINE)
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

    return {"memory": memory, "cpu": cpu, "load": load, "disk": disk, "inodes": inodes}[what]


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
    return measuring.gave(max(0.0, measuring.now.timestamp() - process.create_time()), "s", detail)
