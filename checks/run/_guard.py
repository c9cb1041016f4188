"""What a warden that was forked from the fork server does: fork a kernel, watch over it until nothing of it is left, and again.

See `checks.run._zygote` for what is said between the server, its wardens and its client.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.run import _warden

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PR_SET_PDEATHSIG = 1
_LONGEST_REQUEST = 16 << 20
_REQUEST_SECONDS = 10.0
_IDLE_SECONDS = 60.0
_LEAVES_SECONDS = 2.0
_KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Job:
    """What a kernel is to become.

    Attributes:
        argv: the arguments of ``ipykernel_launcher``.
        cwd: the folder that it works in; empty: the one it is in.
        env: its whole environment.
        debugger: whether a debugger may be attached to it.

    """

    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    debugger: bool = False


@dataclass(frozen=True, slots=True)
class _Kernel:
    """A kernel that has been forked and waits until it is told, on a pipe, what it is to become."""

    pid: int
    pipe: int


def obey(orders: socket.socket) -> Job | None:
    """Carry out a server's orders, one after another.

    Returns:
        In a kernel, what it is to become; ``None`` in the warden, when there will be no more orders.

    """
    os.setsid()
    _warden.adopt_orphans()
    bell = _warden.Bell()
    kernel: _Kernel | None = None
    while not bell.stopped:
        ordered = orders.fileno() in bell.wait(_IDLE_SECONDS, orders.fileno())
        if kernel is not None and _warden.reap(kernel.pid) is not None:
            os.close(kernel.pipe)
            kernel = None
        if not ordered:
            continue
        said, descriptors, _, _ = socket.recv_fds(orders, 1, 1)
        if not said:
            break
        if kernel is None:
            forked = _fork(bell, orders, descriptors)
            if isinstance(forked, Job):
                return forked
            kernel = forked
        if said == b"k" and descriptors:
            with socket.socket(fileno=descriptors[0]) as line:
                _watch(kernel, line, bell)
            kernel = None
            if os.sched_getscheduler(0) != os.SCHED_OTHER:
                # It had to go before a crowd, and what it forks would go before everybody.
                break
            with suppress(OSError):
                orders.send(b"f", socket.MSG_NOSIGNAL)
    _warden.kill_all()
    return None


def _fork(bell: _warden.Bell, orders: socket.socket, descriptors: Sequence[int]) -> _Kernel | Job:
    """Fork a kernel; in it, what it is to become, once it has been told."""
    warden = os.getpid()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(reading)
        # Both say so, because either may be the first that counts on it.
        with suppress(OSError):
            os.setpgid(pid, pid)
        return _Kernel(pid, writing)
    bell.unhang()
    orders.close()
    for inherited in (writing, *descriptors):
        os.close(inherited)
    # Interrupts are for a kernel and what it starts in its group.
    os.setpgid(0, 0)
    # The kernel ends with its warden, even where the warden cannot end it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with os.fdopen(reading, "rb") as told:
        job = told.read() if os.getppid() == warden else b""
    if not job:
        os._exit(_KILLED)
    return Job(**json.loads(job))


def _watch(kernel: _Kernel, line: socket.socket, bell: _warden.Bell) -> None:
    """Tell a kernel what a client wants of it, and end it, and all that it started, when it is not wanted any more."""
    job = _read_job(line)
    with suppress(BrokenPipeError), os.fdopen(kernel.pipe, "wb") as pipe:
        pipe.write(job)
    client = client_of(line)
    say(line, f"pid {kernel.pid}")

    left: list[bool] = []

    def wanted() -> bool:
        while select.select([line], [], [], 0)[0]:
            heard = line.recv(1)
            if not heard:
                # A process that dies closes its lines before it is seen to be gone.
                left.append(True)
                return False
            if heard[0] == signal.SIGKILL:
                _warden.tell_group(kernel.pid, signal.SIGKILL)
            if heard[0] in (signal.SIGTERM, signal.SIGKILL, signal.SIGHUP):
                return False
            if heard[0] == signal.SIGINT:
                _warden.tell_group(kernel.pid, signal.SIGINT)
            elif heard[0]:
                with suppress(ProcessLookupError):
                    os.kill(kernel.pid, heard[0])
        if select.select([client], [], [], 0)[0]:
            left.append(True)
        return not left

    try:
        surroundings = json.loads(job)["env"] if job else {}
        code = _warden.watch(kernel.pid, bell, wanted, line.fileno(), client, surroundings=surroundings)
        if left and select.select([client], [], [], _LEAVES_SECONDS)[0]:
            _warden.clear_room(surroundings)
    finally:
        os.close(client)
    say(line, f"exit {code}")


def client_of(line: socket.socket) -> int:
    """A descriptor that can be read once the process that made the line is gone, whoever else may hold its other end."""
    process = int.from_bytes(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)
    return os.pidfd_open(process)


def say(line: socket.socket, text: str) -> None:
    """Tell a client, if it is still there."""
    with suppress(OSError):
        line.sendall(text.encode() + b"\n")


def threads() -> int:
    """How many threads this process has."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - a list has a length


def _read_job(line: socket.socket) -> bytes:
    """What the client wants, as JSON; empty where it does not say, and then the kernel ends at once."""
    line.settimeout(_REQUEST_SECONDS)
    try:
        size = int.from_bytes(_read(line, 4), "big")
        return _read(line, size) if size <= _LONGEST_REQUEST else b""
    except OSError:
        return b""
    finally:
        line.settimeout(None)


def _read(line: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = line.recv(size - len(data))
        if not piece:
            raise ConnectionError("the client is gone")
        data += piece
    return data
