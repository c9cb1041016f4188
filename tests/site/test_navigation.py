from __future__ import annotations

from pathlib import Path

from checks.catalogue import Catalogue, load
from checks.site import navigation
from tests.site.project import SYSTEM, small_project


def test_each_system_has_its_section(catalogue: Catalogue) -> None:
    """Home is first, then each system with its pages and runbooks, then other folders as their indexes have them."""
    pages = [
        "index.md",
        "systems/shop/index.md",
        "systems/shop/checklist.md",
        "systems/shop/glossary.md",
        "systems/shop/runbooks/morning.md",
        "systems/shop/runbooks/clear-cache.md",
        "handbook/b.md",
        "handbook/a.md",
        "handbook/c.md",
        "handbook/index.md",
        "incidents/2024-11-02-one.md",
        "incidents/2024-11-12-two.md",
        "imprint.md",
    ]
    index = "Read [this](b.md).\n\n## Go <on>\n\n- [That](c.md), [b](b.md), [x](x.md)\n\n## Empty\n"
    assert navigation.build(catalogue, pages, lambda _: index) == [
        {"Home": "index.md"},
        {
            "Corner shop": [
                {"Now": "systems/shop/index.md"},
                {"Checklist": "systems/shop/checklist.md"},
                "systems/shop/glossary.md",
                {
                    "Runbooks": [
                        {"Empty the cache": "systems/shop/runbooks/clear-cache.md"},
                        {"Morning check": "systems/shop/runbooks/morning.md"},
                    ]
                },
            ]
        },
        {"Incidents": ["incidents/2024-11-12-two.md", "incidents/2024-11-02-one.md"]},
        {"Handbook": [{"Overview": "handbook/index.md"}, "handbook/b.md", {"Go &lt;on&gt;": ["handbook/c.md"]}, "handbook/a.md"]},
        "imprint.md",
    ]


def test_many_systems_share_a_tab(tmp_path: Path) -> None:
    """More systems than there is room for in a row stand in one section, in the order of the catalogue."""
    root = small_project(tmp_path)
    for number in range(navigation.FEW):
        folder = root / f"docs/systems/shop-{number:02d}"
        folder.mkdir()
        (folder / "system.yml").write_text(
            SYSTEM.replace("system: shop", f"system: shop-{number:02d}").replace("    runbook: shop/morning\n", "")
        )
    catalogue = load(root)
    pages = ["index.md", *(f"systems/{name}/index.md" for name in catalogue.systems)]
    home, systems = navigation.build(catalogue, pages)
    assert home == {"Home": "index.md"}
    assert len(systems["Systems"]) == navigation.FEW + 1
