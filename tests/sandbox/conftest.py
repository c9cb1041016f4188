from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from checks.catalogue import Catalogue, load
from tests.shared import shared

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """The systems of this repository, in a folder of their own."""
    return load(shared(tmp_path_factory, "systems", _copy))


def _copy(root: Path) -> None:
    for part in ("docs/systems", "notebooks"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("*.ipynb"))
    (root / "mkdocs.yml").write_text("site_name: Test\nplugins:\n  - proofbook: {environment: sandbox}\n", encoding="utf-8")
    (root / ".proofbook").mkdir()
    load(root)  # what is read is kept there, so that it is read once for all
