"""The sandbox's commands, called as an operator calls them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from checks import sandbox
from checks.cli.sandbox import app
from checks.errors import UsageError


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """An empty project; its sandbox is down afterwards."""
    (tmp_path / "mkdocs.yml").write_text(
        "site_name: Test\nplugins:\n  - proofbook:\n      environment: sandbox\n", encoding="utf-8"
    )
    yield tmp_path
    sandbox.down(tmp_path / ".proofbook")


def call(root: Path, *arguments: str) -> Result:
    """Call a command in a project; what it raises is raised here."""
    return CliRunner().invoke(app, [*arguments, "--root", str(root)], catch_exceptions=False)


def test_up_status_break_heal_and_down(root: Path) -> None:
    """Each command does what it says, data goes to standard output and talk to standard error."""
    up = call(root, "up", "wellbeing", "--format", "json")
    assert up.exit_code == 0
    assert json.loads(up.stdout)[0]["condition"] == "ready"

    broken = call(root, "break", "wellbeing", "errors")
    assert broken.stdout == ""
    assert "502" in broken.stderr
    status = {one["system"]: one for one in json.loads(call(root, "status", "--format", "json").stdout)}
    assert list(status["wellbeing"]["faults"]) == ["errors"]
    assert status["mase"]["condition"] == "down"
    assert "broken: errors" in call(root, "status").stdout

    assert "healed errors" in call(root, "heal", "wellbeing").stderr
    assert "ended: wellbeing" in call(root, "down").stderr
    assert "is down" in call(root, "down").stderr


def test_up_of_a_system_that_does_not_exist_starts_nothing(root: Path) -> None:
    """An unknown system is a usage error, and no keeper has been started for it."""
    with pytest.raises(UsageError, match="no such system"):
        call(root, "up", "nobody")
    assert not (root / ".proofbook" / "sandbox").exists()


def test_faults_lists_each_with_what_happens() -> None:
    """Faults prints one line a fault, or the same as JSON; another format is refused."""
    runner = CliRunner()
    listed = json.loads(runner.invoke(app, ["faults", "wellbeing", "--format", "json"], catch_exceptions=False).stdout)
    text = runner.invoke(app, ["faults", "wellbeing"], catch_exceptions=False).stdout

    assert {"errors", "slow", "backups", "cache", "logins"} <= listed.keys()
    assert all(f"{name} " in text and what in text for name, what in listed.items())
    with pytest.raises(UsageError, match="no such format"):
        runner.invoke(app, ["faults", "wellbeing", "--format", "xml"], catch_exceptions=False)
