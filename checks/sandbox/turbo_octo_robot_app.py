"""Standalone, the program of release v2.0.0: sign-in, customers and a full export, with the standard library alone.

The stand-in serves by it, and the very same file is what the release holds as ``standalone/app/main.py``.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import io
import json
import sqlite3
import time
import zipfile
from collections.abc import Iterable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TABLES = """
CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, salt BLOB NOT NULL, digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS user (email TEXT PRIMARY KEY, full_name TEXT NOT NULL, moved_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS customer (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, city TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS survey_answer (email TEXT PRIMARY KEY, rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5));
"""
EXPORTED = {
    "users.json": "SELECT email, full_name FROM user ORDER BY email",
    "customers.json": "SELECT id, owner, name, city FROM customer ORDER BY id",
}
_LOCK_PATIENCE_S = 2.0
_ROUNDS = 1000  # few, because sign-ins here guard nothing


class NotSignedIn(Exception):
    """A token is missing, forged or no longer valid, or a password is wrong."""


def issue(name: str, key: bytes, *, now: float, minutes: int) -> str:
    """A signed token (JWT, HS256) that names an account, valid for `minutes` from `now` (seconds since the epoch)."""
    claims = {"sub": name, "iat": int(now), "exp": int(now) + 60 * minutes}
    head, body = (_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{head}.{body}.{_sign(f'{head}.{body}', key)}"


def verify(token: str, key: bytes, *, now: float) -> str:
    """The account that a token names.

    Raises:
        NotSignedIn: it is none of ours, or its time is over.

    """
    head, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_sign(head, key), signature):
        raise NotSignedIn("the token is not ours")
    body = head.partition(".")[2]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    if now >= claims["exp"]:
        raise NotSignedIn("the token's time is over; sign in again")
    return str(claims["sub"])


def digest_of(password: str, salt: bytes) -> bytes:
    """What is stored in place of a password."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)


def export(members: Iterable[tuple[str, object]]) -> bytes:
    """A ZIP archive with one JSON document a member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in members:
            archive.writestr(name, json.dumps(rows, indent=1))
    return buffer.getvalue()


def healthy(database: Path) -> dict[str, Any]:
    """What ``/health`` answers: the database was really asked."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
        users = connection.execute("SELECT count(*) FROM user").fetchone()[0]
    return {"status": "ok", "version": "2.0.0", "users": users}


def wait_for_lock(database: Path) -> None:
    """Give another process that holds the database's lock file time to end; a file that stays is taken for left behind."""
    lock = database.with_name(f"{database.name}.lock")
    until = time.monotonic() + _LOCK_PATIENCE_S
    while lock.exists() and time.monotonic() < until:
        time.sleep(0.02)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _sign(text: str, key: bytes) -> str:
    return _encode(hmac.new(key, text.encode(), hashlib.sha256).digest())


def main() -> None:
    """Serve ``/health`` on 127.0.0.1; the first line printed is the address."""
    parser = argparse.ArgumentParser(description="Standalone")
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    wait_for_lock(options.database)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                status, answer = (200, healthy(options.database)) if self.path == "/health" else (404, {"message": "Not Found"})
            except sqlite3.Error as error:
                status, answer = 503, {"message": str(error)}
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name http.server gives it
            """Requests are not logged here."""

    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
