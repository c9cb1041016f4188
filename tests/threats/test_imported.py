"""What is read from files: it is data, it names no other file, and nothing in it is run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from checks.catalogue import load
from checks.errors import DataError
from checks.site.evidence import Archive, read
from tests.site.project import MORNING, SYSTEM, small_project

OBJECTS = (
    '!!python/object/apply:os.system ["touch {there}"]',
    '!!python/object/new:subprocess.check_call [["touch", "{there}"]]',
    '!!python/name:os.system ""',
)


@pytest.mark.parametrize("built", OBJECTS)
@pytest.mark.parametrize("where", ["system", "runbook"])
def test_49_yaml_builds_no_objects(tmp_path: Path, built: str, where: str) -> None:
    """A tag that would build an object of Python builds none, in a system's description or above a runbook's text."""
    root, there = small_project(tmp_path / "project"), tmp_path / "there"
    written = built.format(there=there)
    if where == "system":
        (root / "docs/systems/shop/system.yml").write_text(SYSTEM.replace("owner: The baker", f"owner: {written}"))
    else:
        (root / "notebooks/shop/morning.md").write_text(MORNING.replace("title: Morning check", f"title: {written}"))
    with pytest.raises(DataError):
        load(root)
    assert not there.exists()


def test_49_evidence_is_found_by_its_digest_alone(tmp_path: Path) -> None:
    """A digest that is a path leads nowhere, and what has other bytes than its name says, or is no notebook, is not shown."""
    secret = tmp_path / "secret.ipynb"
    secret.write_text('{"nbformat": 4, "cells": []}')
    archive = Archive(tmp_path / "evidence")
    for name in ("../secret", "../../etc/passwd", str(secret.with_suffix("")), "", "a/b", "\0", "ab\n"):
        assert not archive.holds(name)
        assert archive.get(name) is None
    pickled = b"\x80\x04cos\nsystem\n(S'true'\ntR."
    assert read(hashlib.sha256(pickled).hexdigest(), pickled) is None
    assert read(hashlib.sha256(b"x").hexdigest(), secret.read_bytes()) is None


@pytest.mark.parametrize("slug", ["../../etc/passwd", "shop/../../x", "/etc/passwd", "shop/..", "shop/x/y"])
def test_49_names_lead_nowhere_else(tmp_path: Path, slug: str) -> None:
    """A name that a file gives for a runbook is a name, and no path out of the project."""
    root = small_project(tmp_path / "project")
    (root / "docs/systems/shop/system.yml").write_text(SYSTEM.replace("runbook: shop/morning", f'runbook: "{slug}"'))
    with pytest.raises(DataError):
        load(root)
