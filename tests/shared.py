"""What is made once for all tests of a session, whichever worker they run in."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.catalogue import Catalogue, load
from checks.site import kept
from tests.site.project import small_project

_MADE = ".made"


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that whoever is first makes, and that all may look at.

    Args:
        factory: where the session's folders are.
        name: what it is called by everybody who wants it.
        make: fills it.

    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / f"shared-{name}"
    with (base / f"shared-{name}.lock").open("a", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / _MADE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / _MADE).touch()
    return folder


def built_project(root: Path, factory: pytest.TempPathFactory) -> Catalogue:
    """Write the small project, with the skeleton that MkDocs builds of it: what is not about building needs no builder."""
    built = shared(factory, "skeleton", _build)
    small_project(root)
    shutil.copytree(built / ".proofbook" / "skeleton", root / ".proofbook" / "skeleton")
    return load(root)


def _build(root: Path) -> None:
    with kept.skeleton(load(small_project(root))):
        return
