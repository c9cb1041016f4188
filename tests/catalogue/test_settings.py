"""Settings and environments: found without starting MkDocs, filled only from what is really set."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest

from checks.catalogue import MissingSetting, Settled, find_root, read_settings, resolve
from checks.errors import DataError, UsageError
from checks.model import Environment, System

SHOP = System(
    name="shop",
    title="Web shop",
    summary="Sells things.",
    environments=MappingProxyType(
        {"sandbox": Environment("sandbox", {"base_url": "${SHOP_URL}", "token": "${secret:SHOP_TOKEN}", "fixed": "/srv"})}
    ),
    metrics=MappingProxyType({}),
    path=Path("docs/systems/shop/system.yml"),
)


def test_the_root_is_found_from_below(tmp_path: Path) -> None:
    """The nearest folder upwards with an mkdocs.yml is the project."""
    (tmp_path / "mkdocs.yml").write_text("site_name: Test\n")
    below = tmp_path / "docs" / "systems"
    below.mkdir(parents=True)
    assert find_root(below) == tmp_path.resolve()


def test_no_project_is_a_usage_error(tmp_path: Path) -> None:
    """Outside any project the error says how to make one."""
    with pytest.raises(UsageError) as caught:
        find_root(tmp_path)
    assert "proofbook new site" in str(caught.value)


def test_settings_are_read_past_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MkDocs' own tags do not keep the settings from being read, and the journal has a place by default."""
    monkeypatch.delenv("PROOFBOOK_ENVIRONMENT", raising=False)
    monkeypatch.delenv("PROOFBOOK_JOURNAL", raising=False)
    (tmp_path / "mkdocs.yml").write_text(
        "site_name: !ENV [NAME, Runbooks]\nplugins:\n  - search\n  - proofbook: {environment: staging, timezone: Europe/Berlin}\n"
    )
    settings = read_settings(tmp_path)
    assert (settings.environment, settings.timezone) == ("staging", "Europe/Berlin")
    assert settings.journal == f"sqlite:///{tmp_path}/.proofbook/journal.db"


def test_the_caller_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PROOFBOOK_ENVIRONMENT and PROOFBOOK_JOURNAL override mkdocs.yml."""
    (tmp_path / "mkdocs.yml").write_text("site_name: Test\nplugins:\n  - proofbook: {environment: staging}\n")
    monkeypatch.setenv("PROOFBOOK_ENVIRONMENT", "production")
    monkeypatch.setenv("PROOFBOOK_JOURNAL", "postgresql+psycopg:///journal")
    settings = read_settings(tmp_path)
    assert (settings.environment, settings.journal) == ("production", "postgresql+psycopg:///journal")


def test_an_unknown_setting_is_told(tmp_path: Path) -> None:
    """A mistyped setting is an error with its line, not silently nothing."""
    (tmp_path / "mkdocs.yml").write_text("site_name: Test\nplugins:\n  - proofbook:\n      enviroment: staging\n")
    with pytest.raises(DataError) as caught:
        read_settings(tmp_path)
    assert "mkdocs.yml:4: `enviroment` is not known" in str(caught.value)


def test_variables_fill_settings() -> None:
    """Settings are filled from variables, and secrets are known by value."""
    settled = resolve(SHOP, "sandbox", {"SHOP_URL": "http://127.0.0.1:1", "SHOP_TOKEN": "s3cret"})
    assert settled.fill("{base_url}/a?{other-thing}") == "http://127.0.0.1:1/a?{other-thing}"
    assert settled.secrets == {"s3cret"}
    assert settled.mask("Bearer s3cret") == "Bearer •••"


def test_an_unset_variable_is_named_not_guessed() -> None:
    """What is not set is missing by name; using it says which variable to set."""
    settled = resolve(SHOP, "sandbox", {"SHOP_TOKEN": ""})
    assert settled.missing == {"base_url": "SHOP_URL", "token": "SHOP_TOKEN"}
    with pytest.raises(MissingSetting) as caught:
        settled.fill("{base_url}")
    assert "SHOP_URL is not set" in str(caught.value)


def test_a_setting_that_nobody_declared_is_an_error() -> None:
    """A probe that refers to a setting which the environment lacks is told so."""
    with pytest.raises(MissingSetting) as caught:
        Settled("sandbox", {}, {}, frozenset()).fill("{nowhere}")
    assert "environment sandbox has no setting nowhere" in str(caught.value)


def test_an_unknown_environment_lists_those_there_are() -> None:
    """A mistyped environment is answered with the system's own."""
    with pytest.raises(DataError) as caught:
        resolve(SHOP, "prod", {})
    assert "expected: one of sandbox" in str(caught.value)
