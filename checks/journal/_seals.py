"""What tells whether the journal is still what was written: seals of rows, and the chain of events.

A result carries the seal of its own row. The event that notes a run's end holds the seal of the run, its end and all its
results. Observations are sealed by the hour: how many there are, and the sum of their seals. Each event carries a digest of
itself and of the event before, and the chain's head says how many there are; so an event that is changed, put in or taken out
leaves a place that does not fit. Seals find what broke. Who can write to the database could make new ones; who keeps the
chain's head elsewhere finds that, too.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa

from checks.journal import _tables as t
from checks.journal._put import put

EVENTS = "events"
"""The name of the chain of events."""

HOUR = 3_600_000_000  # microseconds
MASK = (1 << 62) - 1
"""The bits of a seal: two of them can be added in a signed number of eight bytes."""

SEALED = (
    *("run_id", "series", "title", "status", "reason", "judged_at", "measured_at", "value", "unit", "took", "source", "detail"),
    *("warning", "critical", "cell", "step", "samples", "baseline"),
)
"""What of a result its seal covers, in this order; a column that comes later is not covered."""
_OF_RUN = (
    *("id", "runbook", "system", "environment", "trigger", "started_at", "parameters", "source", "host", "actor"),
    *("made_with", "basis"),
)
_OF_END = ("state", "status", "ended_at", "reason", "evidence", "redacted")

Name = tuple[str, str, str]
"""The environment, the system and the metric of a series."""

_encoded = json.JSONEncoder(sort_keys=True).encode


def told(named: Name, values: Sequence[Any]) -> str:
    """A result in words, which its seal covers: a list in JSON.

    Args:
        named: whose result it is.
        values: of the columns `SEALED`, as the database keeps them; the baseline as text, its keys sorted.

    """
    return _encoded((*named, *values))


def of_result(told: str) -> int:
    """The seal of a result in words; never 0, which stands for none."""
    return int.from_bytes(hashlib.blake2b(told.encode(), digest_size=8).digest(), "big") & MASK or 1


def values_of(row: sa.Row[Any]) -> list[Any]:
    """The columns `SEALED` of a result that was read, as the database keeps them."""
    values = [_plain(getattr(row, name)) for name in SEALED]
    values[-1] = values[-1] and _encoded(values[-1])
    return values


def of_row(named: Name, row: sa.Row[Any]) -> int:
    """The seal of a result that was read."""
    return of_result(told(named, values_of(row)))


def of_observation(series: int, micros: int, value: float, unit: str, status: str | None) -> int:
    """The seal of a value."""
    told = struct.pack("<qqd", series, micros, value + 0.0) + f"{unit}\0{status or ''}".encode()
    return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "big") & MASK


def summed(seals: Iterable[int]) -> int:
    """The seal of many, in whatever order they come."""
    return sum(seals) & MASK


def of_run(start: Any, end: Any, results: Sequence[int]) -> str:
    """The seal of a run with its end and the seals of its results, in the order in which they were judged.

    Args:
        start: has the columns of the run as attributes.
        end: has those of its end; one row may be both.
        results: the seals of what it found.

    """
    told = [_plain(getattr(start, name)) for name in _OF_RUN], [_plain(getattr(end, name)) for name in _OF_END], list(results)
    return hashlib.sha256(_encoded(told).encode()).hexdigest()


def of_event(before: str, kind: str, at: datetime, subject: str, actor: str, detail: Mapping[str, object]) -> str:
    """The digest of an event that follows the one with the digest `before`; of the first event, that is empty."""
    told = [before, kind, t.to_micros(at), subject, actor, detail]
    return hashlib.sha256(_encoded(told).encode()).hexdigest()


# Built once: building them takes longer than they do.
_HEAD = sa.select(t.heads.c.number, t.heads.c.digest).where(t.heads.c.name == EVENTS).with_for_update()
_EVENT = sa.insert(t.events)


def chained(connection: sa.Connection, row: Mapping[str, Any]) -> None:
    """Write an event behind the last one; whoever else writes one waits until this transaction has ended."""
    head = connection.execute(_HEAD).first()
    number, before = (0, "") if head is None else (head.number, head.digest)
    # As JSON gives it back: what is read is what was digested.
    detail = json.loads(json.dumps(row["detail"]))
    digest = of_event(before, row["kind"], row["at"], row["subject"], row["actor"], detail)
    connection.execute(_EVENT, {**row, "digest": digest})
    set_head(connection, number + 1, digest)


def set_head(connection: sa.Connection, number: int, digest: str) -> None:
    """Note where the chain ends."""
    known = "ON CONFLICT (name) DO UPDATE SET number = excluded.number, digest = excluded.digest"
    put(connection, t.heads, ("name", "number", "digest"), [(EVENTS, number, digest)], known)


def _plain(value: Any) -> Any:
    """A value as both databases give it back."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return t.to_micros(value)
    # SQLite keeps no zero below zero.
    return value + 0.0 if isinstance(value, float) else value
