"""Long tables: a page shows what is wrong first, up to a bound; all of it stands on pages of its own, a hundred rows each.

So no page grows with the size of a house, and nothing is left out: every row is a few plain links away, without any script.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from checks.site import incidents as told
from checks.site import views

if TYPE_CHECKING:
    from checks.journal.report import SystemReport
    from checks.model import Metric, Runbook, System
    from checks.site.facts import Facts
    from checks.site.incidents import IncidentRow
    from checks.site.views import MetricRow, RunbookRow, SystemRow

IN_A_TABLE = 80
"""The most rows of a table that stands on a page beside other things."""
ON_A_PAGE = 100
"""How many rows a page has that holds nothing else."""

_LABELS = ("critical", "unknown", "stale", "warning", "never", "ok")

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Table(Generic[R]):
    """Rows of a table, as a page shows them.

    Attributes:
        rows: those that are shown.
        total: how many there are.
        all_at: the address of the page where all of them begin; empty where all are shown.

    """

    rows: Sequence[R]
    total: int
    all_at: str = ""


@dataclass(frozen=True, slots=True)
class Groups:
    """A table of metrics by group; of a long one the first group is what is not well.

    Attributes:
        groups: rows by the group's name.
        shown: how many rows that is; `total`: how many there are.
        all_at: the address of the page where all of them begin; empty where all are shown.

    """

    groups: dict[str, list[MetricRow]]
    shown: int
    total: int
    all_at: str = ""


def address(folder: str, kind: str, number: int) -> str:
    """Where a page of all of something lies: ``systems/shop/all/metrics-2.html``."""
    return f"{folder}all/{kind}-{number}.html"


def folder_of(system: str) -> str:
    """The folder of a system's pages."""
    return f"systems/{system}/"


def pages(total: int) -> int:
    """How many pages all of something take; 0 where a table shows them."""
    return -(-total // ON_A_PAGE) if total > IN_A_TABLE else 0


def metrics(facts: Facts, system: System, only: str = "") -> Groups:
    """A system's metrics, or those of one group, as the plan groups them; of very many, what is not well and then the first."""
    declared = list(system.metrics.values())
    wanted = [metric for metric in declared if not only or metric.group == only]
    if len(wanted) <= IN_A_TABLE:
        return Groups(grouped(facts, wanted), len(wanted), len(wanted))
    first = declared.index(wanted[0]) // ON_A_PAGE + 1
    among = {metric.name for metric in wanted}
    items = facts.system(system.name).items
    bad = [item.metric for item in items if item.metric and item.metric.name in among and item.label != "ok"]
    worst, known = bad[:IN_A_TABLE], {metric.name for metric in bad}
    others = [metric for metric in wanted if metric.name not in known][: IN_A_TABLE - len(worst)]
    facts.look_at_metrics([metric.slug for metric in (*worst, *others)])
    groups = {f"Not well: {len(bad):,} of {len(wanted):,}": [views.metric_row(facts, one) for one in worst]} if worst else {}
    groups |= grouped(facts, others)
    return Groups(groups, len(worst) + len(others), len(wanted), address(folder_of(system.name), "metrics", first))


def grouped(facts: Facts, some: Sequence[Metric]) -> dict[str, list[MetricRow]]:
    """Rows of metrics by their groups, in the order of the plan."""
    groups: dict[str, list[MetricRow]] = {}
    facts.look_at_metrics([metric.slug for metric in some])
    for metric in some:
        groups.setdefault(metric.group, []).append(views.metric_row(facts, metric))
    return groups


def runbooks(facts: Facts, system: str) -> Table[RunbookRow]:
    """A system's runbooks; of very many, those that did not end well."""
    declared = facts.catalogue.runbooks_of(system)
    return _bounded(declared, lambda one: views.runbook_row(facts, one), address(folder_of(system), "runbooks", 1))


def systems(facts: Facts) -> Table[SystemRow]:
    """The systems, the worst first."""
    worst_first = by_badness(facts.report.systems)
    shown = [views.system_row(facts, report) for report in worst_first[:IN_A_TABLE]]
    return Table(shown, len(worst_first), address("", "systems", 1) if len(worst_first) > IN_A_TABLE else "")


def incidents(facts: Facts, system: str = "") -> Table[IncidentRow]:
    """The incidents of a system, or of all: those that are open first, then the newest."""
    found = [one for one in facts.incidents if not system or one.system == system]
    shown = [told.row(facts, one) for one in found[:IN_A_TABLE]]
    return Table(shown, len(found), address("incidents/", "incidents", 1) if len(found) > IN_A_TABLE else "")


def by_badness(reports: Sequence[SystemReport]) -> list[SystemReport]:
    """Reports of systems, the worst first."""
    return sorted(reports, key=lambda report: views.BADNESS.index(report.status))


def _bounded(some: Sequence[Runbook], row: Callable[[Runbook], RunbookRow], all_at: str) -> Table[RunbookRow]:
    rows = [row(one) for one in some]
    if len(rows) <= IN_A_TABLE:
        return Table(rows, len(rows))
    worst_first = sorted(rows, key=lambda one: _LABELS.index(one.badge.label))
    return Table(worst_first[:IN_A_TABLE], len(rows), all_at)
