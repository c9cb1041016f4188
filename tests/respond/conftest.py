from __future__ import annotations

from pathlib import Path

import pytest

from tests.run.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the system ``shop`` and no runbook yet."""
    return Project(tmp_path / "project")
