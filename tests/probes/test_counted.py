"""How many samples a number in JSON rests on."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from checks.model import Observation, Unmeasured
from tests.probes.conftest import measured, settings

CASES = [
    ({"rate": 50.0, "requests": 3}, 3),
    ({"rate": 0.5, "requests": 0}, 0),
    ({"rate": 0.5}, "requests is missing"),
    ({"rate": 0.5, "requests": 2.5}, "requests is 2.5, which is no number of samples"),
    ({"rate": 0.5, "requests": -1}, "requests is -1, which is no number of samples"),
    ({"rate": 0.5, "requests": "3"}, "not a number"),
    ({"requests": 3}, "rate is missing"),
]


def _is(seen: Observation | Unmeasured, expected: int | str) -> bool:
    if isinstance(expected, str):
        return isinstance(seen, Unmeasured) and expected in seen.reason
    return isinstance(seen, Observation) and seen.samples == expected


@pytest.mark.parametrize(("document", "expected"), CASES)
def test_an_answer_says_how_many_requests_its_number_rests_on(
    httpserver: HTTPServer, document: dict[str, Any], expected: int | str
) -> None:
    """The number of samples comes from the same answer; where it is missing or none, nothing is measured."""
    httpserver.expect_request("/m").respond_with_json(document)
    url = httpserver.url_for("/m")
    probe = {"kind": "http", "url": url, "select": "rate", "samples": "requests"}
    seen = measured(probe, "%", settings({"base": url}))
    assert _is(seen, expected), seen


def test_a_program_says_so_too() -> None:
    """The JSON that a program prints may hold the number of samples as well."""
    printed = json.dumps({"rate": 1.5, "requests": 480})
    probe = {"kind": "command", "argv": [sys.executable, "-c", f"print({printed!r})"], "take": "json", "select": "rate"}
    assert _is(measured(probe | {"samples": "requests"}, "%"), 480)
    assert getattr(measured(probe, "%"), "samples", 0) is None
