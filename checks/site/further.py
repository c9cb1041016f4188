"""Pages that stand beside those of MkDocs and are reached by plain links alone: every row of a table that is too long for a page.

They are in no navigation and no search, so that a house of any size has small pages; see `checks.site.tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from checks.journal.periods import PERIODS
from checks.judge import format_value
from checks.site import archives, fragments, incidents, reports, tables, views
from checks.site.fragments import Page

if TYPE_CHECKING:
    from checks.journal.periods import Frozen
    from checks.model import System
    from checks.site.facts import Facts

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Further:
    """One of these pages.

    Attributes:
        made_of: what it is made of beside facts.
        make: makes it of facts.

    """

    address: str
    make: Callable[[Facts], bytes]
    made_of: str = ""


def pages(facts: Facts) -> Iterator[Further]:
    """Each of these pages."""
    yield from _all("", "systems", len(facts.report.systems), _systems)
    yield from _all("incidents/", "incidents", len(facts.incidents), _incidents)
    for system in facts.catalogue.systems.values():
        folder = tables.folder_of(system.name)
        yield from _all(folder, "metrics", len(system.metrics), _metrics, system)
        yield from _all(folder, "runbooks", len(facts.catalogue.runbooks_of(system.name)), _runbooks, system)
    yield from _archive(facts)


def _all(
    folder: str, what: str, total: int, rows: Callable[[Facts, int, System | None], dict[str, Any]], system: System | None = None
) -> Iterator[Further]:
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
        yield Further(tables.address(folder, what, number), make(number))


def _archive(facts: Facts) -> Iterator[Further]:
    for system in facts.catalogue.systems_in(facts.environment):
        for name in PERIODS:
            shelves = archives.shelves(facts, name)
            for at, shelf in enumerate(shelves):
                older = shelves[at - 1].key if at else ""
                for number in range(1, archives.numbers(facts, system.name) + 1):
                    make = partial(_shelf, system=system, name=name, shelf=shelf, number=number, older=older)
                    yield Further(archives.address(system.name, name, shelf.key, number), make, repr(shelf))


def _shelf(facts: Facts, system: System, name: str, shelf: archives.Shelf, number: int, older: str) -> bytes:
    page = Page(archives.address(system.name, name, shelf.key, number))
    known = archives.about(facts, system.name, name, shelf, number)
    rows = [
        (title, system.metrics.get(metric), [_cell(metric, now, last) for _, now, last in known["columns"]])
        for metric, title in known["metrics"]
    ]
    silent = [title for title, _, cells in rows if not any(shown for shown, _, _ in cells)]
    rows = [row for row in rows if row[0] not in silent]
    count = archives.numbers(facts, system.name)
    others = [(one, page.to(archives.address(system.name, name, shelf.key, one))) for one in range(1, count + 1) if count > 1]
    back = page.to(archives.address(system.name, name, older)) if older else ""
    about = {**known, "rows": rows, "silent": silent, "system": system, "number": number, "others": others, "older": back}
    return fragments.whole_page("archive-page.html", facts, page, about)


def _cell(metric: str, now: Frozen | None, last: Frozen | None) -> tuple[str, str, str]:
    """What a metric was in a period, how that differs from the one before, and in which direction."""
    one = now.metrics.get(metric) if now else None
    if one is None or not one.figure.count:
        return "", "", ""
    other = last.metrics.get(metric) if last else None
    said, sign = ("", "") if other is None or other.unit != one.unit else reports.compared(one.figure, other.figure, one.unit)
    return format_value(one.figure.mean, one.unit), said, sign


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
