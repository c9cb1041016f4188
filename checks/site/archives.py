"""Reports that are over, side by side: pages of what each period came to when it had ended, with its change from the one before.

A page holds the days of a month, the weeks of a quarter, or the months or quarters of a year; once those are over it never
changes again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from checks.journal.periods import PERIODS, Period, subject_of

if TYPE_CHECKING:
    from checks.site.facts import Facts

METRICS_ON_A_PAGE = 60


def _quarter(start: date) -> str:
    return f"{start.year}-Q{(start.month - 1) // 3 + 1}"


_FOLDERS: Mapping[str, Callable[[date], str]] = {
    "daily": lambda start: f"{start:%Y-%m}",
    "weekly": _quarter,
    "monthly": lambda start: f"{start.year}",
    "quarterly": lambda start: f"{start.year}",
}
"""Which page the period of a name that begins on a day stands on."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A page of periods: its key, as ``2026-11``, and its periods, the oldest first."""

    key: str
    periods: tuple[Period, ...]


def shelves(facts: Facts, name: str) -> list[Shelf]:
    """The pages of periods of a name, the oldest first."""
    since, upto = facts.reported
    if name not in since or upto is None:
        return []
    found: dict[str, list[Period]] = {}
    period = PERIODS[name](since[name])
    while period.end <= upto:
        found.setdefault(_FOLDERS[name](period.start), []).append(period)
        period = PERIODS[name](period.end)
    return [Shelf(key, tuple(some)) for key, some in found.items()]


def address(system: str, name: str, key: str, number: int = 1) -> str:
    """Where a page of periods lies: ``systems/shop/reports/daily-2026-11.html``."""
    return f"systems/{system}/reports/{name}-{key}{'' if number == 1 else f'-{number}'}.html"


def links(facts: Facts, system: str, name: str) -> tuple[tuple[str, str], ...]:
    """Title and address of each page of periods of a system, the newest first."""
    return tuple((shelf.key, address(system, name, shelf.key)) for shelf in reversed(shelves(facts, name)))


def before(period: Period, name: str) -> Period:
    """The period before one."""
    return PERIODS[name](period.start - timedelta(days=1))


def numbers(facts: Facts, system: str) -> int:
    """How many pages side by side all metrics of a system take."""
    return max(1, -(-len(facts.catalogue.systems[system].metrics) // METRICS_ON_A_PAGE))


def subjects(facts: Facts, system: str, name: str, shelf: Shelf) -> list[str]:
    """What a page of periods is made of: its periods, and the one before them."""
    some = [before(shelf.periods[0], name), *shelf.periods]
    return [subject_of(facts.environment, system, name, one.start) for one in some]


def about(facts: Facts, system: str, name: str, shelf: Shelf, number: int) -> dict[str, Any]:
    """What the template of a page of periods is given: columns, the newest first, and rows of metrics."""
    wanted = subjects(facts, system, name, shelf)
    facts.frozen.need(wanted)
    found = [facts.frozen.get(subject) for subject in wanted]
    columns = list(zip(shelf.periods, found[1:], found[:-1], strict=True))[::-1]
    titles: dict[str, str] = {}
    for _, frozen, _ in columns:
        titles |= {metric: kept.title for metric, kept in (frozen.metrics.items() if frozen else ()) if metric not in titles}
    known = list(titles)[(number - 1) * METRICS_ON_A_PAGE :]
    if number < numbers(facts, system):
        known = known[:METRICS_ON_A_PAGE]
    return {"columns": columns, "metrics": [(metric, titles[metric]) for metric in known], "key": shelf.key, "name": name}
