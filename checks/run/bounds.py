"""What one run may use of the machine, and what happens when it wants more.

Each process of a run is bound by the operating system (`apply`): memory, processor time, the size of a file, open files. What
all of them use together is watched by the warden (`Watch`), because no such bound exists without privileges: it counts
processes with their threads, and memory as it is really used. Where a control group may be made, the run gets one of its own
as well (`checks.run._control_group`), in which nothing multiplies faster than the warden looks.

Only the standard library and little of it, because the warden loads this before every kernel's start. Bounds travel as one
text (`to_text`) in an environment variable that the engine sets.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

VARIABLE = "PROOFBOOK_BOUNDS"
TOLD = "bound-broken"
"""Name of the file, beside the run's context, in which the warden says why it ended a run."""

MEMORY, PROCESSES, CPU, FILE_SIZE, FILES = "memory", "processes", "cpu", "file-size", "files"
MB = 1 << 20
_LEAST_MEMORY = 1024 * MB
_LOOK_CLOSELY_SECONDS = 1.0
LOOK_SECONDS = 0.1
_BACKSTOP = 2
_LAST_WORDS_SECONDS = 5
# A limit of one byte is the one that a core file and a program that collects cores both refuse; zero stops the file only.
_NO_CORE = 1


def defaults() -> dict[str, int]:
    """Generous bounds for this machine: half of its memory at most, and numbers that no honest runbook comes near."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # Bytes, processes and threads, seconds of one process, bytes of one file, open files of one process.
    return {MEMORY: max(memory // 2, _LEAST_MEMORY), PROCESSES: 1024, CPU: 3600, FILE_SIZE: 4096 * MB, FILES: 4096}


def to_text(bounds: Mapping[str, int]) -> str:
    """The bounds as a variable's value."""
    return " ".join(f"{name}={value}" for name, value in bounds.items())


def from_text(text: str) -> dict[str, int]:
    """The bounds that `to_text` wrote; none for an empty text."""
    return {name: int(value) for name, _, value in (word.partition("=") for word in text.split())}


def apply(surroundings: Mapping[str, str]) -> None:
    """Bind this process, and whatever it will start, to the bounds that its environment names; called before user code.

    A bound that is stricter already stays.
    """
    import resource

    _lower(resource.RLIMIT_CORE, _NO_CORE)
    bounds = from_text(surroundings.get(VARIABLE, ""))
    # Memory that is written to, not addresses that are set aside: numerical libraries set aside far more than they use.
    kinds = {MEMORY: resource.RLIMIT_DATA, CPU: resource.RLIMIT_CPU, FILES: resource.RLIMIT_NOFILE}
    for name, kind in {**kinds, FILE_SIZE: resource.RLIMIT_FSIZE}.items():
        if name in bounds:
            _lower(kind, bounds[name])
    if PROCESSES in bounds:
        # It counts all that the user has, and nothing of root's: what the warden sees too late ends here nevertheless.
        _lower(resource.RLIMIT_NPROC, _tasks_of_the_machine() + _BACKSTOP * bounds[PROCESSES])


def _lower(kind: int, wanted: int) -> None:
    import resource

    soft, hard = (wanted if limit == resource.RLIM_INFINITY else min(limit, wanted) for limit in resource.getrlimit(kind))
    # A process whose time is over is told so first, and then its end has a name.
    spare = _LAST_WORDS_SECONDS if kind == resource.RLIMIT_CPU and hard == wanted else 0
    resource.setrlimit(kind, (soft, hard + spare))


class Watch:
    """Watches what a tree of processes uses together.

    Args:
        surroundings: the kernel's environment; without bounds in it nothing is watched.
        tree: gives the processes of the tree.
        refused: what the operating system has refused the tree already, by the names of bounds.

    """

    def __init__(
        self, surroundings: Mapping[str, str], tree: Callable[[], Iterable[int]], refused: Callable[[], str] = lambda: ""
    ) -> None:
        self._bounds = from_text(surroundings.get(VARIABLE, ""))
        self._tree = tree
        self._refused = refused
        self._folder = os.path.dirname(surroundings.get("PROOFBOOK_CONTEXT", ""))  # noqa: PTH120 - pathlib loads too slowly
        self._looked_at = time.monotonic()
        self._tasks = _tasks_of_the_machine()

    def broken(self) -> str:
        """Why the tree must end, one sentence, which is also written down for the engine; empty where it may go on."""
        if not self._bounds:
            return ""
        now, tasks = time.monotonic(), _tasks_of_the_machine()
        # Looking at every process takes milliseconds; that the machine has many more of them is known at once.
        sudden = tasks - self._tasks > self._bounds[PROCESSES] // 4
        if not sudden and now - self._looked_at < _LOOK_CLOSELY_SECONDS:
            return ""
        self._looked_at, self._tasks = now, tasks
        return self._tell(self.last_words() or self._judge())

    def last_words(self) -> str:
        """Why the operating system itself ended the tree or stopped its growth, written down; empty where it did not."""
        refused = self._refused() if self._bounds else ""
        if refused == PROCESSES:
            return self._tell(f"it wanted more than the {self._bounds[PROCESSES]:,} processes and threads that a run may have")
        return self._tell(f"it wanted more than the {self._bounds[MEMORY] // MB:,} MB that a run may use" if refused else "")

    def _tell(self, why: str) -> str:
        if why and self._folder:
            with open(os.path.join(self._folder, TOLD), "w") as file:  # noqa: PTH118, PTH123 - as above
                file.write(why)
        return why

    def _judge(self) -> str:
        processes = list(self._tree())
        seen = [use for use in map(_use, processes) if use is not None]
        tasks, memory = sum(use[0] for use in seen), sum(use[1] for use in seen)
        if tasks > self._bounds[PROCESSES]:
            return f"it had {tasks:,} processes and threads, more than the {self._bounds[PROCESSES]:,} that a run may have"
        # Pages that several processes share count for each of them here; only where that is too much are they told apart.
        if memory > self._bounds[MEMORY] and (memory := sum(map(_share, processes))) > self._bounds[MEMORY]:
            return f"it used {memory // MB:,} MB of memory, more than the {self._bounds[MEMORY] // MB:,} MB that a run may use"
        return ""


def _tasks_of_the_machine() -> int:
    try:
        with open("/proc/loadavg", "rb") as file:  # noqa: PTH123 - as above
            return int(file.read().split()[3].partition(b"/")[2])
    except (OSError, ValueError, IndexError):
        return 0


def _use(process: int) -> tuple[int, int] | None:
    """A process's threads, itself counted, and its bytes in memory; ``None`` where it is gone."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:  # noqa: PTH123 - as above
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[17]), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


def _share(process: int) -> int:
    """A process's bytes in memory, of shared ones its share; all of them where the share may not be read."""
    try:
        with open(f"/proc/{process}/smaps_rollup", "rb") as file:  # noqa: PTH123 - as above
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(b"Pss:"))
    except (OSError, StopIteration):
        use = _use(process)
        return use[1] if use else 0
