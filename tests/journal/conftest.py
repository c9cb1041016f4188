from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.journal import Journal, open_journal


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state/journal.db"


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    with open_journal(url) as opened:
        yield opened
