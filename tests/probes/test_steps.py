"""What is told of a measurement's way, for a person who asks to see it."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from checks.model import Metric
from checks.probes import Step, measure
from checks.probes._steps import kept_in, note
from tests.probes.conftest import NOW, settings

SECRET = "s3cr3t-t0ken"


def steps_of(probe: dict[str, Any], values: dict[str, str] | None = None) -> list[str]:
    """The steps of one measurement."""
    steps: list[Step] = []
    measure(Metric("shop", "figure", "Figure", "", probe), settings(values, secrets=(SECRET,)), NOW, steps)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    return [step.text for step in steps]


def test_a_request_is_told_part_by_part(httpserver: HTTPServer) -> None:
    """Name, connection, status, size, redirect and what was found, in their order, without the secret that was sent."""
    moved = {"Location": f"/new?token={SECRET}"}
    httpserver.expect_request("/old").respond_with_data("", 302, headers=moved)
    httpserver.expect_request("/new").respond_with_json({"errors": 3})
    base = f"http://localhost:{httpserver.port}"
    told = steps_of(
        {"kind": "http", "url": f"{{base}}/old?token={SECRET}", "select": "errors", "headers": {"X-Token": SECRET}},
        {"base": base},
    )
    beginnings = ["localhost is", f"asking GET {base}/old?token=••• with X-Token", "connected in", "HTTP status 302", "0 B,"]
    beginnings += ["redirected to", "localhost is", "asking GET", "connected in", "HTTP status 200", "1", "errors is 3"]
    assert len(told) == len(beginnings), told
    assert all(text.startswith(beginning) for text, beginning in zip(told, beginnings, strict=True)), told
    assert SECRET not in "".join(told)


def test_a_program_a_query_and_a_log_tell_theirs(tmp_path: Path) -> None:
    """Arguments and exit status, the row's columns, and how much of a log was read."""
    argv = [sys.executable, "-c", f"import sys; sys.stderr.write('failed for {SECRET}'); sys.exit(3)"]
    started, ended, words = steps_of({"kind": "command", "argv": argv})
    assert started.startswith(f"started {sys.executable} -c ")
    assert SECRET not in started
    assert ended == f"{sys.executable} ended with exit status 3, wrote 0 B"
    assert words == "its last words: failed for •••"
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("CREATE TABLE orders (id INT)")
    told = steps_of({"kind": "sql", "database": str(tmp_path / "shop.db"), "query": "SELECT count(*) AS n FROM orders"})
    assert told[1:] == ["the answer has 1 row of n", "the query's answer is 0"]
    (tmp_path / "app.log").write_text(json.dumps({"ts": NOW.isoformat(), "level": "ERROR"}) + "\n")
    told = steps_of({"kind": "log", "path": str(tmp_path / "app.log"), "window": "1h"})
    assert told[-1] == "1 lines lie in the window, 1 of them count"


@pytest.mark.parametrize(
    "probe",
    [
        {"kind": "host", "measure": "disk"},
        {"kind": "file", "path": "/etc/hos*", "measure": "count"},
        {"kind": "git", "repository": "{folder}", "measure": "tags"},
        {"kind": "backup", "path": "{folder}/*.gz"},
        {"kind": "retention", "path": "{folder}/app.log", "measure": "oldest"},
        {"kind": "packages", "measure": "findings", "project": "{folder}"},
        {"kind": "service", "manager": "systemd", "names": ["web"]},
    ],
    ids=lambda probe: probe["kind"],
)
def test_every_kind_tells_something(tmp_path: Path, probe: dict[str, Any]) -> None:
    """Of each kind that looks at this machine there is at least one step to see."""
    (tmp_path / "a.gz").write_bytes(b"x")
    (tmp_path / "app.log").write_text("no time\n")
    assert steps_of(probe, {"folder": str(tmp_path)})


def test_nobody_who_did_not_ask_pays() -> None:
    """Without a list nothing is kept, and one list never gets the steps of another measurement."""
    first: list[Step] = []
    second: list[Step] = []
    note("to nobody")
    with kept_in(first, settings()):
        note("one")
        with kept_in(second, settings()):
            note("two")
        note("three")
    note("to nobody")
    assert ([step.text for step in first], [step.text for step in second]) == (["one", "three"], ["two"])


def test_the_steps_are_bounded() -> None:
    """A thousand requests do not tell a thousand stories, and no step is long or holds a line's end."""
    steps: list[Step] = []
    with kept_in(steps, settings()):
        for number in range(1000):
            note(f"{number}\n" + "x" * 1000)
    assert len(steps) == 201
    assert steps[-1].text == "further steps are not shown"
    assert max(len(step.text) for step in steps) == 300
    assert not any("\n" in step.text for step in steps)
