from __future__ import annotations

import socket

import pytest

from tests.listening import Listening, unused_port


def test_who_is_closed_takes_nobody_elses_connection() -> None:
    """A server that is closed while it waits hears nothing of what is said to the next one, which may have its descriptor."""
    for _ in range(50):
        heard: list[str] = []
        first = Listening(lambda _: heard.append("first"))  # noqa: B023 - called before the next turn
        with socket.create_connection(("127.0.0.1", first.port)) as client:
            assert client.recv(1) == b""
        first.close()
        second = Listening(lambda connection: connection.sendall(b"2"))
        with socket.create_connection(("127.0.0.1", second.port)) as client:
            assert client.recv(1) == b"2"
        second.close()
        assert heard == ["first"]


def test_an_unused_port_is_nobody_elses() -> None:
    """Nothing listens there, who asks for any port is given another, and who names it may listen."""
    port = unused_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)) as named, socket.create_server(("127.0.0.1", 0)) as any_port:
        assert named.getsockname()[1] == port != any_port.getsockname()[1]
