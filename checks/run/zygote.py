"""The client of the fork server: which one serves a kernel, starting it, and the kernels that it forked.

One server lives for each process of ours that needs one, as long as that process: what it serves is written in its key,
and when the key changes (a newer source, another installation, another import) the next kernel comes from a new server.
Where there is nothing to fork from, `start` says why and the caller starts a kernel as anybody would.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# What changes how modules are loaded, or what they remember of it.
_RELEVANT = re.compile(r"LANG|LANGUAGE|LC_.*|TZ|LD_.*|DYLD_.*|PYTHON.*|MPL.*|OPENBLAS_.*|OMP_.*|MKL_.*")
_HEAVY_IMPORT = re.compile(r"^\s*(?:import|from)\s+(numpy|pandas|matplotlib|httpx|psutil|checks)\b", re.MULTILINE)
_ANSWER_SECONDS = 60.0
_MOST_STANDING_BY = 8
_MOURNING_SECONDS = 60.0
_STOPPED = 128 + signal.SIGTERM
_KILLED = 128 + signal.SIGKILL


class CannotFork(Exception):
    """There is no fork server, or it does not fork; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a fork server serves.

    Attributes:
        digest: of the interpreter, what is installed for it, and our own sources.
        environment: the variables that matter when modules are loaded.

    """

    digest: str
    environment: tuple[tuple[str, str], ...]


class Forked:
    """A kernel that was forked, with the manners of a ``subprocess.Popen`` as jupyter_client uses them."""

    stdin = stdout = stderr = None

    def __init__(self, line: socket.socket, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._line = line
        self._heard = b""
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """The exit status where it has ended; ``None`` where it lives."""
        return self._listen(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and that of everything it started.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time.

        """
        ends_at = None if timeout is None else time.monotonic() + timeout
        while True:
            left = 1.0 if ends_at is None else max(0.0, ends_at - time.monotonic())
            code = self._listen(min(left, 1.0))
            if code is not None:
                return code
            if ends_at is not None and time.monotonic() >= ends_at:
                raise subprocess.TimeoutExpired("kernel", timeout or 0.0)

    def send_signal(self, signum: int) -> None:
        """Pass a signal on; SIGTERM and SIGKILL end it and all that it started."""
        with self._lock:
            if self.returncode is None:
                with suppress(OSError):
                    self._line.send(bytes([signum]), socket.MSG_NOSIGNAL)

    def terminate(self) -> None:
        """End it and all that it started."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all that it started."""
        self.send_signal(signal.SIGKILL)

    def _listen(self, seconds: float) -> int | None:
        if self.returncode is None and seconds:
            with suppress(OSError, ValueError):
                # Not under the lock: whoever waits must not keep another thread from ending the kernel.
                select.select([self._line], [], [], seconds)
        with self._lock:
            if self.returncode is not None or not select.select([self._line], [], [], 0)[0]:
                return self.returncode
            try:
                data = self._line.recv(64)
            except OSError:
                data = b""
            self._heard += data
            if data and not self._heard.endswith(b"\n"):
                return None
            # A warden that ends without a word was killed, and its kernel with it.
            word = self._heard.split()
            self.returncode = int(word[1]) if word[:1] == [b"exit"] else _KILLED
            self._line.close()
            return self.returncode


class _Server:
    def __init__(self, key: Key) -> None:
        self.key = key
        self.broken = ""
        self.broken_at = 0.0
        self.asked = False
        self.told: tuple[frozenset[str], frozenset[str], int] = (frozenset(), frozenset(), 0)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            descriptor = theirs.fileno()
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "checks.run._zygote", str(descriptor)],
                stdin=subprocess.DEVNULL,
                env={**dict(key.environment), **_server_environment()},
                pass_fds=(descriptor,),
                start_new_session=True,
            )

    @property
    def may_be_tried_anew(self) -> bool:
        """Whether it has ended some time ago; what ended it may have passed."""
        return bool(self.broken) and time.monotonic() - self.broken_at > _MOURNING_SECONDS

    def fork(self, argv: Sequence[str], cwd: str, env: Mapping[str, str], debugger: bool) -> Forked:
        line, theirs = socket.socketpair()
        self.asked = True
        with theirs:
            try:
                socket.send_fds(self.control, [b"k"], [theirs.fileno()], socket.MSG_NOSIGNAL)
            except OSError as error:
                line.close()
                raise CannotFork(f"the fork server is gone: {error.strerror}") from error
        request = json.dumps({"argv": list(argv), "cwd": cwd, "env": dict(env), "debugger": debugger}).encode()
        try:
            line.settimeout(_ANSWER_SECONDS)
            line.sendall(len(request).to_bytes(4, "big") + request)
            answer = _first_line(line)
            line.settimeout(None)
        except OSError as error:
            line.close()
            raise CannotFork("the fork server did not answer") from error
        word, _, rest = answer.partition(" ")
        if word != "pid":
            line.close()
            raise CannotFork(rest or "the fork server ended")
        return Forked(line, int(rest))

    def tell(self, groups: frozenset[str], again: frozenset[str], stand_by: int) -> None:
        """Say what is to be loaded, what of it to be used, and how many are to stand by, unless it knows."""
        known_groups, known_again, known_count = self.told
        self.told = (groups, again, stand_by)
        # Where it is gone, the next kernel that is asked for finds out.
        with suppress(OSError):
            if groups > known_groups:
                self.control.send(b"m" + " ".join(sorted(groups)).encode(), socket.MSG_NOSIGNAL)
            if again > known_again:
                self.control.send(b"u" + " ".join(sorted(again)).encode(), socket.MSG_NOSIGNAL)
            if stand_by != known_count:
                self.control.send(b"s" + bytes([stand_by]), socket.MSG_NOSIGNAL)

    def close(self) -> None:
        self.control.close()
        # One that nobody asked for anything is still loading and ends when it has; nobody needs to wait for that.
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5 if self.asked else 0)


