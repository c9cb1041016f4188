"""What a run had said by the time that its engine went, and what is made of a file that went with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from checks.model import Run, RunState, Status
from checks.run import checkpoint
from checks.run.evidence import path_of
from tests.run.project import CHECK, Project, now


@pytest.fixture
def went(project: Project) -> Run:
    """A run whose end nobody journaled: it has printed, judged, and its file is there."""
    outcome = project.run(f"```python\nprint('all', 'well')\n```\n\n{CHECK}")
    return replace(outcome.run, state=RunState.LOST, status=Status.UNKNOWN, ended_at=now(), reason="it is gone", evidence=None)


def _concluded(project: Project, run: Run) -> str | None:
    state = project.catalogue.settings.state
    digest = checkpoint.conclude(state, run)
    return path_of(state, digest).read_text() if digest else None


def test_what_was_said_becomes_evidence(project: Project, went: Run) -> None:
    """The evidence of a lost run holds what its cells said, and how the run ended."""
    text = _concluded(project, went)
    assert text is not None
    assert "all well" in text
    about = json.loads(text)["metadata"]["proofbook"]
    assert (about["state"], about["status"], about["reason"]) == ("lost", "unknown", "it is gone")


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (lambda data: data[:-9], True),
        (lambda data: data + b"\0" * 500, True),
        (lambda data: data + b"\0" * 500 + b"\n{}\n", True),
        (lambda data: data + b'{"cell": 99, "count": 1, "about": {}, "outputs": []}\n', False),
        (lambda data: data + b'{"cell": 1}\n', False),
        (lambda data: data + b"[]\n", False),
        (lambda data: b"no json\n" + data, False),
        (lambda data: b"[]\n" + data, False),
        (lambda data: data[:0], False),
    ],
)
def test_a_damaged_file_stops_nobody(project: Project, went: Run, damage: Callable[[bytes], bytes], kept: bool) -> None:
    """A file that was cut, zeroed or written over by a crash gives what is whole of it, or nothing; it is never an error."""
    path = checkpoint.path_of(project.catalogue.settings.state, went.id)
    path.write_bytes(damage(path.read_bytes()))
    text = _concluded(project, went)
    assert (text is not None) == kept
    assert not kept or "all well" in (text or "")


def test_it_is_for_its_owner_only(project: Project, went: Run) -> None:
    """Nobody else may read what is kept on the way."""
    path = checkpoint.path_of(project.catalogue.settings.state, went.id)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
