from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from checks.catalogue import load, notebook
from checks.catalogue.known_steps import KnownSteps
from checks.model import Runbook
from checks.site.skeleton import runbook_page
from tests.site.project import small_project


@pytest.fixture
def runbook(tmp_path: Path) -> Runbook:
    """A procedure with steps of every class."""
    return load(small_project(tmp_path / "project")).runbook("shop/clear-cache")


def test_steps_are_read_once(runbook: Runbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of a text that was read before are known without Jupytext; those of another text are read."""
    read = notebook.steps(notebook.read(runbook))
    first = KnownSteps(tmp_path)
    assert first.of(runbook) == read
    first.keep(frozenset({runbook.digest}))

    def refuse(_: Runbook) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(notebook, "read", refuse)
    assert KnownSteps(tmp_path).of(runbook) == read
    with pytest.raises(AssertionError, match="it was read"):
        KnownSteps(tmp_path).of(replace(runbook, digest="0" * 64))


def test_who_makes_a_runbooks_page_tells_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook that a page was made of need not be read again by who fills the page."""
    catalogue = load(small_project(tmp_path / "project"))
    runbook = catalogue.runbook("shop/clear-cache")
    read = notebook.steps(notebook.read(runbook))
    told = KnownSteps(tmp_path)
    runbook_page(runbook, catalogue, told)
    told.keep(frozenset({runbook.digest}))
    monkeypatch.delattr(notebook, "read")
    assert KnownSteps(tmp_path).of(runbook) == read


def test_texts_that_are_gone_are_forgotten(runbook: Runbook, tmp_path: Path) -> None:
    """What is kept does not grow with every edit: of texts that no runbook has any more nothing stays."""
    known = KnownSteps(tmp_path)
    for digest in ("old", runbook.digest):
        known.of(replace(runbook, digest=digest))
    known.keep(frozenset({runbook.digest}))
    assert '"old"' not in (tmp_path / "steps.json").read_text()


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"format": 1}', '{"format": 1, "programs": "others", "steps": {}}'])
def test_what_cannot_be_read_is_as_if_it_were_not_there(broken: str, runbook: Runbook, tmp_path: Path) -> None:
    """Whatever has become of what was kept, steps are read from their runbook."""
    (tmp_path / "steps.json").write_text(broken)
    assert KnownSteps(tmp_path).of(runbook) == notebook.steps(notebook.read(runbook))
