"""A run as a whole: what it leaves behind, what it keeps, and what it can see."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import threading
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from checks.errors import DataError
from checks.model import RunState, Status
from checks.run import evidence
from tests.run.project import CHECK, Project, notebook_of

TOKEN = "correct horse/battery+staple"


def _alive(marker: str) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if marker in " ".join(process.info["cmdline"] or []) and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


@pytest.mark.usefixtures("origin")
def test_a_check_by_its_probe_and_one_by_a_value(project: Project) -> None:
    """A run measures by declared probes and judges values of cells, and its status is the worst of both."""
    outcome = project.run(CHECK + '\n## Flour\n\n```python\ncheck("flour")\n```\n')
    assert [(r.metric, r.status, r.step) for r in outcome.results] == [("error-rate", Status.OK, 0), ("flour", Status.OK, 1)]
    assert outcome.run.state is RunState.FINISHED
    assert outcome.run.status is Status.OK
    assert outcome.run.reason == ""
    (project.root / "shop" / "flour").write_text("3\n")
    assert project.run('```python\nfrom checks import check\ncheck("flour")\n```\n').run.status is Status.CRITICAL


def test_a_system_that_is_away_is_unknown(project: Project) -> None:
    """A setting without its variable measures nothing: unknown, naming the variable, and never an error of the run."""
    project.variables.clear()
    outcome = project.run('```python\nfrom checks import check\ncheck("flour")\n```\n')
    assert outcome.run.state is RunState.FINISHED
    assert outcome.run.status is Status.UNKNOWN
    assert "SHOP_FOLDER is not set" in outcome.results[0].reason


def test_a_failing_step_does_not_hide_a_critical_result(project: Project) -> None:
    """What was found critical before a step failed stays critical."""
    body = CHECK.replace("0.4", "40") + "\n## Next\n\n```python\n1 / 0\n```\n"
    outcome = project.run(body)
    assert (outcome.run.state, outcome.run.status) == (RunState.FAILED, Status.CRITICAL)


@pytest.mark.usefixtures("origin")
def test_nothing_that_a_runbook_started_lives_on(project: Project) -> None:
    """A grandchild in a session of its own, without its parent and without our variables, is gone when the run ends."""
    marker = f"31{time.time_ns() % 10**9}"
    body = (
        "## Leave something behind\n\n"
        f"```bash\nsetsid env -i sleep {marker} >/dev/null 2>&1 &\n(sleep {marker} &) >/dev/null 2>&1\n```\n\n"
        f"```python\nimport subprocess\nsubprocess.Popen(['sleep', '{marker}'], start_new_session=True)\n```\n\n{CHECK}"
    )
    outcome = project.run(body)
    assert outcome.run.status is Status.OK, outcome.run.reason
    assert _alive(marker) == []


@pytest.mark.usefixtures("origin")
def test_nothing_lives_on_after_a_deadline_either(project: Project) -> None:
    """A cell that waits for a child which ignores every polite signal is ended with that child."""
    marker = f"32{time.time_ns() % 10**9}"
    body = f"## Wait\n\n```bash\n(trap '' INT TERM HUP; exec setsid bash -c \"trap '' INT TERM HUP; sleep {marker}\")\n```\n"
    began = time.monotonic()
    outcome = project.run(body, front_matter="cell-deadline: 1s\n")
    assert outcome.run.state is RunState.TIMED_OUT
    assert _alive(marker) == []
    assert time.monotonic() - began < 15


@pytest.mark.usefixtures("origin")
def test_the_folder_of_a_kernel_is_gone(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run leaves nothing in the folder for temporary files."""
    (tmp_path / "t").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    project.run("```python\nopen('made-here', 'w').write('x')\n```\n" + CHECK)
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.usefixtures("origin")
def test_parameters_are_data(project: Project) -> None:
    """Quotes, newlines, code and braces in a parameter arrive unchanged in Python and in bash, and run nothing."""
    hostile = "'; touch $HOME/../owned; echo \"\n{1/0} $(touch owned) `touch owned` ''' \\ {{ x }} %s"
    body = (
        "```python\nimport json, os\nfrom checks import check\n"
        "print(json.dumps([note, os.environ['PARAM_NOTE'], hours, loud, os.listdir('.')]))\ncheck('error-rate', 0)\n```\n\n"
        '```bash\nprintf %s "$PARAM_NOTE" > said; test "$PARAM_HOURS" = 12; test "$PARAM_LOUD" = true\n```\n\n'
        "```python\nassert open('said', newline='').read() == note and os.listdir('.') == ['said']\n```\n"
    )
    front_matter = (
        "parameters:\n  note: {type: string}\n  hours: {type: integer, default: 24}\n  loud: {type: boolean, default: true}\n"
    )
    outcome = project.run(body, front_matter, {"note": hostile, "hours": "12"})
    assert outcome.run.state is RunState.FINISHED, outcome.run.reason
    notebook = notebook_of(outcome)
    printed = next(cell for cell in notebook.cells if "json.dumps" in cell.source).outputs[0].text
    assert json.loads(printed) == [hostile, hostile, 12, True, []]
    assert notebook.cells[0].source == "from checks import parameters\n\nglobals().update(parameters)"
    assert outcome.run.parameters == {"note": hostile, "hours": 12, "loud": True}


