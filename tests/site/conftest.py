from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks.catalogue import Catalogue, load
from checks.journal import Journal, open_journal
from checks.site.publish import Published, publish
from tests.shared import built_project
from tests.site.history import record
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


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """The small project, published once for all tests of a module that only look; something in it is critical."""
    root = tmp_path_factory.mktemp("published")
    loaded = built_project(root, tmp_path_factory)
    now = datetime(2024, 11, 12, 10, 42, 10, tzinfo=UTC)
    with open_journal(loaded.settings.journal) as opened:
        record(loaded, opened, now - timedelta(minutes=2), {"error-rate": 12.4, "latency": "no answer", "backup-age": 4.0})
        return publish(loaded, opened, root / "public", now)
