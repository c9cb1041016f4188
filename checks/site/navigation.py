"""The site's navigation, from the catalogue and the pages that are there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from checks.site import skeleton
from checks.site.words import letters

if TYPE_CHECKING:
    from checks.catalogue import Catalogue

_SYSTEM_PAGES = {
    "index.md": "Now",
    "checklist.md": "Checklist",
    "faq.md": "FAQ",
    "incident-policy.md": "Incident policy",
    "report.md": "Report",
    "coverage.md": "Coverage",
}
_LINKED = ("runbooks/", "metrics/")
"""Folders of generated pages: runbooks have a section of their own, metrics are reached from the tables."""
FEW = 12
"""So many systems have a tab each; of more, every page would be longer by all of them, so they share one."""
_TOP_ORDER = ("incidents", "reports", "handbook", "reference")


def build(catalogue: Catalogue, pages: Iterable[str]) -> list[Any]:
    """A ``nav`` for MkDocs: home, each system with its pages and runbooks, then every other folder as a section.

    Args:
        catalogue: what the sections are made of.
        pages: the source paths of all pages, with ``/``.

    """
    left = list(pages)
    nav: list[Any] = [{"Home": "index.md"}] if "index.md" in left else []
    systems = [
        {letters(system.title, quote=False): section}
        for system in catalogue.systems.values()
        if (section := _system_section(catalogue, system.name, left))
    ]
    nav += systems if len(catalogue.systems) <= FEW else [{"Systems": systems}]
    top = [path for path in left if "/" not in path and path != "index.md"]
    folders = sorted({path.split("/", 1)[0] for path in left if "/" in path and not path.startswith("systems/")}, key=_top_rank)
    for folder in folders:
        inside = sorted(
            (path for path in left if path.startswith(f"{folder}/")), key=lambda path: (not path.endswith("/index.md"), path)
        )
        nav.append({folder.replace("-", " ").capitalize(): inside})
    return nav + sorted(top)


def _system_section(catalogue: Catalogue, system: str, pages: list[str]) -> list[Any]:
    folder = f"systems/{system}/"
    inside = [path.removeprefix(folder) for path in pages if path.startswith(folder)]
    section: list[Any] = [{title: folder + name} for name, title in _SYSTEM_PAGES.items() if name in inside]
    section += [folder + name for name in sorted(inside) if name not in _SYSTEM_PAGES and not name.startswith(_LINKED)]
    runbooks = [{letters(runbook.title, quote=False): skeleton.page_of(runbook)} for runbook in catalogue.runbooks_of(system)]
    return [*section, {"Runbooks": runbooks}] if runbooks else section


def _top_rank(folder: str) -> tuple[int, str]:
    return (_TOP_ORDER.index(folder) if folder in _TOP_ORDER else len(_TOP_ORDER), folder)
