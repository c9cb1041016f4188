"""A small process between ``run`` and a kernel that lets nothing the kernel started live on.

It adopts the orphans of its descendants (Linux), so a grandchild that left its session, its group and its parent is
still found. When the kernel ends, when it is told to stop (SIGTERM), or when the process that started it is gone, it
kills every descendant and waits until the system says that it has no child left. Who is ended before its time is asked
first (SIGTERM) and has a moment to put away what it holds: a lock, a half-written file. Only the standard library, because it
stands in front of every kernel's start.

Usage: ``python -I -S _warden.py PARENT_PID PROGRAM ARGUMENT…``
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # typing and collections.abc would be most of the time that this process needs to start
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
if TYPE_CHECKING or __name__ != "__main__":
    from checks.run import _control_group, bounds
else:
    # As a program this is started without any folder to import from but Python's own.
    sys.path.append(os.path.dirname(__file__))  # noqa: PTH120 - pathlib would double the time that this process needs to start
    import _control_group
    import bounds

_PR_SET_CHILD_SUBREAPER = 36
_LOOK_FOR_PARENT_SECONDS = 0.5
_ENDS_SECONDS = 0.05
_ASKED_SECONDS = 1.0
_CROWD = 64
_STOP_SECONDS = 5.0
STOPPED = 143


def main(arguments: list[str]) -> int:
    """Start the program and watch over it; its exit status, 128 and a signal's number, or 143 where it was stopped."""
    parent, program = int(arguments[0]), arguments[1:]
    adopt_orphans()
    bell = Bell()
    # The kernel ends itself when its parent does, and this process is that parent.
    surroundings = {**os.environ, "JPY_PARENT_PID": str(os.getpid())}
    bounds.apply(surroundings)
    kernel = os.posix_spawnp(program[0], program, surroundings, setpgroup=0)
    signal.signal(signal.SIGINT, lambda *_: tell_group(kernel, signal.SIGINT))
    code = watch(kernel, bell, lambda: os.getppid() == parent, surroundings=surroundings)
    if os.getppid() != parent:
        clear_room(surroundings)
    return code


