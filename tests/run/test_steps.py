"""What came of each step, and runs as JUnit XML."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from checks.catalogue import load, notebook
from checks.model import RunState, Status
from checks.run.ends import Outcome
from checks.run.junit import to_junit
from checks.run.steps import Verdict, lines, reports
from tests.run.project import Project

REPOSITORY = Path(__file__).parents[2]
BODY = """\
## 1. Judge

```python
from checks import check
check("error-rate", 12)
check("flour")
```

## 2. Warn

```python
check("error-rate", 2)
```

## 3. Fall over

```bash
false
```

## 4. Too late

```python
check("error-rate", 0.1)
```

## 5. Mend it

```python tags=["change"]
1 / 0
```
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("## One\n\ntext\n\n## Two ##\n", (1, 5)),
        ("---\ntitle: x\n## a comment of YAML\n---\n\n## One\n", (6,)),
        ("## One\n\n```python\n## no heading\n```\n\n## Two\n", (1, 7)),
        ("~~~\n## no\n```\n## no\n~~~\n## One\n", (6,)),
        ("````\n## no\n```\n## no\n````\n## One\n", (6,)),
        ("# Title\n### Three\n##none\nno ## heading\n", ()),
        ("", ()),
    ],
)
def test_a_step_is_found_in_the_file(text: str, expected: tuple[int, ...]) -> None:
    """A heading of the second level begins a step, unless it stands in the front matter or in code."""
    assert lines(text) == expected


def test_every_step_of_every_runbook_has_its_line() -> None:
    """In this repository's runbooks each step's line is that of its heading."""
    for book in load(REPOSITORY).runbooks.values():
        text = book.path.read_text(encoding="utf-8")
        titles = [text.splitlines()[number - 1].strip("# ") for number in lines(text)]
        assert titles == [step.title for step in notebook.steps(notebook.read(book)) if step.number], book.slug


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    """A run with a critical result, a warning, and a step that falls over."""
    project = Project(tmp_path_factory.mktemp("junit") / "project")
    return project, project.run(BODY)


def test_each_step_says_what_came_of_it(outcome: tuple[Project, Outcome]) -> None:
    """Passed, failed or skipped, with the status of its own results and the time of its own cells."""
    found = reports(outcome[1].run, outcome[1].results, outcome[1].evidence)
    assert [(step.number, step.verdict, step.status) for step in found] == [
        (1, Verdict.FAILED, Status.CRITICAL),
        (2, Verdict.PASSED, Status.WARNING),
        (3, Verdict.FAILED, Status.UNKNOWN),
        (4, Verdict.SKIPPED, None),
        (5, Verdict.SKIPPED, None),
    ]
    assert [step.reason for step in found[3:]] == ["not reached", "change"]
    assert [len(step.results) for step in found] == [2, 1, 0, 0, 0]
    assert all(step.took > 0 for step in found[:3])


def test_what_is_wrong_with_the_whole_run_is_some_steps_fault(outcome: tuple[Project, Outcome]) -> None:
    """A run that is unknown while each step looks well, or that left no evidence, has a failed step all the same."""
    run = replace(outcome[1].run, state=RunState.FINISHED, status=Status.UNKNOWN, reason="no check judged anything")
    told = b'{"metadata": {"proofbook": {"steps": [{"number": 1, "title": "One", "class": "read"}]}}, "cells": [%s]}'
    cell = b'{"cell_type": "code", "metadata": {"proofbook": {"step": 1, "outcome": "executed", "took": 0.1}}}'
    (step,) = reports(run, (), told % cell)
    assert (step.number, step.verdict, step.reason) == (1, Verdict.FAILED, "no check judged anything")
    (step,) = reports(run, (), told % b"")
    assert (step.title, step.verdict) == ("the run", Verdict.FAILED)
    (step,) = reports(replace(run, state=RunState.LOST, reason=""), (), None)
    assert (step.verdict, step.reason) == (Verdict.FAILED, "the run was lost")


def test_junit_has_a_case_a_step(outcome: tuple[Project, Outcome], tmp_path: Path) -> None:
    """Critical is a failure, unknown an error, what was not executed is skipped; each with its line, values beside limits."""
    project, ended = outcome
    (tmp_path / "junit.xml").write_text(to_junit([ended], project.catalogue, "test"), encoding="utf-8")
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (5, 1, 1, 2)
    cases = list(suite)
    text = (project.root / "notebooks" / "shop" / "morning.md").read_text()
    assert [int(case._elem.attrib["line"]) for case in cases] == list(lines(text))
    assert {case._elem.attrib["file"] for case in cases} == {"notebooks/shop/morning.md"}
    assert [type(found) for case in cases for found in case.result] == [Failure, Error, Skipped, Skipped]
    failure = cases[0].result[0]
    assert failure.message == "error-rate: 12 % breaks > 10 %"
    assert "12 %" in failure.text
    assert "critical: > 10 %" in failure.text
    assert "warning" in cases[1].system_out
    told = {one.name: one.value for one in suite.properties()}  # type: ignore[no-untyped-call]  # as the library has it
    assert told["run"] == ended.run.id
