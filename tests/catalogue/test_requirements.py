"""What a plan asks for, and what fulfils it."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks import catalogue
from checks.catalogue.requirements import Cover, coverage
from checks.errors import CatalogueErrors

SITE = "site_name: Shop\nplugins:\n  - proofbook: {environment: staging}\n"
SYSTEM = """\
system: shop
title: Shop
summary: Sells bread.
environments:
  staging: {base_url: "${SHOP_URL}"}
metrics:
  error-rate:
    title: Error rate
    unit: "%"
    probe: {kind: http, url: "{base_url}/metrics", select: error_rate}
    critical: "> 10 %"
    source: [shop.daily.errors]
conditions:
  close:
    title: Close the shop
    any: [error-rate]
    source: [shop.closing]
"""
ROWS = """\
system: shop
rows:
  shop.daily.errors: {kind: metric, proof: measured, asks: Errors are rare.}
  shop.daily.shelves: {kind: check, proof: measured, asks: The shelves are full.}
  shop.people.baker: {kind: contact, proof: by-hand, asks: Somebody bakes.}
  shop.people.guard: {kind: contact, proof: by-hand, asks: Somebody guards., gap: Nobody was found.}
  shop.scope: {kind: policy, proof: told, asks: The page says what is sold.}
  shop.roof: {kind: check, proof: measured, asks: The roof is dry.}
  shop.closing: {kind: decision, proof: measured, asks: Too many errors close the shop.}
"""
PAGE = "---\ntitle: Shop\nsource: [shop.daily.shelves, shop.people.*, shop.scope]\n---\n\n# Shop\n"


def project(root: Path, rows: str = ROWS, page: str = PAGE) -> catalogue.Catalogue:
    """A project of one system with a plan."""
    folder = root / "docs" / "systems" / "shop"
    folder.mkdir(parents=True)
    (root / "mkdocs.yml").write_text(SITE)
    (folder / "system.yml").write_text(SYSTEM)
    (folder / "requirements.yml").write_text(rows)
    (folder / "index.md").write_text(page)
    return catalogue.load(root)


def test_each_row_is_as_covered_as_it_is(tmp_path: Path) -> None:
    """What has to be measured counts as covered where something measures it, never where a page only speaks of it."""
    found = {row.requirement.name: row.cover for row in coverage(project(tmp_path))["shop"]}
    assert found == {
        "shop.daily.errors": Cover.MEASURED,
        "shop.daily.shelves": Cover.ONLY_TOLD,
        "shop.people.baker": Cover.BY_HAND,
        "shop.people.guard": Cover.GAP,
        "shop.scope": Cover.TOLD,
        "shop.roof": Cover.GAP,
        "shop.closing": Cover.MEASURED,
    }


def test_a_system_without_a_plan_is_left_out(tmp_path: Path) -> None:
    """A system that carries no plan is no fault and no claim."""
    loaded = project(tmp_path)
    (tmp_path / "docs" / "systems" / "shop" / "requirements.yml").unlink()
    assert coverage(loaded) == {}


@pytest.mark.parametrize(
    ("rows", "page", "told"),
    [
        (ROWS, PAGE.replace("shop.scope", "shop.scoop"), "fulfils what its plan does not ask"),
        (ROWS.replace("shop.roof", "roof"), PAGE, "requirements.yml:8:3: this is no name of a row"),
        (ROWS.replace("proof: told", "proof: believed"), PAGE, "requirements.yml:7:"),
        (ROWS + "  shop.roof: {kind: check, proof: told, asks: Again.}\n", PAGE, "the key `shop.roof` stands twice"),
        (ROWS.replace("system: shop", "system: other"), PAGE, "another system's"),
    ],
)
def test_a_plan_that_is_wrong_is_told_where(tmp_path: Path, rows: str, page: str, told: str) -> None:
    """A row that is not valid, and a claim to fulfil what nobody asked, are refused with their place."""
    loaded = project(tmp_path, rows, page)
    with pytest.raises(CatalogueErrors) as refused:
        coverage(loaded)
    assert told in str(refused.value)


@pytest.mark.parametrize(("kind", "cover"), [("check", Cover.MEASURED), ("procedure", Cover.OPERATED)])
def test_what_only_an_operator_does_is_not_called_measured(tmp_path: Path, kind: str, cover: Cover) -> None:
    """A runbook that runs by itself measures; a procedure waits for somebody to walk it."""
    project(tmp_path)
    book = tmp_path / "notebooks" / "shop" / "roof.md"
    book.parent.mkdir(parents=True)
    book.write_text(f"---\ntitle: Roof\nsystem: shop\nkind: {kind}\nsummary: Look up.\nsource: [shop.roof]\n---\n\n## 1. Look\n")
    found = {row.requirement.name: row.cover for row in coverage(catalogue.load(tmp_path))["shop"]}
    assert found["shop.roof"] is cover
