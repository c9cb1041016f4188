"""``pytest --proofbook``: the steps of runbooks as tests, in a real pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from junitparser import JUnitXml

from checks.journal import open_journal
from checks.model import RunState
from tests.run.project import Project

STEPS = """\
Before everything.

## 1. Weigh the flour

```python
from checks import check
check("flour")
```

## 2. Look at the errors

```python
check("error-rate", parameters_rate)
```

## 3. Ask the baker

<!-- #region tags=["manual"] -->
Is the oven warm?
<!-- #endregion -->

## 4. Take the bread out

```python tags=["change"]
raise SystemExit("nobody asked for this")
```

## 5. Count to ten

```python
print(10)
```
"""
# Each starts a pytest of its own, some two, and these start kernels: on a busy machine that takes its time.
pytestmark = pytest.mark.timeout(300)
# Plugins that the tests here need, and a project's pytest needn't have: loading them takes as long as all the rest.
_STRANGERS = ("anyio", "hypothesispytest", "pytest_httpserver", "time_machine", "timeout", "xdist")
_ALONE = [part for name in _STRANGERS for part in ("-p", f"no:{name}")]
Pytest = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the system ``shop`` and no runbook yet."""
    return Project(tmp_path / "project")


@pytest.fixture
def gate(project: Project) -> Pytest:
    """``pytest --proofbook notebooks/`` in the project's folder."""

    def call(*arguments: str, plugin: str = "--proofbook") -> subprocess.CompletedProcess[str]:
        known = {name: value for name, value in os.environ.items() if not name.startswith(("PROOFBOOK_", "PYTEST_"))}
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *_ALONE, *([plugin] if plugin else [])]
        return subprocess.run(
            [*command, *arguments, "notebooks/"],
            cwd=project.root,
            env={**known, **project.variables, "PROOFBOOK_KERNELS": "fork"},
            capture_output=True,
            text=True,
            timeout=140,
        )

    return call


def test_a_step_is_a_test(project: Project, gate: Pytest) -> None:
    """A red step fails with its value beside its limit and its place in the file; what was not executed skips with the word."""
    project.write(STEPS.replace("parameters_rate", "12"))
    ended = gate("-rs", "--junitxml", "junit.xml", "-o", "junit_family=xunit1")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "1 failed, 2 passed, 2 skipped" in ended.stdout
    (line,) = [number for number, text in enumerate(_lines(project), 1) if text.startswith("## 2.")]
    assert f"notebooks/shop/morning.md:{line}: error-rate: 12 % breaks > 10 %" in ended.stdout
    assert "error-rate                        12 %  critical  warning: >= 1 %  critical: > 10 %" in ended.stdout
    cases = {case.name: case for suite in JUnitXml.fromfile(str(project.root / "junit.xml")) for case in suite}
    assert list(cases) == [
        "1. Weigh the flour",
        "2. Look at the errors",
        "3. Ask the baker",
        "4. Take the bread out",
        "5. Count to ten",
    ]
    assert [[(type(found).__name__, found.message) for found in case.result] for case in cases.values()] == [
        [],
        [("Failure", "error-rate: 12 % breaks > 10 %")],
        [("Skipped", "manual")],
        [("Skipped", "change")],
        [],
    ]
    assert all("notebooks/shop/morning.md:" in text for text in ended.stdout.splitlines() if text.startswith("SKIPPED"))
    with open_journal(project.catalogue.settings.journal) as journal:
        (run,) = journal.runs()  # one run for all five
        assert run.state is RunState.FINISHED


def test_a_step_that_falls_over_fails_and_the_rest_is_not_reached(project: Project, gate: Pytest) -> None:
    """The step at which a run stops fails with the reason, and those after it skip as not reached."""
    project.write("## One\n\n```bash\nfalse; echo on\n```\n\n" + STEPS.replace("parameters_rate", "0.1"))
    ended = gate("-rs")
    assert "1 failed, 5 skipped" in ended.stdout, ended.stdout
    assert "CommandFailed: exit status 1" in ended.stdout
    assert ended.stdout.count(": not reached") == 3


def test_nothing_measured_is_never_a_pass(project: Project, gate: Pytest) -> None:
    """A runbook that judged nothing, one that holds no step, and one whose kernel goes away each fail the gate."""
    project.write("```python\nprint(1)\n```\n", "unjudged")
    project.write("Only words.\n", "words")
    project.write("## One\n\n```python\nimport os\nos._exit(0)\n```\n", "gone")
    ended = gate()
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "3 failed in" in ended.stdout


def test_a_warning_passes_unless_it_is_made_an_error(project: Project, gate: Pytest) -> None:
    """A warning is pytest's own: shown in its summary, and turned into a failure by -W."""
    project.write('```python\nfrom checks import check\ncheck("error-rate", 2)\n```\n')
    ended = gate()
    assert ended.returncode == 0, ended.stdout
    assert "StepWarning: error-rate: 2 % breaks >= 1 %" in ended.stdout
    assert gate("-W", "error::checks.pytest_plugin.StepWarning").returncode == 1


def test_one_step_is_asked_for_by_its_name(project: Project, gate: Pytest) -> None:
    """-k reports on one step; the steps before it are executed for it all the same. Looking alone executes nothing."""
    project.write(STEPS.replace("parameters_rate", "0.1"))
    looked = gate("--collect-only", "-q")
    assert "notebooks/shop/morning.md::2. Look at the errors" in looked.stdout
    assert not (project.root / ".proofbook" / "journal.db").exists()
    ended = gate("-k", "Count")
    assert ended.returncode == 0, ended.stdout
    assert "1 passed, 4 deselected" in ended.stdout


def test_what_is_wrong_is_told_with_its_place(project: Project, gate: Pytest) -> None:
    """A broken catalogue, an unknown parameter and steps spread over workers end the session with what to do."""
    slug = project.write(STEPS.replace("parameters_rate", "0.1"))
    refused = gate("--proofbook-param", "luck=1")
    assert refused.returncode == 4
    assert "no runbook has a parameter `luck`" in refused.stderr
    path = project.root / "notebooks" / f"{slug}.md"
    path.write_text(path.read_text().replace("kind: check", "kind: cheque"))
    broken = gate()
    assert broken.returncode == 2
    assert "notebooks/shop/morning.md:4" in broken.stdout
    assert "Traceback" not in broken.stdout


def test_without_the_option_nothing_is_touched(project: Project, gate: Pytest) -> None:
    """Without --proofbook no runbook is collected, and of Proofbook nothing but the plugin itself is imported."""
    project.write(STEPS)
    assert "no tests ran" in gate(plugin="").stdout
    code = (
        "import sys, pytest\npytest.main(['-q', '-p', 'no:cacheprovider', '--collect-only', 'notebooks'])\n"
        "print(sorted(name for name in sys.modules if name.partition('.')[0] in ('checks', 'papermill', 'jupytext', 'typer')))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True, timeout=60)
    assert loaded.stdout.splitlines()[-1] == "['checks', 'checks.pytest_plugin']"


def _lines(project: Project) -> list[str]:
    return (project.root / "notebooks" / "shop" / "morning.md").read_text().splitlines()
