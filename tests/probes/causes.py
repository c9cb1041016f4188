"""What causes each fault of each kind of probe, for real."""

from __future__ import annotations

import gzip
import os
import sqlite3
import struct
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.listening import Handler
from tests.probes.conftest import NOW
from tests.probes.docker import container
from tests.probes.scenes import ENDLESS_JSON, Asked, By, Cause, Scene, endless, http_answer, reset, says, silent

_SOON = "400ms"


def _served(declared: Callable[..., Asked], handler: Handler | None, scheme: str = "http", timeout: str = _SOON) -> Cause:
    def cause(scene: Scene) -> Asked:
        address = scene.server(handler, scheme) if handler else scene.nobody(scheme)
        return declared(address, timeout)

    return cause


def _six(declared: Callable[..., Asked], wrong: Handler, hostile: Handler = reset) -> dict[str, Cause]:
    """The faults of a kind that speaks HTTP."""
    return {
        "down": _served(declared, None, timeout="5s"),
        "slow": _served(declared, silent),
        "wrong": _served(declared, wrong, timeout="5s"),
        "huge": _served(declared, ENDLESS_JSON, timeout="10s"),
        "hostile": _served(declared, hostile, timeout="5s"),
        "unauthorised": _served(declared, http_answer("401 Unauthorized", {"message": "Bad credentials"}), timeout="5s"),
    }


def _asked_http(address: str, timeout: str) -> Asked:
    return Asked({"kind": "http", "url": f"{address}/metrics", "select": "error_rate", "timeout": timeout}, "> 1 %", "%")


def _asked_tls(address: str, timeout: str) -> Asked:
    return Asked({"kind": "tls", "address": address, "timeout": timeout}, "< 14 d", "d")


def _asked_redis(address: str, timeout: str) -> Asked:
    return Asked({"kind": "redis", "url": address, "measure": "memory", "timeout": timeout}, "> 1 GB", "MB")


def _asked_prometheus(address: str, timeout: str) -> Asked:
    return Asked({"kind": "prometheus", "url": address, "query": "load", "timeout": timeout}, "> 5")


def _asked_github(address: str, timeout: str) -> Asked:
    return Asked(
        {"kind": "github", "api": address, "repository": "shop/shop", "measure": "open-issues", "timeout": timeout}, "any"
    )


# What is on this machine


def _asked_postgresql(address: str, timeout: str) -> Asked:
    probe = {"kind": "sql", "database": f"{address}?sslmode=disable", "query": "SELECT 1", "timeout": timeout}
    return Asked(probe, "> 100")


# As PostgreSQL 15 writes it; https://www.postgresql.org/docs/15/protocol-error-fields.html
_REFUSED = b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "shop"\0\0'
_PASSWORD_REFUSED = b"E" + struct.pack("!I", len(_REFUSED) + 4) + _REFUSED


def _sql(query: str, content: bytes | None = b"", timeout: str = "5s") -> Cause:
    def cause(scene: Scene) -> Asked:
        path = scene.folder / "shop.db"
        if content:
            scene.file("shop.db", content)
        elif content is not None:
            with closing(sqlite3.connect(path)) as database:
                database.executescript("CREATE TABLE orders (id INTEGER); INSERT INTO orders VALUES (1);")
        return Asked({"kind": "sql", "database": str(path), "query": query, "timeout": timeout}, "> 100")

    return cause


_COUNTING = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def _sql_closed(scene: Scene) -> Asked:
    asked = _sql("SELECT count(*) FROM orders")(scene)
    return replace(asked, by=By.SOMEBODY_ELSE, closed=scene.folder / "shop.db")


def _log(content: bytes | None, timeout: str = "20s") -> Cause:
    def cause(scene: Scene) -> Asked:
        path = scene.file("app.log", content) if content is not None else str(scene.folder / "app.log")
        return Asked({"kind": "log", "path": path, "window": "1h", "match": "ERROR", "timeout": timeout}, "any", "lines")

    return cause


def _closed(cause: Cause, name: str) -> Cause:
    """The same for somebody who may not read one of the files or folders."""
    return lambda scene: replace(cause(scene), by=By.SOMEBODY_ELSE, closed=scene.folder / name)


