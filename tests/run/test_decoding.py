"""A run's context comes out of its file as it went in, and nothing else is taken for one."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalogue import load
from checks.errors import DataError
from checks.model import Alignment, Baseline, FixedBaseline, Metric, Series, System
from checks.run import context
from checks.run._decoding import decode

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.parent.name for path in ROOT.glob("docs/systems/*/system.yml"))
moments = st.integers(0, 2**51).map(lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros))
values = st.floats(allow_nan=False, allow_infinity=False)


@cache
def systems() -> Mapping[str, System]:
    """The systems of this repository."""
    return load(ROOT).systems


@pytest.fixture(autouse=True, scope="module")
def loaded() -> None:
    """No single example of many is to pay for reading them."""
    systems()


def there_and_back(told: context.Context) -> context.Context:
    """What a kernel reads of what a run has written."""
    return decode(context.Context, json.loads(context.to_json(told)))


@pytest.mark.parametrize("name", NAMES)
def test_every_system_of_ours_is_told_whole(name: str) -> None:
    """Limits, bands, baselines, conditions and probes arrive as the catalogue has them."""
    told = context.Context(
        "01X", f"{name}/morning", systems()[name], "sandbox", {"hours": 24, "who": "ada", "share": 0.5, "dry": True}
    )
    read = there_and_back(told)
    assert read.system.metrics == told.system.metrics
    assert read.system.conditions == told.system.conditions
    assert read.system.environments == told.system.environments
    assert replace(read, system=told.system) == told


@given(
    st.lists(st.tuples(moments, values), max_size=20), st.sampled_from(list(Series)), st.none() | st.sampled_from(list(Alignment))
)
def test_history_and_baselines_are_told_exactly(
    history: list[tuple[datetime, float]], series: Series, aligned: Alignment | None
) -> None:
    """No sample loses a microsecond or a digit."""
    baseline: Baseline | FixedBaseline = FixedBaseline(0.1, date(2026, 3, 1), "ada")
    if aligned:
        baseline = Baseline("p95", timedelta(days=28), timedelta(seconds=0.25), aligned=aligned, since="{released_at}")
    metric = Metric("shop", "it", "It", "%", {"kind": "notebook", "list": [1, {"a": None}]}, series=series, baseline=baseline)
    system = replace(systems()["wellbeing"], metrics={"it": metric})
    told = context.Context("01X", "shop/it", system, "sandbox", {}, {"it": tuple(history)})
    assert there_and_back(told) == told


def _spoilt(change: str) -> str:
    document: dict[str, Any] = json.loads(
        context.to_json(context.Context("01X", "wellbeing/morning", systems()["wellbeing"], "sandbox", {"hours": 24}))
    )
    metric = next(iter(document["system"]["metrics"].values()))
    match change:
        case "a field too many":
            document["colour"] = "red"
        case "a field too few":
            del document["system"]
        case "a status that there is not":
            metric["series"] = "wave"
        case "a text for a number":
            metric["needs"] = "20"
        case "a truth for a number":
            metric["needs"] = True
        case "a list of parameters":
            document["parameters"] = [1]
        case "a parameter that is none":
            document["parameters"] = {"hours": None}
        case "a broken time":
            document["history"] = {"error-rate": [["yesterday", 1.0]]}
        case "history of one part":
            document["history"] = {"error-rate": [["2026-01-01T00:00:00+00:00"]]}
        case "another kind of baseline":
            metric["baseline"] = {"value": 1.0, "window": 3}
        case "no object":
            return "[]"
        case "no JSON":
            return "{"
    return json.dumps(document)


CHANGES = [
    "a field too many",
    "a field too few",
    "a status that there is not",
    "a text for a number",
    "a truth for a number",
    "a list of parameters",
    "a parameter that is none",
    "a broken time",
    "history of one part",
    "another kind of baseline",
    "no object",
    "no JSON",
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_no_context_is_refused(tmp_path: Path, change: str) -> None:
    """A file that was not written by a run is told as such, whatever is wrong with it."""
    path = tmp_path / "context.json"
    path.write_text(_spoilt(change))
    with pytest.raises(DataError, match="the run's context cannot be read"):
        context.read(path)


def test_a_number_may_be_written_whole() -> None:
    """A bound of 5 is 5.0, as it was."""
    assert decode(float, 5) == 5.0
    assert math.isfinite(decode(float, 5))


def test_a_first_check_waits_for_no_validator() -> None:
    """A kernel that judges what its cell has measured loads neither pydantic nor pint."""
    code = (
        "import sys\nfrom datetime import UTC, datetime\nfrom checks import check\n"
        "from checks.judge import judge, parse_limit\nfrom checks.model import Metric, Observation\n"
        "from checks.run import context, payload\n"
        "now = datetime.now(UTC)\n"
        "metric = Metric('a', 'b', 'B', 'ms', {}, critical=parse_limit('> 1 s'))\n"
        "payload.to_payload(judge(metric, Observation(1.0, 'ms', now, 0.0, 'x'), now), 'run')\n"
        "print(sorted({'pydantic', 'pint', 're2', 'sqlalchemy', 'ruamel', 'httpx'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
