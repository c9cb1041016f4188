from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from checks.errors import DataError
from tests.listening import Handler
from tests.probes.conftest import HostileServer, measured, reason_of, settings, value_of

Hostile = Callable[[Handler], HostileServer]


def asked(measure: str = "memory", **options: Any) -> dict[str, Any]:
    """A declared redis probe."""
    return {"kind": "redis", "url": "{cache}", "measure": measure, "timeout": "1s", **options}


def saying(*replies: bytes) -> Handler:
    """A server that gives these replies, whatever it is asked."""

    def say(connection: socket.socket) -> None:
        for reply in replies:
            connection.sendall(reply)
            connection.recv(65536)

    return say


def bulk(text: str) -> bytes:
    """A text as Redis sends it."""
    return f"${len(text)}\r\n{text}\r\n".encode()


def endless_bulk(connection: socket.socket) -> None:
    """A reply that promises a gigabyte and goes on sending."""
    connection.sendall(b"$1000000000\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def endless_line(connection: socket.socket) -> None:
    """A line without an end."""
    while True:
        connection.sendall(b"+" * 65536)


def dribble(connection: socket.socket) -> None:
    """One byte at a time, for ever."""
    connection.sendall(b"$1000\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def reset(connection: socket.socket) -> None:
    """A reset instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def nested(connection: socket.socket) -> None:
    """Lists in lists in lists."""
    connection.sendall(b"*1\r\n" * 100_000)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (endless_bulk, "it answered with more than 10 MB"),
        (endless_line, "it answered with more than 10 MB"),
        (dribble, "did not end within"),
        (saying(b""), "did not end within"),
        (reset, "the connection was reset"),
        (saying(b"+OK\r\n"), "used_memory is missing in its INFO"),
        (saying(b":1\r\n"), "it answered INFO by 1"),
        (saying(b"$-1\r\n"), "it answered INFO by None"),
        (saying(bulk("used_memory:12\x00MB")), "used_memory is '12�MB', not a number"),
        (saying(bulk("used_memory:nan")), "the value is not a number"),
        (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "Protocol Error"),
        (saying(b"-ERR max number of clients reached\r\n"), "max number of clients reached"),
        (nested, "its answer is nested too deeply"),
    ],
)
def test_a_hostile_server_is_unknown_in_bounded_time(hostile: Hostile, handler: Handler, reason: str) -> None:
    """One deadline and one byte cap hold against every way of not answering, and the reason tells them apart."""
    server = hostile(handler)
    started = time.monotonic()
    said = reason_of(
        asked(timeout="5s" if "MB" in reason else "500ms"), "B", settings({"cache": f"redis://127.0.0.1:{server.port}"})
    )
    assert reason in said
    assert time.monotonic() - started < 6


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:6379", "this is no redis or rediss address"),
        ("redis://", "names no host"),
        ("redis://no-such-host.invalid", "the host's name is not known"),
        ("redis://127.0.0.1:port", "this is no address"),
    ],
)
def test_an_address_that_leads_nowhere_is_unknown(url: str, reason: str) -> None:
    """An address that cannot be asked is a reason, not an exception."""
    assert reason in reason_of(asked(timeout="5s"), "B", settings({"cache": url}))


def test_only_hosts_of_the_environment_are_asked(hostile: Hostile) -> None:
    """A server that no setting names is not connected to."""
    server = hostile(saying(bulk("used_memory:1")))
    said = reason_of(asked(url=f"redis://127.0.0.1:{server.port}"), "B", settings({"cache": "redis://127.0.0.1"}))
    assert "is no host of the environment production" in said
    assert server.requests == []


def test_what_the_server_said_is_told_without_the_password(hostile: Hostile) -> None:
    """An error text that repeats the password is masked."""
    server = hostile(saying(b"-ERR you sent s3cr3t\r\n"))
    seen = measured(asked(), "B", settings({"cache": f"redis://:s3cr3t@127.0.0.1:{server.port}"}, secrets=("s3cr3t",)))
    assert "s3cr3t" not in repr(seen)


def test_an_older_server_without_a_count_of_saves(hostile: Hostile) -> None:
    """Where INFO does not count saves, the start of the server tells whether the last save was one."""
    fields = "server_time_usec:1000000000\r\nuptime_in_seconds:500\r\nrdb_changes_since_last_save:0\r\nrdb_last_save_time:{}"
    saved, not_saved = (hostile(saying(bulk(fields.format(time)))) for time in (900, 500))
    assert value_of(asked("save-age"), "s", settings({"cache": f"redis://127.0.0.1:{saved.port}"})) == 100
    assert "nothing was saved" in reason_of(asked("save-age"), "s", settings({"cache": f"redis://127.0.0.1:{not_saved.port}"}))


def test_a_window_goes_with_counters_only() -> None:
    """A declaration that could not mean what it says is refused."""
    with pytest.raises(DataError, match="expected no `over:`"):
        measured(asked("memory", over="2s"))
