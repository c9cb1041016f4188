"""Operate through a real pseudo-terminal: what is asked, what is done, and what the journal knows afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from checks.journal import Event, Journal, open_journal
from checks.model import Run, RunState, Status, Trigger
from checks.respond.steps import undo_of
from tests.respond.terminal import Terminal
from tests.run.project import Project

BODY = """\
Use this when the oven is cold.

## Look

```python
from checks import check
import os
loaves = 3
check("error-rate", 0.4)
```

## Relight

```bash tags=["change"]
echo lit > "$FOLDER/oven"
```

## Ask the baker

<!-- #region tags=["manual"] -->
Ask whether it is warm.
<!-- #endregion -->

## Throw the dough away

It cannot be kept. **Undo:** knead new dough.

```python tags=["destructive"]
os.remove(os.environ["FOLDER"] + "/flour"); print("thrown away after", loaves, "loaves")
```

## Look again

```python
check("error-rate", 0.2)
```
"""


@pytest.fixture
def oven(project: Project) -> Project:
    """A project with a procedure of every class of step."""
    project.write(BODY, "oven")
    return project


def _operate(project: Project, *arguments: str) -> Terminal:
    return Terminal("operate", "shop/oven", "--root", str(project.root), *arguments, variables=project.variables)


def _journal(project: Project) -> Journal:
    return open_journal(project.catalogue.settings.journal)


def _run_of(project: Project) -> Run:
    with _journal(project) as journal:
        (run,) = journal.runs()
        return run


def _events(project: Project) -> list[Event]:
    with _journal(project) as journal:
        return sorted(journal.events(), key=lambda event: event.id)


def _steps(project: Project) -> list[tuple[str, Any, Any]]:
    return [
        (event.kind, event.detail.get("step"), event.detail.get("answer") or event.detail.get("outcome"))
        for event in _events(project)
        if event.kind.startswith("step-")
    ]


def test_every_class_of_step_is_asked_for_in_its_own_way(oven: Project) -> None:
    """A walk to the end runs each step in one live kernel, and the journal holds each answer, outcome and result."""
    with _operate(oven) as terminal:
        terminal.answer("Run this step?", "")
        terminal.expect("error-rate")
        terminal.answer("This changes the system. Run it?", "")
        terminal.answer("Please answer with one of", "run")
        terminal.answer("Is it done?", "done")
        terminal.answer("A note for the journal", "quite warm")
        terminal.expect("How to undo it")
        terminal.expect("knead new dough")
        terminal.answer("Type the system's name, shop, to run it", "Shop")
        terminal.answer("nothing was run", "shop")
        terminal.expect("thrown away after 3 loaves")
        terminal.answer("Run this step?", "run")
        assert terminal.end() == 0
    assert (oven.root / "shop" / "oven").read_text() == "lit\n"
    assert not (oven.root / "shop" / "flour").exists()
    run = _run_of(oven)
    assert (run.state, run.status, run.trigger, run.reason) == (RunState.FINISHED, Status.OK, Trigger.OPERATOR, "")
    with _journal(oven) as journal:
        assert [(result.metric, result.step) for result in journal.results(run.id)] == [("error-rate", 1), ("error-rate", 5)]
    assert _steps(oven) == [
        ("step-answered", 1, "run"),
        ("step-ended", 1, "executed"),
        ("step-answered", 2, "run"),
        ("step-ended", 2, "executed"),
        ("step-answered", 3, "done"),
        ("step-ended", 3, "done by hand"),
        ("step-not-confirmed", 4, None),
        ("step-confirmed", 4, None),
        ("step-answered", 4, "run"),
        ("step-ended", 4, "executed"),
        ("step-answered", 5, "run"),
        ("step-ended", 5, "executed"),
    ]
    events = {event.kind: event for event in _events(oven)}
    assert events["step-confirmed"].detail["typed"] == "shop"
    assert events["step-confirmed"].detail["undo"] == "knead new dough."
    notes = [event.detail["note"] for event in _events(oven) if "note" in event.detail]
    assert notes == ["quite warm"]


def test_what_was_left_out_is_named(oven: Project) -> None:
    """Skipped steps are not executed, and a run with any is unknown and says which."""
    with _operate(oven) as terminal:
        terminal.answer("Run this step?", "")
        terminal.answer("This changes the system. Run it?", "skip")
        terminal.answer("Is it done?", "not done")
        terminal.answer("A note for the journal", "")
        terminal.answer("Type the system's name", "skip")
        terminal.answer("Run this step?", "r")
        assert terminal.end() == 3
    assert (oven.root / "shop" / "flour").exists()
    assert not (oven.root / "shop" / "oven").exists()
    run = _run_of(oven)
    assert (run.state, run.status) == (RunState.FINISHED, Status.UNKNOWN)
    assert run.reason == (
        "step 2 (Relight) was skipped; step 3 (Ask the baker) was not done; step 4 (Throw the dough away) was skipped"
    )


def test_stopping_keeps_what_was_done(oven: Project) -> None:
    """After `stop` nothing more runs; results and evidence so far are journaled, the run as cancelled."""
    with _operate(oven) as terminal:
        terminal.answer("Run this step?", "")
        terminal.answer("This changes the system. Run it?", "stop")
        assert terminal.end() == 3
    run = _run_of(oven)
    assert (run.state, run.status) == (RunState.CANCELLED, Status.UNKNOWN)
    assert run.reason == "stopped by the operator before step 2 (Relight)"
    with _journal(oven) as journal:
        assert len(journal.results(run.id)) == 1
    assert run.evidence is not None
    path = oven.root / ".proofbook" / "evidence" / run.evidence[:2] / f"{run.evidence}.ipynb"
    outcomes = [cell["metadata"]["proofbook"].get("outcome") for cell in json.loads(path.read_text())["cells"]]
    assert [outcome for outcome in outcomes if outcome] == ["executed", "not reached", "not reached", "not reached"]


def test_ctrl_c_in_a_cell_ends_cleanly(project: Project) -> None:
    """Ctrl-C ends the cell that runs, and the walk is journaled as cancelled with the results from before."""
    project.write(
        '## Look\n\n```python\nfrom checks import check\ncheck("error-rate", 0.4)\n```\n\n'
        "## Wait\n\n```python\nimport time\nprint('waiting', flush=True)\ntime.sleep(60)\n```\n",
        "oven",
    )
    with _operate(project) as terminal:
        terminal.answer("Run this step?", "")
        terminal.answer("Run this step?", "")
        terminal.expect("waiting")
        terminal.press("\x03")
        assert terminal.end(seconds=20) == 3
    run = _run_of(project)
    assert run.state is RunState.CANCELLED
    assert run.reason == "interrupted by the operator at step 2 (Wait)"
    with _journal(project) as journal:
        assert len(journal.results(run.id)) == 1


def test_a_closed_terminal_ends_cleanly(oven: Project) -> None:
    """When the window is closed at a question, what was done is journaled as cancelled and nothing more runs."""
    with _operate(oven) as terminal:
        terminal.answer("Run this step?", "")
        terminal.expect("This changes the system. Run it?")
        terminal.close()
        terminal.end(seconds=20)
    run = _run_of(oven)
    assert run.state is RunState.CANCELLED
    assert "step 2 (Relight)" in run.reason
    assert run.evidence is not None
    assert not (oven.root / "shop" / "oven").exists()


def test_a_step_that_fails_may_be_run_again(project: Project) -> None:
    """After a failure the person decides; a step that then succeeds leaves the run ok, its result counted once."""
    project.write(
        "## Look\n\n```python\nimport os\nfrom checks import check\n"
        "check('error-rate', 0.4)\n"
        "if not os.path.exists('tried'):\n    open('tried', 'w').close()\n    raise OSError('not yet')\n```\n",
        "oven",
    )
    with _operate(project) as terminal:
        terminal.answer("Run this step?", "")
        terminal.expect("The step failed: OSError: not yet")
        terminal.answer("What now?", "again")
        assert terminal.end() == 0
    run = _run_of(project)
    assert (run.state, run.status, run.reason) == (RunState.FINISHED, Status.OK, "")


def test_a_failure_that_was_passed_over_fails_the_run(project: Project) -> None:
    """Going on after a failure runs the steps after it, and the run as a whole has failed."""
    project.write(
        '## Look\n\n```bash\nexit 3\n```\n\n## Look again\n\n```python\nfrom checks import check\ncheck("error-rate", 0)\n```\n',
        "oven",
    )
    with _operate(project) as terminal:
        terminal.answer("Run this step?", "")
        terminal.answer("What now?", "go on")
        terminal.answer("Run this step?", "")
        assert terminal.end() == 3
    run = _run_of(project)
    assert (run.state, run.status) == (RunState.FAILED, Status.UNKNOWN)
    assert run.reason == "step 1 (Look), cell 2: CommandFailed: exit status 3"


def test_a_destructive_step_without_a_way_back_is_refused(project: Project) -> None:
    """A destructive step that names no way back cannot be run, whatever is typed, and the refusal is journaled."""
    project.write('## Burn\n\nBurn it down.\n\n```bash tags=["destructive"]\nrm "$FOLDER/flour"\n```\n', "oven")
    with _operate(project) as terminal:
        terminal.expect("it names no way back")
        terminal.answer("Go on without it?", "shop")
        terminal.answer("Please answer with one of", "skip")
        assert terminal.end() == 3
    assert (project.root / "shop" / "flour").exists()
    assert ("step-refused", 1, None) in _steps(project)


def test_a_secret_is_shown_to_nobody(project: Project) -> None:
    """What a step prints is shown with secrets masked and without characters that move the cursor."""
    project.variables["SHOP_TOKEN"] = "hunter2-hunter2"
    project.write("## Look\n\n```python\nimport os\nprint(os.environ['SHOP_TOKEN'], 'a\\x1b]0;owned\\x07b')\n```\n", "oven")
    with _operate(project) as terminal:
        terminal.answer("Run this step?", "")
        terminal.expect("••• a�]0;owned�b")
        assert terminal.end() == 3
        assert "hunter2" not in terminal.seen


def _piped(project: Project, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.run.command", "operate", "shop/oven", "--root", str(project.root), *arguments],
        input=typed,
        cwd=Path(__file__).parents[2],
        env={**os.environ, **project.variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_pipe_is_no_person(oven: Project) -> None:
    """Answers from a pipe are refused with 77 and journaled; nothing runs, not even what only reads."""
    ended = _piped(oven, typed="\nrun\nrun\ndone\n\nshop\nrun\n")
    assert ended.returncode == 77
    assert "operate needs a person at a terminal" in ended.stderr
    assert (oven.root / "shop" / "flour").exists()
    (event,) = _events(oven)
    assert (event.kind, event.subject) == ("operate-refused", "shop/oven")
    assert event.detail["classes"] == ["change", "destructive", "manual", "read"]
    with _journal(oven) as journal:
        assert journal.runs() == []


def test_a_dry_run_shows_everything_and_does_nothing(oven: Project) -> None:
    """--dry-run prints each step with its prose and code, executes nothing and leaves no trace."""
    ended = _piped(oven, "--dry-run")
    assert ended.returncode == 0
    for text in ("Step 1 of 5: Look (read)", "Step 4 of 5: Throw the dough away (destructive)", "knead new dough", "os.remove"):
        assert text in ended.stdout
    assert (oven.root / "shop" / "flour").exists()
    assert not (oven.root / ".proofbook").exists()


@pytest.mark.parametrize(
    ("prose", "undo"),
    [
        ("**Undo:** put it back", "put it back"),
        ("**Undo.** Run [it](x.md):\nthen wait.", "Run [it](x.md):\nthen wait."),
        ("Deletes all. Undo: none; restore again.", "none; restore again."),
        ("__Rollback:__ take the old one", "take the old one"),
        ("Text.\n\n**Undo:**\n\n1. one\n2. two\n\nMore.", "1. one\n2. two"),
        ("### Undo\n\nFirst this.\n\nThen that.\n\n### Next\n\nx", "First this.\n\nThen that."),
        ("Then you can roll back. Or not.", ""),
        ("There is an undo: button.", ""),
        ("**Undo:**", ""),
        ("", ""),
    ],
)
def test_the_way_back_is_found(prose: str, undo: str) -> None:
    """The paragraph that says how to undo a step is what follows the word at a sentence's or section's head."""
    assert undo_of(prose) == undo
