"""Docker's Engine API on a local socket, with the bytes that the engine sends: what it says of some containers."""

from __future__ import annotations

import json
import re
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

from tests.listening import Handler, Listening

# As the engine 24.0.7 wrote them, but for the date.
_HEAD = (
    "HTTP/1.1 {status}\r\nApi-Version: 1.43\r\nContent-Type: application/json\r\nDocker-Experimental: false\r\nOstype: linux\r\n"
    "Server: Docker/24.0.7 (linux)\r\nDate: Sat, 31 Jan 2026 12:00:00 GMT\r\n"
)
_PING = "Cache-Control: no-cache, no-store, must-revalidate\r\nPragma: no-cache\r\nSwarm: inactive\r\n"
_ASKED = re.compile(rb"(GET|HEAD) (?:/v[0-9.]+)?(/\S*) HTTP/1\.1\r\n")
_ID = "4f66ad9a0b2e5c1d" * 4


def container(name: str, status: str = "running", restarts: int = 0, **state: Any) -> dict[str, Any]:
    """What the engine tells of one container."""
    told = {
        "Status": status,
        "Running": status in ("running", "paused", "restarting"),
        "Paused": status == "paused",
        "Restarting": status == "restarting",
        "OOMKilled": False,
        "Dead": status == "dead",
        "Pid": 4711 if status == "running" else 0,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "2026-01-31T10:00:00.123456789Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        **state,
    }
    return {"Id": _ID, "Created": "2026-01-30T09:00:00Z", "Name": f"/{name}", "RestartCount": restarts, "State": told}


class Docker(Listening):
    """An engine with these containers, on a socket of its own.

    Args:
        containers: what it tells of; asked for any other, it says that there is no such container.
        says: what it does with a connection in place of all that.

    """

    def __init__(self, *containers: dict[str, Any], says: Handler | None = None) -> None:
        # A socket's path must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="pb"))
        self.path = str(self._folder / "docker.sock")
        self.requests: list[bytes] = []
        self._containers = containers
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen()
        super().__init__(says or self._tell, listener)

    def __enter__(self) -> Docker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Accept nothing more."""
        super().close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _tell(self, connection: socket.socket) -> None:
        while request := connection.recv(65536):
            self.requests.append(request)
            asked = _ASKED.match(request)
            path = asked.group(2).decode() if asked else ""
            if path == "/_ping":
                connection.sendall(f"{_HEAD.format(status='200 OK')}{_PING}Content-Length: 0\r\n\r\n".encode())
                continue
            name = path.removeprefix("/containers/").removesuffix("/json")
            found = [one for one in self._containers if one["Name"] == f"/{name}" or one["Id"].startswith(name)]
            status = "200 OK" if found else "404 Not Found"
            body = json.dumps(found[0] if found else {"message": f"No such container: {name}"}).encode() + b"\n"
            # What is long the engine sends in pieces.
            pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:100], body[100:]) if part)
            connection.sendall(
                f"{_HEAD.format(status=status)}Transfer-Encoding: chunked\r\n\r\n".encode() + pieces + b"0\r\n\r\n"
            )
