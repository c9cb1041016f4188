"""The real repository of a stand-in."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from checks.sandbox.kit_git import Repository


def test_a_commit_reaches_the_origin_with_its_date(tmp_path: Path) -> None:
    """A commit of the clone is in the bare origin, dated as told, and a fresh clone has its files."""
    repository = Repository(tmp_path / "git", {"README.md": "hello\n"})
    made = repository.commit("Add a file", {"src/a.py": "print(1)\n"}, at=datetime(2024, 1, 2, 3, tzinfo=UTC))

    subprocess.run(["git", "clone", "--quiet", str(repository.origin), str(tmp_path / "other")], check=True)
    assert (tmp_path / "other" / "src" / "a.py").read_text() == "print(1)\n"
    assert repository.git("log", "-1", "--format=%H %cI", "origin/main") == f"{made} 2024-01-02T03:00:00+00:00"


def test_what_is_not_pushed_is_ahead_of_the_origin(tmp_path: Path) -> None:
    """A commit that was not pushed is one ahead of the origin, and removing a file is a commit too."""
    repository = Repository(tmp_path / "git", {"a": "1\n", "b": "2\n"})
    repository.commit("Remove a", {"a": None}, push=False)

    assert repository.git("rev-list", "--count", "origin/main..main") == "1"
    assert repository.git("ls-files") == "b"


def test_a_second_start_finds_the_same_repository(tmp_path: Path) -> None:
    """Opening the folder again changes nothing, however the machine's own git is configured."""
    first = Repository(tmp_path / "git", {"a": "1\n"})
    head = first.git("rev-parse", "HEAD")

    assert Repository(tmp_path / "git", {"other": "x"}).git("rev-parse", "HEAD") == head
