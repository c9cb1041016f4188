"""Who may let a step be executed: a person, in a process that belongs to no run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from checks.errors import Refused
from checks.model import Step, StepClass
from checks.run.permit import Permit, inside_a_run
from tests.run.project import CHECK, Project, notebook_of

READ, CHANGE = Step(1, "Look", StepClass.READ, (0,)), Step(2, "Restart", StepClass.CHANGE, (1,))


def test_reading_needs_nobody() -> None:
    """A permit as it is made allows reading and nothing else, and nobody can widen it."""
    permit = Permit()
    assert permit.allows(READ)
    assert not permit.allows(CHANGE)
    with pytest.raises(Refused, match="no operator is here"):
        permit.grant(CHANGE)


def test_a_person_allows_step_by_step() -> None:
    """What a person grants is that step, and no other."""
    permit = Permit.of_operator("the baker")
    permit.grant(CHANGE)
    assert permit.allows(CHANGE)
    assert not permit.allows(Step(3, "Drop", StepClass.DESTRUCTIVE, (2,)))


def test_a_run_is_no_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process that belongs to a run, nobody can be asked."""
    monkeypatch.setenv("PROOFBOOK_RUN", "01RUN")
    with pytest.raises(Refused, match="a run operates nothing"):
        Permit.of_operator("the baker")


def test_a_parent_that_ends_while_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loses its parent meanwhile is looked at again from the start; where that never ends, it is a run's."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    real, looks = Path.read_text, list[str]()

    def reading(path: Path, *arguments: Any, **options: Any) -> str:
        text = real(path, *arguments, **options)
        if path == Path(f"/proc/{os.getpid()}/stat") and len(looks) < often:
            looks.append(text)
            # The parent of this moment has ended by the next.
            before, bracket, after = text.rpartition(")")
            fields = after.split()
            return f"{before}{bracket} {fields[0]} {ended.pid} {' '.join(fields[2:])}"
        return text

    monkeypatch.delenv("PROOFBOOK_RUN", raising=False)
    monkeypatch.setattr(Path, "read_text", reading)
    often = 3
    assert not inside_a_run()
    assert len(looks) == often
    often = 1000
    assert inside_a_run()


@pytest.mark.usefixtures("origin")
def test_a_cell_that_hides_where_it_is_finds_no_permit(project: Project) -> None:
    """A cell that clears its environment and leaves its session and its parent is still known to be a run's."""
    body = """\
```python
import subprocess, sys
code = "from checks.run.permit import Permit\\ntry: Permit.of_operator('me')\\nexcept Exception as error: print('then', error)"
shell = f"setsid {sys.executable} -I -c \\"{code}\\" > said & sleep 0.1"
subprocess.run(["env", "-i", "bash", "-c", shell], check=True)
import time
ends_at = time.monotonic() + 20
while not open("said").read() and time.monotonic() < ends_at: time.sleep(0.1)
print(open("said").read())
```
"""
    outcome = project.run(f"{body}\n{CHECK}")
    said = "".join(output.get("text", "") for cell in notebook_of(outcome).cells for output in cell.get("outputs", []))
    assert "then a run operates nothing" in said


def test_a_step_that_changes_is_left_out_whoever_calls_the_engine(project: Project) -> None:
    """Cells of a step that changes or destroys something are not executed by a run, and the evidence says so."""
    body = f"{CHECK}\n"
    for tag in ("change", "destructive"):
        body += f"## Now {tag}\n\n```python tags=[\"{tag}\"]\nraise SystemExit('{tag}')\n```\n\n"
    outcome = project.run(body)
    assert outcome.run.reason == ""
    outcomes = [cell.metadata.proofbook.get("outcome") for cell in notebook_of(outcome).cells if cell.cell_type == "code"]
    assert outcomes == ["executed", "skipped", "skipped"]
