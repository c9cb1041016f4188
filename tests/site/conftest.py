from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checks.catalogue import Catalogue, load
from checks.journal import Journal, open_journal
from tests.site.project import small_project


@pytest.fixture
def now() -> datetime:
    """A moment in the readers' day."""
    return datetime(2024, 11, 12, 10, 42, 10, tzinfo=UTC)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """The small project's catalogue."""
    return load(small_project(tmp_path / "project"))


@pytest.fixture
def journal(catalogue: Catalogue) -> Iterator[Journal]:
    """The small project's journal, empty."""
    catalogue.settings.state.mkdir(parents=True, exist_ok=True)
    with open_journal(catalogue.settings.journal) as opened:
        yield opened
