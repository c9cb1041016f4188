"""Reports that are over: what each period came to is written down once, when it has ended, and stays as it was then.

Later limits, late results and what is removed from a journal alter no report of the past.
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
    from checks.journal import Event, Stretch
    from checks.journal.bulk import Bulk
    from checks.model import Metric, Run, Status, System

_BACK = 8
"""How many periods back are written down when nobody has done so yet."""
_MOST_BACK = 400
_MOST_RUNS = 200


class Book(Protocol):
    """Where periods are read and written down; `checks.journal.Journal` is one."""

    def bulk(self, environment: str) -> Bulk:
        """Questions about many metrics at once."""
        ...

    def daily_worst(self, environment: str, since: datetime) -> Mapping[str, Mapping[date, Status]]:
        """The worst status of each day of each system."""
        ...

    def runs(self, runbook: str | None = None, *, environment: str | None = None, limit: int = 50) -> Sequence[Run]:
        """Runs, the one that started last first."""
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
    metrics = {one.slug: one for system in systems.values() for one in system.metrics.values() if one.unit != TEXT_UNIT}
    daily = bulk.stretches(list(metrics), since, timedelta(days=1))
    worst = journal.daily_worst(environment, since)
    made = {name: _reports(catalogue, journal, environment, name) for name in systems}
    for system, name, period in wanted:
        days = Counter(status.value for day, status in worst.get(system.name, {}).items() if period.holds(day))
        begun = sum(
            one.system == system.name and one.environment in ("", environment) and period.holds(one.opened.astimezone(UTC).date())
            for one in catalogue.incidents.values()
        )
        kept = {one.name: _kept(one, daily.get(one.slug, ()), period) for one in system.metrics.values() if one.slug in metrics}
        runs = tuple((run.id, run.evidence or "") for run in made[system.name] if period.holds(run.started_at.date()))
        yield Frozen(system.name, name, period.start, days, begun, kept, runs, now)


def _kept(metric: Metric, seen: Sequence[Stretch], period: Period) -> Kept:
    days = [one for one in seen if one.unit == metric.unit and period.holds(one.at.date())]
    warning, critical = (limit.text if limit else "" for limit in (metric.warning, metric.critical))
    return Kept(metric.title, metric.unit, summed(days), warning, critical)


def _reports(catalogue: Catalogue, journal: Book, environment: str, system: str) -> list[Run]:
    books = [book for book in catalogue.runbooks_of(system) if book.kind is RunbookKind.REPORT]
    return [run for book in books for run in journal.runs(book.slug, environment=environment, limit=_MOST_RUNS)]