def _log_is_a_pipe(scene: Scene) -> Asked:
    os.mkfifo(scene.folder / "app.log")
    return Asked({"kind": "log", "path": str(scene.folder / "app.log"), "window": "1h"}, "any", "lines")


def _file(measured: str, limit: str, unit: str, prepare: Callable[[Scene], object], timeout: str = "10s") -> Cause:
    def cause(scene: Scene) -> Asked:
        prepare(scene)
        pattern = str(scene.folder / "backups" / "*.gz")
        return Asked({"kind": "file", "path": pattern, "measure": measured, "timeout": timeout}, limit, unit)

    return cause


def _nothing(_: object) -> None:
    """What is asked for is not there."""


def _from_tomorrow(scene: Scene) -> None:
    path = scene.file("backups/a.gz", b"x")
    os.utime(path, (NOW.timestamp() + 86400, NOW.timestamp() + 86400))


def _sparse(scene: Scene) -> None:
    with Path(scene.file("backups/a.gz")).open("r+b") as file:
        file.truncate(20 * 10**9)


def _command(*argv: str, take: str = "number", timeout: str = "5s") -> Cause:
    return lambda _: Asked({"kind": "command", "argv": list(argv), "take": take, "timeout": timeout}, "> 5")


def _not_executable(scene: Scene) -> Asked:
    return Asked({"kind": "command", "argv": [scene.file("count", "#!/bin/sh\necho 1\n")], "take": "number"}, "> 5")


def _pid_file(content: bytes | None) -> Cause:
    def cause(scene: Scene) -> Asked:
        path = scene.file("shop.pid", content) if content is not None else str(scene.folder / "shop.pid")
        return Asked({"kind": "host", "measure": "process-uptime", "pid_file": path}, "< 1 min", "min")

    return cause


def _disk_of_a_dead_mount(scene: Scene) -> Asked:
    scene.dead_mount(scene.folder / "mount")
    probe = {"kind": "host", "measure": "disk", "path": str(scene.folder / "mount"), "timeout": _SOON}
    return Asked(probe, "> 90 %", "%")


def _files_of_another_process(scene: Scene) -> Asked:
    (scene.folder / "shop.pid").write_text("1")
    probe = {"kind": "host", "measure": "process-files", "pid_file": str(scene.folder / "shop.pid")}
    return Asked(probe, "> 500", by=By.SOMEBODY_ELSE)


def _git(ref: str = "HEAD", timeout: str = "10s", **stand_in: Any) -> Cause:
    def cause(scene: Scene) -> Asked:
        (scene.folder / "code").mkdir()
        scene.program("git", **stand_in)
        probe = {"kind": "git", "repository": str(scene.folder / "code"), "measure": "age", "ref": ref, "timeout": timeout}
        return Asked(probe, "older than 7 d", "d")

    return cause


def _no_repository(scene: Scene) -> Asked:
    return Asked({"kind": "git", "repository": str(scene.folder / "code"), "measure": "age"}, "older than 7 d", "d")


def _service(*containers: dict[str, Any], does: Handler | None = None, timeout: str = "10s", by: By = By.US) -> Cause:
    def cause(scene: Scene) -> Asked:
        scene.values["socket"] = scene.docker(*containers, does=does)
        probe = {"kind": "service", "manager": "docker", "names": ["web"], "socket": "{socket}", "timeout": timeout}
        return Asked(probe, "any", "services", by)

    return cause


def _backup(prepare: Callable[[Scene], object], measured: str = "bytes", timeout: str = "5s") -> Cause:
    def cause(scene: Scene) -> Asked:
        (scene.folder / "backups").mkdir()
        scene.values["backups"] = str(scene.folder / "backups")
        prepare(scene)
        return Asked({"kind": "backup", "path": "{backups}/*.gz", "measure": measured, "timeout": timeout}, "< 1 kB", "kB")

    return cause


def _led_out(scene: Scene) -> None:
    (scene.folder / "backups" / "a.gz").symlink_to(scene.file("elsewhere.gz", gzip.compress(b"x" * 5000)))


