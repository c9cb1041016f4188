"""Everything one publication shows, read from the journal once, so that its pages cannot contradict each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from checks.judge import drawn_bounds
from checks.model import Limit, Metric, Result, Run, Runbook, Status, System
from checks.site.evidence import Archive
from checks.site.plotting import SPANS

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.journal import InForce, Snapshot, StatusChange, Stretch
    from checks.journal.report import Item, SiteReport, SystemReport

RUNS_SHOWN = 20
DAYS_SHOWN = 30
SPARK_SPAN = timedelta(hours=24)
CHANGES_SHOWN = timedelta(days=30)


class Reader(Protocol):
    """What the site asks of a journal; `checks.journal.Journal` is one."""

    def snapshot(self, environment: str) -> Snapshot:
        """The latest runs and results, and since when they have been so."""
        ...

    def runs(
        self, runbook: str | None = None, system: str | None = None, environment: str | None = None, limit: int = 50
    ) -> Sequence[Run]:
        """Runs, the newest first."""
        ...

    def run(self, id: str) -> Run | None:  # noqa: A002 - the journal's word
        """One run."""
        ...

    def results(self, run_id: str) -> Sequence[Result]:
        """What a run found."""
        ...

    def observations(self, slug: str, environment: str, since: datetime) -> Sequence[tuple[datetime, float]]:
        """Measured values of a metric, the oldest first."""
        ...

    def stretches(self, environment: str, since: datetime, width: timedelta) -> Mapping[str, Sequence[Stretch]]:
        """What was observed of each metric, summed up in stretches of time."""
        ...

    def limits_in_force(self, environment: str) -> Mapping[str, Sequence[InForce]]:
        """Which limits judged each metric, the oldest first."""
        ...

    def status_changes(self, environment: str, since: datetime, limit: int = 200) -> Sequence[StatusChange]:
        """Results whose status is not that of the one before, the newest first."""
        ...

    def daily_worst(self, environment: str, since: datetime) -> Mapping[str, Mapping[date, Status]]:
        """The worst status of each day of each system."""
        ...

    def last_critical(self, environment: str) -> Mapping[str, datetime]:
        """When each metric was last critical."""
        ...


@dataclass(frozen=True, slots=True)
class Publication:
    """Which build of the site this is; number 0 is a preview."""

    number: int = 0
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the journal said at `now`, and the catalogue that gives it meaning.

    Attributes:
        runs: the latest runs of each runbook, by its slug, the newest first.
        results: the results of the latest ended run of each runbook, by its slug.
        observations: the last day of each metric, by its slug.
        stretches: by the name of a plotted span, what was observed of each metric in it.
        limits: the limits that judged each metric, the oldest first.
        changes: the changes of status that are told, the newest first.
        by_id: every run that a page may link to.
        elsewhere: the systems that do not live in this environment; nothing is known of them here, and they are not counted.

    """

    catalogue: Catalogue
    environment: str
    now: datetime
    zone: ZoneInfo
    publication: Publication
    report: SiteReport
    latest_runs: Mapping[str, Run]
    runs: Mapping[str, Sequence[Run]]
    results: Mapping[str, Sequence[Result]]
    observations: Mapping[str, Sequence[tuple[datetime, float]]]
    days: Mapping[str, Mapping[date, Status]]
    last_critical: Mapping[str, datetime]
    stretches: Mapping[str, Mapping[str, Sequence[Stretch]]]
    limits: Mapping[str, Sequence[InForce]]
    changes: Sequence[StatusChange]
    by_id: Mapping[str, Run]
    archive: Archive
    elsewhere: Mapping[str, SystemReport]

    def system(self, name: str) -> SystemReport:
        """The report of one system."""
        return self.elsewhere.get(name) or next(report for report in self.report.systems if report.system == name)

    def item(self, metric: str) -> Item:
        """The item of one metric (``system/metric``)."""
        system = self.system(metric.partition("/")[0])
        return next(item for item in system.items if item.metric is not None and item.slug == metric)

    def evidence_of(self, run_id: str | None) -> str | None:
        """The digest of a run's evidence, where it is there to be shown."""
        run = self.by_id.get(run_id or "")
        return run.evidence if run is not None and run.evidence and self.archive.holds(run.evidence) else None


