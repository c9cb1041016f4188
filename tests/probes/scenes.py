"""Where a fault is caused: a folder, servers that misbehave, programs that stand in."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.probes.conftest import NOW, Handler, HostileServer
from tests.probes.programs import StandIn, stand_ins


@dataclass
class Scene:
    """Where a fault is caused: a folder, servers that misbehave, programs that stand in."""

    folder: Path
    stack: ExitStack
    monkeypatch: pytest.MonkeyPatch
    values: dict[str, str] = field(default_factory=dict)

    def server(self, handler: Handler, scheme: str = "http") -> str:
        """A server that does what its handler does; its address, which is the setting `server` too."""
        server = HostileServer(handler)
        self.stack.callback(server.close)
        self.values["server"] = f"{scheme}://127.0.0.1:{server.port}"
        return self.values["server"]

    def nobody(self, scheme: str = "http") -> str:
        """An address at which nothing listens."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.values["server"] = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        return self.values["server"]

    def file(self, name: str, content: bytes | str = b"") -> str:
        """A file; its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path, (NOW.timestamp() - 60, NOW.timestamp() - 60))
        return str(path)

    def program(self, name: str, *arguments: Any, **options: Any) -> StandIn:
        """A program that stands in for one of the host, alone on the PATH."""
        return stand_ins(self.folder, self.monkeypatch)(name, *arguments, **options)


@dataclass(frozen=True)
class Asked:
    """What is measured while the fault is there, and judged by which limit."""

    probe: dict[str, Any]
    limit: str
    unit: str = ""


Cause = Callable[[Scene], Asked]


# What servers do


def silent(connection: socket.socket) -> None:
    time.sleep(3)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def endless(head: bytes) -> Handler:
    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"1" * 65536)

    return send


def says(answer: bytes) -> Handler:
    def say(connection: socket.socket) -> None:
        connection.sendall(answer)
        connection.recv(65536)

    return say


def http_answer(status: str, document: object) -> Handler:
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return says(head.encode() + body)


ENDLESS_JSON = endless(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
