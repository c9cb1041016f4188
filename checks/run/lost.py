"""Runs that nobody is at work on any more: found by the next process that runs anything, and ended as lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from checks.journal import Lease
from checks.journal.owner import shown
from checks.model import Run, RunState, Status
from checks.run import checkpoint


@runtime_checkable
class Register(Protocol):
    """Where runs are held by those at work on them; the journal is one."""

    def abandoned(self, now: datetime) -> Sequence[Lease]:
        """The runs that nobody is at work on any more."""

    def give_up(self, lease: Lease, lost: Run) -> bool:
        """Note the end of one; whether this call did it."""

    def lapse_slots(self, now: datetime) -> None:
        """Let slots be taken once more whose taker is gone."""


def recover(register: Register, state: Path, now: datetime) -> list[Run]:
    """End every run that nobody is at work on any more, with what it had said by then, and free the slots of the dead.

    Args:
        register: where runs are held.
        state: the project's state folder, where a run of this machine left what it had said.
        now: the time, aware, in UTC.

    Returns:
        The runs that this call ended.

    """
    found = []
    for lease in register.abandoned(now):
        lost = replace(lease.run, state=RunState.LOST, status=Status.UNKNOWN, ended_at=now, reason=_why(lease, now))
        lost = replace(lost, evidence=checkpoint.conclude(state, lost))
        if register.give_up(lease, lost):
            found.append(lost)
            checkpoint.forget(state, lost.id)
    register.lapse_slots(now)
    return found


def _why(lease: Lease, now: datetime) -> str:
    who = shown(lease.owner) or "an unknown process"
    if lease.expires_at <= now:
        return f"{who} gave no sign of life until {lease.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{who} is gone"
