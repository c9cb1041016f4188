"""The fork server: loads once what every kernel loads, then lets kernels be forked by wardens that were forked from it.

It owns no socket of a kernel's, no event loop and no second thread, and it serves one key only (see `checks.run.zygote`):
whoever needs another interpreter or newer sources starts another one. What it is told on its control socket, a message
each, is a letter and what belongs to it:

- ``k`` and a descriptor: a kernel is wanted; everything else is said on that descriptor, by the warden, so that nobody
  waits here;
- ``m`` and names: groups of modules (`checks.run._preload.GROUPS`) that kernels will need from now on;
- ``u`` and names: which of them several kernels will need, so that they are used once;
- ``s`` and a byte: how many kernels stand by, forked before anybody asks for them.

On the line that came with ``k``:

- the client sends four bytes of length and JSON with ``argv``, ``cwd`` and ``env``;
- the warden answers ``pid N``, or ``refused WHY``; and at the end ``exit N``;
- each further byte of the client's is a signal's number. When the client is gone, so is the kernel.

A warden (`checks.run._guard`) watches over one kernel at a time and is at the server's disposal again when nothing of that
kernel's is left.

Usage: ``python -I -m checks.run._zygote CONTROL_DESCRIPTOR``
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass

from checks.run import _guard, _prepared, _warden
from checks.run._guard import client_of, say, threads
from checks.run._preload import GROUPS, PRELOADED, a_home, preload, use

_LONGEST_MESSAGE = 4096
# A kernel that stands by is forked when nobody has asked for another one for so long.
_IDLE_SECONDS = 0.02
_MOST_FREE = 8


def main(arguments: list[str]) -> int:
    """Serve until the client is gone."""
    # What is loaded stays, and next to nothing of it is garbage; looking for some would be an eighth of all the loading.
    gc.disable()
    control = socket.socket(fileno=int(arguments[0]))
    preload(PRELOADED)
    with a_home():
        _prepared.build()
    try:
        server = _Server(control)
    except ProcessLookupError:
        # The client ended while all this was being loaded.
        os._exit(0)
    orders = server.serve()
    if orders is None:
        # What modules would do at the end of a process is done; taking the modules apart takes longer, and is of no use.
        atexit._run_exitfuncs()
        os._exit(0)
    # From here on this is a warden; what it forks leaves the stack of the server behind.
    job = None
    with suppress(OSError):
        job = _guard.obey(orders)
    if job is None:
        # What modules would do at the end of a process is the server's to do.
        os._exit(0)
    from checks.run import _forked

    return _forked.run(job)


@dataclass(slots=True)
class _Warden:
    """A warden as the server knows it.

    Attributes:
        pid: its process.
        orders: the line on which it gets its orders, and says when it has carried them out.
        free: whether it has none to carry out; `ready`: whether it has forked a kernel that waits.

    """

    pid: int
    orders: socket.socket
    free: bool = True
    ready: bool = False


class _Server:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.wardens: list[_Warden] = []
        # Their lines are closed: they end when they have carried out their orders.
        self.dismissed: set[int] = set()
        self.stand_by = 0
        self.tidy = False
        self.groups: set[str] = set()
        self.used: set[str] = set()
        _warden.adopt_orphans()
        self.bell = _warden.Bell()
        self.client = client_of(control)
        # This process ends by losing its client, never by a signal that was meant for others.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def serve(self) -> socket.socket | None:
        """Give each request to a warden.

        Returns:
            In a warden, the line on which it gets its orders; ``None`` in the server, when its own client is gone.

        """
        gc.freeze()
        while True:
            self._bury()
            wanting = sum(warden.ready for warden in self.wardens) < self.stand_by and threads() == 1
            lines = [warden.orders.fileno() for warden in self.wardens if not warden.free]
            ready = self.bell.wait(_IDLE_SECONDS if wanting else 60.0, self.control.fileno(), self.client, *lines)
            if self.client in ready:
                self._end()
                return None
            for warden in list(self.wardens):
                if not warden.free and warden.orders.fileno() in ready:
                    self._hear(warden)
            orders = None
            if self.control.fileno() in ready:
                said, descriptors, _, _ = socket.recv_fds(self.control, _LONGEST_MESSAGE, 1)
                if not said:
                    self._end()
                    return None
                orders = self._obey(said, descriptors)
            elif wanting and not ready:
                orders = self._prepare()
            if orders is not None:
                return orders

    def _obey(self, said: bytes, descriptors: list[int]) -> socket.socket | None:
        order, rest = said[:1], said[1:]
        if order == b"s" and rest:
            self.stand_by = rest[0]
            if self.stand_by and not self.tidy:
                self._begin_anew(several=True)
        elif order == b"m":
            names = [name for name in GROUPS if name in rest.decode().split() and name not in self.groups]
            self.groups.update(names)
            if names:
                preload(module for name in names for module in GROUPS[name])
                self._begin_anew()
        elif order == b"u":
            names = [name for name in GROUPS if name in rest.decode().split() and name not in self.used]
            self.used.update(names)
            if names:
                use(names)
                self._begin_anew(several=True)
        elif order == b"k" and descriptors:
            with socket.socket(fileno=descriptors[0]) as line:
                return self._assign(line)
        return None

    def _begin_anew(self, *, several: bool = False) -> None:
        """Let kernels have what has just been loaded; those that stand by were forked without it.

        Args:
            several: whether there will be several kernels, each of which is the smaller for some effort now.

        """
        for warden in list(self.wardens):
            self._dismiss(warden)
        self.tidy = several
        if several:
            _tidy_up()
        else:
            gc.freeze()

    def _assign(self, line: socket.socket) -> socket.socket | None:
        """Give a line to a warden; a new one may be needed, and in that one this is its orders."""
        while True:
            warden = self._free()
            if warden is None:
                if threads() != 1:
                    say(line, f"refused the fork server has {threads()} threads")
                    return None
                try:
                    orders = self._fork()
                except OSError as error:
                    say(line, f"refused the fork server cannot fork: {error.strerror}")
                    return None
                if orders is not None:
                    return orders
                continue
            try:
                socket.send_fds(warden.orders, [b"k"], [line.fileno()], socket.MSG_NOSIGNAL)
            except OSError:
                self._dismiss(warden)
                continue
            warden.free = warden.ready = False
            return None

    def _prepare(self) -> socket.socket | None:
        """Let one more kernel stand by; in a new warden, its orders."""
        warden = next((warden for warden in self.wardens if warden.free and not warden.ready), None)
        if warden is None:
            try:
                orders = self._fork()
            except OSError:
                # Nobody has asked for it yet, and there may be room again in a moment.
                return None
            if orders is not None:
                return orders
            warden = self.wardens[-1]
        try:
            warden.orders.send(b"p", socket.MSG_NOSIGNAL)
        except OSError:
            self._dismiss(warden)
        else:
            warden.ready = True
        return None

    def _free(self) -> _Warden | None:
        free = [warden for warden in self.wardens if warden.free]
        return next((warden for warden in free if warden.ready), free[0] if free else None)

    def _fork(self) -> socket.socket | None:
        """Fork a warden; in it, the line on which it gets its orders."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            self.bell.unhang()
            # As long as anybody else holds their lines, the others would not learn that the server is gone.
            for inherited in (ours, self.control, *(warden.orders for warden in self.wardens)):
                inherited.close()
            os.close(self.client)
            return theirs
        theirs.close()
        self.wardens.append(_Warden(pid, ours))
        return None

    def _hear(self, warden: _Warden) -> None:
        """Take note that a warden is free again, or gone."""
        try:
            said = warden.orders.recv(1)
        except OSError:
            said = b""
        free = sum(warden.free for warden in self.wardens)
        if said and free < _MOST_FREE:
            warden.free = True
        else:
            self._dismiss(warden)

    def _dismiss(self, warden: _Warden) -> None:
        warden.orders.close()
        self.wardens.remove(warden)
        self.dismissed.add(warden.pid)

    def _end(self) -> None:
        """Wait for those who have nothing to do; the others end with their kernels."""
        for warden in [warden for warden in self.wardens if warden.free]:
            warden.orders.close()
            with suppress(ChildProcessError):
                os.waitpid(warden.pid, 0)

    def _bury(self) -> None:
        """Take leave of wardens that have ended, and kill what one of them left behind by being killed."""
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if ended == 0:
                return
            known = self.dismissed | {warden.pid for warden in self.wardens}
            if ended not in known:
                continue
            for warden in [warden for warden in self.wardens if warden.pid == ended]:
                self._dismiss(warden)
            self.dismissed.discard(ended)
            if os.WIFSIGNALED(status):
                for stranger in _warden.descendants(frozenset(known - {ended})):
                    with suppress(ProcessLookupError):
                        os.kill(stranger, signal.SIGKILL)


def _tidy_up() -> None:
    """Keep what is loaded from being looked at, and so from being copied, by the collector in every kernel."""
    gc.unfreeze()
    gc.collect()
    with suppress(AttributeError, OSError):
        # What loading left behind would be mapped anew for every kernel.
        ctypes.CDLL(None).malloc_trim(0)
    gc.freeze()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
