"""The proxy before the wellbeing stand-in: real TLS with a certificate of its own authority, to several instances in turn."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

from checks.sandbox.kit import read_json, write_json

_VALID = timedelta(days=90)
_RENEWED_BEFORE = timedelta(days=45)
_NEARLY_OVER = timedelta(days=5)


class Proxy:
    """Speaks TLS on a port that stays the same, and hands each request to the next of the instances.

    Args:
        folder: where the authority's certificate, the proxy's own and the port are kept.
        targets: the ports of the instances on 127.0.0.1, asked for at each request.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = folder / "authority.pem"
        self.targets: Sequence[int] = ()
        self.since: datetime | None = None
        self._own, self._bad = folder / "proxy.pem", folder / "nearly-over.pem"
        self._turn = count()
        self._context: ssl.SSLContext | None = None
        self._shown: Path | None = None
        self._server: _Server | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it speaks TLS, running or not."""
        return f"https://127.0.0.1:{read_json(self.folder / 'port.json').get('port', 0)}"

    @property
    def running(self) -> bool:
        """Whether its port is open."""
        return self._server is not None

    def next_target(self) -> int:
        """The port of the instance whose turn it is."""
        targets = self.targets
        return targets[next(self._turn) % len(targets)]

    def start(self) -> None:
        """Open the port, with a certificate that is valid for long enough; a proxy that runs stays as it is."""
        with self._lock:
            if self._server is not None:
                return
            self._make_certificates()
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(self._own)
            self._shown = self._own
            port_file = self.folder / "port.json"
            self._server = _Server(self, self._context, int(read_json(port_file).get("port", 0)))
            write_json(port_file, {"port": self._server.server_port})
            self.since = datetime.now(UTC)
            threading.Thread(target=self._server.serve_forever, args=(0.1,), name="proxy", daemon=True).start()

    def stop(self) -> None:
        """Close the port; who asks then is refused the connection."""
        with self._lock:
            if self._server is not None:
                self._server.shutdown()
                self._server.server_close()
                self._server = None

    def show(self, *, nearly_over: bool) -> None:
        """Present the right certificate from now on, or one of a stranger with five days left."""
        with self._lock:
            wanted = self._bad if nearly_over else self._own
            if self._context is not None and wanted != self._shown:
                if nearly_over:
                    self._certify(self._bad, "Somebody else", _NEARLY_OVER)
                self._context.load_cert_chain(wanted)
                self._shown = wanted

    def _make_certificates(self) -> None:
        until = str(read_json(self.folder / "valid.json").get("until", ""))
        if self._own.exists() and until > (datetime.now(UTC) + _RENEWED_BEFORE).isoformat():
            return
        self.authority.parent.mkdir(parents=True, exist_ok=True)
        self.authority.write_bytes(self._certify(self._own, "Wellbeing sandbox", _VALID))
        write_json(self.folder / "valid.json", {"until": (datetime.now(UTC) + _VALID).isoformat()})

    def _certify(self, path: Path, authority: str, valid: timedelta) -> bytes:
        """Write a new key with its certificate; the authority's own certificate."""
        from checks.sandbox.wellbeing_certificates import certify

        own, issuer = certify(authority, valid)
        path.touch(mode=0o600)
        path.write_bytes(own)
        return issuer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, proxy: Proxy, context: ssl.SSLContext, port: int) -> None:
        self.proxy = proxy
        self._context = context
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError:
            super().__init__(("127.0.0.1", 0), _Handler)  # another program took the port meanwhile

    def server_bind(self) -> None:
        """Bind without asking the resolver for the host's name, and to a port that was in use a moment ago too."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a slow client holds up nobody."""
        request.settimeout(10)
        with self._context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off, or trusts another authority, is no fault of the proxy."""


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "sandbox-proxy", ""
    server: _Server

    def do_GET(self) -> None:
        instance = self.server.proxy.next_target()
        kept = {name: value for name, value in self.headers.items() if name.lower() in ("authorization", "accept")}
        connection = http.client.HTTPConnection("127.0.0.1", instance, timeout=8)
        try:
            connection.request("GET", self.path, headers=kept)
            answer = connection.getresponse()
            status, kind, data = answer.status, answer.headers.get("Content-Type", "text/plain"), answer.read()
        except (OSError, http.client.HTTPException):
            status, kind, data = 502, "text/plain", b"the instance does not answer\n"
        finally:
            connection.close()
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(data))), ("X-Instance", str(instance))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name http.server gives it
        """The instances write the access log."""
