"""Reading results out of outputs, and what real runs come to: one YAML file a case."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from checks.catalogue import notebook as reader
from checks.model import Observation, Result, Status
from checks.run.payload import MIME, from_payload, to_payload
from checks.run.results import read_results
from tests.golden import cases
from tests.run.project import Project, notebook_of


def _cell(kind: str, *contents: Any) -> Any:
    if kind == "markdown":
        return new_markdown_cell(contents[0])
    outputs = [
        new_output("display_data", data={MIME: item["result"]}) if "result" in item else new_output("stream", text=item["text"])
        for item in contents
    ]
    return new_code_cell("", outputs=outputs)


@pytest.mark.parametrize("case", cases("results"))
def test_outputs_are_read_as_the_case_says(case: Any) -> None:
    """What is a valid result of this run is read with its place; whatever else claims to be one is a fault."""
    notebook = new_notebook(cells=[_cell(*cell) for cell in case["input"]])
    steps = reader.steps(notebook)
    reading = read_results(notebook, run="01RUN", system="shop", metrics=["error-rate"], steps=steps)
    seen = [
        {
            "metric": result.metric,
            "status": result.status.value,
            "value": result.observation.value if result.observation else None,
            "cell": result.cell,
            "step": result.step,
        }
        for result in reading.results
    ]
    assert seen == case["expected"]["results"]
    assert list(reading.faults) == case["expected"]["faults"]


@pytest.mark.usefixtures("origin")
@pytest.mark.parametrize("case", cases("results_of_runs"))
def test_a_run_comes_to_what_the_case_says(case: Any, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runbook that is executed for real ends in the state, status and reason that the case expects."""
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "hunter2")
    outcome = project.run(case["body"], case.get("front_matter", ""))
    expected = case["expected"]
    assert outcome.run.reason == expected["reason"]
    assert outcome.run.state.value == expected["state"]
    assert outcome.run.status.value == expected["status"]
    assert [[result.metric, result.status.value] for result in outcome.results] == expected["results"]
    cells = notebook_of(outcome).cells
    for position, outcome_of_cell in expected.get("outcomes", {}).items():
        assert cells[position].metadata.proofbook.outcome == outcome_of_cell
        if outcome_of_cell in ("skipped", "not reached"):
            assert cells[position].outputs == []


_times = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
_words = st.text(st.characters(codec="utf-8"), max_size=50)
_observations = st.builds(
    Observation,
    value=st.floats(allow_nan=False, allow_infinity=False),
    unit=_words,
    measured_at=_times,
    took=st.floats(min_value=0, max_value=1e6),
    source=_words,
    detail=_words,
)


@given(_observations, _times, _words, st.sampled_from(Status), st.none() | _words)
def test_a_result_survives_the_way_through_an_output(
    observation: Observation, judged_at: datetime, reason: str, status: Status, limit: str | None
) -> None:
    """What is read from a payload is exactly what was emitted, with the cell and step added."""
    result = Result("shop", "error-rate", "Error rate", status, reason, judged_at, observation, limit, limit, cell=3, step=1)
    assert from_payload(to_payload(result, "01RUN"), "01RUN", cell=3, step=1) == result
