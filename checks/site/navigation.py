"""The site's navigation, from the catalogue and the pages that are there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
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
_HEADING_OR_LINK = re.compile(r"^##\s+(?P<heading>.+?)\s*$|\]\((?P<page>[\w-]+\.md)\)", re.MULTILINE)
_TOP_ORDER = ("incidents", "reports", "handbook", "reference")


def build(catalogue: Catalogue, pages: Iterable[str], text: Callable[[str], str] = lambda _: "") -> list[Any]:
    """A ``nav`` for MkDocs: home, each system with its pages and runbooks, then every other folder as a section.

    Args:
        catalogue: what the sections are made of.
        pages: the source paths of all pages, with ``/``.
        text: the Markdown of a page; the index of a folder settles the order of its pages, and their groups.

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
        # Incidents are named by their days: the newest is first.
        inside = sorted((path for path in left if path.startswith(f"{folder}/")), reverse=folder == "incidents")
        index = f"{folder}/index.md"
        if index in inside:
            inside.remove(index)
            nav.append({folder.replace("-", " ").capitalize(): [{"Overview": index}, *_grouped(folder, inside, text(index))]})
        else:
            nav.append({folder.replace("-", " ").capitalize(): inside})
    return nav + sorted(top)


def _grouped(folder: str, pages: Sequence[str], index: str) -> list[Any]:
    """The pages of a folder as its index links to them, below its headings; those that it leaves out follow."""
    found: list[Any] = []
    group, listed = found, set[str]()
    for match in _HEADING_OR_LINK.finditer(index):
        path = f"{folder}/{match['page']}"
        if match["heading"]:
            group = []
            found.append({letters(match["heading"], quote=False): group})
        elif path in pages and path not in listed:
            listed.add(path)
            group.append(path)
    filled = [entry for entry in found if not isinstance(entry, dict) or all(entry.values())]
    return [*filled, *(path for path in pages if path not in listed)]


def _system_section(catalogue: Catalogue, system: str, pages: list[str]) -> list[Any]:
    folder = f"systems/{system}/"
    inside = [path.removeprefix(folder) for path in pages if path.startswith(folder)]
    section: list[Any] = [{title: folder + name} for name, title in _SYSTEM_PAGES.items() if name in inside]
    section += [folder + name for name in sorted(inside) if name not in _SYSTEM_PAGES and not name.startswith(_LINKED)]
    runbooks = [{letters(runbook.title, quote=False): skeleton.page_of(runbook)} for runbook in catalogue.runbooks_of(system)]
    return [*section, {"Runbooks": runbooks}] if runbooks else section


def _top_rank(folder: str) -> tuple[int, str]:
    return (_TOP_ORDER.index(folder) if folder in _TOP_ORDER else len(_TOP_ORDER), folder)
