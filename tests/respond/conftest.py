from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.catalogue import Catalogue
from checks.journal import Journal, open_journal
from tests.run.project import Project
from tests.site.people import with_people


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the system ``shop`` and no runbook yet."""
    return Project(tmp_path / "project")


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """The shop with what people answer for, and an incident that is acknowledged."""
    loaded = with_people(tmp_path / "project")
    loaded.settings.state.mkdir()
    return loaded


@pytest.fixture
def journal(catalogue: Catalogue) -> Iterator[Journal]:
    """Its journal, empty."""
    with open_journal(catalogue.settings.journal) as opened:
        yield opened
