"""Certificates, logs, backups and arguments of every bad kind, measured by the command: each is told apart, none is well."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.certificates import self_signed
from tests.listening import Listening
from tests.threats.shop import open_shop

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
DUMP = b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t (i);\n" + b"INSERT INTO t VALUES (1);\n" * 500


@dataclass(frozen=True, slots=True)
class Measured:
    """What one ``proofbook check`` says of each metric."""

    results: dict[str, Any]
    said: str

    def unknown(self, name: str) -> str:
        """The reason why a metric is unknown."""
        result = self.results[name]
        assert (result["status"], result["observation"]) == ("unknown", None), result
        return str(result["reason"])

    def value(self, name: str) -> float:
        """The value of a metric that is known."""
        return float(self.results[name]["observation"]["value"])

    def detail(self, name: str) -> str:
        """What else was seen beside the value."""
        return str(self.results[name]["observation"]["detail"])


class Encrypted(Listening):
    """A server that shakes hands by its certificate as often as it is asked, and says nothing else."""

    def __init__(self, chain: Callable[[ssl.SSLContext], object]) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        chain(self._context)
        super().__init__(self._shake)
        self.url = f"https://localhost:{self.port}"

    def _shake(self, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(1)


def _self_signed(folder: Path) -> Callable[[ssl.SSLContext], object]:
    path = folder / "self-signed.pem"
    path.write_bytes(self_signed("localhost"))
    return lambda context: context.load_cert_chain(path)


def _certificates(folder: Path) -> dict[str, Encrypted]:
    ours, stranger = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(folder / "authority.pem"))
    issued = {
        "valid": ours.issue_cert("localhost", not_after=NOW + 30 * DAY),
        "ending": ours.issue_cert("localhost", not_after=NOW + 5 * DAY),
        "expired": ours.issue_cert("localhost", not_before=NOW - 60 * DAY, not_after=NOW - 3 * DAY),
        "not-yet": ours.issue_cert("localhost", not_before=NOW + 2 * DAY, not_after=NOW + 90 * DAY),
        "other-host": ours.issue_cert("example.org"),
        "stranger": stranger.issue_cert("localhost"),
    }
    servers = {name: Encrypted(certificate.configure_cert) for name, certificate in issued.items()}
    return {**servers, "self-signed": Encrypted(_self_signed(folder))}


def _line(age: timedelta, level: str = "error") -> bytes:
    return json.dumps({"ts": (NOW - age).isoformat(), "level": level, "message": "failed"}).encode()


def _logs(folder: Path) -> None:
    minute = timedelta(minutes=1)
    (folder / "rotated.log").write_bytes(b"\n".join(_line(number * minute) for number in (3, 2, 1)))
    (folder / "rotated.log.1").write_bytes(_line(5 * minute) + b"\n" + _line(4 * minute) + b"\n")
    (folder / "rotated.log.2.gz").write_bytes(gzip.compress(b"\n".join(_line(number * minute) for number in (9, 8, 7, 6))))
    (folder / "torn.log").write_bytes(_line(minute))
    (folder / "torn.log.1.gz").write_bytes(gzip.compress(_line(2 * minute) * 500)[:60])
    (folder / "emptied.log").write_bytes(b"")
    with (folder / "large.log").open("wb") as file:
        # A hole of ten gigabytes takes no room on the disk, and a reader from the beginning a minute.
        file.seek(10_000_000_000)
        file.write(b"\n" + b"".join(_line(3 * DAY) + b"\n" for _ in range(100)) + b"\n".join(_line(minute) for _ in range(7)))
    (folder / "future.log").write_bytes(b"\n".join([_line(minute), _line(-DAY), _line(-30 * DAY)]))


def _backups(folder: Path) -> None:
    whole = gzip.compress(DUMP + b"COMMIT;\n")

    def write(name: str, content: bytes, age: timedelta = timedelta(minutes=5)) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        os.utime(path, ((NOW - age).timestamp(),) * 2)

    write("whole/a.gz", whole)
    write("empty/a.gz", b"")
    write("nothing/a.gz", gzip.compress(b""))
    write("cut/a.gz", whole[: len(whole) // 2])
    write("half/a.gz", gzip.compress(DUMP))
    write("login/a.gz", b"<!DOCTYPE html><title>Log in</title>")
    write("old/a.gz", whole, 4 * DAY)
    for number in range(5):
        write(f"shrunk/{number}.gz", os.urandom(100 if number == 0 else 10_000), number * DAY + timedelta(minutes=5))
    write("away/a.gz", whole)
    (folder / "linked").mkdir()
    (folder / "linked" / "a.gz").symlink_to(folder / "away" / "a.gz")
    write("a b [1]*/x.gz", whole)
    write("a b 1/y.gz", whole)


def _metric(name: str, unit: str, probe: str, limit: str) -> str:
    return f"  {name}:\n    title: {name}\n    unit: '{unit}'\n    probe: {{{probe}}}\n    critical: '{limit}'\n"


def _system(servers: dict[str, Encrypted]) -> str:
    settings = {name.replace("-", "_"): server.url for name, server in servers.items()}
    settings |= {"odd": "${SHOP_FOLDER}/a b [1]*", "dashes": "--version"}
    for name in ("whole", "empty", "nothing", "cut", "half", "login", "old", "shrunk", "linked"):
        settings[f"b_{name}"] = f"${{SHOP_FOLDER}}/{name}"
    metrics = []
    for name in servers:
        address = f"address: '{{{name.replace('-', '_')}}}', authority: '{{folder}}/authority.pem'"
        metrics.append(_metric(f"{name}-chain", "", f"kind: tls, measure: chain, {address}", "< 1"))
        metrics.append(_metric(f"{name}-days", "d", f"kind: tls, measure: expiry, {address}", "< 7 d"))
    for name in ("rotated", "torn", "emptied", "large", "future"):
        log = f"kind: log, path: '{{folder}}/{name}.log', window: 1h, where: {{level: error}}"
        metrics.append(_metric(f"log-{name}", "lines", log, "> 100"))
    for name in ("whole", "empty", "nothing", "cut", "half", "login", "linked"):
        metrics.append(_metric(f"backup-{name}", "", f"kind: backup, path: '{{b_{name}}}/*.gz', measure: restored", "< 500"))
    metrics.append(_metric("backup-old", "h", "kind: backup, path: '{b_old}/*.gz', measure: age", "older than 26h"))
    metrics.append(_metric("backup-shrunk", "%", "kind: backup, path: '{b_shrunk}/*.gz', measure: shrinkage", "> 50 %"))
    metrics.append(_metric("odd-files", "", "kind: file, path: '{odd}/*.gz', measure: count", "> 1"))
    metrics.append(_metric("option", "", "kind: command, argv: [cat, '{dashes}'], take: exit", "!= 0"))
    metrics.append(_metric("behind", "", "kind: command, argv: [echo, '7', --, '{dashes}'], take: number", "> 9"))
    metrics.append(_metric("outside", "d", "kind: git, repository: '{folder}', ref: '{dashes}', measure: age", "> 9 d"))
    told = "".join(f'    {name}: "{value}"\n' for name, value in settings.items())
    head = 'system: shop\ntitle: Shop\nsummary: Is told apart.\nenvironments:\n  test:\n    folder: "${SHOP_FOLDER}"\n'
    return f"{head}{told}metrics:\n{''.join(metrics)}"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """All of it, measured by one command."""
    shop = open_shop(tmp_path_factory.mktemp("evidence") / "site")
    folder = shop.root / "shop"
    servers = _certificates(folder)
    _logs(folder)
    _backups(folder)
    shop.project.describe(_system(servers))
    ended = shop.call("check", "shop", "--format", "json")
    for server in servers.values():
        server.close()
    assert ended.out, ended.err
    return Measured({result["metric"]: result for result in json.loads(ended.out)["results"]}, ended.said)


@pytest.mark.parametrize(
    ("name", "accepted", "detail", "days"),
    [
        ("valid", 1, "valid until", 30),
        ("ending", 1, "valid until", 5),
        ("expired", 0, "it has expired:", -3),
        ("not-yet", 0, "it is not yet valid:", 90),
        ("other-host", 0, "it is for another host than localhost:", None),
        ("stranger", 0, "its issuer is unknown:", None),
        ("self-signed", 0, "it is self-signed:", 90),
    ],
)
def test_20_certificates_are_told_apart(measured: Measured, name: str, accepted: int, detail: str, days: float | None) -> None:
    """Expired, not yet valid, for another host, self-signed, of a stranger: each has its words; the days left are told of all."""
    assert (measured.value(f"{name}-chain"), measured.detail(f"{name}-chain").startswith(detail)) == (accepted, True)
    assert measured.results[f"{name}-chain"]["status"] == ("ok" if accepted else "critical")
    if days is not None:
        assert measured.value(f"{name}-days") == pytest.approx(days, abs=0.1)
        assert measured.results[f"{name}-days"]["status"] == ("ok" if days > 7 else "critical")


def test_23_logs_are_read_across_their_files(measured: Measured) -> None:
    """Rotated and gzipped lines count once each, to the last one without a newline; an emptied log has none."""
    assert measured.value("log-rotated") == 9
    assert measured.value("log-emptied") == 0


def test_23_ten_gigabytes_are_read_from_their_end(measured: Measured) -> None:
    """Only what the window needs is read of a log, however much lies before it."""
    assert measured.value("log-large") == 7
    assert measured.results["log-large"]["observation"]["took"] < 5


def test_23_a_torn_file_and_dates_in_the_future_count_for_nothing(measured: Measured) -> None:
    """What a broken file holds is not guessed; lines of tomorrow are left out, and that is said."""
    assert "torn.log.1.gz is not whole" in measured.unknown("log-torn")
    assert (measured.value("log-future"), "2 dated in the future" in measured.detail("log-future")) == (1, True)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty", "it has no byte, so it is no backup"),
        ("nothing", "the compression of no byte"),
        ("cut", "its compression breaks off after"),
        ("half", "it breaks off"),
        ("login", "it is a web page"),
        ("linked", "is a link that leads out of"),
    ],
)
def test_24_what_is_no_backup_is_told_apart(measured: Measured, name: str, reason: str) -> None:
    """No byte, a cut file, half a dump, a saved error page, a link to elsewhere: unknown, each with its reason."""
    assert reason in measured.unknown(f"backup-{name}")


def test_24_old_and_shrunk_backups_are_critical(measured: Measured) -> None:
    """A whole one is restored and counted; age and shrinkage are figures, and these break their limits."""
    assert (measured.value("backup-whole"), measured.results["backup-whole"]["status"]) == (500, "ok")
    assert measured.value("backup-old") == pytest.approx(96, abs=1)
    assert measured.value("backup-shrunk") == pytest.approx(99)
    assert {measured.results[name]["status"] for name in ("backup-old", "backup-shrunk")} == {"critical"}


def test_25_a_setting_is_no_option_and_no_pattern(measured: Measured) -> None:
    """What begins with a dash is refused, or stands behind `--`; spaces, brackets and stars in a setting are letters."""
    assert "--version would be an option for cat" in measured.unknown("option")
    assert measured.value("behind") == 7
    assert "cannot answer" in measured.unknown("outside") or "no commit" in measured.unknown("outside")
    assert measured.value("odd-files") == 1


def test_25_no_path_leads_out_of_its_root(tmp_path: Path) -> None:
    """A backup's path with dots is refused where it stands, before anything is measured."""
    shop = open_shop(tmp_path / "site")
    described = _system({}).replace("'{b_whole}/*.gz'", "'{b_whole}/../../*.gz'")
    shop.project.describe(described)
    ended = shop.call("check", "shop")
    assert ended.code == 65
    assert re.search(r"system\.yml:\d+:\d+", ended.err)
    assert "a path below its setting, without `..`" in ended.err
