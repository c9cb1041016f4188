"""What the journal gives back, as frozen values; importing it costs nothing and reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from checks.errors import ServiceAway
from checks.model import Result, Run, Status


class JournalMissing(ServiceAway):
    """There is no journal yet: nothing has ever been recorded."""


@dataclass(frozen=True, slots=True)
class RecordedResult:
    """A result as the journal keeps it, with the run that it came from.

    Attributes:
        runbook: slug of the runbook that the run executed (``system/name``).

    """

    result: Result
    run_id: str
    runbook: str


@dataclass(frozen=True, slots=True)
class Lease:
    """Who is at work on a run, and until when they are believed to be without a sign of life.

    Attributes:
        run: the run, without an end.
        owner: the process; see `checks.journal.owner`.
        expires_at: when the lease ends unless its owner renews it.
        token: counts how often the run's slot was taken; 1 where it has none.
        slot: when the slot was due that the run executes; ``None`` where it executes none.

    """

    run: Run
    owner: str
    expires_at: datetime
    token: int = 1
    slot: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened and was noted: the end of a run, a step, a confirmation.

    Attributes:
        id: counts up in the order of recording.
        kind: what happened (``run-ended``).
        subject: what it happened to, a slug or a run's id.
        actor: who or what did it.

    """

    id: int
    kind: str
    at: datetime
    subject: str
    actor: str
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was observed of a metric in one stretch of time, in one unit.

    Attributes:
        at: when its last value was measured.
        low, mean, high: of its values, in `unit`.
        count: how many there are.

    """

    at: datetime
    low: float
    mean: float
    high: float
    count: int
    unit: str


@dataclass(frozen=True, slots=True)
class InForce:
    """The texts of the limits that judged a metric's results, and from when on.

    Attributes:
        until: when other limits judged first; ``None`` of those that judged last.

    """

    since: datetime
    until: datetime | None
    warning: str | None
    critical: str | None


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A result whose status is not that of the result before.

    Attributes:
        before: the status before; ``None`` of a metric's first result.

    """

    result: Result
    before: Status | None
    run_id: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a report needs, read in one transaction so that its parts belong together.

    Attributes:
        latest_runs: the latest ended run of each runbook, by the runbook's slug.
        latest_results: the latest result of each metric, by the metric's slug.
        since: since when each metric has had the status of its latest result, by the metric's slug.

    """

    latest_runs: Mapping[str, Run] = field(default_factory=dict)
    latest_results: Mapping[str, RecordedResult] = field(default_factory=dict)
    since: Mapping[str, datetime] = field(default_factory=dict)


EMPTY = Snapshot()
