"""What the journal says about systems now: pure functions of declarations, a snapshot and `now`.

Two rules make every answer honest. What is declared and was not measured is unknown; and age only ever worsens:
a result that is older than it speaks for counts as unknown, unless it is critical, which nothing has disproved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from checks.journal.facts import EMPTY, RecordedResult, Snapshot
from checks.judge.lifetimes import Lifetimes
from checks.model import Metric, Result, Run, Runbook, RunbookKind, RunState, Status, System

CLOCK_SLACK = timedelta(minutes=5)
"""How far ahead of `now` a measurement may be before its clock is not believed."""

_BADNESS = (Status.CRITICAL, Status.UNKNOWN, Status.WARNING, Status.OK)


class ItemKind(Enum):
    """What an item speaks of."""

    METRIC = "metric"
    RUN = "run"


class Freshness(Enum):
    """Whether an item still speaks for now."""

    FRESH = "fresh"
    STALE = "stale"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a system's status is made of: a declared metric, or a runbook whose latest run proved nothing.

    Attributes:
        slug: the metric's ``system/metric``, or the runbook's ``system/name``.
        status: what it counts as now.
        recorded: what the journal holds; ``None`` where it holds nothing. Differs from `status` only by age.
        reason: why, in one sentence.
        since: since when it has had `status`; ``None`` where nothing was ever recorded.
        measured_at: when it was measured (or could not be), or when the run ended.
        stale_at: when it stops, or stopped, to speak for now; ``None`` where it never does.
        result: the latest result; ``None`` of a run, or where nothing was ever measured.
        run_id: the run to look at.
        runbook: the runbook that the run executed; else the one to follow.
        metric: the declaration; ``None`` of a run.
        run: the run that proved nothing; ``None`` of a metric.

    """

    kind: ItemKind
    system: str
    slug: str
    title: str
    status: Status
    freshness: Freshness
    reason: str
    recorded: Status | None = None
    since: datetime | None = None
    measured_at: datetime | None = None
    stale_at: datetime | None = None
    result: Result | None = None
    run_id: str | None = None
    runbook: str | None = None
    metric: Metric | None = None
    run: Run | None = None

    @property
    def label(self) -> str:
        """The status as one word for the reader: what only age has worsened is called stale."""
        return (
            Freshness.STALE.value if self.status is not self.recorded and self.freshness is Freshness.STALE else self.status.value
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What a set of items adds up to.

    Attributes:
        items: the worst first; of equals, the graver priority, then in the order of declaration.

    """

    items: tuple[Item, ...]

    @property
    def status(self) -> Status:
        """The worst of the items; of none, unknown."""
        return Status.worst(item.status for item in self.items)

    @property
    def stale(self) -> bool:
        """Whether any item no longer speaks for now."""
        return any(item.freshness is Freshness.STALE for item in self.items)

    @property
    def needs(self) -> tuple[Item, ...]:
        """What needs someone: every item that is not ok, the worst first."""
        return tuple(item for item in self.items if item.status is not Status.OK)

    @property
    def counts(self) -> Mapping[Status, int]:
        """How many items count as each status; every status is there, the worst first."""
        seen = Counter(item.status for item in self.items)
        return {status: seen[status] for status in _BADNESS}

    @property
    def ok_count(self) -> int:
        """How many items are ok now."""
        return self.counts[Status.OK]

    @property
    def total(self) -> int:
        """How many items there are."""
        return len(self.items)

    @property
    def measured_at(self) -> datetime | None:
        """How old the answer is: its oldest measurement; ``None`` where nothing was measured."""
        return min(self._measured(), default=None)

    @property
    def newest_at(self) -> datetime | None:
        """The newest measurement; ``None`` where nothing was measured."""
        return max(self._measured(), default=None)

    @property
    def stale_at(self) -> datetime | None:
        """When the answer goes stale: the first moment at which an item that is fresh now no longer is."""
        fresh = (item.stale_at for item in self.items if item.freshness is Freshness.FRESH)
        return min((moment for moment in fresh if moment is not None), default=None)

    def _measured(self) -> list[datetime]:
        return [item.measured_at for item in self.items if item.kind is ItemKind.METRIC and item.measured_at is not None]


@dataclass(frozen=True, slots=True)
class SystemReport(Report):
    """What the journal says about one system now."""

    system: str
    title: str


@dataclass(frozen=True, slots=True)
class SiteReport(Report):
    """What the journal says about all systems now.

    Attributes:
        systems: one report a system, in the order of the catalogue.
        now: the moment that the report speaks of.

    """

    systems: tuple[SystemReport, ...]
    now: datetime


def system_status(
    system: System,
    runbooks: Iterable[Runbook],
    latest_runs: Mapping[str, Run],
    latest_results: Mapping[str, RecordedResult],
    now: datetime,
    since: Mapping[str, datetime] = EMPTY.since,
    lifetimes: Lifetimes | None = None,
) -> SystemReport:
    """Say how a system is.

    Args:
        system: the declaration; only metrics that it holds count, however much the journal has of others.
        runbooks: the declared runbooks, of this system at least; those of others only say how long their results last.
        latest_runs: the latest ended run of each runbook, by the runbook's slug.
        latest_results: the latest result of each metric, by the metric's slug.
        now: aware; what age is counted from.
        since: since when each metric has had its latest result's status, by the metric's slug.
        lifetimes: how long results speak for now where all this is so; left out, as these runbooks say.

    """
    books = {runbook.slug: runbook for runbook in runbooks}
    lifetimes = lifetimes or Lifetimes(books.values())
    items: list[Item] = []
    for metric in system.metrics.values():
        recorded = latest_results.get(metric.slug)
        items.append(_never(metric) if recorded is None else _measured(metric, recorded, lifetimes, now, since.get(metric.slug)))
    for slug, runbook in books.items():
        run = latest_runs.get(slug)
        if runbook.system == system.name and run is not None and _unproven(runbook, run):
            items.append(_run_item(runbook, run))
    return SystemReport(items=_worst_first(items), system=system.name, title=system.title)


def site_status(reports: Iterable[SystemReport], now: datetime) -> SiteReport:
    """Add systems up to one answer; a site without systems is unknown."""
    systems = tuple(reports)
    return SiteReport(items=_worst_first(item for report in systems for item in report.items), systems=systems, now=now)


def site_report(
    systems: Iterable[System],
    runbooks: Iterable[Runbook],
    snapshot: Snapshot,
    now: datetime,
    lifetimes: Lifetimes | None = None,
) -> SiteReport:
    """Say how all systems are, from one snapshot of the journal; see `system_status`."""
    books = tuple(runbooks)
    lifetimes = lifetimes or Lifetimes(books)
    runs, results, since = snapshot.latest_runs, snapshot.latest_results, snapshot.since
    of: dict[str, list[Runbook]] = {}
    for book in books:
        of.setdefault(book.system, []).append(book)
    reports = (system_status(one, of.get(one.name, ()), runs, results, now, since, lifetimes) for one in systems)
    return site_status(reports, now)


def _never(metric: Metric) -> Item:
    return Item(
        ItemKind.METRIC,
        metric.system,
        metric.slug,
        metric.title,
        Status.UNKNOWN,
        Freshness.NEVER,
        "never measured",
        runbook=metric.runbook,
        metric=metric,
    )


def _measured(metric: Metric, recorded: RecordedResult, lifetimes: Lifetimes, now: datetime, since: datetime | None) -> Item:
    result = recorded.result
    measured_at = result.judged_at if result.observation is None else result.observation.measured_at
    stale_at = measured_at + lifetimes.of(metric, recorded.runbook)
    doubt = _doubt(measured_at, stale_at, now)
    status, reason, began = result.status, result.reason, since or result.judged_at
    if doubt:
        status = Status.worst((result.status, Status.UNKNOWN))
        reason = f"{reason} (stale: {doubt})" if status is result.status else f"stale, last {result.status.value}: {doubt}"
        if status is not result.status and stale_at <= now:
            began = stale_at
    return Item(
        ItemKind.METRIC,
        metric.system,
        metric.slug,
        metric.title,
        status,
        Freshness.STALE if doubt else Freshness.FRESH,
        reason,
        recorded=result.status,
        since=began,
        measured_at=measured_at,
        stale_at=stale_at,
        result=result,
        run_id=recorded.run_id or None,
        runbook=recorded.runbook or metric.runbook,
        metric=metric,
    )


def _doubt(measured_at: datetime, stale_at: datetime, now: datetime) -> str:
    """Why a measurement does not speak for now; empty where it does."""
    if measured_at > now + CLOCK_SLACK:
        return f"measured in the future, {measured_at:%Y-%m-%d %H:%M} UTC; a clock was set back"
    return f"it spoke until {stale_at:%Y-%m-%d %H:%M} UTC" if now >= stale_at else ""


def _unproven(runbook: Runbook, run: Run) -> bool:
    """Whether a runbook's latest run leaves something unsaid: it ended early, or was a check that judged nothing."""
    if run.state is RunState.FINISHED:
        return runbook.kind is RunbookKind.CHECK and run.status is Status.UNKNOWN and bool(run.reason)
    return run.state.ended


def _run_item(runbook: Runbook, run: Run) -> Item:
    return Item(
        ItemKind.RUN,
        runbook.system,
        runbook.slug,
        runbook.title,
        Status.UNKNOWN,
        Freshness.FRESH,
        f"the latest run {_ENDS.get(run.state, 'proved nothing')}" + (f": {run.reason}" if run.reason else ""),
        recorded=Status.UNKNOWN,
        since=run.ended_at or run.started_at,
        measured_at=run.ended_at,
        run_id=run.id,
        runbook=runbook.slug,
        run=run,
    )


_ENDS = {
    RunState.FAILED: "failed",
    RunState.TIMED_OUT: "ran out of time",
    RunState.CANCELLED: "was cancelled",
    RunState.LOST: "was lost",
}


def _worst_first(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(sorted(items, key=lambda item: (_BADNESS.index(item.status), (item.metric and item.metric.priority) or "~")))