def _retention(content: bytes | None, timeout: str = "30s") -> Cause:
    def cause(scene: Scene) -> Asked:
        path = scene.file("app.log", content) if content is not None else str(scene.folder / "app.log")
        probe = {"kind": "retention", "path": path, "measure": "too-long", "policy": {"ERROR": "365d"}, "timeout": timeout}
        return Asked(probe, "any", "levels")

    return cause


def _retention_of_a_pipe(scene: Scene) -> Asked:
    os.mkfifo(scene.folder / "app.log")
    return _retention(None)(scene)


def _licences(prepare: Callable[[Path], object]) -> Cause:
    def cause(scene: Scene) -> Asked:
        prepare(scene.folder / "venv")
        probe = {"kind": "packages", "measure": "licences", "environment": str(scene.folder / "venv"), "allow": ["MIT"]}
        return Asked(probe, "any", "packages")

    return cause


def _package(metadata: str) -> Callable[[Path], object]:
    def prepare(environment: Path) -> None:
        folder = environment / "lib" / "python3.11" / "site-packages" / "alpha-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(metadata)

    return prepare


def _findings(scene: Scene) -> Asked:
    scene.file("code/shop.py", "print(1)\n")
    probe = {"kind": "packages", "measure": "findings", "project": str(scene.folder / "code"), "timeout": "50ms"}
    return Asked(probe, "any", "places")


def _bomb(scene: Scene) -> None:
    # Gzip takes one packed file behind another for one file; this one unpacks to 8 GB.
    scene.file("backups/a.gz", gzip.compress(bytes(20_000_000), 9) * 400)


def _endless_row(scene: Scene) -> None:
    scene.file("backups/a.gz", gzip.compress(b"-- PostgreSQL database dump\n" + b"x" * 70_000_000, 1))


_LINE = f'{{"ts": "{(NOW - timedelta(minutes=1)).isoformat()}", "level": "ERROR", "message": "ERROR"}}\n'.encode()
_MANY_LINES = _LINE * 100_000
_CLASSIFIED = "Metadata-Version: 2.1\nName: alpha\nVersion: 1.0\n"

_NO_SERIES = {"status": "success", "data": {"resultType": "vector", "result": []}}