def _server_environment() -> dict[str, str]:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    # It makes itself a home; but matplotlib's list of fonts, which takes a second to make, is the user's.
    return {"PATH": os.environ.get("PATH", os.defpath), "TMPDIR": tempfile.gettempdir(), "XDG_CACHE_HOME": cache}


def _first_line(line: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\n"):
        data = line.recv(1)
        if not data:
            break
        text += data
    return text.decode().strip()


_lock = threading.Lock()
_servers: dict[int, _Server] = {}
_wanted: set[str] = set()
_again: set[str] = set()
_standing_by = 0


def heavy_imports(sources: Iterable[str]) -> set[str]:
    """The heavy libraries that sources import by name, and ours: what a check needs is one of them."""
    return {name for source in sources for name in _HEAVY_IMPORT.findall(source)}


def warm_up(env: Mapping[str, str], groups: Iterable[str] = (), again: Iterable[str] = ()) -> None:
    """Start the server that kernels with such an environment will need, without waiting for it.

    Args:
        env: a kernel's environment; only what matters when modules are loaded is looked at.
        groups: what kernels will need, by the names in `checks.run._preload.GROUPS`; it stays asked for as long as this
            process lives, and so does the next.
        again: what of it several kernels will need, so that it is worth more effort.

    """
    ask_for(groups, again)
    with _lock, suppress(CannotFork):
        _server(env)


def ask_for(groups: Iterable[str], again: Iterable[str] = ()) -> None:
    """Let the servers of this process load groups of modules from now on, and use some of them once."""
    with _lock:
        _wanted.update(groups)
        _again.update(again)


def stand_by(env: Mapping[str, str], count: int, *, at_least: bool = False) -> None:
    """Let the servers of this process have so many kernels ready from now on, beginning with that for an environment."""
    global _standing_by
    with _lock, suppress(CannotFork):
        _standing_by = max(_standing_by if at_least else 0, min(count, _MOST_STANDING_BY))
        _server(env)


def start(argv: Sequence[str], cwd: str, env: Mapping[str, str], *, debugger: bool = False) -> Forked:
    """Fork a kernel.

    Args:
        argv: the arguments of ``ipykernel_launcher``.
        cwd: the folder that it works in; empty: the server's.
        env: its whole environment.
        debugger: whether a debugger may be attached to it.

    Raises:
        CannotFork: there is nothing to fork from.

    """
    with _lock:
        server = _server(env)
    if server.broken:
        raise CannotFork(server.broken)
    try:
        return server.fork(argv, cwd, env, debugger)
    except CannotFork as error:
        if server.process.poll() is not None:
            server.broken, server.broken_at = str(error), time.monotonic()
        raise


def close() -> None:
    """End the server; kernels that it forked live on until they are ended."""
    with _lock:
        for server in _servers.values():
            server.close()
        _servers.clear()


def _server(env: Mapping[str, str]) -> _Server:
    if sys.platform != "linux":
        raise CannotFork("kernels are forked on Linux only")
    key = key_of(env)
    # A process that was forked from ours must not speak on our line.
    current = _servers.get(os.getpid())
    if current is None or current.key != key or current.may_be_tried_anew:
        if current is not None:
            current.close()
        else:
            atexit.register(close)
        try:
            current = _servers[os.getpid()] = _Server(key)
        except OSError as error:
            raise CannotFork(f"the fork server cannot be started: {error.strerror}") from error
    current.tell(frozenset(_wanted), frozenset(_again), _standing_by)
    return current


def key_of(env: Mapping[str, str]) -> Key:
    """The key of the server that a kernel with such an environment comes from."""
    relevant = tuple(sorted((name, value) for name, value in env.items() if _RELEVANT.fullmatch(name)))
    return Key(_digest(), relevant)


def _digest() -> str:
    """The digest of what a server has loaded, by names, sizes and times: it is asked for before every kernel."""
    digest = hashlib.sha256(f"{sys.executable}\0{sys.version}".encode())
    for path in sorted(_modules(str(Path(__file__).parents[1]))):
        digest.update(path.encode())
    for folder in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        with suppress(OSError):
            digest.update(str(os.stat(folder).st_mtime_ns).encode())  # noqa: PTH116 - a tenth of the time
            digest.update("\0".join(sorted(name for name in os.listdir(folder) if name.endswith(".dist-info"))).encode())  # noqa: PTH208 - as above
    return digest.hexdigest()


def _modules(folder: str) -> Iterable[str]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    yield from _modules(entry.path)
            elif entry.name.endswith(".py"):
                # While a newer version is being installed, files come and go; the next digest will tell.
                with suppress(FileNotFoundError):
                    about = entry.stat()
                    yield f"{entry.path}\0{about.st_mtime_ns}\0{about.st_size}\0"
