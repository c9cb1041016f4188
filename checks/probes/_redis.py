"""A connection to a Redis server that can ask PING and INFO and nothing else, within one deadline and one byte cap."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from checks.probes._causes import caused_by, why
from checks.probes._steps import note
from checks.probes._support import BYTE_CAP, clipped
from checks.probes._targets import refuse_inward

if TYPE_CHECKING:
    from redis.connection import Connection

_PORT = 6379


class NoReply(Exception):
    """The server gave no answer that can be used; its text is the reason."""


@dataclass(slots=True)
class _Bounded:
    """A socket that reads no more than the cap and no longer than the deadline, however slowly the bytes come."""

    socket: socket.socket
    ends: float
    left: int = BYTE_CAP

    def recv(self, size: int) -> bytes:
        self._wait()
        return self._counted(self.socket.recv(size))

    def recv_into(self, buffer: Any) -> int:
        self._wait()
        size = self.socket.recv_into(buffer)
        self.left -= size
        return size

    def _wait(self) -> None:
        remaining = self.ends - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the deadline passed")
        if self.left < 0:
            raise NoReply(f"it answered with more than {BYTE_CAP // 10**6} MB")
        self.socket.settimeout(remaining)

    def _counted(self, block: bytes) -> bytes:
        self.left -= len(block)
        return block

    def __getattr__(self, name: str) -> Any:
        return getattr(self.socket, name)


class RedisServer:
    """A Redis server that is asked by one connection.

    Args:
        url: its address, user and password included.
        authority: a PEM file of the authorities to trust; ``None``: the machine's.
        ends: the deadline on the monotonic clock, seconds.

    Raises:
        NoReply: it cannot be reached, or does not let in.
        TimeoutError: the deadline passed.

    """

    def __init__(self, url: str, authority: str | None, ends: float) -> None:
        self._ends = ends
        self._connection = _connection(url, authority, ends)
        self._told(self._connection.connect)

    def ping(self) -> None:
        """Wait for the answer to a PING.

        Raises:
            NoReply: it answered something else.
            TimeoutError: the deadline passed.

        """
        reply = self._asked("PING")
        note(f"PING was answered by {clipped(repr(reply), 40)}")
        if reply != b"PONG":
            raise NoReply(f"it answered PING by {clipped(repr(reply), 40)}")

    def info(self) -> Mapping[str, str]:
        """Each field of INFO by its name.

        Raises:
            NoReply: it answered something else.
            TimeoutError: the deadline passed.

        """
        reply = self._asked("INFO")
        if not isinstance(reply, bytes):
            raise NoReply(f"it answered INFO by {clipped(repr(reply), 40)}")
        lines = reply.decode("utf-8", "replace").splitlines()
        note(f"INFO gave {len(lines)} lines")
        return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}

    def close(self) -> None:
        """End the connection."""
        self._connection.disconnect()

    def _asked(self, command: str) -> object:
        def ask() -> object:
            self._connection.send_command(command)
            return self._connection.read_response()

        return self._told(ask)

    def _told(self, work: Any) -> object:
        """Do something, and tell in plain words how it failed."""
        from redis import exceptions

        try:
            return work()
        except exceptions.TimeoutError as error:
            raise TimeoutError("the deadline passed") from error
        except (exceptions.AuthenticationError, exceptions.AuthenticationWrongNumberOfArgsError) as error:
            raise NoReply("it did not accept the user or the password, or wants one") from error
        except exceptions.BusyLoadingError as error:
            raise NoReply("it is still loading its data") from error
        except exceptions.NoPermissionError as error:
            raise NoReply("its user may not ask this") from error
        except RecursionError as error:
            raise NoReply("its answer is nested too deeply") from error
        except (exceptions.RedisError, OSError, ValueError) as error:
            raise NoReply(_why(error)) from error


def _connection(url: str, authority: str | None, ends: float) -> Connection:
    from redis.connection import Connection, SSLConnection

    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError as error:
        raise NoReply("this is no redis or rediss address") from error
    if parts.scheme not in ("redis", "rediss") or not host:
        raise NoReply("this is no redis or rediss address")

    def bounded(connected: socket.socket) -> _Bounded:
        # Nothing was said yet, not even a password.
        address = connected.getpeername()[0]
        refuse_inward(host, [address])
        note(f"connected to {address}, port {port}")
        return _Bounded(connected, ends)

    class Plain(Connection):
        def _connect(self) -> Any:
            return bounded(super()._connect())  # type: ignore[no-untyped-call]

    class Encrypted(SSLConnection):
        def _connect(self) -> Any:
            return bounded(super()._connect())  # type: ignore[no-untyped-call]

    remaining = max(0.001, ends - time.monotonic())
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "socket_connect_timeout": remaining,
        "socket_timeout": remaining,
        "protocol": 2,
        # The client does not introduce itself: PING and INFO are all that is sent.
        "driver_info": None,
    }
    if parts.scheme == "rediss":
        return Encrypted(ssl_ca_certs=authority, **options)
    return Plain(**options)  # type: ignore[no-untyped-call]


def _why(error: BaseException) -> str:
    if words := why(error):
        return words
    if caused_by(error, FileNotFoundError):
        return "the authorities cannot be read"
    return clipped(str(error), 120) or type(error).__name__
