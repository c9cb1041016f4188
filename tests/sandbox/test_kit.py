"""A stand-in as a whole: it serves, is asked, logs, dumps, and breaks."""

from __future__ import annotations

import http.client
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from checks.sandbox.kit import running
from tests.sandbox.example import Example
from tests.sandbox.support import ask, eventually


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Example]:
    """A stand-in that runs in this process."""
    with running(Example(tmp_path / "example")) as started:
        yield started


def test_a_stand_in_is_ready_with_real_figures_and_a_dump(service: Example) -> None:
    """When a stand-in is ready it has served its burst of requests and made its first dump."""
    figures = ask(f"{service.url}/metrics").body

    assert figures["count"] >= 20
    assert figures["error_rate"] == 0.0
    assert figures["p95_ms"] > 0
    assert len(list(service.backups.glob("example-*.sql.gz"))) == 1


def test_traffic_goes_on_steadily(service: Example) -> None:
    """After the burst, requests go on at about the rate that was asked for."""
    before = service.window.total

    eventually(lambda: service.window.total >= before + 20, within=5)
    assert service.window.total >= before + 20


def test_a_fault_changes_what_is_served(service: Example) -> None:
    """With a fault on, answers really fail and the figures say so; healed, answers are whole again."""
    service.faults.add("errors")
    assert ask(f"{service.url}/notes/1").status == 503
    eventually(lambda: ask(f"{service.url}/metrics").body["errors_5xx"] > 5)

    service.faults.remove("errors")
    assert ask(f"{service.url}/notes/1").body == {"text": "hello"}


def test_only_users_requests_are_in_the_figures(service: Example) -> None:
    """A request of an operator leaves a line in the log and no trace in the users' figures."""
    for _ in range(5):
        ask(f"{service.url}/metrics")

    assert not service.window.served("/metrics")
    lines = [json.loads(line) for line in service.access.path.read_text(encoding="utf-8").splitlines()]
    assert sum(line["path"] == "/metrics" and line["status"] == 200 for line in lines) >= 4


def test_what_no_route_answers_is_not_found(service: Example) -> None:
    """An unknown path is 404, a handler's own error has its status, a path's part is decoded."""
    assert ask(f"{service.url}/nowhere").status == 404
    missing = ask(f"{service.url}/notes/a%20b")
    assert (missing.status, missing.body) == (404, {"message": "there is no note a b"})


def test_a_bug_in_a_handler_is_a_500_and_is_logged(service: Example) -> None:
    """A handler that raises answers 500 and leaves the cause in the application's log; the next request is served."""
    assert ask(f"{service.url}/bug").status == 500
    assert "ZeroDivisionError: a bug of the stand-in" in service.log.path.read_text(encoding="utf-8")
    assert ask(f"{service.url}/notes/1").status == 200


def test_head_has_no_body_and_the_connection_stays_open(service: Example) -> None:
    """HEAD gives the headers of GET without a body, and the same connection serves the next request."""
    connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=5)
    connection.request("HEAD", "/notes/1")
    head = connection.getresponse()
    assert (head.status, head.read()) == (200, b"")
    connection.request("GET", "/notes/1")
    assert json.loads(connection.getresponse().read()) == {"text": "hello"}
    connection.close()


def test_a_stand_in_comes_back_on_its_port_with_its_rows(tmp_path: Path) -> None:
    """A second start serves at the same address, with what the first one stored."""
    with running(Example(tmp_path)) as first:
        url = first.url
        first.database.run("INSERT INTO note VALUES (2, 'kept')")

    with running(Example(tmp_path)) as second:
        assert second.url == url
        assert ask(f"{second.url}/notes/2").body == {"text": "kept"}


def test_probes_may_read_the_database_while_it_is_written(service: Example) -> None:
    """A reader of its own process sees whole rows from a read-only connection."""
    with closing(sqlite3.connect(f"file:{service.variables()['EXAMPLE_DATABASE']}?mode=ro", uri=True)) as reader:
        assert reader.execute("SELECT text FROM note").fetchall() == [("hello",)]


def test_after_its_end_nothing_answers_and_no_pid_is_left(tmp_path: Path) -> None:
    """A stopped stand-in refuses connections and takes its pid file with it."""
    with running(Example(tmp_path)) as service:
        url = service.url
        assert service.pid_file.exists()

    with pytest.raises(OSError, match="refused"):
        ask(f"{url}/notes/1")
    assert not service.pid_file.exists()
