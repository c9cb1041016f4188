"""Servers of a few lines for tests, and ports that nobody else is given."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

Handler = Callable[[socket.socket], None]

_KEPT: list[socket.socket] = []


def unused_port() -> int:
    """A port of 127.0.0.1 on which nothing listens; until this process ends, only who names it can listen there."""
    kept = socket.socket()
    # Whoever names the port may bind to it as well; who asks for any port is given another.
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    _KEPT.append(kept)
    port: int = kept.getsockname()[1]
    return port


class Listening:
    """A server that hands each connection to a thread of its own.

    Args:
        speak: what it does with a connection; one that the client closed ends it.
        listener: where it listens; a port of its own on 127.0.0.1, if not given.

    """

    def __init__(self, speak: Handler, listener: socket.socket | None = None) -> None:
        self.listener = listener or socket.create_server(("127.0.0.1", 0))
        self._speak = speak
        self._serving = threading.Thread(target=self._serve, daemon=True)
        self._serving.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.listener.getsockname()[1]
        return port

    def close(self) -> None:
        """Accept nothing more.

        A thread that waits in ``accept`` outlives the closing of its socket, and takes the first connection of whichever
        server is given the same descriptor next: it is woken first, and waited for.
        """
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self._serving.join()
        self.listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._speak(connection)
