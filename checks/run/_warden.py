"""A small process between ``run`` and a kernel that lets nothing the kernel started live on.

It adopts the orphans of its descendants (Linux), so a grandchild that left its session, its group and its parent is
still found. When the kernel ends, when it is told to stop (SIGTERM), or when the process that started it is gone, it
kills every descendant and waits until the system says that it has no child left. Only the standard library, because it
stands in front of every kernel's start.

Usage: ``python -I -S _warden.py PARENT_PID PROGRAM ARGUMENT…``
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36
_LOOK_FOR_PARENT_SECONDS = 0.5
_STOPPED = 143


def main(arguments: list[str]) -> int:
    """Start the program and watch over it; its exit status, 128 and a signal's number, or 143 where it was stopped."""
    parent, program = int(arguments[0]), arguments[1:]
    _adopt_orphans()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    # Interrupts go to the whole group and are the kernel's to handle. Handlers, unlike SIG_IGN, are not inherited.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # The kernel ends itself when its parent does, and this process is that parent.
    surroundings = {**os.environ, "JPY_PARENT_PID": str(os.getpid())}
    kernel = os.posix_spawnp(program[0], program, surroundings)
    code: int | None = None
    while code is None and not stopped and os.getppid() == parent:
        code = _reap(kernel)
        if code is None:
            select.select([reading], [], [], _LOOK_FOR_PARENT_SECONDS)
            os.set_blocking(reading, False)
            try:
                os.read(reading, 4096)
            except BlockingIOError:
                continue
    _kill_all()
    return _STOPPED if code is None else code


def _reap(kernel: int) -> int | None:
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


def _kill_all() -> None:
    pause = 0.001
    while True:
        for descendant in _descendants():
            try:
                os.kill(descendant, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(pause)
        pause = min(pause * 2, 0.1)


def _descendants() -> list[int]:
    children: dict[int, list[int]] = {}
    for process, parent in _parents():
        children.setdefault(parent, []).append(process)
    found, queue = [], [os.getpid()]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def _parents() -> list[tuple[int, int]]:
    if not os.path.isdir("/proc/self"):  # noqa: PTH112 - pathlib would double the time that this process needs to start
        lines = os.popen("ps -A -o pid= -o ppid=").read().splitlines()  # noqa: S605 - fixed, and only without /proc
        return [(int(process), int(parent)) for process, parent in (line.split() for line in lines)]
    pairs = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - as above
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - as above
                    # A program's name may hold spaces and brackets; the parent stands two fields after the last bracket.
                    pairs.append((int(name), int(file.read().rpartition(b")")[2].split()[1])))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return pairs


def _adopt_orphans() -> None:
    if sys.platform != "linux":
        return
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this kernel of Linux does not let a process adopt orphans")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
