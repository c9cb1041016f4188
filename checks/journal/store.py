"""The journal: every run and what it found, appended and never changed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from checks.errors import Refused
from checks.journal import _queries, _rows, leases
from checks.journal import _tables as t
from checks.journal._engine import engine_for, reading, shown, writing
from checks.journal._migrate import bring_up_to_date
from checks.journal.facts import Event, InForce, Lease, RecordedResult, Snapshot, StatusChange, Stretch
from checks.model import Result, Run, Status

_EPOCH = date(1970, 1, 1)
_MOST_AT_ONCE = 500  # names in one question; databases have a bound


class Journal:
    """The append-only store of runs, results, observations, events and slots.

    Every method opens its own transaction; a journal may be used from several threads and processes at once.
    Each may raise ServiceAway (the database does not answer), Busy (held for too long by another process),
    CannotWrite or DataError (damaged).
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._holdings = leases.Holdings(engine)

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Journal:
        """See `checks.journal.open_journal`."""
        engine = engine_for(url)
        try:
            bring_up_to_date(engine, create=create)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @property
    def where(self) -> str:
        """The journal's address, its password left out."""
        return shown(self._engine.url)

    def close(self) -> None:
        """Give the connections back; the journal cannot lose anything by it, but what still runs is soon taken for lost."""
        self._holdings.close()
        self._engine.dispose()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What is written

    def start_run(self, run: Run) -> None:
        """Note that a run has started, and hold it until its end; see `checks.journal.leases`.

        Raises:
            Refused: a run with this id was started before, or its slot has been taken from this process.

        """
        try:
            with writing(self._engine) as connection:
                connection.execute(sa.insert(t.runs), _rows.start_row(run))
                self._holdings.begin(connection, run)
        except sa.exc.IntegrityError as error:
            raise Refused("a run is started once", where=run.id, found="the journal has this run already") from error
        self._holdings.began(run)

    def finish_run(self, run: Run, results: Iterable[Result]) -> None:
        """Note a run's end with all it found, in one transaction: all of it is kept, or none.

        Args:
            run: the run in an ended state; what is known since its start is not written again.
            results: what it found, in the order of the cells.

        Raises:
            Refused: the run was never started, has an end already, or was given up as lost.
            ValueError: the run has not ended, or a result has no aware time.

        """
        found = tuple(results)
        try:
            with writing(self._engine) as connection:
                _require_open(connection, run)
                self._holdings.end(connection, run)
                self._write_end(connection, run, found)
        except Refused:
            self._holdings.forget(run.id)
            raise
        self._holdings.forget(run.id)

    def _write_end(self, connection: sa.Connection, run: Run, found: Sequence[Result]) -> None:
        if not run.state.ended or run.ended_at is None:
            raise ValueError(f"expected an ended run with the time of its end, found {run.state.value}")
        connection.execute(sa.insert(t.run_ends), _rows.end_row(run))
        self._append(connection, run, found)
        detail = {"runbook": run.runbook, "environment": run.environment, "state": run.state.value, "status": run.status.value}
        _note(connection, "run-ended", run.ended_at, run.id, run.actor, detail)

    def abandoned(self, now: datetime) -> list[Lease]:
        """The runs that nobody is at work on any more: their lease has expired, or their process on this machine is gone."""
        with reading(self._engine) as connection:
            return leases.abandoned(connection, now)

    def give_up(self, lease: Lease, lost: Run) -> bool:
        """Note the end of an abandoned run; from then on its worker is refused, and its slot may be taken once more.

        Args:
            lease: what `abandoned` gave.
            lost: the run in an ended state.

        Returns:
            Whether this call did it; not where somebody else has, or where the worker gave a sign of life meanwhile.

        """
        with writing(self._engine) as connection:
            try:
                _require_open(connection, lost)
            except Refused:
                return False
            if not leases.give_up(connection, lease, lost.ended_at or lost.started_at):
                return False
            self._write_end(connection, lost, ())
        return True

    def _append(self, connection: sa.Connection, run: Run, results: Sequence[Result]) -> None:
        if not results:
            return
        keys = self._series(connection, run.environment, results)
        rows = [_rows.result_row(run.id, keys[result.system, result.metric], result) for result in results]
        connection.execute(sa.insert(t.results), rows)
        seen = [
            {"series": keys[result.system, result.metric], "ts": o.measured_at, "value": float(o.value), "unit": o.unit}
            for result in results
            if (o := result.observation) is not None and math.isfinite(o.value)
        ]
        if seen:
            # A value that was judged twice was measured once.
            connection.execute(self._insert(t.observations).on_conflict_do_nothing(), seen)

    def _series(self, connection: sa.Connection, environment: str, results: Sequence[Result]) -> dict[tuple[str, str], int]:
        # In a fixed order, so that two writers never wait for each other in a ring.
        names = sorted({(result.system, result.metric) for result in results})
        known = self._known_series(connection, environment)
        new = [
            {"environment": environment, "system": system, "metric": metric}
            for system, metric in names
            if (system, metric) not in known
        ]
        if new:
            connection.execute(self._insert(t.series).on_conflict_do_nothing(), new)
            known = self._known_series(connection, environment)
        return known

    @staticmethod
    def _known_series(connection: sa.Connection, environment: str) -> dict[tuple[str, str], int]:
        rows = connection.execute(sa.select(t.series).where(t.series.c.environment == environment))
        return {(row.system, row.metric): row.id for row in rows}

    def _insert(self, table: sa.Table) -> Any:
        if self._engine.dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert as insert_postgresql

            return insert_postgresql(table)
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite

        return insert_sqlite(table)

    def record_event(self, kind: str, at: datetime, subject: str, actor: str, detail: Mapping[str, object]) -> None:
        """Note something that happened.

        Args:
            kind: what happened, a word of one's own such as ``step-confirmed``.
            at: when, aware.
            subject: what it happened to: a run's id or a slug.
            actor: who or what did it.
            detail: anything more that JSON can hold.

        """
        with writing(self._engine) as connection:
            _note(connection, kind, at, subject, actor, detail)

    def claim_slot(self, runbook: str, environment: str, due_at: datetime, now: datetime, owner: str) -> bool:
        """Take a slot; of all who ask for the same one a single one is told yes, and once more when that one was lost.

        The next run of the runbook in the environment that this journal starts is the slot's.

        Args:
            runbook: the runbook's slug.
            environment: where it would run.
            due_at: when it was due; with the two above, the slot's name.
            now: the time of the claim.
            owner: who asks; see `checks.journal.owner`.

        """
        token = leases.claim(self._engine, runbook, environment, due_at, now, owner)
        if token:
            self._holdings.took(environment, runbook, due_at, token)
        return bool(token)

    def lapse_slots(self, now: datetime) -> None:
        """Let slots be taken once more whose taker on this machine is gone, and had not begun their run."""
        leases.lapse_slots(self._engine, now)

    # What is read

    def snapshot(self, environment: str) -> Snapshot:
        """Everything a report needs, as of one moment."""
        with reading(self._engine) as connection:
            return Snapshot(
                latest_runs=_latest_runs(connection, environment),
                latest_results=_latest_results(connection, environment),
                since=_status_since(connection, environment),
            )

    def latest_runs(self, environment: str) -> dict[str, Run]:
        """The latest ended run of each runbook, by the runbook's slug; latest is what started last."""
        with reading(self._engine) as connection:
            return _latest_runs(connection, environment)

    def latest_results(self, environment: str) -> dict[str, RecordedResult]:
        """The latest result of each metric, by the metric's slug; latest is what was judged last, in whichever run."""
        with reading(self._engine) as connection:
            return _latest_results(connection, environment)

    def status_since(self, environment: str) -> dict[str, datetime]:
        """Since when each metric has had the status of its latest result, by the metric's slug."""
        with reading(self._engine) as connection:
            return _status_since(connection, environment)

    def last_critical(self, environment: str) -> dict[str, datetime]:
        """When each metric was last critical, by the metric's slug; one that never was is left out."""
        with reading(self._engine) as connection:
            rows = connection.execute(_queries.last_of_each_status(environment))
            return {f"{row.system}/{row.metric}": row.CRITICAL for row in rows if row.CRITICAL is not None}

    def statuses_seen(self, environment: str) -> dict[str, frozenset[Status]]:
        """Every status that each metric ever had, by the metric's slug."""
        with reading(self._engine) as connection:
            rows = connection.execute(_queries.last_of_each_status(environment))
            return {
                f"{row.system}/{row.metric}": frozenset(status for status in Status if getattr(row, status.name) is not None)
                for row in rows
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

    def stretches(self, environment: str, since: datetime, width: timedelta) -> dict[str, list[Stretch]]:
        """What was observed from `since` on, summed up in stretches of time of one width, oldest first, by the metric's slug."""
        found: dict[str, list[Stretch]] = {}
        for row in self._all(_queries.stretches(environment, since, width // timedelta(microseconds=1))):
            one = Stretch(row.at, row.low, row.mean, row.high, row.number, row.unit)
            found.setdefault(f"{row.system}/{row.metric}", []).append(one)
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
        rows = self._all(_queries.status_changes(environment, since, limit))
        return [StatusChange(_rows.to_result(row), row.status_before, row.run_id) for row in rows]

    def daily_worst(self, environment: str, since: datetime) -> dict[str, dict[date, Status]]:
        """The worst status of each day (UTC) of each system; a day on which nothing was judged is left out."""
        seen: dict[str, dict[date, Status]] = {}
        for row in self._all(_queries.days(environment, since)):
            days = seen.setdefault(row.system, {})
            day = _EPOCH + timedelta(days=int(row.day))
            days[day] = Status.worst([row.status, *([days[day]] if day in days else [])])
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
        due = sa.func.max(t.slots.c.due_at).label("due_at")
        query = sa.select(t.slots.c.runbook, due).where(t.slots.c.environment == environment).group_by(t.slots.c.runbook)
        if now is not None:
            query = query.where(sa.not_(leases.lapsed(now)))
        return {row.runbook: row.due_at for row in self._all(query)}

    def _all(self, query: sa.Select[Any] | sa.CompoundSelect[Any]) -> Sequence[sa.Row[Any]]:
        with reading(self._engine) as connection:
            return connection.execute(query).all()


def _require_open(connection: sa.Connection, run: Run) -> None:
    """Hold a run's row, so that a second writer waits and then sees the first one's end.

    Raises:
        Refused: it was never started, or has an end already.

    """
    known = sa.select(t.runs.c.id).where(t.runs.c.id == run.id).with_for_update()
    ended = sa.select(t.run_ends.c.state).where(t.run_ends.c.run_id == run.id)
    if connection.execute(known).first() is None:
        raise Refused("a run must be started before it ends", where=run.id, remedy="call start_run first")
    state = connection.execute(ended).scalar()
    if state is not None:
        raise Refused("a run ends once", where=run.id, found=f"the journal has its end already: {state.value}")


def _note(connection: sa.Connection, kind: str, at: datetime, subject: str, actor: str, detail: Mapping[str, object]) -> None:
    row = {"kind": kind, "at": at, "subject": subject, "actor": actor, "detail": dict(detail)}
    connection.execute(sa.insert(t.events), row)


def _latest_runs(connection: sa.Connection, environment: str) -> dict[str, Run]:
    return {row.runbook: _rows.to_run(row) for row in connection.execute(_queries.latest_runs(environment))}


def _latest_results(connection: sa.Connection, environment: str) -> dict[str, RecordedResult]:
    rows = connection.execute(_queries.latest_results(environment))
    return {f"{row.system}/{row.metric}": _rows.to_recorded(row) for row in rows}


def _status_since(connection: sa.Connection, environment: str) -> dict[str, datetime]:
    since: dict[str, datetime] = {}
    for row in connection.execute(_queries.last_of_each_status(environment)).all():
        if row.latest is None:
            continue  # a series whose only writer was rolled back
        others = [when for status in Status if status is not row.latest and (when := getattr(row, status.name)) is not None]
        first = connection.execute(_queries.first_with(row.id, row.latest, max(others, default=None))).scalar_one()
        since[f"{row.system}/{row.metric}"] = first
    return since