class Bell:
    """Wakes whoever watches when a child ends or when this process is told to stop."""

    def __init__(self) -> None:
        self.stopped = False
        self.reading, self._writing = os.pipe()
        os.set_blocking(self.reading, False)
        os.set_blocking(self._writing, False)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGHUP, self._stop)
        # Interrupts are the kernel's to handle. Handlers, unlike SIG_IGN, are not inherited.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def wait(self, seconds: float, *others: int) -> list[int]:
        """Wait until it rings or another descriptor can be read; those that can."""
        ready = select.select([self.reading, *others], [], [], seconds)[0]
        if self.reading in ready:
            try:
                os.read(self.reading, 4096)
            except BlockingIOError:
                ready.remove(self.reading)
        return ready

    def unhang(self) -> None:
        """Give signals back their meaning in a process that was forked from the one that watches."""
        signal.set_wakeup_fd(-1)
        for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(signum, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.close(self.reading)
        os.close(self._writing)

    def _stop(self, *_: object) -> None:
        self.stopped = True


def watch(kernel: int, bell: Bell, wanted: Callable[[], bool], *ears: int, surroundings: Mapping[str, str]) -> int:
    """Wait until a kernel ends, breaks a bound or is not wanted any more, then kill whatever descends from this process.

    Args:
        kernel: the process that is watched, a child of this one and the leader of its group.
        bell: rings when a child ends.
        wanted: is asked now and then, and whenever an ear can be read.
        ears: descriptors on which it may be heard that the kernel is not wanted.
        surroundings: the kernel's environment, which names its bounds.

    Returns:
        The kernel's exit status; 128 and the number where a signal ended it, 143 where it was stopped.

    """
    code: int | None = None
    group = _control_group.ControlGroup.make(kernel, _limits_of_a_group(surroundings))
    watched = bounds.Watch(surroundings, descendants, lambda: _refused(group))
    pause = bounds.LOOK_SECONDS if bounds.VARIABLE in surroundings else _LOOK_FOR_PARENT_SECONDS
    broken = ""
    while code is None and not bell.stopped and wanted() and not (broken := watched.broken()):
        code = reap(kernel)
        if code is None:
            bell.wait(pause, *ears)
    if code is None and not broken:
        code = _ask(kernel, bell, watched)
    watched.last_words()
    # All of a group ends at one moment, in which none of it can start another.
    group.kill()
    if code is None:
        tell_group(kernel, signal.SIGKILL)
        bell.wait(_ENDS_SECONDS)
    kill_all()
    group.remove()
    return STOPPED if code is None else code


def _ask(kernel: int, bell: Bell, watched: bounds.Watch) -> int | None:
    """Ask a kernel and all that it started to end, and wait a moment; the kernel's exit status where it did."""
    tell_group(kernel, signal.SIGTERM)
    asked, code = {kernel}, None
    ends_at = time.monotonic() + _ASKED_SECONDS
    while True:
        # Mostly the kernel is alone and ends at once, and then nobody needs to be looked for.
        bell.wait(_ENDS_SECONDS)
        found = reap(kernel)
        code = code if found is None else found
        if _alone() or time.monotonic() > ends_at or watched.broken():
            return code
        for process in descendants():
            if process not in asked:
                asked.add(process)
                _signal_one(process, signal.SIGTERM)


def _alone() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def clear_room(surroundings: Mapping[str, str]) -> None:
    """Take away the private folder of a kernel whose engine was killed, and can do it no more."""
    folder = os.path.dirname(surroundings.get("PROOFBOOK_CONTEXT", ""))  # noqa: PTH120 - as above
    if os.path.basename(folder).startswith("proofbook-"):  # noqa: PTH119 - as above
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def reap(kernel: int) -> int | None:
    """Take leave of children that have ended; the kernel's exit status if it is among them."""
    code = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if ended == 0:
            return code
        if ended == kernel:
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code


def tell_group(leader: int, signum: int) -> None:
    """Send a signal to a group of processes, if there is anybody left in it."""
    try:
        os.killpg(leader, signum)
    except (ProcessLookupError, PermissionError):
        return


def kill_all() -> None:
    """Kill every descendant and wait until there is none left."""
    pause = 0.001
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        found = _family()
        if len(found) > _CROWD:
            found = _stop_crowd(found)
        _signal(found, signal.SIGKILL)
        time.sleep(pause)
        pause = min(pause * 2, 0.1)


def _stop_crowd(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stop a crowd, which multiplies as long as it gets time to, before it is killed; those who are in it by then.

    Who is stopped goes on counting against every bound of the operating system's; who was killed makes room for another.
    """
    _hurry()
    ends_at = time.monotonic() + _STOP_SECONDS
    stopped: set[int] = set()
    while new := [one for one in found if one[0] not in stopped]:
        _signal(new, signal.SIGSTOP)
        if time.monotonic() > ends_at:
            break
        stopped.update(process for process, _ in new)
        found = _family()
    return found


def _signal(family: list[tuple[int, int]], signum: int) -> None:
    # Only descendants can be in a group that one of them leads, or joined: a group never reaches beyond its session.
    for group in {group for _, group in family} - {os.getpgrp()}:
        tell_group(group, signum)
    for process, _ in family:
        _signal_one(process, signum)


def _signal_one(process: int, signum: int) -> None:
    try:
        os.kill(process, signum)
    except ProcessLookupError:
        return


def _hurry() -> None:
    """Go before the crowd, where this process may."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except (AttributeError, OSError):
        return


def _limits_of_a_group(surroundings: Mapping[str, str]) -> dict[str, int]:
    bound = bounds.from_text(surroundings.get(bounds.VARIABLE, ""))
    return {"pids.max": bound[bounds.PROCESSES], "memory.max": bound[bounds.MEMORY], "memory.oom.group": 1} if bound else {}


def _refused(group: _control_group.ControlGroup) -> str:
    if group.refused("pids.events", "max"):
        return bounds.PROCESSES
    return bounds.MEMORY if group.refused("memory.events", "oom_kill") else ""


def descendants(spared: frozenset[int] = frozenset()) -> list[int]:
    """The processes below this one, without those that are spared and what is below them."""
    return [process for process, _ in _family(spared)]


def _family(spared: frozenset[int] = frozenset()) -> list[tuple[int, int]]:
    """The processes below this one and the group of each."""
    children: dict[int, list[tuple[int, int]]] = {}
    for process, parent, group in _processes():
        children.setdefault(parent, []).append((process, group))
    found, queue = [], [os.getpid()]
    while queue:
        below = [child for child in children.get(queue.pop(), []) if child[0] not in spared]
        found += below
        queue += [process for process, _ in below]
    return found


def _processes() -> list[tuple[int, int, int]]:
    """Every process there is, with its parent and its group."""
    if not os.path.isdir("/proc/self"):  # noqa: PTH112 - pathlib would double the time that this process needs to start
        lines = os.popen("ps -A -o pid= -o ppid= -o pgid=").read().splitlines()  # noqa: S605 - fixed, and only without /proc
        return [(int(process), int(parent), int(group)) for process, parent, group in (line.split() for line in lines)]
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - as above
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - as above
                    # A program's name may hold spaces and brackets; what follows the last bracket is in fixed places.
                    fields = file.read().rpartition(b")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found.append((int(name), int(fields[1]), int(fields[2])))
    return found


def adopt_orphans() -> None:
    """Become the parent of each descendant whose own parent ends (Linux).

    Raises:
        OSError: the operating system does not let it.

    """
    if sys.platform != "linux":
        return
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this kernel of Linux does not let a process adopt orphans")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
