"""The fork server: loads once what every kernel loads, then forks a warden and a kernel for each request.

It owns no socket of a kernel's, no event loop and no second thread, and it serves one key only (see `checks.run.zygote`):
whoever needs other modules, another interpreter or newer sources starts another one. A request is one byte with one
descriptor on the control socket; everything else is said on that descriptor, by the warden, so that nobody waits here:

- the client sends four bytes of length and JSON with ``argv``, ``cwd`` and ``env``;
- the warden answers ``pid N``, or ``refused WHY``; and at the end ``exit N``;
- each further byte of the client's is a signal's number. When the client is gone, so is the kernel.

Usage: ``python -I -m checks.run._zygote CONTROL_DESCRIPTOR [MODULE…]``
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.run import _warden

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# What a kernel of `run` loads before its first cell and a check loads in it. None of them starts a thread.
PRELOADED = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "ipykernel.datapub",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.magics",
    "IPython.core.oinspect",
    "IPython.core.ultratb",
    "IPython.extensions.storemagic",
    "IPython.utils.wildcard",
    "argcomplete",
    "argcomplete.completers",
    "http.client",
    "pdb",
    "profile",
    "cProfile",
    "tornado.locks",
    "tornado.platform.asyncio",
    "tornado.queues",
    "traitlets.config.argcomplete_config",
    "xml.parsers.expat",
    "checks.judge",
    "checks.catalogue",
    "checks.probes",
    "checks.probes.command",
    "checks.probes.file",
    "checks.probes.host",
    "checks.probes.http",
    "checks.probes.log",
    "checks.probes.sql",
    "checks.run.context",
    "checks.run.notebook",
    "checks.run.payload",
    "checks.run.shell_command",
    "checks.run.strict",
    "httpx",
    "jmespath",
    "psutil",
    "pydantic",
    "ruamel.yaml",
)
# Loaded only where a runbook imports them; what stands behind each is what its first use would load.
HEAVY: Mapping[str, Sequence[str]] = {
    "numpy": ("numpy",),
    "pandas": ("pandas",),
    # Not pyplot and not the inline backend: they look for a shell when they are loaded, and none is here.
    "matplotlib": (
        "matplotlib.figure",
        "matplotlib.axes",
        "matplotlib.font_manager",
        "matplotlib.backends.backend_agg",
        "matplotlib.animation",
        "matplotlib.mlab",
    ),
}
_INLINE = "module://matplotlib_inline.backend_inline"
_PR_SET_PDEATHSIG = 1
_LONGEST_REQUEST = 16 << 20
_REQUEST_SECONDS = 10.0
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


def main(arguments: list[str]) -> int:
    """Serve until the client is gone."""
    control = socket.socket(fileno=int(arguments[0]))
    # Modules may look for a home when they are loaded; no kernel will ever see this one.
    with tempfile.TemporaryDirectory(prefix="proofbook-") as home:
        os.environ["HOME"] = home
        preload([*PRELOADED, *(module for name in arguments[1:] for module in HEAVY.get(name, ()))])
    line = serve(control)
    if line is None:
        return 0
    # From here on this is a warden; what it forks leaves the stack of the server behind.
    control.close()
    job = None
    with suppress(OSError):
        job = _guard(line)
    if job is None:
        # What modules would do at the end of a process is the server's to do.
        os._exit(0)
    from checks.run import _forked

    return _forked.run(job)


def preload(names: Iterable[str]) -> None:
    """Load modules; one that is not installed is left to the cell that asks for it."""
    # The libraries of numerics start a thread for each processor unless they are told not to; matplotlib decides when it
    # is loaded what it draws with, and a kernel names it only later.
    told = {**dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"), "MPLBACKEND": _INLINE}
    told = {name: value for name, value in told.items() if name not in os.environ}
    os.environ.update(told)
    for name in names:
        with suppress(ImportError):
            importlib.import_module(name)
    for name in told:
        del os.environ[name]
    # Loading the debugger would take longer than everything else together, and a run has nobody to debug.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    with suppress(ImportError):
        importlib.import_module("ipykernel.debugger")
    del sys.modules["debugpy"]


def serve(control: socket.socket) -> socket.socket | None:
    """Fork a warden for each request.

    Returns:
        In a warden, the line to its client; ``None`` in the server, when its own client is gone.

    """
    _warden.adopt_orphans()
    bell = _warden.Bell()
    client = _client_of(control)
    # This process ends by losing its client, never by a signal that was meant for others.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    wardens: set[int] = set()
    gc.collect()
    gc.freeze()
    while True:
        _bury(wardens)
        ready = bell.wait(60.0, control.fileno(), client)
        if client in ready:
            return None
        if control.fileno() not in ready:
            continue
        said, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not said:
            return None
        if not descriptors:
            continue
        line = socket.socket(fileno=descriptors[0])
        threads = os.listdir("/proc/self/task")  # noqa: PTH208 - a list has a length
        if len(threads) != 1:
            _say(line, f"refused the fork server has {len(threads)} threads")
            line.close()
            continue
        warden = os.fork()
        if warden == 0:
            bell.unhang()
            os.close(client)
            return line
        wardens.add(warden)
        line.close()


def _bury(wardens: set[int]) -> None:
    """Take leave of wardens that have ended, and kill what one of them left behind by being killed."""
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if ended == 0:
            return
        if ended in wardens:
            wardens.discard(ended)
            if os.WIFSIGNALED(status):
                for stranger in _warden.descendants(frozenset(wardens)):
                    with suppress(ProcessLookupError):
                        os.kill(stranger, signal.SIGKILL)


def _guard(line: socket.socket) -> Job | None:
    """Fork a kernel and watch over it; the job in the kernel, ``None`` in the warden when all is over."""
    os.setsid()
    job = _read_job(line)
    if job is None:
        return None
    _warden.adopt_orphans()
    bell = _warden.Bell()
    client = _client_of(line)
    warden = os.getpid()
    kernel = os.fork()
    if kernel == 0:
        bell.unhang()
        os.close(client)
        line.close()
        # The kernel ends with its warden, even where the warden cannot end it.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != warden:
            os._exit(_KILLED)
        return job
    _say(line, f"pid {kernel}")

    def wanted() -> bool:
        while select.select([line], [], [], 0)[0]:
            heard = line.recv(1)
            if not heard or heard[0] in (signal.SIGTERM, signal.SIGKILL, signal.SIGHUP):
                return False
            with suppress(ProcessLookupError):
                if heard[0] == signal.SIGINT:
                    os.killpg(warden, signal.SIGINT)
                elif heard[0]:
                    os.kill(kernel, heard[0])
        return not select.select([client], [], [], 0)[0]

    code = _warden.watch(kernel, bell, wanted, line.fileno(), client)
    _say(line, f"exit {code}")
    return None


def _client_of(line: socket.socket) -> int:
    """A descriptor that can be read once the process that made the line is gone, whoever else may hold its other end."""
    process = int.from_bytes(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)
    return os.pidfd_open(process)


def _read_job(line: socket.socket) -> Job | None:
    line.settimeout(_REQUEST_SECONDS)
    try:
        size = int.from_bytes(_read(line, 4), "big")
        if size > _LONGEST_REQUEST:
            return None
        told = json.loads(_read(line, size))
    except (OSError, ValueError):
        return None
    line.settimeout(None)
    return Job(**told)


def _read(line: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = line.recv(size - len(data))
        if not piece:
            raise ConnectionError("the client is gone")
        data += piece
    return data


def _say(line: socket.socket, text: str) -> None:
    with suppress(OSError):
        line.sendall(text.encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
