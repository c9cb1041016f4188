"""Leases: who is at work on a run or a slot, and how others find out that nobody is any more.

A process that starts a run or takes a slot holds it by a lease, which a thread of the journal renews as long as the process
lives. Whoever finds a lease that has expired, or whose process is gone, may give the run up as lost; from then on its worker
is refused. A slot may be taken a second time when its run was lost, and then never again: a runbook that takes its
engine down with it must not do so all day.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from checks.errors import ProofbookError, Refused
from checks.journal import _tables as t
from checks.journal import owner
from checks.journal._engine import reading, writing
from checks.journal._rows import RUN_COLUMNS, to_run
from checks.journal.facts import Lease
from checks.model import Run

LEASE = timedelta(seconds=90)
"""How long a process is believed to be at work without a sign of life."""

RENEW_SECONDS = 20.0
"""How often it gives one."""

MOST_CLAIMS = 2
"""How often a slot may be taken in all: once, and once more when that run was lost."""


# Built once: building it takes longer than it does.
_GIVEN_BACK = sa.delete(t.leases).where(t.leases.c.run_id == sa.bindparam("run")).returning(*t.leases.c)


@dataclass(frozen=True, slots=True)
class _Slot:
    environment: str
    runbook: str
    due_at: datetime
    token: int

    @property
    def mine(self) -> sa.ColumnElement[bool]:
        """That the slot's row is still the one that was taken."""
        return (
            (t.slots.c.environment == self.environment)
            & (t.slots.c.runbook == self.runbook)
            & (t.slots.c.due_at == self.due_at)
            & (t.slots.c.token == self.token)
        )


