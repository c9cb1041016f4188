from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.model import Observation
from tests.probes.conftest import NOW, measured, reason_of, settings, value_of

_AT = int(NOW.timestamp())


def git(folder: Path, *arguments: str, ago: float = 0) -> str:
    """Run git as a developer would, with dates some seconds before now."""
    at = f"{_AT - int(ago)} +0000"
    dates = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    argv = ["git", "-c", "user.name=A", "-c", "user.email=a@example.test", *arguments]
    return subprocess.run(argv, cwd=folder, env={**os.environ, **dates}, capture_output=True, text=True, check=True).stdout


def commit(folder: Path, ago: float = 0) -> None:
    """Commit something new."""
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "Work", ago=ago)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Three commits on main, the last an hour ago; feature has one more of a day ago, and lacks the last two."""
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, 90_000)
    git(folder, "branch", "feature")
    commit(folder, 7200)
    commit(folder, 3600)
    git(folder, "checkout", "--quiet", "feature")
    commit(folder, 86_400)
    git(folder, "checkout", "--quiet", "main")
    for tag in ("v1.0.0", "v1.1.0", "v2.0.0", "deployed"):
        git(folder, "tag", tag)
    return folder


def repo(folder: Path, measure: str, **options: Any) -> dict[str, Any]:
    """A declared git probe."""
    return {"kind": "git", "repository": str(folder), "measure": measure, **options}


@pytest.mark.parametrize(
    ("measure", "options", "unit", "value"),
    [
        ("tags", {}, "tags", 4),
        ("tags", {"pattern": "v1.*"}, "", 2),
        ("tags", {"pattern": "v3.*"}, "", 0),
        ("tags", {"pattern": "v2.0.0"}, "", 1),
        ("tags", {"pattern": "--delete"}, "", 0),
        ("ahead", {"ref": "main", "against": "feature"}, "commits", 2),
        ("behind", {"ref": "main", "against": "feature"}, "commits", 1),
        ("diverged", {"ref": "main", "against": "feature"}, "commits", 3),
        ("diverged", {"against": "main"}, "", 0),
        ("age", {}, "h", 1),
        ("age", {"ref": "feature"}, "d", 1),
        ("age", {"ref": "v1.0.0"}, "min", 60),
    ],
)
def test_a_repository_is_measured(repository: Path, measure: str, options: dict[str, Any], unit: str, value: float) -> None:
    """Tags, distances and ages are those of the repository."""
    assert value_of(repo(repository, measure, **options), unit) == value


def test_detail_says_what_was_compared(repository: Path) -> None:
    """The observation names the refs and both directions."""
    seen = measured(repo(Path("{code}"), "diverged", ref="main", against="feature"), settled=settings({"code": str(repository)}))
    assert isinstance(seen, Observation), seen
    assert (seen.source, seen.detail) == (f"git in {repository}: main diverged feature", "2 ahead, 1 behind")


@pytest.mark.parametrize(
    ("measure", "options", "reason"),
    [
        ("age", {"ref": "gone"}, "there is no commit gone in"),
        ("age", {"ref": "--help"}, "there is no commit --help in"),
        ("age", {"ref": "main feature"}, "there is no commit main feature in"),
        ("behind", {"against": "origin/main"}, "there is no commit origin/main in"),
        ("age", {"ref": "main..feature"}, "there is no commit main..feature in"),
    ],
)
def test_a_ref_that_is_no_commit_is_unknown(repository: Path, measure: str, options: dict[str, Any], reason: str) -> None:
    """A missing ref, and one that looks like an option, give the reason."""
    assert reason in reason_of(repo(repository, measure, **options))


def test_a_folder_inside_a_repository_is_not_that_repository(repository: Path) -> None:
    """A folder without a repository of its own is unknown, though one lies around it."""
    inner = repository / "inner"
    inner.mkdir()
    assert "not a git repository" in reason_of(repo(inner, "tags"))
    assert "does not exist" in reason_of(repo(repository / "gone", "tags"))


def test_a_repository_without_commits_has_no_age(tmp_path: Path) -> None:
    """An empty repository has no tag and no last commit."""
    git(tmp_path, "init", "--quiet", "--bare")
    assert value_of(repo(tmp_path, "tags")) == 0
    assert "there is no commit HEAD" in reason_of(repo(tmp_path, "age"))


def test_a_shallow_clone_does_not_guess_a_distance(repository: Path, tmp_path: Path) -> None:
    """A clone that lacks history says so instead of counting what it has."""
    git(tmp_path, "clone", "--quiet", "--depth=1", "--no-single-branch", f"file://{repository}", "clone")
    assert "is a shallow clone" in reason_of(repo(tmp_path / "clone", "diverged", against="origin/feature"))


def test_a_commit_of_the_future_has_no_age(repository: Path) -> None:
    """A date ahead of now is a wrong clock, not a fresh commit."""
    commit(repository, -7200)
    assert "is dated in the future" in reason_of(repo(repository, "age"))
    assert value_of(repo(repository, "age"), "h", now=NOW + timedelta(hours=3)) == 1


def test_a_hostile_configuration_runs_nothing(repository: Path, tmp_path: Path) -> None:
    """No program that the repository's own configuration names is started."""
    trace = tmp_path / "ran"
    evil = tmp_path / "evil"
    evil.write_text(f'#!/bin/sh\necho "$0 $*" >> {trace}\nexit 1\n')
    evil.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.askPass", "gpg.program",
                "core.alternateRefsCommand", "diff.external", "pager.tag", "pager.rev-list", "credential.helper",
                "remote.origin.uploadpack", "alias.tag", "filter.x.smudge"):  # fmt: skip
        git(repository, "config", key, str(evil) if not key.startswith("alias") else f"!{evil}")
    git(repository, "config", "log.showSignature", "true")
    git(repository, "config", "core.hooksPath", str(tmp_path))
    git(repository, "config", "tag.sort", "nonsense")
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        (repository / ".git" / "hooks" / hook).write_text(evil.read_text())
        (repository / ".git" / "hooks" / hook).chmod(0o755)
    assert value_of(repo(repository, "tags", pattern="v*")) == 3
    assert value_of(repo(repository, "age"), "h") == 1
    assert value_of(repo(repository, "diverged", ref="main", against="feature")) == 3
    assert not trace.exists(), trace.read_text()


