"""What a command line seems to mean is begun before it is understood, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.run import ahead, zygote
from tests.run.project import CHECK, Project

PLOT = "```python\nimport pandas\n```\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """What the fork server was asked to load, each time that it was."""
    found: list[set[str]] = []
    monkeypatch.setattr(zygote, "warm_up", lambda _env, groups: found.append(set(groups)))
    monkeypatch.delenv("PROOFBOOK_KERNELS", raising=False)
    return found


@pytest.mark.parametrize(
    ("arguments", "groups"),
    [
        ("run shop/morning", [{"checks"}]),
        ("run shop/morning shop/evening -p hours=12", [{"checks", "pandas"}]),
        ("run --all", [{"checks", "pandas"}]),
        ("run --system shop", [{"checks", "pandas"}]),
        ("run --system=shop --fresh-enough", [{"pandas"}]),
        ("run shop/morning --fresh-enough", []),
        ("run --system bakery", []),
        ("run --system /etc", []),
        ("run --system=**", []),
        ("run --due", []),
        ("run shop/morning --help", []),
        ("run ../shop/morning", []),
        ("run shop/night", []),
        ("status", []),
        ("", []),
    ],
)
def test_what_will_be_executed_is_begun(arguments: str, groups: list[set[str]], project: Project, asked: list[set[str]]) -> None:
    """The server starts where something will be executed for sure, and loads what that imports."""
    project.write(CHECK)
    project.run(CHECK)
    project.write(PLOT, "evening")
    words = arguments.split()
    ahead.begin([*words, "--root", str(project.root)] if words else [])
    assert asked == groups


def test_nothing_is_begun_without_a_project_or_for_stock_kernels(
    project: Project, asked: list[set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside a project, and where kernels are not forked, no server starts."""
    project.write(CHECK)
    empty = tmp_path / "empty"
    empty.mkdir()
    ahead.begin(["run", "--all", "--root", str(empty)])
    monkeypatch.setenv("PROOFBOOK_KERNELS", "stock")
    ahead.begin(["run", "--all", "--root", str(project.root)])
    assert asked == []