class Holdings:
    """What this process holds in one journal, and the thread that renews it.

    Args:
        engine: where the journal is.
        clock: gives the time at which a lease is renewed, aware.

    """

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._slots: list[_Slot] = []
        self._runs: dict[str, _Slot | None] = {}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def took(self, environment: str, runbook: str, due_at: datetime, token: int) -> None:
        """Remember a slot; the next run of its runbook there is the slot's."""
        with self._lock:
            self._slots.append(_Slot(environment, runbook, due_at, token))
            self._renew_from_now_on()

    def begin(self, connection: sa.Connection, run: Run) -> None:
        """Write a run's lease, in the transaction that writes its start.

        Raises:
            Refused: it would execute a slot that has been taken from this process meanwhile.

        """
        with self._lock:
            slot = next((s for s in self._slots if (s.environment, s.runbook) == (run.environment, run.runbook)), None)
        expires_at = run.started_at + LEASE
        if slot is not None:
            kept = connection.execute(sa.update(t.slots).where(slot.mine).values(expires_at=expires_at)).rowcount
            if not kept:
                with self._lock:
                    self._slots.remove(slot)
                raise Refused(
                    "another process has taken this slot over",
                    where=f"{run.runbook} due {slot.due_at:%Y-%m-%d %H:%M} UTC",
                    found="this process gave no sign of life in time",
                )
        row = {"run_id": run.id, "owner": owner.me(), "expires_at": expires_at, "token": slot.token if slot else 1}
        connection.execute(sa.insert(t.leases), row | {"slot_due_at": slot and slot.due_at})

    def began(self, run: Run) -> None:
        """Hold a run whose start has been written."""
        with self._lock:
            slot = next((s for s in self._slots if (s.environment, s.runbook) == (run.environment, run.runbook)), None)
            if slot is not None:
                self._slots.remove(slot)
            self._runs[run.id] = slot
            self._renew_from_now_on()

    def end(self, connection: sa.Connection, run: Run) -> None:
        """Give a run's lease back, in the transaction that writes its end; its slot is done.

        Raises:
            Refused: the lease is not this process's any more.

        """
        with self._lock:
            held = run.id in self._runs
        # Refused, this transaction ends without having taken anything.
        row = connection.execute(_GIVEN_BACK, {"run": run.id}).first()
        if row is None or (held and row.owner != owner.me()):
            if held:
                raise Refused("its worker came back too late", where=run.id, found="the run was given up as lost")
            return
        if row.slot_due_at is not None:
            slot = _Slot(run.environment, run.runbook, row.slot_due_at, row.token)
            connection.execute(sa.update(t.slots).where(slot.mine).values(expires_at=None))

    def forget(self, run_id: str) -> None:
        """Hold a run no longer."""
        with self._lock:
            self._runs.pop(run_id, None)

    def close(self) -> None:
        """Renew nothing any more; what is still held expires by itself."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _renew_from_now_on(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_renewing, name="leases", daemon=True)
            self._thread.start()

    def _keep_renewing(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            # A journal that is away now may be back before the lease ends; if not, the run's end will tell.
            with suppress(ProofbookError):
                self.renew()

    def renew(self) -> None:
        """Give a sign of life for all that is held."""
        with self._lock:
            slots, runs = [*self._slots, *(slot for slot in self._runs.values() if slot)], list(self._runs)
        if not slots and not runs:
            return
        until = self._clock() + LEASE
        with writing(self._engine) as connection:
            ours = t.leases.c.run_id.in_(runs) & (t.leases.c.owner == owner.me())
            connection.execute(sa.update(t.leases).where(ours).values(expires_at=until))
            for slot in slots:
                connection.execute(
                    sa.update(t.slots).where(slot.mine & t.slots.c.expires_at.is_not(None)).values(expires_at=until)
                )


def claim(engine: sa.Engine, runbook: str, environment: str, due_at: datetime, now: datetime, by: str) -> int:
    """Take a slot that nobody took, or whose taker was lost; its token, or 0 where it may not be taken."""
    row = {"environment": environment, "runbook": runbook, "due_at": due_at}
    taken = {"owner": by, "claimed_at": now, "expires_at": now + LEASE}
    try:
        with writing(engine) as connection:
            connection.execute(sa.insert(t.slots), row | taken)
    except sa.exc.IntegrityError:
        again = sa.update(t.slots).filter_by(**row).where(lapsed(now)).values(taken | {"token": t.slots.c.token + 1})
        with writing(engine) as connection:
            if not connection.execute(again).rowcount:
                return 0
            return int(connection.execute(sa.select(t.slots.c.token).filter_by(**row)).scalar_one())
    return 1


def lapsed(now: datetime) -> sa.ColumnElement[bool]:
    """That a slot was taken, not executed to an end, and may be taken once more."""
    return t.slots.c.expires_at.is_not(None) & (t.slots.c.expires_at <= now) & (t.slots.c.token < MOST_CLAIMS)


def abandoned(connection: sa.Connection, now: datetime) -> list[Lease]:
    """The runs that nobody is at work on any more."""
    # From the leases, which are few: from the runs, all there ever were would be read.
    query = sa.select(*RUN_COLUMNS, *(column.label(f"lease_{column.name}") for column in t.leases.c)).select_from(
        t.leases.join(t.runs, t.runs.c.id == t.leases.c.run_id).outerjoin(t.run_ends, t.run_ends.c.run_id == t.runs.c.id)
    )
    rows = sorted(connection.execute(query), key=lambda row: (row.started_at, row.id))
    found = [Lease(to_run(row), row.lease_owner, row.lease_expires_at, row.lease_token, row.lease_slot_due_at) for row in rows]
    return [lease for lease in found if lease.expires_at <= now or owner.gone(lease.owner)]


def under_way(connection: sa.Connection, runbook: str, environment: str) -> list[Run]:
    """The runs of a runbook that somebody is at work on, the one that began first first."""
    # From the leases, as above.
    query = sa.select(*RUN_COLUMNS).select_from(
        t.leases.join(t.runs, t.runs.c.id == t.leases.c.run_id).outerjoin(t.run_ends, t.run_ends.c.run_id == t.runs.c.id)
    )
    rows = connection.execute(query.where(t.runs.c.runbook == runbook, t.runs.c.environment == environment))
    return [to_run(row) for row in sorted(rows, key=lambda row: (row.started_at, row.id))]


def lapse_slots(engine: sa.Engine, now: datetime) -> None:
    """Let slots lapse whose taker is gone."""
    with reading(engine) as connection:
        rows = connection.execute(sa.select(t.slots).where(t.slots.c.expires_at > now)).all()
    for row in rows:
        if owner.gone(row.owner):
            slot = _Slot(row.environment, row.runbook, row.due_at, row.token)
            with writing(engine) as connection:
                connection.execute(sa.update(t.slots).where(slot.mine).values(expires_at=now))


def give_up(connection: sa.Connection, lease: Lease, now: datetime) -> bool:
    """Take a run from its worker, unless that gave a sign of life meanwhile; its slot may then be taken once more."""
    seen = (t.leases.c.run_id == lease.run.id) & (t.leases.c.owner == lease.owner) & (t.leases.c.expires_at == lease.expires_at)
    if not connection.execute(sa.delete(t.leases).where(seen)).rowcount:
        return False
    if lease.slot is not None:
        slot = _Slot(lease.run.environment, lease.run.runbook, lease.slot, lease.token)
        connection.execute(sa.update(t.slots).where(slot.mine).values(expires_at=now))
    return True
