from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from checks.catalogue import Catalogue, load

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Whole:
    """A copy of this repository's own site, with a sandbox and a journal of its own."""

    root: Path
    catalogue: Catalogue

    def proofbook(self, *arguments: str, timeout: float = 480) -> subprocess.CompletedProcess[str]:
        """Run the command in the copy."""
        program = Path(sys.executable).with_name("proofbook")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PROOFBOOK_")}
        return subprocess.run(
            [program, *arguments], cwd=self.root, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    def published(self, page: str) -> str:
        """A page of the site as published now."""
        return (self.root / "public" / "current" / page).read_text(encoding="utf-8")

    def status(self, *arguments: str) -> Any:
        """What ``proofbook status --format json`` says."""
        return json.loads(self.proofbook("status", "--format", "json", *arguments).stdout)


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """The whole site after its first publication, its sandbox still up."""
    root = tmp_path_factory.mktemp("whole") / "site"
    root.mkdir()
    for name in ("mkdocs.yml", "docs", "notebooks"):
        source = REPOSITORY / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, root / name)
    site = Whole(root, load(root))
    try:
        up = site.proofbook("sandbox", "up")
        assert up.returncode == 0, up.stderr
        first = site.proofbook("publish")
        assert first.returncode == 0, first.stdout + first.stderr
        yield site
    finally:
        site.proofbook("sandbox", "down")