def test_a_partial_clone_fetches_nothing(repository: Path, tmp_path: Path) -> None:
    """An object that a partial clone lacks is not fetched by the command that its configuration names."""
    trace = tmp_path / "ran"
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\necho ran >> {trace}\nexit 1\n")
    evil.chmod(0o755)
    gone = git(repository, "rev-parse", "HEAD~1").strip()
    git(repository, "config", "core.repositoryFormatVersion", "1")
    git(repository, "config", "extensions.partialClone", "origin")
    git(repository, "config", "remote.origin.url", str(repository))
    git(repository, "config", "remote.origin.promisor", "true")
    git(repository, "config", "remote.origin.uploadpack", str(evil))
    (repository / ".git" / "objects" / gone[:2] / gone[2:]).unlink()
    assert "there is no commit HEAD~1" in reason_of(repo(repository, "age", ref="HEAD~1"))
    assert reason_of(repo(repository, "diverged", against="feature"))
    assert not trace.exists()


def test_the_callers_git_variables_change_nothing(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GIT_DIR of the surroundings does not swap the repository."""
    git(tmp_path, "init", "--quiet", "--bare", "other.git")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other.git"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "x")
    assert value_of(repo(repository, "tags")) == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to another user")
def test_another_users_repository_is_read(repository: Path) -> None:
    """A repository that belongs to somebody else is measured all the same."""
    for path in [repository, *repository.rglob("*")]:
        os.chown(path, 65534, 65534)
    assert value_of(repo(repository, "tags")) == 4


def test_git_that_is_missing_is_named(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A host without git says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert reason_of(repo(repository, "tags")) == "the program git is not found"
