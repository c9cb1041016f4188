from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

import pytest

from tests.listening import Handler, unused_port
from tests.probes.conftest import HostileServer, reason_of, settings

Hostile = Callable[[Handler], HostileServer]


def asked(address: str, **options: str) -> dict[str, str]:
    """A declared tls probe."""
    return {"kind": "tls", "address": address, "timeout": "500ms", **options}


def silence(connection: socket.socket) -> None:
    """No answer at all."""
    connection.recv(1)
    time.sleep(3)


def dribble(connection: socket.socket) -> None:
    """The head of a long TLS record, then one byte of it at a time, for ever."""
    connection.sendall(b"\x16\x03\x03\x40\x00")
    while True:
        connection.sendall(b"\x02")
        time.sleep(0.05)


def not_tls(connection: socket.socket) -> None:
    """Another protocol."""
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def reset(connection: socket.socket) -> None:
    """A reset instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def gone(_: socket.socket) -> None:
    """The end instead of an answer."""


@pytest.mark.parametrize("measure", ["expiry", "chain", "host", "protocol"])
@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (silence, "did not end within 500 ms"),
        (dribble, "did not end within 500 ms"),
        (not_tls, "the handshake failed: it does not speak TLS"),
        (reset, "was reset before the handshake ended"),
        (gone, "before the handshake ended"),
    ],
)
def test_a_server_without_a_handshake_is_unknown(hostile: Hostile, handler: Handler, reason: str, measure: str) -> None:
    """Nothing is said of a certificate that was never shown, and the reason tells why, in time."""
    server = hostile(handler)
    started = time.monotonic()
    said = reason_of(asked("{site}", measure=measure), "d" if measure == "expiry" else "", settings({"site": server.url}))
    assert reason in said
    assert time.monotonic() - started < 2.5


def test_a_refused_connection_says_so() -> None:
    """Where nothing listens, on none of a host's addresses, the certificate is unknown."""
    port = unused_port()
    for host in ("localhost", "127.0.0.1"):
        said = reason_of(asked("{site}"), "d", settings({"site": f"{host}:{port}"}))
        assert said == f"TLS of {host}:{port}: the connection was refused"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("no-such-host.invalid", "the host's name is not known"),
        ("https://", "names no host"),
        ("a b", "this is no address"),
        ("localhost:99999", "this is no address"),
    ],
)
def test_an_address_that_leads_nowhere_is_unknown(address: str, reason: str) -> None:
    """An address that cannot be asked is a reason, not an exception."""
    assert reason in reason_of(asked("{site}", timeout="5s"), "d", settings({"site": address}))


def test_only_hosts_of_the_environment_are_asked(hostile: Hostile) -> None:
    """A host that no setting names is not connected to."""
    server = hostile(not_tls)
    said = reason_of(asked(f"127.0.0.1:{server.port}"), "d", settings({"site": "https://127.0.0.1"}))
    assert f"127.0.0.1:{server.port} is no host of the environment production" in said
    assert server.requests == []
