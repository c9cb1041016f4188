"""What is measured lies, hangs, floods or leads elsewhere: every probe ends in time, unknown, with the reason."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import sqlite3
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.listening import unused_port
from tests.probes.conftest import HostileServer
from tests.threats.shop import Shop, open_shop

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _slow_loris(connection: socket.socket) -> None:
    for byte in OK + b'\r\n{"a": 1}' * 40:
        connection.send(bytes([byte]))
        time.sleep(0.25)


def _endless(connection: socket.socket) -> None:
    connection.sendall(OK + b'\r\n{"a": "')
    while True:
        connection.sendall(b"x" * 65536)


def _bomb(connection: socket.socket) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = packer.compress(b'{"a": 1, "b": "') + b"".join(packer.compress(b"0" * 10_000_000) for _ in range(100)) + packer.flush()
    connection.sendall(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def _loop(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")


def _page(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 8\r\n\r\n" + b'{"a": 0}')


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _half(connection: socket.socket) -> None:
    connection.sendall(OK + b'Content-Length: 900\r\n\r\n{"a": 0}')


def _mute(_: socket.socket) -> None:
    time.sleep(60)


def _says(document: object) -> Callable[[socket.socket], None]:
    body = json.dumps(document).encode()
    return lambda connection: connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)


SERVERS: dict[str, Callable[[socket.socket], None]] = {
    "loris": _slow_loris,
    "endless": _endless,
    "bomb": _bomb,
    "loop": _loop,
    "page": _page,
    "reset": _reset,
    "half": _half,
    "mute": _mute,
    "empty": lambda _: None,
    "nan": lambda connection: connection.sendall(OK + b'Content-Length: 10\r\n\r\n{"a": NaN}'),
    "words": _says({"a": "fine"}),
    "missing": _says({"b": 0}),
    "nothing": _says({"a": None}),
    "huge": lambda connection: connection.sendall(OK + b'Content-Length: 12\r\n\r\n{"a": 1e999}'),
}
HTTP_REASONS = {
    "loris": "within 2 s",
    "endless": "",
    "bomb": "",
    "loop": "redirect",
    "page": "not JSON",
    "reset": "",
    "half": "",
    "mute": "within 2 s",
    "empty": "",
    "refused": "refused",
    "no-name": "",
    "nan": "",
    "words": "a",
    "missing": "a",
    "nothing": "a",
    "huge": "",
    "elsewhere": "no host of the environment",
    "cloud": "no host of the environment",
    "by-file": "",
}
FILES = {
    "backup-gone": ("h", "{{kind: file, path: '{{folder}}/none/*.gz', measure: age}}", "older than 26h", ""),
    "backup-linked": ("h", "{{kind: file, path: '{{folder}}/linked/*.gz', measure: age}}", "older than 26h", "no file matches"),
    "future": ("h", "{{kind: file, path: '{{folder}}/future/*.gz', measure: age}}", "older than 26h", "in the future"),
    "locked": ("", "{{kind: sql, database: '{{folder}}/locked.db', query: 'select count(*) from t', timeout: 2s}}", "> 5", ""),
    "endless-query": ("", "{{kind: sql, database: '{{folder}}/free.db', timeout: 2s, query: \"{endless}\"}}", "> 5", ""),
    "writes": ("", "{{kind: sql, database: '{{folder}}/free.db', query: 'delete from t returning 1'}}", "> 5", ""),
    "log-gone": ("", "{{kind: log, path: '{{folder}}/none.log', window: 24h, where: {{level: error}}}}", "> 5", ""),
    "hangs": ("", "{{kind: command, argv: [sleep, '60'], take: exit, timeout: 1s}}", "!= 0", "1 s"),
    "floods": ("", "{{kind: command, argv: ['yes'], take: number, timeout: 2s}}", "> 5", ""),
    "dashes": ("", "{{kind: command, argv: [cat, '{{dashes}}'], take: number}}", "> 5", ""),
    "shell": ("", "{{kind: command, argv: [echo, '$(touch {{folder}}/owned); `id` | 1 > 2'], take: number}}", "> 500", ""),
}
ENDLESS_QUERY = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"


@dataclass(frozen=True, slots=True)
class Measured:
    """One ``proofbook check`` of a system in which everything is hostile."""

    shop: Shop
    results: dict[str, Any]
    seconds: float
    code: int
    strangers: list[bytes]

    def unknown(self, name: str) -> str:
        """The reason why a metric is unknown."""
        result = self.results[name]
        assert (result["status"], result["observation"]) == ("unknown", None), result
        reason: str = result["reason"]
        assert reason.strip()
        return reason


def _lay_out_files(folder: Path) -> sqlite3.Connection:
    for name in ("linked", "future", "outside"):
        (folder / name).mkdir()
    (folder.parent / "fresh.gz").write_bytes(gzip.compress(b"x"))
    (folder / "linked" / "new.gz").symlink_to(folder.parent / "fresh.gz")
    (folder / "future" / "new.gz").write_bytes(b"")
    ahead = time.time() + 86_400
    os.utime(folder / "future" / "new.gz", (ahead, ahead))
    for name in ("locked.db", "free.db"):
        with contextlib.closing(sqlite3.connect(folder / name)) as database:
            database.execute("create table t (i)")
            database.commit()
    now = datetime.now(UTC)
    lines = [json.dumps({"ts": (now - timedelta(minutes=minute)).isoformat(), "level": "error"}) for minute in (5, 4, 3)]
    broken = [b"\xff\xfe no text", b"{", b"[1, 2]", b"null", b'{"ts": "yesterday", "level": "error"}', b"\0" * 100]
    ahead_line = json.dumps({"ts": (now + timedelta(days=1)).isoformat(), "level": "error"})
    (folder / "app.log").write_bytes(b"\n".join([lines[1].encode(), *broken, ahead_line.encode(), lines[2].encode()]))
    (folder / "app.log.1").write_text(lines[0] + "\n")
    held = sqlite3.connect(folder / "locked.db", isolation_level=None)
    held.execute("begin exclusive")
    return held


def _system(urls: dict[str, str]) -> str:
    settings = "".join(
        f'    {name.replace("-", "_")}: "{url}"\n' for name, url in urls.items() if name not in ("elsewhere", "cloud")
    )
    metrics = []
    for name, url in urls.items():
        where = url if name in ("elsewhere", "cloud") else "{" + name.replace("-", "_") + "}"
        probe = f"{{kind: http, url: '{where}/metrics', select: a, timeout: 2s}}"
        metrics.append(f"  {name}:\n    title: {name}\n    probe: {probe}\n    critical: '> 5'\n")
    for name, (unit, probe, limit, _) in FILES.items():
        filled = probe.format(endless=ENDLESS_QUERY)
        metrics.append(f"  {name}:\n    title: {name}\n    unit: '{unit}'\n    probe: {filled}\n    critical: '{limit}'\n")
    log = "{kind: log, path: '{folder}/app.log', window: 24h, where: {level: error}}"
    metrics.append(f"  log:\n    title: Log\n    probe: {log}\n    critical: '> 5'\n")
    head = 'system: shop\ntitle: Shop\nsummary: Is attacked.\nenvironments:\n  test:\n    folder: "${SHOP_FOLDER}"\n'
    return f"{head}    dashes: '--help'\n{settings}metrics:\n{''.join(metrics)}"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Everything hostile, measured by one command."""
    shop = open_shop(tmp_path_factory.mktemp("probes") / "site")
    servers = {name: HostileServer(handler) for name, handler in SERVERS.items()}
    stranger = HostileServer(_says({"a": 0}))
    servers["by-redirect"] = HostileServer(
        lambda connection: connection.sendall(
            f"HTTP/1.1 302 Found\r\nLocation: {stranger.url}/metrics\r\nContent-Length: 0\r\n\r\n".encode()
        )
    )
    nobody = f"http://127.0.0.1:{unused_port()}"
    urls = {name: server.url for name, server in servers.items()}
    urls |= {"refused": nobody, "no-name": "http://shop.invalid", "elsewhere": stranger.url, "cloud": "http://169.254.169.254"}
    urls["by-file"] = "file:///etc/hostname?"
    held = _lay_out_files(shop.root / "shop")
    shop.project.describe(_system(urls))
    began = time.monotonic()
    ended = shop.call("check", "shop", "--format", "json")
    took = time.monotonic() - began
    held.close()
    for server in (*servers.values(), stranger):
        server.close()
    assert ended.out, ended.err
    results = {result["metric"]: result for result in json.loads(ended.out)["results"]}
    return Measured(shop, results, took, ended.code, stranger.requests)


