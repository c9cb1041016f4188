"""A metric whose unit is ``text``: what probes read as it stands, and how it is judged."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from checks.judge import fingerprint, judge, parse_limit
from checks.model import Metric, Observation, Status
from checks.probes import measure
from tests.probes.conftest import NOW, measured, reason_of, settings

JSON = {"version": "v2.1.0", "build": 17, "canary": False, "parts": ["a"], "nothing": None, "long": "x" * 5000, "two": "a\nb"}


@pytest.fixture
def site(httpserver: HTTPServer) -> HTTPServer:
    """A service that tells its version in JSON, in text and in a header."""
    httpserver.expect_request("/json").respond_with_json(JSON, headers={"X-Release": "shop/2.1"})
    httpserver.expect_request("/page").respond_with_data("Shop\nrelease: v2.1.0 (stable)\n", content_type="text/plain")
    return httpserver


def asked(site: HTTPServer, path: str, **options: Any) -> dict[str, Any]:
    """A declared http probe."""
    return {"kind": "http", "url": f"{{base}}{path}", **options}


def text_of(probe: dict[str, Any], settled: Any = None) -> str:
    """The text that measuring gives; its value stands for all of it."""
    seen = measured(probe, "text", settled)
    assert isinstance(seen, Observation), seen
    assert seen.unit == "text"
    return seen.detail


@pytest.mark.parametrize(
    ("path", "options", "text"),
    [
        ("/json", {"select": "version"}, "v2.1.0"),
        ("/json", {"select": "build"}, "17"),
        ("/json", {"select": "canary"}, "false"),
        ("/json", {"select": "two"}, "a b"),
        ("/json", {"select": "long"}, "x" * 1999 + "…"),
        ("/page", {"measure": "text", "match": r"release: (\S+)"}, "v2.1.0"),
        ("/page", {"measure": "text", "match": r"v\d+"}, "v2"),
        ("/json", {"measure": "header", "header": "X-Release"}, "shop/2.1"),
        ("/json", {"measure": "header", "header": "X-Release", "match": r"/(.*)"}, "2.1"),
    ],
)
def test_what_a_service_says_is_the_text(site: HTTPServer, path: str, options: dict[str, Any], text: str) -> None:
    """JSON, text and headers give the text there; a number or a boolean is written as JSON writes it."""
    assert text_of(asked(site, path, **options), settings({"base": site.url_for("").rstrip("/")})) == text


@pytest.mark.parametrize(
    ("path", "options", "reason"),
    [
        ("/json", {"select": "parts"}, "parts is a list, not a text"),
        ("/json", {"select": "nothing"}, "nothing is missing"),
        ("/page", {"measure": "text", "match": "absent"}, "nothing that matches absent"),
        ("/json", {"measure": "status"}, "gives a number here, and the metric's unit is text"),
    ],
)
def test_what_is_no_text_is_unknown(site: HTTPServer, path: str, options: dict[str, Any], reason: str) -> None:
    """A list, nothing at all, and a measure that is a number are no text to judge."""
    assert reason in reason_of(asked(site, path, **options), "text", settings({"base": site.url_for("").rstrip("/")}))


def test_a_program_and_a_query_give_texts(tmp_path: Path) -> None:
    """The only line of a program, its JSON, and the text in a row are taken as they stand."""
    said = "import json; print(json.dumps({'release': 'v3'}))"
    assert text_of({"kind": "command", "argv": [sys.executable, "-c", said], "take": "json", "select": "release"}) == "v3"
    assert text_of({"kind": "command", "argv": [sys.executable, "-c", "print('v3.1\\n')"], "take": "text"}) == "v3.1"
    assert "2 lines in the output" in reason_of(
        {"kind": "command", "argv": [sys.executable, "-c", "print('a\\nb')"], "take": "text"}, "text"
    )
    assert "not a number" in reason_of({"kind": "command", "argv": [sys.executable, "-c", "print('v3')"], "take": "text"})
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.executescript("CREATE TABLE release (name TEXT, at INT); INSERT INTO release VALUES ('v3', 7);")
    asked_of = {"kind": "sql", "database": str(tmp_path / "shop.db")}
    assert text_of({**asked_of, "query": "SELECT name FROM release"}) == "v3"
    assert text_of({**asked_of, "query": "SELECT * FROM release", "column": "name"}) == "v3"


def test_a_text_is_judged_by_patterns_and_changes(site: HTTPServer) -> None:
    """`matches` looks at the text, `changes` at whether it is another one than before."""
    probe = asked(site, "/json", select="version")
    settled = settings({"base": site.url_for("").rstrip("/")})
    pattern = Metric("shop", "release", "Release", "text", probe, critical=parse_limit("matches /^v2/"))
    result = judge(pattern, measure(pattern, settled, NOW), NOW)
    assert (result.status, result.reason) == (Status.CRITICAL, '"v2.1.0" breaks matches /^v2/')
    changes = Metric("shop", "release", "Release", "text", probe, critical=parse_limit("changes"), every=timedelta(minutes=5))
    before = NOW - timedelta(minutes=5)
    for earlier, status in (("v2.1.0", Status.OK), ("v2.0.9", Status.CRITICAL)):
        seen = judge(changes, measure(changes, settled, NOW), NOW, [(before, fingerprint(earlier))])
        assert seen.status is status


def test_a_secret_in_a_text_is_masked_before_anything_is_made_of_it(site: HTTPServer) -> None:
    """Neither the text nor the number that stands for it tells the secret."""
    settled = settings({"base": site.url_for("").rstrip("/")}, secrets=("v2.1.0",))
    seen = measured(asked(site, "/json", select="version"), "text", settled)
    assert isinstance(seen, Observation)
    assert (seen.detail, seen.value) == ("•••", fingerprint("•••"))
