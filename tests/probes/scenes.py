"""Where a fault is caused: a folder, servers that misbehave, programs that stand in."""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.listening import Handler, Listening, unused_port
from tests.probes.conftest import NOW, HostileServer
from tests.probes.docker import Docker
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
        self.values["server"] = f"{scheme}://127.0.0.1:{unused_port()}"
        return self.values["server"]

    def file(self, name: str, content: bytes | str = b"") -> str:
        """A file; its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path, (NOW.timestamp() - 60, NOW.timestamp() - 60))
        return str(path)

    def docker(self, *containers: dict[str, Any], does: Handler | None = None) -> str:
        """Docker's engine with these containers, or one that misbehaves; its socket."""
        return self.stack.enter_context(Docker(*containers, says=does)).path

    def dead_mount(self, path: Path) -> None:
        """Hold up whoever looks at what lies below a path, as a network's disk does that is away."""
        for name in ("stat", "scandir"):
            self.monkeypatch.setattr(os, name, _held_up(getattr(os, name), str(path)))

    def client_certificates_wanted(self) -> str:
        """A server that speaks TLS 1.2 with nobody who shows no certificate; its address, the setting `server` too."""
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        server = Listening(lambda connection: context.wrap_socket(connection, server_side=True).close())
        self.stack.callback(server.close)
        self.values["server"] = f"https://127.0.0.1:{server.port}"
        return self.values["server"]

    def program(self, name: str, *arguments: Any, **options: Any) -> StandIn:
        """A program that stands in for one of the host, alone on the PATH."""
        return stand_ins(self.folder, self.monkeypatch)(name, *arguments, **options)


class By(Enum):
    """Who measures."""

    US = "us"
    SOMEBODY_ELSE = "somebody else"


@dataclass(frozen=True)
class Asked:
    """What is measured while the fault is there, by whom, and judged by which limit; `closed` is closed to somebody else."""

    probe: dict[str, Any]
    limit: str
    unit: str = ""
    by: By = By.US
    closed: Path | None = None


Cause = Callable[[Scene], Asked]


def _held_up(call: Callable[..., Any], path: str) -> Callable[..., Any]:
    def held(asked: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(asked, str | os.PathLike) and os.fspath(asked).startswith(path):
            time.sleep(2)
        return call(asked, *arguments, **options)

    return held


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
