"""A recorded run is executed again from what it rested on, and what differs is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checks.errors import DataError
from checks.model import Run, RunState, Status
from checks.run import inputs
from checks.run.differences import Difference, between
from checks.run.ends import Outcome
from checks.run.replay import Replay, replay
from tests.run.project import Project, now

BODY = """\
```python
import datetime, os
from pathlib import Path
from checks import check
print("begun", datetime.datetime.now().isoformat(), os.getcwd())
print("flour is", Path(os.environ["FOLDER"], "flour").read_text().strip(), "and", loaves, "loaves")
check("flour")
check("error-rate", 0.4)
```
"""
FRONT_MATTER = "parameters:\n  loaves: {type: integer}\n"


@pytest.fixture
def recorded(project: Project) -> Outcome:
    """A run that went well."""
    outcome = project.run(BODY, FRONT_MATTER, {"loaves": 12})
    assert outcome.run.status is Status.OK, outcome.run.reason
    return outcome


def _again(project: Project, run: Run) -> Replay:
    return replay(run, project.catalogue, project.variables, now)


def test_nothing_differs_where_nothing_has_changed(project: Project, recorded: Outcome) -> None:
    """A replay gives the same, although times, ids and folders are others, and says which run it replays."""
    found = _again(project, recorded.run)
    assert found.differs == ()
    assert found.now.run.made_with["replays"] == recorded.run.id
    assert found.now.run.id != recorded.run.id


def test_source_and_limits_are_those_of_the_run(project: Project, recorded: Outcome) -> None:
    """Runbook and system.yml may have changed or gone since: what is executed and judged by is what was; the world is today's."""
    project.write("```python\nraise SystemExit('another runbook')\n```\n", front_matter=FRONT_MATTER)
    system = project.root / "docs/systems/shop/system.yml"
    project.describe(system.read_text().replace('critical: "> 10 %"', 'critical: "> 0.1 %"'))
    (project.root / "shop" / "flour").write_text("3\n")
    found = _again(project, recorded.run)
    assert found.now.run.status is Status.CRITICAL
    assert found.differs == (
        Difference("status", "ok", "critical"),
        Difference("result flour", "ok, 20 kg", "critical, 3 kg"),
        Difference("output of step 0, cell 2", "flour is 20 and 12 loaves", "flour is 3 and 12 loaves"),
    )


def test_what_is_not_kept_is_said(project: Project, recorded: Outcome) -> None:
    """A run whose inputs are gone, or are not what they were, or that recorded none, is refused with the reason."""
    state = project.catalogue.settings.state
    inputs.path_of(state, recorded.run.source).write_bytes(b"altered")
    with pytest.raises(DataError, match="the run's source is not kept here"):
        _again(project, recorded.run)
    with pytest.raises(DataError, match=r"the run's system.yml is not kept here"):
        _again(project, replace(recorded.run, basis={}))


def test_a_secret_in_a_parameter_is_not_guessed(project: Project) -> None:
    """A parameter that was recorded masked cannot be replayed."""
    project.variables["SHOP_TOKEN"] = "correct-horse"
    outcome = project.run("```python\nprint(note)\n```\n", "parameters:\n  note: {type: string}\n", {"note": "a correct-horse"})
    with pytest.raises(DataError, match="a parameter held a secret"):
        _again(project, outcome.run)


def test_nothing_is_left_of_a_replay_but_its_evidence(project: Project, recorded: Outcome) -> None:
    """No partial file of it stays, and its evidence is beside that of the run."""
    state = project.catalogue.settings.state
    before = set(state.rglob("*.ipynb"))
    found = _again(project, recorded.run)
    assert [path.stem for path in (state / "partial").iterdir()] == [recorded.run.id]
    (new,) = set(state.rglob("*.ipynb")) - before
    assert new.stem == found.now.run.evidence


def _changed(outcome: Outcome, change: Callable[[Any], object]) -> dict[str, Any]:
    assert outcome.evidence is not None
    notebook: dict[str, Any] = json.loads(outcome.evidence)
    change(notebook)
    return notebook


def test_what_it_was_made_with_is_compared(recorded: Outcome) -> None:
    """Another host, Python, limit, setting or package is named."""
    then = replace(
        recorded.run,
        host="elsewhere",
        made_with={**recorded.run.made_with, "python": "3.9.1"},
        basis={**recorded.run.basis, "settings": "x", "packages": "x"},
        state=RunState.LOST,
    )
    notebook = _changed(recorded, lambda it: it["metadata"]["proofbook"].update(packages=["old-1.0"]))
    found = {one.what: (one.then, one.now) for one in between(then, notebook, recorded)}
    assert list(found) == ["host", "python", "settings", "packages", "state"]
    assert found["host"][0] == "elsewhere"
    assert found["python"][0] == "3.9.1"
    assert found["packages"][0] == "old-1.0"
    assert found["state"] == ("lost", "finished")


def test_without_evidence_outputs_are_not_compared(recorded: Outcome) -> None:
    """Where the evidence of the run is gone, the table says so instead of calling everything new."""
    assert between(recorded.run, {}, recorded) == (Difference("evidence", "not kept", "kept"),)


def test_the_command_prints_a_table_and_leaves_the_status_alone(tmp_path: Path) -> None:
    """`run --replay` ends with the status it found, prints what differs, and neither a run nor a result is added."""
    from checks.journal import open_journal
    from tests.threats.shop import open_shop

    shop = open_shop(tmp_path / "site")
    shop.project.write(BODY, front_matter=FRONT_MATTER)
    _, runs = shop.run("shop/morning", "-p", "loaves=12")
    (shop.root / "shop" / "flour").write_text("3\n")
    ended = shop.call("run", "--replay", runs["morning"]["id"])
    assert ended.code == 2, ended.said
    assert "result flour" in ended.out
    assert "critical, 3 kg" in ended.out
    with open_journal(shop.project.catalogue.settings.journal) as journal:
        assert len(journal.runs()) == 1
        assert journal.latest_results("test")["shop/flour"].result.status is Status.OK
        assert [event.detail["differences"] for event in journal.events(kind="run-replayed")] == [3]
    refused = shop.call("run", "--replay", "01NOSUCHRUN")
    assert refused.code == 65
    assert "there is no such run" in refused.err
