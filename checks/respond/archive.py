"""Reports that are over: what each period came to is written down once, when it has ended, and stays as it was then.

Later limits, late results and what is removed from a journal alter no report of the past. Where nobody published for a while it
is written down late, out of what the journal holds of that time: figures, units and limits as they were then, also of metrics
that are no longer declared. That is what would have been written down in time, and what reached the journal too late for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Protocol

from checks.journal.periods import (
    FREEZING,
    FROZEN,
    PERIODS,
    Frozen,
    Kept,
    Period,
    detail_of,
    periods,
    subject_of,
    summed,
)
from checks.judge import TEXT_UNIT
from checks.model import RunbookKind

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.journal import Event, InForce, RecordedResult, Stretch
    from checks.journal.bulk import Bulk
    from checks.journal.facts import RunMark
    from checks.model import Status, System

_BACK = 8
"""How many periods back are written down when nobody has done so yet."""
_MOST_BACK = 400


class Book(Protocol):
    """Where periods are read and written down; `checks.journal.Journal` is one."""

    def bulk(self, environment: str) -> Bulk:
        """Questions about many metrics at once."""
        ...

    def latest_results(self, environment: str) -> Mapping[str, RecordedResult]:
        """The latest result of each metric."""
        ...

    def daily_worst(self, environment: str, since: datetime) -> Mapping[str, Mapping[date, Status]]:
        """The worst status of each day of each system."""
        ...

    def events(
        self, kind: str | None = None, subject: str | None = None, since: datetime | None = None, limit: int = 200
    ) -> Sequence[Event]:
        """Events, the last recorded first."""
        ...

    def record_event(self, kind: str, at: datetime, subject: str, actor: str, detail: Mapping[str, object]) -> None:
        """Note something that happened."""
        ...


def freeze(catalogue: Catalogue, journal: Book, environment: str, now: datetime) -> int:
    """Write down each period that has ended and is not written down yet.

    Args:
        catalogue: what is reported on.
        journal: where it is read from, and where it is written.
        environment: the one whose results count.
        now: aware.

    Returns:
        how many periods were written down.

    """
    today = now.astimezone(UTC).date()
    told = next(iter(journal.events(FREEZING, f"reports/{environment}", limit=1)), None)
    upto = today if periods("daily", today, 2)[1].over(now) else today - timedelta(days=1)
    before = date.fromisoformat(str(told.detail["upto"])) if told is not None else None
    if before is not None and before >= upto:
        return 0
    wanted = [
        (system, name, period)
        for system in catalogue.systems_in(environment)
        for name in PERIODS
        for period in _ended(name, today, before, now)
    ]
    bulk = journal.bulk(environment)
    # Another machine may have begun to write the same; what is written first counts.
    known = bulk.noted(FROZEN, [subject_of(environment, system.name, name, period.start) for system, name, period in wanted])
    missing = [one for one in wanted if subject_of(environment, one[0].name, one[1], one[2].start) not in known]
    for frozen in _frozen(catalogue, journal, bulk, environment, missing, now):
        subject = subject_of(environment, frozen.system, frozen.period, frozen.start)
        journal.record_event(FROZEN, now, subject, "proofbook", detail_of(frozen))
    begun = {name: [period.start for _, one, period in wanted if one == name] for name in PERIODS}
    first = told.detail["since"] if told else {name: min(some, default=today).isoformat() for name, some in begun.items()}
    detail = {"upto": upto.isoformat(), "since": first, "count": len(missing)}
    journal.record_event(FREEZING, now, f"reports/{environment}", "proofbook", detail)
    return len(missing)


def _ended(name: str, today: date, before: date | None, now: datetime) -> Iterator[Period]:
    """The periods of a name that have ended since a day; of those that ended before anything was written down, the latest."""
    for back, period in enumerate(periods(name, today, _MOST_BACK)[1:]):
        if back >= _BACK if before is None else period.end <= before:
            return
        if period.over(now):
            yield period


def _frozen(
    catalogue: Catalogue,
    journal: Book,
    bulk: Bulk,
    environment: str,
    wanted: Sequence[tuple[System, str, Period]],
    now: datetime,
) -> Iterator[Frozen]:
    if not wanted:
        return
    since = datetime.combine(min(period.start for _, _, period in wanted), time(), UTC)
    systems = {system.name: system for system, _, _ in wanted}
    known = _Known(journal, bulk, environment, systems, since)
    worst = journal.daily_worst(environment, since)
    books = {book.slug: name for name in systems for book in catalogue.runbooks_of(name) if book.kind is RunbookKind.REPORT}
    made: dict[str, list[RunMark]] = {name: [] for name in systems}
    for slug, marks in bulk.run_marks(dict.fromkeys(books, (since, ""))).items():
        made[books[slug]] += reversed(marks)
    for system, name, period in wanted:
        days = Counter(status.value for day, status in worst.get(system.name, {}).items() if period.holds(day))
        begun = sum(
            one.system == system.name and one.environment in ("", environment) and period.holds(one.opened.astimezone(UTC).date())
            for one in catalogue.incidents.values()
        )
        kept = {one: found for one in known.metrics[system.name] if (found := known.kept(system.name, one, period))}
        runs = tuple((run.id, run.evidence) for run in made[system.name] if period.holds(run.started_at.date()))
        yield Frozen(system.name, name, period.start, days, begun, kept, runs, now)


class _Known:
    """What the journal holds of metrics since a moment, whatever is declared of them now.

    Attributes:
        metrics: by system, the names of those that are declared, in their order, and then of those that were.

    """

    def __init__(self, journal: Book, bulk: Bulk, environment: str, systems: Mapping[str, System], since: datetime) -> None:
        self._systems = systems
        declared = {one.slug for system in systems.values() for one in system.metrics.values()}
        seen = (slug for slug in bulk.seen(since) if slug.partition("/")[0] in systems)
        slugs = sorted(declared.union(seen))
        self._daily = bulk.stretches(slugs, since, timedelta(days=1))
        self._limits = bulk.limits_in_force(slugs)
        gone = [slug for slug in self._daily if slug not in declared]
        latest = journal.latest_results(environment) if gone else {}
        self._titles = {slug: latest[slug].result.title for slug in gone if slug in latest}
        self.metrics = {
            name: [*system.metrics, *(slug.partition("/")[2] for slug in gone if slug.startswith(f"{name}/"))]
            for name, system in systems.items()
        }

    def kept(self, system: str, name: str, period: Period) -> Kept | None:
        """A metric in a period; ``None`` where it has no figures, or is not declared any more and had none then."""
        declared, slug = self._systems[system].metrics.get(name), f"{system}/{name}"
        days: Sequence[Stretch] = [one for one in self._daily.get(slug, ()) if period.holds(one.at.date())]
        if not days and (declared is None or declared.unit == TEXT_UNIT):
            return None
        # Where a unit was changed within the period, the later one counts.
        unit = days[-1].unit if days else declared.unit if declared else ""
        warning, critical = self._judged_by(slug, period)
        title = declared.title if declared else self._titles.get(slug, name)
        return Kept(title, unit, summed([one for one in days if one.unit == unit]), warning, critical)

    def _judged_by(self, slug: str, period: Period) -> tuple[str, str]:
        """The limits by which a metric was judged last before a period was over."""
        end = datetime.combine(period.end, time(), UTC)
        then: InForce | None = None
        for force in self._limits.get(slug, ()):
            then = force if force.since < end else then
        return (then.warning or "", then.critical or "") if then else ("", "")
