from __future__ import annotations

from pathlib import Path

import pytest

from checks.run import kernels
from tests.run.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the system ``shop`` and no runbook yet."""
    return Project(tmp_path / "project")


@pytest.fixture(params=[pytest.param(origin.value, id=origin.value) for origin in kernels.Origin])
def origin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where kernels come from, once forked and once started: what is promised of one is promised of the other."""
    monkeypatch.setenv(kernels.ORIGIN_VARIABLE, request.param)
    return str(request.param)
