from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Project = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A folder with an mkdocs.yml and the files given by path."""

    def lay_out(files: Mapping[str, str]) -> Path:
        (tmp_path / "mkdocs.yml").write_text(
            "site_name: Test\nplugins:\n  - proofbook: {environment: sandbox}\n", encoding="utf-8"
        )
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return lay_out
