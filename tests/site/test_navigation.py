from __future__ import annotations

from checks.catalogue import Catalogue
from checks.site import navigation


def test_each_system_has_its_section(catalogue: Catalogue) -> None:
    """Home comes first, then each system with its pages and runbooks, then every other folder; nothing is left out."""
    pages = [
        "index.md",
        "systems/shop/index.md",
        "systems/shop/checklist.md",
        "systems/shop/glossary.md",
        "systems/shop/runbooks/morning.md",
        "systems/shop/runbooks/clear-cache.md",
        "handbook/b.md",
        "handbook/index.md",
        "incidents/one.md",
        "imprint.md",
    ]
    assert navigation.build(catalogue, pages) == [
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
        {"Incidents": ["incidents/one.md"]},
        {"Handbook": ["handbook/index.md", "handbook/b.md"]},
        "imprint.md",
    ]
