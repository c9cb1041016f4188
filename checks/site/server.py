"""Serving the published site on loopback; each request reads the publication that is current at that moment."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".xml": "application/xml",
    ".txt": "text/plain; charset=utf-8",
    ".ics": "text/calendar; charset=utf-8",
    ".gz": "application/gzip",
    ".map": "application/json",
}
_NAMED = {"status.json": "application/health+json", "metrics.txt": "application/openmetrics-text; version=1.0.0; charset=utf-8"}


def server(site: Path, port: int = 0, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """A server of the site, listening and ready for ``serve_forever``.

    Args:
        site: the folder or link that is served (``public/current``).
        port: 0 takes a free one; read it from ``server_address``.
        host: the address to listen on; loopback unless told otherwise.

    Raises:
        OSError: the port is taken.

    """
    return _Server((host, port), partial(_Handler, site=site))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A second server on the same port would take every other request.
    allow_reuse_port = False


@dataclass(frozen=True, slots=True)
class _Found:
    status: HTTPStatus
    content: bytes
    kind: str
    tag: str = ""
    publication: str = ""


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "proofbook"
    sys_version = ""
    timeout = 30
    # Head and body leave together: a reader does not wait for the one to be acknowledged before the other is sent.
    wbufsize = -1
    disable_nagle_algorithm = True

    def __init__(self, *args: Any, site: Path, **options: Any) -> None:
        self._site = site
        super().__init__(*args, **options)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *_: Any) -> None:
        """Say nothing: readers' requests are nobody's business."""

    def _answer(self, *, body: bool) -> None:
        found = self._find()
        known = {tag.strip().removeprefix("W/") for tag in self.headers.get("If-None-Match", "").split(",")}
        if found.tag and found.tag in known:
            found = replace(found, status=HTTPStatus.NOT_MODIFIED, content=b"")
        content, kind = found.content, found.kind
        self.send_response(found.status)
        self.send_header("Content-Type", kind)
        if found.status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(content)))
        # A reader's browser keeps everything, and asks each time whether it is as it was; what is, keeps its tag from one
        # publication to the next.
        self.send_header("Cache-Control", "no-cache")
        if found.tag:
            self.send_header("ETag", found.tag)
        if found.publication:
            self.send_header("Proofbook-Publication", found.publication)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "SAMEORIGIN")
        self.send_header("Referrer-Policy", "no-referrer")
        if kind.startswith("text/html") and found.status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Security-Policy", content_security_policy(content.decode("utf-8", "replace")))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _find(self) -> _Found:
        wanted = unquote(urlsplit(self.path).path).lstrip("/")
        # Twice, as a publication that has just been replaced may also have been the oldest that is kept.
        for _ in range(2 if "\0" not in wanted else 0):
            root = self._site.resolve()
            path = (root / wanted).resolve()
            if path.is_dir():
                path = path / "index.html"
            if not path.is_relative_to(root):
                break
            try:
                with path.open("rb") as opened:
                    seen = os.fstat(opened.fileno())
                    tag = f'"{seen.st_ino:x}-{seen.st_mtime_ns:x}-{seen.st_size:x}"'
                    return _Found(HTTPStatus.OK, opened.read(), _kind(path), tag, root.name.lstrip("0"))
            except OSError:
                continue
        try:
            return _Found(HTTPStatus.NOT_FOUND, (self._site / "404.html").read_bytes(), _TYPES[".html"])
        except OSError:
            return _Found(HTTPStatus.NOT_FOUND, b"Nothing is published here.\n", _TYPES[".txt"])


def _kind(path: Path) -> str:
    return _NAMED.get(path.name) or _TYPES.get(path.suffix, "application/octet-stream")


def content_security_policy(page: str) -> str:
    """What a page may do: its own scripts and styles, and nothing from anywhere else."""
    hashes = {
        "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"
        for script in _INLINE_SCRIPT.findall(page)
    }
    rules = {
        "default-src": "'self'",
        "script-src": " ".join(["'self'", *sorted(hashes)]),
        # Scripts may style elements through their properties; no style stands in a page, nor comes from elsewhere.
        "style-src": "'self'",
        # The theme's style sheet draws its icons from such addresses; no page holds one.
        "img-src": "'self' data:",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'self'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())
