"""The coverage pages."""

from __future__ import annotations

from pathlib import Path

from checks.site import coverage_page
from tests.catalogue.test_requirements import ROWS, project


def test_a_page_says_what_is_missing_first(tmp_path: Path) -> None:
    """What nothing fulfils, and what is only told, stands before everything else, and every row has its anchor."""
    page = coverage_page.pages(project(tmp_path))["systems/shop/coverage.md"]
    missing, _, rest = page.partition("## Daily")
    assert "2 gap" in page
    assert [asked in missing for asked in ("The shelves are full.", "The roof is dry.", "Nobody was found.")] == [True] * 3
    assert "Errors are rare." not in missing
    assert 'id="shop.daily.errors"' in rest
    assert '<span data-live="value:shop/error-rate"></span>' in rest


def test_the_words_of_a_plan_are_shown_inert(tmp_path: Path) -> None:
    """Markup in a row is text."""
    rows = ROWS.replace("The roof is dry.", '"<script>alert(1)</script> {{ 7*7 }}"')
    page = coverage_page.pages(project(tmp_path, rows))["systems/shop/coverage.md"]
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "render_macros: false" in page


def test_without_plans_there_are_no_pages(tmp_path: Path) -> None:
    """A site whose systems carry no plan has no coverage page."""
    loaded = project(tmp_path)
    (tmp_path / "docs" / "systems" / "shop" / "requirements.yml").unlink()
    assert coverage_page.pages(loaded) == {}
