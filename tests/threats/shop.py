"""A small shop with a site, driven only through the installed command, as an operator or an attacker would meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.run.project import CHECK, Project

PROOFBOOK = Path(sys.executable).with_name("proofbook")
MKDOCS = """\
site_name: Shop
theme: {name: material}
plugins:
  - search
  - offline
  - macros
  - proofbook: {environment: test}
"""
INDEX = "---\ntitle: Home\n---\n\n# Shop\n\n{{ answer() }}\n\n{{ needs() }}\n\n{{ systems() }}\n"
FINE = CHECK


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both streams."""
        return self.out + self.err


@dataclass(slots=True)
class Shop:
    """A project on disk and the command that works on it.

    Attributes:
        project: writes its files.
        more: variables beside the shop's own.

    """

    project: Project
    more: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.project.root

    @property
    def surroundings(self) -> dict[str, str]:
        """The variables that the command sees."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PROOFBOOK_", "SHOP_"))}
        return {**kept, **self.project.variables, **self.more}

    def start(self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the installed command on the project."""
        return subprocess.Popen(
            [PROOFBOOK, *arguments, "--root", self.root],
            cwd=cwd or self.root.parent,
            env={**self.surroundings, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def call(self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ended:
        """Run the installed command on the project to its end."""
        with self.start(*arguments, cwd=cwd, env=env) as process:
            out, err = process.communicate(timeout=110)
        return Ended(process.returncode, out, err)

    def run(self, *arguments: str) -> tuple[Ended, dict[str, Any]]:
        """``run --format json`` and its runs by the name of their runbook."""
        ended = self.call("run", *arguments, "--format", "json")
        runs = json.loads(ended.out)["runs"] if ended.out else []
        return ended, {run["runbook"].partition("/")[2]: run for run in runs}

    def page(self, path: str) -> str:
        """A page of the site as readers get it now."""
        return (self.root / "public" / "current" / path).read_text(encoding="utf-8")

    def published(self) -> dict[str, Any]:
        """What the published ``status.json`` says of the shop."""
        said: dict[str, Any] = json.loads(self.page("status.json"))["systems"]["shop"]
        return said


def open_shop(root: Path) -> Shop:
    """Lay out the shop below a folder, with a home page and a page of its own."""
    project = Project(root)
    (root / "mkdocs.yml").write_text(MKDOCS)
    (root / "docs" / "index.md").write_text(INDEX)
    (root / "docs" / "systems" / "shop" / "index.md").write_text('# Shop\n\n{{ status("shop") }}\n\n{{ metrics("shop") }}\n')
    return Shop(project)


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, hidden ones too."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
