"""A stand-in's HTTP side: routes, requests, answers, and a server that measures each request it serves."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


class Counted(Enum):
    """Whether a route's requests are users' (in the figures and the access log) or an operator's (in the log alone)."""

    USER = "user"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as a handler sees it; `args` holds what the pattern's ``{name}`` parts matched."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    args: Mapping[str, str]

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; of anything else, an empty one."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers: objects and lists as JSON, text and bytes as they are."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """Which handler answers; ``{name}`` in the pattern matches one path segment."""

    method: str
    pattern: str
    handler: Handler
    counted: Counted = Counted.USER


class HttpError(Exception):
    """Raised by a handler to answer with a status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


# Called after each answer: the request's method and path, its route (None: no route), the status and the milliseconds.
Observer = Callable[[str, str, "Route | None", int, float], None]
Failure = Callable[[str, Exception], None]


class Server(ThreadingHTTPServer):
    """Serves routes on 127.0.0.1, each connection in its own thread."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, routes: Sequence[Route], observe: Observer, failed: Failure, port: int = 0) -> None:
        self._routes = [
            (route, re.compile(re.sub(r"\\?\{(\w+)\\?\}", r"(?P<\1>[^/]+)", route.pattern) + "/?")) for route in routes
        ]
        self.observe = observe
        self.failed = failed
        self.connections: set[socket.socket] = set()
        self.carried = 0
        self._carrying = threading.Lock()
        try:
            super().__init__(("127.0.0.1", port), _Connection)
        except OSError:
            if port == 0:
                raise
            super().__init__(("127.0.0.1", 0), _Connection)  # another program took the port meanwhile

    @property
    def url(self) -> str:
        """The address it serves at, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def carry(self, count: int) -> None:
        """Count bytes of bodies that were received or sent; `carried` is all of them."""
        with self._carrying:
            self.carried += count

    def server_bind(self) -> None:
        """Bind without asking the resolver for the host's name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str]]:
        """The route for a request and what its pattern matched."""
        for route, pattern in self._routes:
            if route.method == method and (match := pattern.fullmatch(path)):
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        return None, {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no fault of the server."""

    def close_all(self) -> None:
        """Stop listening and cut every open connection."""
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has gone already


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one packet
    timeout = 120
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def _serve(self) -> None:
        started = time.perf_counter()
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        method = "GET" if self.command == "HEAD" else self.command
        route, args = self.server.find(method, parts.path)
        if route is None:
            answer = Answer({"message": "Not Found"}, 404)
        else:
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = self._ask(route.handler, Request(method, parts.path, dict(parse_qsl(parts.query)), headers, body, args))
        # Counted before it leaves, so that whoever has an answer finds it in the figures.
        self.server.observe(self.command, parts.path, route, answer.status, (time.perf_counter() - started) * 1000)
        self.server.carry(len(body))
        self._send(answer)

    def _ask(self, handler: Handler, request: Request) -> Answer:
        try:
            return handler(request)
        except HttpError as error:
            return Answer({"message": error.message}, error.status)
        except Exception as error:  # a stand-in's bug is answered and logged as any service would
            self.server.failed(request.path, error)
            return Answer({"message": f"{type(error).__name__}: {error}"}, 500)

    def _send(self, answer: Answer) -> None:
        if isinstance(answer.body, bytes):
            data, kind = answer.body, "application/octet-stream"
        elif isinstance(answer.body, str):
            data, kind = answer.body.encode(), "text/plain; charset=utf-8"
        else:
            data, kind = json.dumps(answer.body).encode(), "application/json"
        headers = {"Content-Type": kind, **answer.headers, "Content-Length": str(len(data))}
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
            self.server.carry(len(data))
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names http.server looks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name http.server gives it
        """The access log is written by the service, as JSON."""
