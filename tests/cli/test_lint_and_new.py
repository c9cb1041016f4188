"""``proofbook lint`` and ``proofbook new``, as the built program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def proofbook(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder."""
    program = Path(sys.executable).with_name("proofbook")
    return subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A new site, as `proofbook new site` makes it."""
    made = proofbook("new", "site", "ours", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    return tmp_path / "ours"


def test_a_new_site_is_valid_at_once(site: Path) -> None:
    """What `new site` lays out passes lint as it is, and its open contact is a named gap."""
    linted = proofbook("lint", cwd=site)
    assert linted.returncode == 0, linted.stderr
    assert linted.stdout == "docs/systems/this-host/system.yml: nobody is named as On call\n"
    assert "1 system, 2 metrics and 1 runbook are valid; 1 named gap" in linted.stderr


def test_a_new_system_and_a_new_runbook_are_valid_at_once(site: Path) -> None:
    """`new system` and `new runbook` add files that lint accepts, and print their paths."""
    assert proofbook("new", "system", "web-shop", cwd=site).returncode == 0
    made = proofbook("new", "runbook", "web-shop/evening", cwd=site)
    assert made.stdout.strip().endswith("notebooks/web-shop/evening.md")
    linted = proofbook("lint", cwd=site)
    assert linted.returncode == 0, linted.stderr


def test_a_taken_place_is_refused_and_kept(site: Path) -> None:
    """`new site` never writes into a folder that holds something."""
    before = (site / "mkdocs.yml").read_text()
    again = proofbook("new", "site", str(site), cwd=site)
    assert again.returncode == 77
    assert "remedy: name another folder" in again.stderr
    assert (site / "mkdocs.yml").read_text() == before


@pytest.mark.parametrize("name", ["Web Shop", "../up", "web_shop", "-x"])
def test_a_name_that_is_no_slug_is_a_usage_error(site: Path, name: str) -> None:
    """A name that could not be a URL is refused before anything is written."""
    refused = proofbook("new", "system", "--", name, cwd=site)
    assert refused.returncode == 64
    assert "expected: lower-case letters, digits and single hyphens" in refused.stderr


def test_broken_yaml_is_told_with_its_place(site: Path) -> None:
    """A broken system.yml exits 65 and names file, line and column."""
    path = site / "docs" / "systems" / "this-host" / "system.yml"
    path.write_text(path.read_text().replace("metrics:", "metrics: ["))
    linted = proofbook("lint", cwd=site)
    assert linted.returncode == 65
    assert linted.stderr.startswith("docs/systems/this-host/system.yml:")


def test_a_new_systems_editor_finds_its_schema(site: Path) -> None:
    """The schema that the first line of a new system.yml names is there, relative to the file."""
    path = site / "docs" / "systems" / "this-host" / "system.yml"
    named = path.read_text().splitlines()[0].partition("$schema=")[2]
    assert json.loads((path.parent / named).read_text())["title"] == "SystemFile"


def test_schemas_are_published_for_editors(site: Path) -> None:
    """`lint --schemas` writes a JSON Schema for each kind of file that people write."""
    assert proofbook("lint", "--schemas", "schemas", cwd=site).returncode == 0
    schema = json.loads((site / "schemas" / "system.schema.json").read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "metrics" in schema["required"]


def test_outside_a_project_is_a_usage_error(tmp_path: Path) -> None:
    """Without a project the error says how to make one, and there is no traceback."""
    linted = proofbook("lint", cwd=tmp_path)
    assert linted.returncode == 64
    assert "proofbook new site" in linted.stderr
    assert "Traceback" not in linted.stderr


@pytest.mark.parametrize("arguments", [("lint", "--no-such-option"), ("no-such-command",), ("new", "site")])
def test_a_wrong_call_is_a_usage_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A command called wrongly exits 64, as sysexits says, and shows its usage."""
    called = proofbook(*arguments, cwd=tmp_path)
    assert called.returncode == 64
    assert "Usage: proofbook" in called.stderr


def test_the_help_of_every_command_holds_an_example() -> None:
    """Each command's help tells what it does and shows an example."""
    from typer.main import get_command
    from typer.testing import CliRunner

    from checks.cli._main import app

    def leaves(command: object, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        below = getattr(command, "commands", None)
        return [leaf for name, sub in below.items() for leaf in leaves(sub, (*path, name))] if below else [path]

    commands = leaves(get_command(app), ())
    assert ("lint",) in commands
    for command in commands:
        helped = CliRunner().invoke(app, [*command, "--help"])
        assert helped.exit_code == 0
        assert "Example" in helped.stdout, command
