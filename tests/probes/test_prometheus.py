from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from pytest_httpserver import HTTPServer

from checks.errors import DataError
from checks.model import Observation
from tests.probes.conftest import NOW, measured, reason_of, settings, value_of

_NOW = NOW.timestamp()


def asked(**options: Any) -> dict[str, Any]:
    """A declared prometheus probe."""
    return {"kind": "prometheus", "url": "{server}", "query": "load", "timeout": "2s", **options}


def matrix(*values: tuple[float, str]) -> dict[str, Any]:
    """An answer that is one series over a range."""
    return {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [list(v) for v in values]}]},
    }


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({}, "not as Prometheus does"),
        ([], "not as Prometheus does"),
        ({"status": "success"}, "it answered without data"),
        ({"status": "success", "data": {"resultType": "vector"}}, "its answer is a vector, not a number"),
        ({"status": "success", "data": {"resultType": "vector", "result": [{}]}}, "is not what Prometheus gives"),
        ({"status": "success", "data": {"resultType": "vector", "result": [{"value": [1]}]}}, "is not what Prometheus gives"),
        (
            {"status": "success", "data": {"resultType": "vector", "result": [{"value": [1, "x"]}]}},
            "is not what Prometheus gives",
        ),
        ({"status": "success", "data": {"resultType": "vector", "result": [{"value": None}]}}, "is not what Prometheus gives"),
        ({"status": "error", "error": "out of memory"}, "it refused the query: out of memory"),
        (
            {"status": "success", "warnings": ["shard 2 is away"], "data": {"resultType": "scalar", "result": [1, "1"]}},
            "the answer is not whole: ['shard 2 is away']",
        ),
    ],
)
def test_an_answer_that_is_no_number_is_unknown(httpserver: HTTPServer, answer: object, reason: str) -> None:
    """Whatever a server answers in place of a number, it is a reason and never an exception."""
    httpserver.expect_request("/api/v1/query").respond_with_json(answer)
    assert reason in reason_of(asked(), "%", settings({"server": httpserver.url_for("")}))


def test_the_range_is_asked_for_as_declared(httpserver: HTTPServer) -> None:
    """Start, end and step are those of the declaration; a header with a secret goes along and is not told."""
    values = [(_NOW - 900 + 60 * number, str(number)) for number in range(16)]
    httpserver.expect_request("/prefix/api/v1/query_range").respond_with_json(matrix(*values))
    settled = settings({"server": httpserver.url_for("/prefix/"), "token": "s3cr3t"}, secrets=("s3cr3t",))
    seen = measured(asked(range="15m", step="1m", statistic="max", headers={"Authorization": "Bearer {token}"}), "%", settled)
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.samples, seen.detail) == (15.0, 16, "max of 16 values, 1 min apart")
    request = httpserver.log[0][0]
    sent = parse_qs(request.query_string.decode())
    assert (float(sent["start"][0]), float(sent["end"][0]), float(sent["step"][0])) == (_NOW - 900, _NOW, 60)
    assert request.headers["Authorization"] == "Bearer s3cr3t"
    assert "s3cr3t" not in repr(seen)


@pytest.mark.parametrize(
    "missing",
    [range(3), range(13, 16), range(6, 8), range(16)],
    ids=["the beginning", "the end", "the middle", "all of it"],
)
def test_history_with_a_gap_is_unknown(httpserver: HTTPServer, missing: range) -> None:
    """Where more than one value in a row is missing, nothing is said of the range; one may come late."""
    kept = [(_NOW - 900 + 60 * number, "1") for number in range(16) if number not in missing]
    httpserver.expect_request("/api/v1/query_range").respond_with_json(matrix(*kept))
    settled = settings({"server": httpserver.url_for("")})
    assert "the history of 15 min has a gap of" in reason_of(asked(range="15m", step="1m"), "%", settled)
    httpserver.clear()
    late = [(_NOW - 900 + 60 * number, "1") for number in range(16) if number != 7]
    httpserver.expect_request("/api/v1/query_range").respond_with_json(matrix(*late))
    assert value_of(asked(range="15m", step="1m"), "%", settled) == 1


def test_only_hosts_of_the_environment_are_asked(httpserver: HTTPServer) -> None:
    """A server that no setting names is not asked."""
    said = reason_of(asked(url=httpserver.url_for("")), "%", settings({"server": "http://prometheus.example"}))
    assert "is no host of the environment production" in said
    assert httpserver.log == []


def test_an_error_page_is_unknown(httpserver: HTTPServer) -> None:
    """A proxy's page in place of an answer is told by its status."""
    httpserver.expect_request("/api/v1/query").respond_with_data("<html>", status=502)
    assert "HTTP status 502 and not as Prometheus does" in reason_of(asked(), "%", settings({"server": httpserver.url_for("")}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": "1m"}, "expected `range:`"),
        ({"statistic": "max"}, "expected `range:`"),
        ({"range": "1m", "step": "2m"}, "expected a `step:` no longer"),
        ({"range": "365d", "step": "1s"}, "expected a `step:` no longer"),
    ],
)
def test_options_stand_beside_a_range_only(options: dict[str, str], message: str) -> None:
    """A declaration that could not mean what it says is refused."""
    with pytest.raises(DataError, match=message):
        measured(asked(**options))


def test_a_huge_answer_is_unknown(httpserver: HTTPServer) -> None:
    """The byte cap holds for the server's history, too."""
    httpserver.expect_request("/api/v1/query").respond_with_data(json.dumps(["x" * 11_000_000]))
    assert "more than 10 MB" in reason_of(asked(timeout="10s"), "%", settings({"server": httpserver.url_for("")}))
