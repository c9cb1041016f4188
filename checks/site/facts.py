"""Everything one publication shows, read from the journal once, so that its pages cannot contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from checks.catalogue.known_steps import KnownSteps
from checks.journal.duties import INCIDENT_KINDS, SIGNED, SignOff, sign_offs
from checks.journal.facts import SCHEDULER
from checks.journal.periods import FREEZING
from checks.judge import drawn_bounds
from checks.model import Cron, Incident, Limit, Metric, Result, Run, Runbook, Status, System
from checks.site.documents import Documents
from checks.site.evidence import Archive
from checks.site.history import DAYS_COMPARED, SPANS, Runs, history, upto
from checks.site.lazily import Lazily

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.journal import Event, InForce, Sign, Snapshot, StatusChange, Stretch
    from checks.journal.bulk import Bulk
    from checks.journal.facts import Counted
    from checks.journal.report import Item, SiteReport, SystemReport

DAYS_SHOWN = 30
MANY = 200
"""A system with more metrics than this is not read as a whole."""
CHANGES_SHOWN = timedelta(days=30)
_BEFORE_AN_INCIDENT = timedelta(hours=1)
_AROUND: dict[Cron, tuple[datetime | None, datetime | None]] = {}
"""When a schedule was due last and is due next, as somebody asked last."""
_MOST_EVENTS = 2_000


class Reader(Protocol):
    """What the site asks of a journal; `checks.journal.Journal` is one."""

    def snapshot(self, environment: str) -> Snapshot:
        """The latest runs and results, and since when they have been so."""
        ...

    def bulk(self, environment: str) -> Bulk:
        """Questions about many runbooks, runs or metrics at once."""
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

    def events(
        self, kind: str | None = None, subject: str | None = None, since: datetime | None = None, limit: int = 200
    ) -> Sequence[Event]:
        """What people said and did, the last recorded first."""
        ...

    def signs(self, environment: str) -> Sequence[Sign]:
        """Who does which standing task, and when it last said so."""
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
        stretches: by the name of a plotted span, what was observed of each metric in it.
        limits: the limits that judged each metric, the oldest first.
        failed: the runs that ended without being finished and are told, the one that ended last first.
        changes: the changes of status that are told, the newest first.
        counted: how many runs each runbook has, by its slug; one that never ran is left out.
        by_id: every run that a page may link to.
        daily: what was observed of each metric, summed up by day (UTC), the oldest first.
        signed: the last word that somebody gave on each item of a checklist, by its slug.
        told: the events of incidents.
        turns: the changes of status around incidents, the newest first.
        steps: the steps that runbooks declare.
        frozen: what each period that is over came to, by `checks.journal.periods.subject_of`.
        reported: the first day of the earliest of those by the name of the period, and the day before which all are written down.
        scheduler: the last sign of life of whoever runs what is due; ``None`` where nobody ever stayed to do so.
        by_system: the report of each system by its name; nothing is known of one that does not live in this environment.
        by_metric: the item of each metric by its slug.

    """

    catalogue: Catalogue
    environment: str
    now: datetime
    zone: ZoneInfo
    publication: Publication
    report: SiteReport
    latest_runs: Mapping[str, Run]
    runs: Lazily[Sequence[Run]]
    results: Lazily[Sequence[Result]]
    days: Mapping[str, Mapping[date, Status]]
    last_critical: Mapping[str, datetime]
    stretches: Mapping[str, Lazily[Sequence[Stretch]]]
    limits: Lazily[Sequence[InForce]]
    failed: Sequence[Run]
    changes: Sequence[StatusChange]
    counted: Mapping[str, Counted]
    by_id: Runs
    archive: Archive
    daily: Lazily[Sequence[Stretch]]
    signed: Mapping[str, SignOff]
    told: Sequence[Event]
    turns: Sequence[StatusChange]
    frozen: Documents
    reported: tuple[Mapping[str, date], date | None]
    scheduler: Sign | None
    steps: KnownSteps
    by_system: Mapping[str, SystemReport]
    by_metric: Mapping[str, Item]

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """The incidents of this environment: those that are open first, then the newest."""
        here = [one for one in self.catalogue.incidents.values() if one.environment in ("", self.environment)]
        return tuple(sorted(here, key=lambda one: (one.resolved is not None, -one.opened.timestamp())))

    @property
    def preview(self) -> bool:
        """Whether this is no publication, but what an author sees while writing."""
        return self.publication.number == 0

    @property
    def day(self) -> datetime:
        """When the readers' day of `now` began."""
        return self.now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)

    @property
    def utc_day(self) -> date:
        """The day of `now` by which the journal counts, in UTC."""
        return self.now.astimezone(UTC).date()

    def look_at(self, systems: Iterable[str]) -> None:
        """Read what pages about some systems show in a few questions, before they are filled one by one."""
        wanted = [self.catalogue.systems[name] for name in systems]
        # Of a system with very many, each table reads those that it shows.
        metrics = [one.slug for system in wanted if len(system.metrics) <= MANY for one in system.metrics.values()]
        books = [book.slug for system in wanted for book in self.catalogue.runbooks_of(system.name)]
        self.runs.need(books)
        self.limits.need(metrics)
        for summed in (self.daily, *self.stretches.values()):
            summed.need(metrics)
        self.by_id.need(item.run_id for system in wanted for item in self.system(system.name).items if item.run_id)

    def look_at_metrics(self, slugs: Iterable[str]) -> None:
        """Read what a table shows of some metrics: their last day, and the days of which their trend is made."""
        wanted = list(slugs)
        self.daily.need(wanted)
        self.stretches[SPANS[0].name].need(wanted)

    def passed(self, moment: datetime) -> bool:
        """Whether a moment is now, or was before."""
        return moment <= self.now

    def upto(self, step: timedelta) -> datetime:
        """The end of the step of time that now is in, as drawings move on in steps."""
        return upto(self.now, step)

    def next_due(self, runbook: str) -> datetime | None:
        """When a runbook is due next; ``None`` where it has no schedule."""
        return next_due(self.catalogue.runbooks[runbook], self.now)

    def overdue_since(self, runbook: str) -> datetime | None:
        """Since when a runbook should have run and has not; its deadline is its grace."""
        return overdue_since(self.catalogue.runbooks[runbook], self.latest_runs.get(runbook), self.now)

    def system(self, name: str) -> SystemReport:
        """The report of one system."""
        return self.by_system[name]

    def item(self, metric: str) -> Item:
        """The item of one metric (``system/metric``)."""
        return self.by_metric[metric]

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
    report = site_report(here, catalogue.runbooks.values(), snapshot, now, catalogue.lifetimes(environment))
    turns = _turns(catalogue, journal, environment, now)
    linked = {item.run_id for item in report.items if item.run_id} | {turn.run_id for turn in turns}
    bulk = journal.bulk(environment)
    past = history(catalogue, bulk, snapshot, linked, now)
    frozen = Documents(next(iter(journal.events(FREEZING, f"reports/{environment}", limit=1)), None), bulk)
    metrics_of = {system.name: system.metrics for system in here}
    elsewhere = [_elsewhere(system, environment, now) for system in catalogue.systems.values() if system not in here]
    reports = {one.system: one for one in (*report.systems, *elsewhere)}
    return Facts(
        catalogue=catalogue,
        environment=environment,
        now=now,
        zone=ZoneInfo(catalogue.settings.timezone),
        publication=publication,
        report=report,
        latest_runs=snapshot.latest_runs,
        runs=past.runs,
        results=past.results,
        days=journal.daily_worst(environment, now - timedelta(days=DAYS_COMPARED)),
        last_critical=journal.last_critical(environment),
        stretches=past.stretches,
        limits=past.limits,
        failed=past.failed,
        changes=[
            change
            for change in journal.status_changes(environment, now - CHANGES_SHOWN)
            if change.result.metric in metrics_of.get(change.result.system, ())
        ],
        counted=past.counted,
        by_id=past.by_id,
        archive=Archive(catalogue.settings.state / "evidence"),
        daily=past.daily,
        signed=sign_offs(journal.events(kind=SIGNED, limit=_MOST_EVENTS), environment),
        told=[event for kind in INCIDENT_KINDS for event in journal.events(kind=kind, limit=_MOST_EVENTS)]
        if catalogue.incidents
        else [],
        turns=turns,
        frozen=frozen,
        reported=(frozen.since, frozen.upto),
        scheduler=next((sign for sign in journal.signs(environment) if sign.role == SCHEDULER), None),
        by_system=reports,
        by_metric={item.slug: item for one in reports.values() for item in one.items if item.metric is not None},
        steps=KnownSteps(catalogue.settings.state),
    )


