"""Pages that stand beside those of MkDocs and are reached by plain links alone: every row of a table that is too long for a page.

They are in no navigation and no search, so that a house of any size has small pages; see `checks.site.tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from checks.site import fragments, incidents, tables, views
from checks.site.fragments import Page

if TYPE_CHECKING:
    from checks.model import System
    from checks.site.facts import Facts

_T = TypeVar("_T")


def pages(facts: Facts) -> Iterator[tuple[str, Callable[[Facts], bytes]]]:
    """Each of these pages: its address, and what makes it of facts."""
    yield from _all("", "systems", len(facts.report.systems), _systems)
    yield from _all("incidents/", "incidents", len(facts.incidents), _incidents)
    for system in facts.catalogue.systems.values():
        folder = tables.folder_of(system.name)
        yield from _all(folder, "metrics", len(system.metrics), _metrics, system)
        yield from _all(folder, "runbooks", len(facts.catalogue.runbooks_of(system.name)), _runbooks, system)


def _all(
    folder: str, what: str, total: int, rows: Callable[[Facts, int, System | None], dict[str, Any]], system: System | None = None
) -> Iterator[tuple[str, Callable[[Facts], bytes]]]:
    count = tables.pages(total)

    def make(number: int) -> Callable[[Facts], bytes]:
        page = Page(tables.address(folder, what, number))

        def link_of(other: int) -> str:
            return page.to(tables.address(folder, what, other))

        def made(facts: Facts) -> bytes:
            about = {"what": what, "total": total, "number": number, "count": count, "system": system, "link_of": link_of}
            return fragments.whole_page("all-page.html", facts, page, {**about, **rows(facts, number, system)})

        return made

    for number in range(1, count + 1):
        yield tables.address(folder, what, number), make(number)


def _portion(some: Sequence[_T], number: int) -> Sequence[_T]:
    return some[(number - 1) * tables.ON_A_PAGE : number * tables.ON_A_PAGE]


def _systems(facts: Facts, number: int, _system: System | None) -> dict[str, Any]:
    return {"rows": [views.system_row(facts, one) for one in _portion(tables.by_badness(facts.report.systems), number)]}


def _incidents(facts: Facts, number: int, _system: System | None) -> dict[str, Any]:
    return {"rows": [incidents.row(facts, one) for one in _portion(facts.incidents, number)]}


def _metrics(facts: Facts, number: int, system: System | None) -> dict[str, Any]:
    declared = list(system.metrics.values()) if system else []
    return {"groups": tables.grouped(facts, _portion(declared, number))}


def _runbooks(facts: Facts, number: int, system: System | None) -> dict[str, Any]:
    declared = facts.catalogue.runbooks_of(system.name) if system else ()
    return {"rows": [views.runbook_row(facts, one) for one in _portion(declared, number)]}
