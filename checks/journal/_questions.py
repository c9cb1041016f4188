"""What is asked of a journal; each question costs the same however long the history is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from checks.journal import _queries, _rows, leases
from checks.journal import _tables as t
from checks.journal._derived import DAY
from checks.journal._engine import asked, reading
from checks.journal.facts import Event, InForce, RecordedResult, Sign, Snapshot, StatusChange, Stretch, Tally
from checks.model import Result, Run, Status

_EPOCH = date(1970, 1, 1)
_MOST_AT_ONCE = 500  # names in one question; databases have a bound


class Questions:
    """The half of a journal that only reads."""

    _engine: sa.Engine
    _recorded: _rows.Recorded

    def snapshot(self, environment: str) -> Snapshot:
        """Everything a report needs, as of one moment."""
        with reading(self._engine) as connection:
            rows = connection.execute(_queries.latest_results(), {"environment": environment}).all()
            runs = _latest_runs(connection, environment)
        found = self._recorded.by_metric(environment, rows)
        return Snapshot(runs, found, {slug: since for slug, (*_, since) in zip(found, rows, strict=True)})

    def last_written(self) -> tuple[object, ...]:
        """What tells in four looks whether anything was written since: runs, their ends, what was measured, what people said."""
        with reading(self._engine) as connection:
            return tuple(connection.execute(_queries.last_written()).one())

    def latest_runs(self, environment: str) -> dict[str, Run]:
        """The latest ended run of each runbook, by the runbook's slug; latest is what started last."""
        with reading(self._engine) as connection:
            return _latest_runs(connection, environment)

    def latest_results(self, environment: str) -> dict[str, RecordedResult]:
        """The latest result of each metric, by the metric's slug; latest is what was judged last, in whichever run."""
        return self._recorded.by_metric(environment, self._all(_queries.latest_results(), {"environment": environment}))

    def status_since(self, environment: str) -> dict[str, datetime]:
        """Since when each metric has had the status of its latest result, by the metric's slug."""
        return {f"{system}/{metric}": since for system, metric, since in self._latest(environment, "since")}

    def last_critical(self, environment: str) -> dict[str, datetime]:
        """When each metric was last critical, by the metric's slug; one that never was is left out."""
        rows = self._latest(environment, "last_critical")
        return {f"{system}/{metric}": at for system, metric, at in rows if at is not None}

    def last_seen(self, environment: str) -> dict[str, datetime]:
        """When each metric was last measured, or could not be, by the metric's slug."""
        return {f"{system}/{metric}": seen_at for system, metric, seen_at in self._latest(environment, "seen_at")}

    def statuses_seen(self, environment: str) -> dict[str, frozenset[Status]]:
        """Every status that each metric ever had, by the metric's slug."""
        rows = self._latest(environment, *(f"last_{status.value}" for status in Status))
        return {
            f"{system}/{metric}": frozenset(status for status, at in zip(Status, last, strict=True) if at is not None)
            for system, metric, *last in rows
        }

    def ever_measured(self, environment: str) -> frozenset[str]:
        """The slugs of the metrics of which there ever was a value."""
        return frozenset(f"{row.system}/{row.metric}" for row in self._all(_queries.with_a_value(environment)))

    def runs(
        self, runbook: str | None = None, system: str | None = None, environment: str | None = None, limit: int = 50
    ) -> list[Run]:
        """Runs, the one that started last first; a run without an end is given as running."""
        query = _queries.runs_with_ends().order_by(t.runs.c.started_at.desc(), t.runs.c.id.desc()).limit(limit)
        for column, wanted in ((t.runs.c.runbook, runbook), (t.runs.c.system, system), (t.runs.c.environment, environment)):
            if wanted is not None:
                query = query.where(column == wanted)
        return [_rows.to_run(row) for row in self._all(query)]

    def run(self, id: str) -> Run | None:  # noqa: A002  the word everywhere else, too
        """The run with an id, or ``None``."""
        rows = self._all(_queries.runs_with_ends().where(t.runs.c.id == id))
        return _rows.to_run(rows[0]) if rows else None

    def results(self, run_id: str) -> list[Result]:
        """What a run found, in the order in which it was judged."""
        return [_rows.to_result(row) for row in self._all(_queries.results_of(run_id))]

    def results_of(self, run_ids: Iterable[str]) -> dict[str, list[Result]]:
        """What several runs found, by the run's id; one that found nothing is left out."""
        wanted, found = list(run_ids), dict[str, list[Result]]()
        for first in range(0, len(wanted), _MOST_AT_ONCE):
            for row in self._all(_queries.results_of(*wanted[first : first + _MOST_AT_ONCE])):
                found.setdefault(row.run_id, []).append(_rows.to_result(row))
        return found

    def newest(self, environment: str) -> dict[str, datetime]:
        """When each metric was last measured, by the metric's slug; one that never was is left out."""
        rows = self._all(_queries.newest(environment))
        return {f"{row.system}/{row.metric}": row.ts for row in rows if row.ts is not None}

    def observations(
        self, slug: str, environment: str, since: datetime, *, unit: str | None = None, limit: int | None = None
    ) -> list[tuple[datetime, float]]:
        """The values measured of a metric from `since` on, oldest first, in the unit of the newest one.

        A value in another unit (from before the metric's unit was changed) is left out: it is no point of the same line.

        Args:
            slug: the metric's slug.
            environment: where it was measured.
            since: the earliest time, aware.
            unit: give values in this unit only, whatever the newest one is in.
            limit: give the newest so many only.

        """
        system, _, metric = slug.partition("/")
        rows = self._all(_queries.observations(environment, system, metric, since, limit))[::-1]
        wanted = unit if unit is not None or not rows else rows[-1].unit
        return [(row.ts, row.value) for row in rows if row.unit == wanted]

    def stretches(
        self, environment: str, since: datetime, width: timedelta, *, slug: str | None = None
    ) -> dict[str, list[Stretch]]:
        """What was observed, summed up in stretches of time of one width, oldest first, by the metric's slug.

        Stretches begin at multiples of their width since 1970, in UTC; those that began before `since` are left out.

        Args:
            environment: where it was observed.
            since: the earliest beginning, aware.
            width: a multiple of ten minutes.
            slug: only this metric.

        """
        if slug is None:
            rows = self._all(_queries.stretches(environment, since, width))
        else:
            system, _, metric = slug.partition("/")
            given = {"environment": environment, "system": system, "metric": metric, "since": since}
            rows = self._all(_queries.stretches_of_one(width), given)
        return _rows.to_stretches(rows)

    def tally(self, slug: str, environment: str, since: datetime) -> Tally:
        """How many judgements of a metric ended in which status, from the day of `since` (UTC) on."""
        system, _, metric = slug.partition("/")
        given = {"environment": environment, "system": system, "metric": metric, "since": _day(since)}
        (row,) = self._all(_queries.tally(), given)
        return Tally(*(int(number) for number in row))

    def tallies(self, environment: str, since: datetime) -> dict[str, dict[date, Tally]]:
        """The same for each metric and day."""
        found: dict[str, dict[date, Tally]] = {}
        for row in self._all(_queries.days(environment, _day(since))):
            days = found.setdefault(f"{row.system}/{row.metric}", {})
            days[_EPOCH + timedelta(days=row.day)] = Tally(row.ok, row.warning, row.critical, row.unknown)
        return found

    def limits_in_force(self, environment: str) -> dict[str, list[InForce]]:
        """Which limits judged each metric, and from when to when, oldest first, by the metric's slug."""
        found: dict[str, list[InForce]] = {}
        for row in self._all(_queries.limit_changes(environment)):
            known = found.setdefault(f"{row.system}/{row.metric}", [])
            if known:
                known[-1] = replace(known[-1], until=row.judged_at)
            known.append(InForce(row.judged_at, None, row.warning, row.critical))
        return found

    def status_changes(self, environment: str, since: datetime, limit: int = 200) -> list[StatusChange]:
        """Results since a moment whose status is not that of their metric's result before, newest first."""
        given = {"environment": environment, "since": since, "limit": limit}
        rows = self._all(_queries.status_changes(), given)
        return [StatusChange(_rows.to_result(row), row.status_before, row.run_id or "") for row in rows]

    def daily_worst(self, environment: str, since: datetime) -> dict[str, dict[date, Status]]:
        """The worst status of each day (UTC) of each system, from the day of `since` on; a silent day is left out."""
        seen: dict[str, dict[date, Status]] = {}
        given = {"environment": environment, "since": _day(since)}
        with reading(self._engine) as connection:
            for row in connection.execute(_queries.days_of_systems(), given):
                system, day, *most = row
                seen.setdefault(system, {})[_EPOCH + timedelta(days=day)] = _worst(*map(bool, most))
            for row in connection.execute(_queries.unfinished_days(), given):
                days, day = seen.setdefault(row.system, {}), _EPOCH + timedelta(days=row.day)
                days[day] = Status.worst([Status.UNKNOWN, *([days[day]] if day in days else [])])
        return seen

    def events(
        self, kind: str | None = None, subject: str | None = None, since: datetime | None = None, limit: int = 200
    ) -> list[Event]:
        """Events, the last recorded first."""
        query = sa.select(t.events).order_by(t.events.c.id.desc()).limit(limit)
        for condition in (
            None if kind is None else t.events.c.kind == kind,
            None if subject is None else t.events.c.subject == subject,
            None if since is None else t.events.c.at >= since,
        ):
            if condition is not None:
                query = query.where(condition)
        return [_rows.to_event(row) for row in self._all(query)]

    def last_slots(self, environment: str, now: datetime | None = None) -> dict[str, datetime]:
        """The latest slot that was claimed of each runbook, by the runbook's slug.

        Args:
            environment: where.
            now: leaves out what may be claimed once more at this time.

        """
        rows = self._all(_queries.last_slots(environment, None if now is None else sa.not_(leases.lapsed(now))))
        return {row.runbook: row.due_at for row in rows if row.due_at is not None}

    def signs(self, environment: str | None = None) -> list[Sign]:
        """Who does which standing task, and when it last said so."""
        query = sa.select(t.signs).order_by(t.signs.c.environment, t.signs.c.role)
        rows = self._all(query if environment is None else query.where(t.signs.c.environment == environment))
        return [Sign(row.environment, row.role, row.owner, row.since, row.at, row.until) for row in rows]

    def _latest(self, environment: str, *names: str) -> Sequence[Any]:
        return self._all(_queries.latest(*names), {"environment": environment})

    def _all(
        self, query: sa.Select[Any] | sa.CompoundSelect[Any], given: Mapping[str, object] | None = None
    ) -> Sequence[sa.Row[Any]]:
        return asked(self._engine, query, given)


def _latest_runs(connection: sa.Connection, environment: str) -> dict[str, Run]:
    return {row.runbook: _rows.to_run(row) for row in connection.execute(_queries.latest_runs(), {"environment": environment})}


@cache
def _worst(*any_of: bool) -> Status:
    """The worst status of those of which there were any, each told by its place."""
    return Status.worst(status for status, any_ in zip(Status, any_of, strict=True) if any_)


def _day(moment: datetime) -> int:
    return t.to_micros(moment) // DAY
