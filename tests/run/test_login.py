"""Who acts."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from checks.model import Trigger
from checks.run.execution import prepare
from checks.run.login import login
from tests.run.project import CHECK, Project, now


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [("miller", "miller (uid 4711)"), ("", "uid 4711"), ("baker\nand so on", "uid 4711"), ("-x", "uid 4711")],
)
def test_a_nameless_account_is_its_number_and_who_it_says_it_is(
    claimed: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the account has no name, as in some containers, LOGNAME is told beside its number, and never instead of it."""

    def nobody(number: int) -> object:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    monkeypatch.setenv("LOGNAME", claimed)
    assert login() == expected


def test_no_variable_renames_who_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is its account's, whatever LOGNAME and USER claim: who runs, operates and signs is decided in one place."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "the-boss")
    assert login() == pwd.getpwuid(os.getuid()).pw_name
    project = Project(tmp_path)
    slug = project.write(CHECK)
    runbook = project.catalogue.runbook(slug)
    run = prepare(
        runbook,
        project.catalogue,
        environment="test",
        variables=project.variables,
        parameters={},
        trigger=Trigger.OPERATOR,
        now=now(),
    ).run
    assert run.actor == login()