def gather(
    catalogue: Catalogue, journal: Reader, environment: str, now: datetime, publication: Publication = Publication()
) -> Facts:
    """Read what a publication shows.

    Args:
        catalogue: what is declared; what the journal has of anything else is left out.
        journal: where it is read from.
        environment: the one whose runs count.
        now: aware; what age is counted from.
        publication: the number to show.

    """
    from checks.journal.report import site_report

    snapshot = journal.snapshot(environment)
    here = catalogue.systems_in(environment)
    report = site_report(here, catalogue.runbooks.values(), snapshot, now)
    runs = {slug: journal.runs(runbook=slug, environment=environment, limit=RUNS_SHOWN) for slug in catalogue.runbooks}
    by_id = {run.id: run for some in runs.values() for run in some}
    by_id |= {run.id: run for run in snapshot.latest_runs.values()}
    for run_id in {item.run_id for item in report.items if item.run_id} - by_id.keys():
        older = journal.run(run_id)
        if older is not None:
            by_id[run_id] = older
    metrics_of = {system.name: system.metrics for system in here}
    metrics = [metric.slug for system in here for metric in system.metrics.values()]
    return Facts(
        catalogue=catalogue,
        environment=environment,
        now=now,
        zone=ZoneInfo(catalogue.settings.timezone),
        publication=publication,
        report=report,
        latest_runs=snapshot.latest_runs,
        runs=runs,
        results={slug: journal.results(run.id) for slug, run in snapshot.latest_runs.items() if slug in catalogue.runbooks},
        observations={slug: journal.observations(slug, environment, now - SPARK_SPAN) for slug in metrics},
        days=journal.daily_worst(environment, now - timedelta(days=DAYS_SHOWN)),
        last_critical=journal.last_critical(environment),
        stretches={span.name: journal.stretches(environment, now - span.length, span.width) for span in SPANS},
        limits=journal.limits_in_force(environment),
        changes=[
            change
            for change in journal.status_changes(environment, now - CHANGES_SHOWN)
            if change.result.metric in metrics_of.get(change.result.system, ())
        ],
        by_id=by_id,
        archive=Archive(catalogue.settings.state / "evidence"),
        elsewhere={
            system.name: _elsewhere(system, environment, now) for system in catalogue.systems.values() if system not in here
        },
    )


def _elsewhere(system: System, environment: str, now: datetime) -> SystemReport:
    from checks.journal.report import system_status

    report = system_status(system, (), {}, {}, now)
    said = f"{system.title} does not live in {environment}"
    return replace(report, items=tuple(replace(item, reason=said) for item in report.items))


def next_due(runbook: Runbook, after: datetime) -> datetime | None:
    """When a runbook is due next; ``None`` where it has no schedule."""
    return _fires(runbook, after, reverse=False)


def overdue_since(runbook: Runbook, last: Run | None, now: datetime) -> datetime | None:
    """Since when a runbook should have run and has not; its deadline is its grace."""
    due = _fires(runbook, now - runbook.deadline, reverse=True)
    return due if due is not None and (last is None or last.started_at < due) else None


def bound(limit: Limit | None, metric: Metric) -> tuple[float, ...]:
    """The bounds of a limit on the scale of the metric's values; none where they are of something else, such as a baseline."""
    return () if limit is None else drawn_bounds(limit, metric.unit)


def _fires(runbook: Runbook, moment: datetime, *, reverse: bool) -> datetime | None:
    if runbook.schedule is None:
        return None
    from cronsim import CronSim

    local = moment.astimezone(ZoneInfo(runbook.schedule.timezone))
    found: datetime | None = next(CronSim(runbook.schedule.expression, local, reverse=reverse), None)
    return found