def _turns(catalogue: Catalogue, journal: Reader, environment: str, now: datetime) -> list[StatusChange]:
    """The changes of status of a system from shortly before its incidents until they ended."""
    spans = [
        (one.system, one.opened - _BEFORE_AN_INCIDENT, one.resolved or now)
        for one in catalogue.incidents.values()
        if one.environment in ("", environment)
    ]
    if not spans:
        return []
    return [
        change
        for change in journal.status_changes(environment, min(start for _, start, _ in spans), limit=_MOST_EVENTS)
        if change.result.metric in (known.metrics if (known := catalogue.systems.get(change.result.system)) else ())
        and any(
            system == change.result.system
            and start <= change.result.judged_at
            and (end is None or change.result.judged_at <= end)
            for system, start, end in spans
        )
    ]


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
    # Home, its system and its own page each ask it of every runbook, and the next publication nearly always between the same two.
    around = _AROUND.get(runbook.schedule)
    if around is None or not _within(moment, *around):
        last, coming = (next(firings(runbook.schedule, moment, reverse=back), None) for back in (True, False))
        around = _AROUND[runbook.schedule] = (last, coming)
    return around[0] if reverse else around[1]


def _within(moment: datetime, last: datetime | None, coming: datetime | None) -> bool:
    return (last is None or last < moment) and (coming is None or moment < coming)


def firings(cron: Cron, after: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    """Each time that a schedule is due from a moment on, in its own time zone; or back from it."""
    from cronsim import CronSim

    fired: Iterator[datetime] = iter(CronSim(cron.expression, after.astimezone(ZoneInfo(cron.timezone)), reverse=reverse))
    return fired
