"""Each kind of probe by its table: what is there, what is declared, what is measured or why nothing is."""

from __future__ import annotations

import gzip
import os
import socket
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from checks.catalogue.probe_kinds import parse_duration
from checks.errors import DataError
from checks.model import Observation, Unmeasured
from checks.probes import PROBES
from tests.golden import cases
from tests.probes.conftest import NOW, HostileServer, measured, settings
from tests.probes.docker import Docker, container

GIVEN = {"settings", "files", "sqlite", "serves", "redis", "git", "docker"}
CASES = [case for kind in PROBES for case in cases(f"probes/{kind}")]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("case", CASES)
def test_what_is_there_is_measured(case: Any, tmp_path: Path, httpserver: HTTPServer, stack: ExitStack) -> None:
    """What a case lays out gives exactly the value or the reason that it expects."""
    given: dict[str, Any] = case.get("given") or {}
    assert set(given) <= GIVEN
    values = {"folder": str(tmp_path), "server": httpserver.url_for("").rstrip("/"), **given.get("settings", {})}
    _lay_out(given, tmp_path)
    _serve(given.get("serves") or {}, httpserver)
    if "redis" in given:
        values["redis"] = f"redis://127.0.0.1:{_redis(given['redis'], stack)}"
    if "docker" in given:
        values["docker"] = stack.enter_context(Docker(*(container(**one) for one in given["docker"]))).path
    probe, unit, expected = case["measure"]["probe"], case["measure"].get("unit", ""), case["expected"]
    if "refused" in expected:
        with pytest.raises(DataError) as refused:
            measured(probe, unit, settings(values))
        assert expected["refused"] in str(refused.value)
        return
    seen = measured(probe, unit, settings(values))
    if "reason" in expected:
        assert isinstance(seen, Unmeasured), seen
        assert expected["reason"] in seen.reason
        return
    assert isinstance(seen, Observation), seen
    if "text" in expected:
        assert (seen.unit, seen.detail) == ("text", expected["text"])
        return
    assert seen.value == pytest.approx(expected["value"])
    assert expected.get("detail", "") in seen.detail


def test_every_kind_has_its_folder() -> None:
    """A kind comes with its table, and no table is of a kind that is gone."""
    folders = {path.name for path in (Path(__file__).parents[1] / "golden" / "probes").iterdir()}
    assert folders == set(PROBES)


def _lay_out(given: Mapping[str, Any], folder: Path) -> None:
    for name, told in (given.get("files") or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(told["gzip"].encode()) if "gzip" in told else told["text"].encode())
        written = NOW.timestamp() - (parse_duration(told["age"]).total_seconds() if "age" in told else 0)
        os.utime(path, (written, written))
    for name, script in (given.get("sqlite") or {}).items():
        with closing(sqlite3.connect(folder / name)) as database:
            database.executescript(script)
    if "git" in given:
        _git(given["git"], folder / "repository")


def _git(steps: list[str], repository: Path) -> None:
    def git(*arguments: str) -> None:
        who = {f"GIT_{role}_{what}": "ann@shop.test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}
        subprocess.run(["git", "-C", str(repository), *arguments], check=True, capture_output=True, env=environment)

    repository.mkdir()
    git("init", "--quiet", "--initial-branch=main")
    for step in steps:
        verb, name = step.split()
        git(*(["commit", "--allow-empty", f"--message={name}"] if verb == "commit" else [verb, name]))


def _serve(paths: Mapping[str, Any], httpserver: HTTPServer) -> None:
    for path, told in paths.items():
        request = httpserver.expect_request(path)
        if "json" in told:
            request.respond_with_json(told["json"], told.get("status", 200), told.get("headers"))
        else:
            request.respond_with_data(told["text"], told.get("status", 200), told.get("headers"), content_type="text/plain")


def _redis(info: str, stack: ExitStack) -> int:
    def say(connection: socket.socket) -> None:
        connection.sendall(b"$%d\r\n%s\r\n" % (len(info), info.encode()))
        connection.recv(65536)

    server = HostileServer(say)
    stack.callback(server.close)
    return server.port
