"""What a notebook calls: check, observe and parameters, inside a run and in JupyterLab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from checks.run import notebook as side
from checks.run.payload import MIME
from tests.run.project import Project, notebook_of

OBSERVE = (
    "```python\nfrom checks import Status, check, observe, parameters\nseen = observe('flour')\n"
    "print(seen.value, seen.unit, dict(parameters))\nresult = check('flour', seen)\n"
    "assert result.status is Status.OK\nresult\n```\n"
)


def _python(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PROOFBOOK_")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=surroundings | variables, capture_output=True, text=True, timeout=60
    )


def test_importing_costs_next_to_nothing() -> None:
    """`import checks` loads none of the parts that only a measurement needs."""
    code = "import sys; before = set(sys.modules); import checks; print(sorted(set(sys.modules) - before))"
    assert _python(code, Path.cwd()).stdout.strip() == "['__future__', 'checks']"


def test_a_name_that_is_not_exported_is_an_error() -> None:
    """The package exports four names and says so when asked for another."""
    import checks

    assert set(checks.__all__) <= set(dir(checks))
    with pytest.raises(AttributeError, match="luck"):
        checks.luck  # noqa: B018 - reading it is the test


def test_an_output_holds_result_text_and_page(project: Project) -> None:
    """check() emits one output with the result as data, one line of text and escaped HTML, and is not shown twice."""
    outcome = project.run("```python\nfrom checks import check\ncheck('error-rate', 12)\n```\n")
    (output,) = notebook_of(outcome).cells[1].outputs
    assert set(output.data) == {MIME, "text/plain", "text/html"}
    words = " ".join(output.data["text/plain"].split())
    assert words == "error-rate 12 % critical warning: >= 1 % critical: > 10 % (12 % breaks > 10 %)"
    assert "&gt; 10 %" in output.data["text/html"]
    assert output.data[MIME]["run"] == outcome.run.id


def test_what_was_observed_can_be_judged(project: Project) -> None:
    """observe() measures without recording; its observation given to check() is what is judged."""
    outcome = project.run(OBSERVE)
    assert outcome.run.reason == ""
    assert len(outcome.results) == 1
    assert notebook_of(outcome).cells[1].outputs[0].text == "20.0 kg {}\n"


def test_settings_are_read_by_their_names(project: Project) -> None:
    """A cell reads the environment's settings as system.yml names them; looking at them all shows no value."""
    project.variables["SHOP_TOKEN"] = "not to be seen"
    code = "from checks import check, settings\nprint(settings['folder'], sorted(settings), settings.get('door', 'none'))"
    outcome = project.run(f"```python\n{code}\ncheck('flour')\n```\n\n```python\nsettings\n```\n")
    assert outcome.run.reason == ""
    first, second = (cell.outputs for cell in notebook_of(outcome).cells if cell.cell_type == "code")
    assert first[0].text == f"{project.variables['SHOP_FOLDER']} ['folder', 'token'] none\n"
    assert second[0].data["text/plain"] == "settings(folder, token)"


def test_a_missing_setting_says_which_variable_is_not_set(project: Project) -> None:
    """A cell that needs a setting without a value makes its run unknown, and the reason names the variable."""
    outcome = project.run("## Look\n\n```python\nfrom checks import settings\nsettings['token']\n```\n")
    assert (outcome.run.state.value, outcome.run.status.value) == ("failed", "unknown")
    assert outcome.run.reason.startswith("step 1 (Look), cell 2: MissingSetting: SHOP_TOKEN is not set, so the setting token of")


def test_a_metric_of_cells_needs_a_value(project: Project) -> None:
    """A metric that only cells can measure, checked without a value, fails with the remedy."""
    outcome = project.run("```python\nfrom checks import check\ncheck('error-rate')\n```\n")
    assert outcome.run.state.value == "failed"
    assert "measured by a cell, and no value is given" in outcome.run.reason


def test_in_jupyterlab_the_folder_names_the_system(project: Project) -> None:
    """Outside a run, the notebook's folder says which system, and the front matter gives the parameters' defaults."""
    project.write("", front_matter="parameters:\n  hours: {type: integer, default: 24}\n")
    folder = project.root / "notebooks" / "shop"
    code = "from checks import check, parameters\nprint(dict(parameters))\ncheck('flour')"
    ended = _python(code, folder, JPY_SESSION_NAME=str(folder / "morning.ipynb"), **project.variables)
    assert ended.stdout.splitlines()[0] == "{'hours': 24}", ended.stderr
    assert ended.stdout.splitlines()[1].split()[:4] == ["flour", "20", "kg", "ok"]


def test_elsewhere_a_notebook_belongs_to_no_system(project: Project) -> None:
    """A folder that bears no system's name is told what would be right."""
    ended = _python("from checks import check\ncheck('flour')", project.root / "notebooks")
    assert "this notebook belongs to no system" in ended.stderr
    assert "proofbook run SYSTEM/RUNBOOK" in ended.stderr


def test_importing_makes_ipython_strict(project: Project) -> None:
    """In IPython outside a run, a failing bash command raises as soon as checks has been imported."""
    code = (
        "from IPython.testing.globalipapp import start_ipython\n"
        "shell = start_ipython()\nimport checks\n"
        "result = shell.run_cell('%%bash\\nfalse\\ntrue')\n"
        "print('seen:', type(result.error_in_exec).__name__)"
    )
    ended = _python(code, project.root, HOME=str(project.root))
    assert "seen: CommandFailed" in ended.stdout, ended.stderr


@pytest.mark.parametrize("value", [True, 1, 1.0])
def test_what_counts_as_a_number(value: object) -> None:
    """Numbers and booleans are taken as they are."""
    assert side._number(value) == 1.0


@pytest.mark.parametrize("value", [None, "1", b"1", [1], {}, float("inf"), 10**400, object()])
def test_what_does_not_count_as_a_number(value: object) -> None:
    """Anything else is not, even where Python could convert it."""
    assert side._number(value) is None


def test_texts_are_bounded_and_whole() -> None:
    """Halves of characters and NUL are replaced and long texts cut, so that the payload is always valid."""
    cleaned = side._clean("a\ud800b\0" + "x" * 5000)
    assert cleaned.startswith("a?b␀x")
    assert len(cleaned) == 2001
    assert json.loads(json.dumps(cleaned)) == cleaned