@pytest.mark.parametrize("name", HTTP_REASONS)
def test_19_a_server_that_misbehaves_is_unknown(measured: Measured, name: str) -> None:
    """Refused, reset, nameless, slow, endless, packed to burst, looping, of a wrong type, cut short, or no number: unknown."""
    assert HTTP_REASONS[name] in measured.unknown(name)


def test_19_all_of_it_ends_in_time(measured: Measured) -> None:
    """Each probe keeps its one deadline, so that a whole system of traps is measured within their sum."""
    assert measured.code == 3
    slowest = {name: result["observation"] for name, result in measured.results.items() if result["observation"]}
    assert set(slowest) == {"log"}
    assert measured.seconds < 60


def test_21_a_redirect_to_a_stranger_is_refused(measured: Measured) -> None:
    """Neither an address in the catalogue nor a redirect leads to a host that the environment does not name."""
    measured.unknown("by-redirect")
    assert measured.strangers == []


@pytest.mark.parametrize("name", FILES)
def test_22_to_25_what_cannot_be_measured_is_unknown(measured: Measured, name: str) -> None:
    """Locked or endless databases, writing queries, absent, linked or future files, hanging or flooding programs: unknown."""
    assert FILES[name][3] in measured.unknown(name)


def test_22_a_query_that_writes_changed_nothing(measured: Measured) -> None:
    """The sql probe's session is read-only."""
    with contextlib.closing(sqlite3.connect(measured.shop.root / "shop" / "free.db")) as database:
        assert database.execute("select count(*) from t").fetchone() == (0,)


def test_23_a_broken_log_is_counted_as_far_as_it_speaks(measured: Measured) -> None:
    """Across a rotation, amid lines that are no text or of tomorrow, and without a newline at the end, each error counts once."""
    assert measured.results["log"]["observation"]["value"] == 3.0


def test_25_no_argument_reaches_a_shell(measured: Measured) -> None:
    """Substitutions, pipes and redirections in an argument are letters."""
    assert not (measured.shop.root / "shop" / "owned").exists()
    assert "numbers in the output of echo" in measured.unknown("shell")
