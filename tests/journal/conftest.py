from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from checks.journal import Journal, open_journal


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state/journal.db"


@pytest.fixture
def new_url(tmp_path: Path) -> Callable[[], str]:
    """Gives a place where no journal is yet, each time another one."""
    numbers = itertools.count(1)
    return lambda: f"sqlite:///{tmp_path}/other-{next(numbers)}/journal.db"


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    with open_journal(url) as opened:
        yield opened