@pytest.mark.usefixtures("origin")
def test_a_secret_is_nowhere_in_the_evidence(project: Project) -> None:
    """A secret's value, also quoted, encoded or printed in pieces, is in no byte of the evidence, result or reason."""
    project.variables["SHOP_TOKEN"] = TOKEN
    body = (
        "```python\nimport base64, html, os, sys, urllib.parse\nfrom checks import check\ntoken = os.environ['SHOP_TOKEN']\n"
        "print(token); print(repr(token)); print(urllib.parse.quote(token)); print(urllib.parse.quote_plus(token))\n"
        "print(base64.b64encode(token.encode()).decode())\n"
        "sys.stdout.write(token[:7]); sys.stdout.flush(); sys.stdout.write(token[7:]); sys.stdout.flush()\n"
        "check('error-rate', token)\n{'key ' + token: token}\n```\n\n"
        '```bash\necho "$TOKEN"\n```\n\n```python\nraise ValueError(f"login with {token} failed")\n```\n'
    )
    outcome = project.run(body)
    assert outcome.evidence is not None
    text = outcome.evidence.decode("utf-8")
    for form in (TOKEN, TOKEN.replace("/", "%2F"), "correct%20horse", "correct+horse", base64.b64encode(TOKEN.encode()).decode()):
        assert form not in text
    assert "battery" not in text
    assert "•••" in text
    assert TOKEN not in repr(outcome.results)
    assert outcome.run.reason.endswith("ValueError: login with ••• failed")


def test_evidence_is_addressed_by_its_content(project: Project) -> None:
    """Evidence lies where its digest says, is a valid notebook, and only its owner may read it."""
    outcome = project.run(CHECK)
    digest = outcome.run.evidence
    assert outcome.evidence is not None
    assert digest == hashlib.sha256(outcome.evidence).hexdigest()
    path = project.root / ".proofbook" / "evidence" / digest[:2] / f"{digest}.ipynb"
    assert path.read_bytes() == outcome.evidence
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    notebook = notebook_of(outcome)
    nbformat.validate(notebook)
    assert notebook.metadata.proofbook.run == outcome.run.id
    assert notebook.metadata.proofbook.status == "ok"
    assert '"papermill":' not in path.read_text()


def test_evidence_that_cannot_be_kept_fails_the_run(project: Project) -> None:
    """Results that nobody could trace prove nothing: the run is failed and unknown, with the reason."""
    (project.root / ".proofbook").mkdir()
    (project.root / ".proofbook" / "evidence").write_text("a file where a folder should be")
    outcome = project.run(CHECK)
    assert (outcome.run.state, outcome.run.status) == (RunState.FAILED, Status.UNKNOWN)
    assert outcome.run.evidence is None
    assert "the evidence is lost" in outcome.run.reason


def test_oversized_output_is_cut_and_says_so(project: Project) -> None:
    """Fifty megabytes of output become a bounded file that says how much is missing; the results are kept."""
    body = "```python\nfor _ in range(50):\n    print('x' * 1_000_000)\n```\n" + CHECK
    outcome = project.run(body)
    assert outcome.run.status is Status.OK, outcome.run.reason
    assert outcome.evidence is not None
    assert len(outcome.evidence) < 2 * evidence.KEPT_CHARACTERS
    assert "characters more were cut here" in outcome.evidence.decode()


@pytest.mark.usefixtures("origin")
def test_a_hostile_surrounding_is_ignored(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules, start-up files and configuration that lie about, or that variables point to, are not loaded."""
    trap = tmp_path / "trap"
    (trap / "profile_default" / "startup").mkdir(parents=True)
    for name in ("sitecustomize.py", "checks.py", "IPython.py", "profile_default/startup/00.py"):
        (trap / name).write_text(f"open({str(tmp_path / 'sprung')!r}, 'w').close()\n")
    monkeypatch.chdir(trap)
    for name in ("PYTHONPATH", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "HOME"):
        monkeypatch.setenv(name, str(trap))
    monkeypatch.setenv("PYTHONSTARTUP", str(trap / "sitecustomize.py"))
    outcome = project.run(CHECK)
    assert outcome.run.status is Status.OK, outcome.run.reason
    assert not (tmp_path / "sprung").exists()


@pytest.mark.usefixtures("origin")
def test_a_run_can_be_cancelled(project: Project) -> None:
    """Whoever asks a run to end gets it back within moments, cancelled, with what was found so far."""
    asked = threading.Event()
    threading.Timer(2.5, asked.set).start()
    began = time.monotonic()
    outcome = project.run(CHECK + "\n## Wait\n\n```python\nimport time\ntime.sleep(60)\n```\n", cancelled=asked)
    assert time.monotonic() - began < 10
    assert (outcome.run.state, outcome.run.status) == (RunState.CANCELLED, Status.UNKNOWN)
    assert len(outcome.results) == 1


def test_a_runbook_may_be_bound_to_environments(project: Project) -> None:
    """A runbook that lists its environments is refused in any other, with those that it lists."""
    with pytest.raises(DataError) as refused:
        project.run(CHECK, front_matter="environments: [production]\n")
    assert refused.value.expected == "one of production"


@pytest.mark.usefixtures("origin")
def test_the_callers_variables_stay_with_the_caller(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel sees what the system's environment names, and no other variable of whoever started the run."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the caller")
    project.variables["ANOTHER_SYSTEMS_TOKEN"] = "of another system"
    outcome = project.run("```python\nimport os\nprint(sorted(os.environ))\n```\n" + CHECK)
    printed = notebook_of(outcome).cells[1].outputs[0].text
    assert "SHOP_FOLDER" in printed
    assert "AWS_SECRET_ACCESS_KEY" not in printed
    assert "ANOTHER_SYSTEMS_TOKEN" not in printed
    assert "PYTHONPATH" not in printed
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "of the caller"
