"""What the journal gives back, as frozen values; importing it costs nothing and reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from checks.errors import ServiceAway
from checks.model import Result, Run, Status

SCHEDULER = "scheduler"
"""The standing task that a scheduler signs for."""


class JournalMissing(ServiceAway):
    """There is no journal yet: nothing has ever been recorded."""


@dataclass(frozen=True, slots=True)
class RecordedResult:
    """A result as the journal keeps it, with the run that it came from.

    Attributes:
        run_id: the run's id; empty of a result that was sampled between runs.
        runbook: slug of the runbook that the run executed (``system/name``); empty where there was no run.

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
class Counted:
    """How many runs of a runbook there are.

    Attributes:
        ended: how many of them have ended.
        first: when the earliest of them started.

    """

    count: int
    ended: int
    first: datetime


@dataclass(frozen=True, slots=True)
class RunMark:
    """What tells a run from every other one, and whether it is as it was.

    Attributes:
        state: how it ended; empty while it runs.
        evidence: the digest of its evidence; empty where it has none.

    """

    id: str
    started_at: datetime
    state: str
    evidence: str


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
        run_id: the run's id; empty of a result that was sampled between runs.

    """

    result: Result
    before: Status | None
    run_id: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured and judged of a metric between runs.

    Attributes:
        renew: how old the metric's latest result may be before a good value becomes a result again.

    """

    result: Result
    renew: timedelta


@dataclass(frozen=True, slots=True)
class Tally:
    """How many judgements ended in each status: what is said of how often a metric was well.

    What nobody judged is in none of them, so that a silent day makes nothing look better or worse.
    """

    ok: int = 0
    warning: int = 0
    critical: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        """How many judgements there were."""
        return self.ok + self.warning + self.critical + self.unknown

    @property
    def worst(self) -> Status:
        """The worst status among them; of none, unknown."""
        return Status.worst(status for status in Status if getattr(self, status.value))

    @property
    def ok_share(self) -> float | None:
        """Which share of them was ok, from 0 to 1; ``None`` of none."""
        return self.ok / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Sign:
    """Who does a standing task in an environment, and when it last said so.

    Attributes:
        role: the task (`SCHEDULER`).
        owner: who does it (``host:pid``).
        since: since when it is this one.
        at: when it last gave a sign of life.
        until: when another one may take over.

    """

    environment: str
    role: str
    owner: str
    since: datetime
    at: datetime
    until: datetime


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
