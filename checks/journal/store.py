"""The journal: every run and what it found, appended and never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from checks.errors import Refused
from checks.journal import _derived, _put, _rows, _seals, leases
from checks.journal import _tables as t
from checks.journal._derived import Seen
from checks.journal._engine import engine_for, reading, shown, writing
from checks.journal._migrate import bring_up_to_date
from checks.journal._questions import Questions
from checks.journal._rebuild import rebuild
from checks.journal._walk import Judged
from checks.journal.bulk import Bulk
from checks.journal.facts import Lease, Sample
from checks.model import Result, Run

if TYPE_CHECKING:
    from checks.journal.archive import Backup
    from checks.journal.prune import Pruned
    from checks.journal.verify import Evidence, Noted, Verified


class Journal(Questions):
    """The append-only store of runs, results, observations, events and slots.

    Every method opens its own transaction; a journal may be used from several threads and processes at once.
    Each may raise ServiceAway (the database does not answer), Busy (held for too long by another process),
    CannotWrite or DataError (damaged).
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._holdings = leases.Holdings(engine)
        self._names: dict[str, dict[tuple[str, str], int]] = {}
        self._recorded = _rows.Recorded()

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
                started = _require_open(connection, run)
                self._holdings.end(connection, run)
                self._write_end(connection, run, started, found)
        except Refused:
            self._holdings.forget(run.id)
            raise
        self._holdings.forget(run.id)

    def _write_end(self, connection: sa.Connection, run: Run, started: sa.Row[Any], found: Sequence[Result]) -> None:
        if not run.state.ended or run.ended_at is None:
            raise ValueError(f"expected an ended run with the time of its end, found {run.state.value}")
        end = _rows.end_row(run)
        connection.execute(_END, end)
        keys = self._series(connection, run.environment, found)
        sealed = self._append(connection, run.environment, keys, run, found)
        _derived.note_unfinished(connection, run)
        detail = {"runbook": run.runbook, "environment": run.environment, "state": run.state.value, "status": run.status.value}
        detail["seal"] = _seals.of_run(started, SimpleNamespace(**end), sealed)
        _note(connection, "run-ended", run.ended_at, run.id, run.actor, detail)

    def abandoned(self, now: datetime) -> list[Lease]:
        """The runs that nobody is at work on any more: their lease has expired, or their process on this machine is gone."""
        with reading(self._engine) as connection:
            return leases.abandoned(connection, now)

    def under_way(self, runbook: str, environment: str) -> list[Run]:
        """The runs of a runbook that somebody is at work on, or was until a moment ago (see `abandoned`); the oldest first."""
        with reading(self._engine) as connection:
            return leases.under_way(connection, runbook, environment)

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
                started = _require_open(connection, lost)
            except Refused:
                return False
            if not leases.give_up(connection, lease, lost.ended_at or lost.started_at):
                return False
            self._write_end(connection, lost, started, ())
        return True

    def record_samples(self, environment: str, samples: Iterable[Sample]) -> None:
        """Note what was measured and judged between runs, in one transaction.

        Every value is kept, and so is every judgement. A judgement becomes a result of its own, except where it says what the
        metric's latest result says, too: that the metric is ok by the same limits, and has been since less than `renew`. Then
        it stays with its value. What could not be measured is a result without a value: a gap, with its reason.

        Args:
            environment: where it was measured.
            samples: what was found, in the order of its judgement.

        """
        found = tuple(samples)
        if not found:
            return
        with writing(self._engine) as connection:
            keys = self._series(connection, environment, [sample.result for sample in found])
            _derived.hold(connection, keys.values())
            known = _derived.known(connection, sorted(set(keys.values())))
            told, quiet = [], []
            for sample in found:
                result, series = sample.result, keys[sample.result.system, sample.result.metric]
                before = known.get(series)
                if before is not None and _derived.is_old_news(sample, before):
                    quiet.append(result)
                else:
                    told.append(result)
                    known[series] = Judged(0, t.to_micros(result.judged_at), result.status, result.warning, result.critical)
            self._append(connection, environment, keys, None, told, quiet)

    def _append(
        self,
        connection: sa.Connection,
        environment: str,
        keys: Mapping[tuple[str, str], int],
        run: Run | None,
        results: Sequence[Result],
        quiet: Sequence[Result] = (),
    ) -> list[int]:
        """Write results with their values, and of `quiet` ones the values with their status only; the results' seals."""
        if not results and not quiet:
            return []
        run_id, runbook = (None, None) if run is None else (run.id, run.runbook)
        _derived.hold(connection, keys.values())
        ids = _put.next_ids(connection, t.results, len(results)) if results else []
        sealed, rows, judged, told = [], [], [], {}
        seen: list[Seen | None] = []
        for number, result in zip(ids, results, strict=True):
            named = result.system, result.metric
            series = keys[named]
            values = _rows.result_values(run_id, series, result)
            words = _seals.told((environment, *named), values)
            sealed.append(_seals.of_result(words))
            rows.append((number, *values, sealed[-1]))
            told[number] = runbook, words
            judged.append((series, _rows.judged_of(number, result.status, values)))
            seen.append(_rows.seen_of(values))
        _put.put(connection, t.results, ("id", *_seals.SEALED, "seal"), rows)
        seen += [_rows.seen(keys[result.system, result.metric], result, result.status) for result in quiet]
        _derived.note(connection, judged, self._observe(connection, [one for one in seen if one is not None]), told)
        return sealed

    @staticmethod
    def _observe(connection: sa.Connection, values: Sequence[Seen]) -> list[Seen]:
        """Write values; gives those that were new: one that was judged twice was measured once."""
        by_key = {(value.series, value.ts): value for value in reversed(values)}
        rows = [(v.series, v.ts, v.value, v.unit, v.status and v.status.value) for v in by_key.values()]
        new = _put.put_new(connection, t.observations, ("series", "ts", "value", "unit", "status"), rows)
        return [by_key[series, ts] for series, ts in new]

    def _series(self, connection: sa.Connection, environment: str, results: Sequence[Result]) -> dict[tuple[str, str], int]:
        """The keys of the metrics that were judged; asked for once a transaction, before which nothing of it can be known."""
        # In a fixed order, so that two writers never wait for each other in a ring.
        names = sorted({(result.system, result.metric) for result in results})
        known = self._names.get(environment, {})
        if not all(name in known for name in names):
            known = self._known_series(connection, environment)
            # Remembered before anything new is written: what this transaction adds may yet be undone.
            self._names[environment] = known
            new = [
                {"environment": environment, "system": system, "metric": metric}
                for system, metric in names
                if (system, metric) not in known
            ]
            if new:
                connection.execute(_derived.upsert(connection, t.series).on_conflict_do_nothing(), new)
                known = self._known_series(connection, environment)
        return {name: known[name] for name in names}

    @staticmethod
    def _known_series(connection: sa.Connection, environment: str) -> dict[tuple[str, str], int]:
        rows = connection.execute(sa.select(t.series).where(t.series.c.environment == environment))
        return {(row.system, row.metric): row.id for row in rows}

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

    def pass_slot(self, runbook: str, environment: str, due_at: datetime, now: datetime, actor: str, why: str) -> bool:
        """Take a slot that will not be executed, and note why; whether it was there to be taken."""
        row = {"runbook": runbook, "environment": environment, "due_at": due_at, "claimed_at": now, "owner": actor}
        with writing(self._engine) as connection:
            new = _derived.upsert(connection, t.slots).on_conflict_do_nothing().returning(t.slots.c.runbook)
            taken = connection.execute(new, row).first() is not None
            if taken:
                detail = {"environment": environment, "due_at": due_at.isoformat(), "reason": why}
                _note(connection, "slot-passed-over", now, runbook, actor, detail)
        return taken

    def lapse_slots(self, now: datetime) -> None:
        """Let slots be taken once more whose taker on this machine is gone, and had not begun their run."""
        leases.lapse_slots(self._engine, now)

    def bulk(self, environment: str) -> Bulk:
        """Questions about many runbooks, runs or metrics of an environment at once."""
        return Bulk(self._engine, environment)

    def sign(self, environment: str, role: str, owner: str, now: datetime, lasting: timedelta) -> bool:
        """Say that one is alive and does a standing task; of several who say so, one is told yes until it falls silent.

        Args:
            environment: where it is done.
            role: the task.
            owner: who does it.
            now: the time.
            lasting: after how much silence another one may take over.

        """
        known = t.signs.c
        with writing(self._engine) as connection:
            insert = _derived.upsert(connection, t.signs)
            new = insert.excluded
            row = {"environment": environment, "role": role, "owner": owner, "since": now, "at": now, "until": now + lasting}
            taken = connection.execute(
                insert.values(row)
                .on_conflict_do_update(
                    index_elements=["environment", "role"],
                    set_={
                        "since": sa.case((known.owner == new.owner, known.since), else_=new.since),
                        "owner": new.owner,
                        "at": new.at,
                        "until": new.until,
                    },
                    where=(known.owner == new.owner) | (known.until <= new.at),
                )
                .returning(known.owner)
            )
            return taken.first() is not None

    def sign_off(self, environment: str, role: str, owner: str, now: datetime) -> None:
        """Say that one's standing task has ended, so that another one need not wait."""
        of_mine = (t.signs.c.environment == environment, t.signs.c.role == role, t.signs.c.owner == owner)
        with writing(self._engine) as connection:
            connection.execute(sa.update(t.signs).where(*of_mine).values(at=now, until=now))

    def rebuild(self) -> None:
        """Draw everything that is derived from the facts anew: what is latest, changes, days, stretches."""
        with writing(self._engine) as connection:
            rebuild(connection)

    def verify(self, evidence: Evidence | None, noted: Noted | None = None) -> Verified:
        """Read all of it and compare it with its seals; see `checks.journal.verify`."""
        from checks.journal.verify import verify

        return verify(self._engine, evidence, noted)

    def back_up(self, path: Path) -> Backup:
        """Copy it into a file; see `checks.journal.archive`."""
        from checks.journal.archive import back_up

        return back_up(self._engine, path)

    def restore(self, path: Path) -> Backup:
        """Bring a backup back, where nothing has been written yet; see `checks.journal.archive`."""
        from checks.journal.archive import restore

        return restore(self._engine, path)

    def would_prune(self, before: datetime, spared: Mapping[str, datetime]) -> Pruned:
        """Say what `prune` would take out; see `checks.journal.prune`."""
        from checks.journal.prune import would_prune

        return would_prune(self._engine, before, spared)

    def prune(self, before: datetime, spared: Mapping[str, datetime], now: datetime, actor: str) -> Pruned:
        """Take out what is older and counts no more; see `checks.journal.prune`."""
        from checks.journal.prune import prune

        return prune(self._engine, before, spared, now, actor)


# Built once: building them takes longer than they do.
_STARTED = sa.select(t.runs).where(t.runs.c.id == sa.bindparam("run")).with_for_update()
_ENDED = sa.select(t.run_ends.c.state).where(t.run_ends.c.run_id == sa.bindparam("run"))
_END = sa.insert(t.run_ends)


def _require_open(connection: sa.Connection, run: Run) -> sa.Row[Any]:
    """Hold a run's row, so that a second writer waits and then sees the first one's end; gives it.

    Raises:
        Refused: it was never started, or has an end already.

    """
    named = {"run": run.id}
    started = connection.execute(_STARTED, named).first()
    if started is None:
        raise Refused("a run must be started before it ends", where=run.id, remedy="call start_run first")
    state = connection.execute(_ENDED, named).scalar()
    if state is not None:
        raise Refused("a run ends once", where=run.id, found=f"the journal has its end already: {state.value}")
    return started


def _note(connection: sa.Connection, kind: str, at: datetime, subject: str, actor: str, detail: Mapping[str, object]) -> None:
    _seals.chained(connection, {"kind": kind, "at": at, "subject": subject, "actor": actor, "detail": dict(detail)})
