from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from pytest_httpserver import HTTPServer

from checks.errors import DataError
from checks.judge import parse_limit
from checks.model import Metric, Observation, Unmeasured
from checks.probes import measure
from tests.probes.conftest import NOW, measured, reason_of, settings, value_of

_NOW = NOW.timestamp()


def asked(**options: Any) -> dict[str, Any]:
    """A declared prometheus probe."""
    return {"kind": "prometheus", "url": "{server}", "query": "load", "timeout": "10s", **options}


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


def _held(limit: str, url: str, **options: Any) -> Observation | Unmeasured:
    """What measuring a metric whose limit looks back gives."""
    probe = asked(**options)
    metric = Metric("shop", "load", "Load", "%", probe, critical=parse_limit(limit), every=timedelta(minutes=1))
    return measure(metric, settings({"server": url}), NOW)


def test_what_a_limit_looks_back_at_is_asked_of_the_server(httpserver: HTTPServer) -> None:
    """One question gives the value now and those before it, as far apart as the metric is measured; gaps stay gaps."""
    values = [(_NOW - 60 * ago, "NaN" if ago == 2 else str(ago)) for ago in range(18, -1, -1)]
    httpserver.expect_request("/api/v1/query_range").respond_with_json(matrix(*values))
    seen = _held("> 70 % for 15m", httpserver.url_for(""))
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.samples) == (0.0, None)
    assert [value for _, value in seen.past] == [float(ago) for ago in range(18, 0, -1) if ago != 2]
    assert seen.past[-1][0] == NOW - timedelta(minutes=1)
    sent = parse_qs(httpserver.log[0][0].query_string.decode())
    assert (float(sent["start"][0]), float(sent["end"][0]), float(sent["step"][0])) == (_NOW - 18 * 60, _NOW, 60)
    assert len(httpserver.log) == 1


def test_no_more_is_asked_than_a_server_gives(httpserver: HTTPServer) -> None:
    """Of a window of a year the latest ten thousand values are asked for."""
    httpserver.expect_request("/api/v1/query_range").respond_with_json(matrix((_NOW, "1")))
    assert isinstance(_held("> 70 % for 365d", httpserver.url_for("")), Observation)
    sent = parse_qs(httpserver.log[0][0].query_string.decode())
    assert float(sent["end"][0]) - float(sent["start"][0]) == 600_000


def test_a_history_without_a_value_now_is_unknown(httpserver: HTTPServer) -> None:
    """A series that ended is no value, however much is known of its past."""
    httpserver.expect_request("/api/v1/query_range").respond_with_json(
        matrix(*[(_NOW - 60 * ago, "1") for ago in range(9, 2, -1)])
    )
    seen = _held("> 70 % for 5m", httpserver.url_for(""))
    assert isinstance(seen, Unmeasured)
    assert "no series matches, so there is no value" in seen.reason


def test_a_limit_of_one_value_asks_for_one(httpserver: HTTPServer) -> None:
    """Where no limit looks back, no history is asked for; a declared range is asked for as it is."""
    answer = {"status": "success", "data": {"resultType": "scalar", "result": [_NOW, "1"]}}
    httpserver.expect_request("/api/v1/query").respond_with_json(answer)
    httpserver.expect_request("/api/v1/query_range").respond_with_json(matrix((_NOW - 60, "1"), (_NOW, "3")))
    plain, spanned = (
        _held("> 70 %", httpserver.url_for("")),
        _held("> 70 % for 15m", httpserver.url_for(""), range="1m", step="1m"),
    )
    assert isinstance(plain, Observation)
    assert isinstance(spanned, Observation)
    assert (plain.past, spanned.past, spanned.value) == ((), (), 2.0)


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