CAUSES: dict[str, dict[str, Cause]] = {
    "http": _six(_asked_http, http_answer("200 OK", {"errors": 3}), endless(b"HTTP/1.1 200 OK\r\nX: ")),
    "tls": {
        "down": _served(_asked_tls, None, "https", "5s"),
        "slow": _served(_asked_tls, silent, "https"),
        "wrong": _served(_asked_tls, says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "https", "5s"),
        "huge": _served(_asked_tls, endless(b"\x16\x03\x03\x40\x00"), "https", "5s"),
        "hostile": _served(_asked_tls, reset, "https", "5s"),
        "unauthorised": lambda scene: _asked_tls(scene.client_certificates_wanted(), "5s"),
    },
    "redis": {
        "down": _served(_asked_redis, None, "redis", "5s"),
        "slow": _served(_asked_redis, silent, "redis"),
        "wrong": _served(_asked_redis, says(b"+OK\r\n"), "redis", "5s"),
        "huge": _served(_asked_redis, endless(b"$1000000000\r\n"), "redis", "10s"),
        "hostile": _served(_asked_redis, says(b"*1\r\n" * 100_000), "redis", "5s"),
        "unauthorised": _served(_asked_redis, says(b"-NOAUTH Authentication required.\r\n"), "redis", "5s"),
    },
    "prometheus": _six(_asked_prometheus, http_answer("200 OK", _NO_SERIES)),
    "github": _six(_asked_github, http_answer("200 OK", {"issues": []})),
    "sql": {
        "down": _sql("SELECT 1", None),
        "slow": _sql(_COUNTING, timeout=_SOON),
        "wrong": _sql("SELECT 'many' FROM orders"),
        "huge": _sql("SELECT hex(zeroblob(6000000))"),
        "hostile": _sql("SELECT count(*) FROM orders", b"SQLite format 3\x00" + b"\xff" * 5000),
        "unauthorised": _sql_closed,
    },
    "sql, PostgreSQL": {
        "down": _served(_asked_postgresql, None, "postgresql", "5s"),
        "slow": _served(_asked_postgresql, silent, "postgresql"),
        "wrong": _served(_asked_postgresql, says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "postgresql", "5s"),
        "huge": _served(_asked_postgresql, endless(b"E\x7f\xff\xff\xff"), "postgresql", "5s"),
        "hostile": _served(_asked_postgresql, reset, "postgresql", "5s"),
        "unauthorised": _served(_asked_postgresql, says(_PASSWORD_REFUSED), "postgresql", "5s"),
    },
    "log": {
        "down": _log(None),
        "slow": _log(_MANY_LINES, "20ms"),
        "wrong": _log(b"something went ERROR somewhere\n" * 5),
        "huge": _log(b"x" * 12_000_000),
        "hostile": _log_is_a_pipe,
        "unauthorised": _closed(_log(_LINE), "app.log"),
    },
    "file": {
        "down": _file("age", "older than 26 h", "h", _nothing),
        "slow": _file("age", "older than 26 h", "h", lambda scene: scene.dead_mount(scene.folder), _SOON),
        "wrong": _file("age", "older than 26 h", "h", lambda scene: scene.file("backups/README", b"x")),
        "huge": _file("size", "> 1 GB", "GB", _sparse),
        "hostile": _file("age", "older than 26 h", "h", _from_tomorrow),
        "unauthorised": _closed(_file("age", "older than 26 h", "h", lambda scene: scene.file("backups/a.gz")), "backups"),
    },
    "backup": {
        "down": _backup(_nothing),
        "slow": _backup(_bomb, timeout=_SOON),
        "wrong": _backup(lambda scene: scene.file("backups/a.gz", gzip.compress(os.urandom(5000))[:2000])),
        "huge": _backup(_endless_row, "rows", "20s"),
        "hostile": _backup(_led_out),
        "unauthorised": _closed(_backup(lambda scene: scene.file("backups/a.gz", gzip.compress(b"x"))), "backups/a.gz"),
    },
    "command": {
        "down": _command("no-such-program"),
        "slow": _command(sys.executable, "-c", "import time; time.sleep(9)", timeout=_SOON),
        "wrong": _command(sys.executable, "-c", "print('many')"),
        "huge": _command(sys.executable, "-c", "while True: print('1' * 65536)"),
        "hostile": _command(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"),
        "unauthorised": _not_executable,
    },
    "host": {
        "down": _pid_file(None),
        "slow": _disk_of_a_dead_mount,
        "wrong": _pid_file(b"nginx\n"),
        "huge": _pid_file(b"1" * 100_000),
        "hostile": _pid_file(b"-1\n"),
        "unauthorised": _files_of_another_process,
    },
    "git": {
        "down": _no_repository,
        "slow": _git(timeout=_SOON, slow=5),
        "wrong": _git(output="what?\n"),
        "huge": _git(output="1" * 12_000_000),
        "hostile": _git(ref="--upload-pack=evil", errors="fatal: not a git repository\n", status=128),
        "unauthorised": _closed(_git(), "code"),
    },
    "service": {
        "down": _service(container("web", "exited")),
        "slow": _service(does=silent, timeout=_SOON),
        "wrong": _service(container("db")),
        "huge": _service(does=endless(b"HTTP/1.1 200 OK\r\n\r\n")),
        "hostile": _service(does=says(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")),
        "unauthorised": _service(container("web"), by=By.SOMEBODY_ELSE),
    },
    "packages": {
        "down": _licences(_nothing),
        "slow": _findings,
        "wrong": _licences(_package(_CLASSIFIED)),
        "huge": _licences(_package(_CLASSIFIED + "License: " + "x" * 12_000_000)),
        "hostile": _licences(_package(_CLASSIFIED + "License-Expression: " + "(" * 10_000)),
        "unauthorised": _closed(_licences(_package(_CLASSIFIED)), "venv/lib/python3.11/site-packages"),
    },
    "retention": {
        "down": _retention(None),
        "slow": _retention(_MANY_LINES, "20ms"),
        "wrong": _retention(b"no time, no level\n"),
        "huge": _retention(b"x" * 12_000_000),
        "hostile": _retention_of_a_pipe,
        "unauthorised": _closed(_retention(_LINE), "app.log"),
    },
}
"""What causes each fault of each kind."""
