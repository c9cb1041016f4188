"""Periods that reports are of, and what is kept of one that has ended: a document with a digest, which nothing alters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from checks.journal.facts import Stretch

FROZEN = "report-frozen"
"""The kind of event that holds what a period came to."""
FREEZING = "reports-frozen"
"""The kind of event that tells up to which day periods were frozen."""
GRACE = timedelta(hours=1)
"""How long after its end a period waits for results that are still on their way."""

_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Period:
    """A span of whole days in UTC.

    Attributes:
        start: its first day; `end`: the day after its last.

    """

    start: date
    end: date
    title: str

    def holds(self, day: date) -> bool:
        """Whether a day lies in it."""
        return self.start <= day < self.end

    def over(self, now: datetime) -> bool:
        """Whether it has ended, and what was on its way has arrived."""
        return now >= datetime.combine(self.end, time(), UTC) + GRACE


def _day(day: date) -> Period:
    return Period(day, day + timedelta(days=1), f"{day:%a} {day.day} {day:%b}")


def _week(day: date) -> Period:
    start = day - timedelta(days=day.weekday())
    return Period(start, start + timedelta(days=7), f"Week {start.isocalendar().week}, from {start.day} {start:%b}")


def _month(day: date) -> Period:
    start = day.replace(day=1)
    return Period(start, _months_on(start, 1), f"{start:%b %Y}")


def _quarter(day: date) -> Period:
    start = day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1)
    return Period(start, _months_on(start, 3), f"Q{start.month // 3 + 1} {start.year}")


def _months_on(start: date, count: int) -> date:
    months = start.year * _MONTHS + start.month - 1 + count
    return date(months // _MONTHS, months % _MONTHS + 1, 1)


PERIODS: dict[str, Callable[[date], Period]] = {"daily": _day, "weekly": _week, "monthly": _month, "quarterly": _quarter}
"""The period of each name that a day lies in."""


def periods(name: str, today: date, count: int = 8) -> list[Period]:
    """The period that runs, and those before it, the newest first."""
    found = [PERIODS[name](today)]
    while len(found) < count:
        found.append(PERIODS[name](found[-1].start - timedelta(days=1)))
    return found


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured of a metric in a period; `count` 0: nothing."""

    count: int
    low: float = 0.0
    mean: float = 0.0
    high: float = 0.0


def summed(days: Sequence[Stretch]) -> Figure:
    """What was measured on some days together."""
    count = sum(one.count for one in days)
    if not count:
        return Figure(0)
    mean = sum(one.mean * one.count for one in days) / count
    return Figure(count, min(one.low for one in days), mean, max(one.high for one in days))


@dataclass(frozen=True, slots=True)
class Kept:
    """One metric in a period, as it was declared then.

    Attributes:
        warning, critical: the texts of its limits.

    """

    title: str
    unit: str
    figure: Figure
    warning: str = ""
    critical: str = ""

    def written(self) -> list[object]:
        """As a document holds it."""
        one = self.figure
        return [self.title, self.unit, one.count, one.low, one.mean, one.high, self.warning, self.critical]

    @classmethod
    def read(cls, title: str, unit: str, count: int, low: float, mean: float, high: float, warning: str, critical: str) -> Kept:
        """Read what `written` gives."""
        return cls(str(title), str(unit), Figure(int(count), float(low), float(mean), float(high)), str(warning), str(critical))


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a period of a system came to.

    Attributes:
        days: how many of its days were of which status.
        incidents: how many began in it.
        metrics: by name, in the order in which they were declared.
        runs: the runs of reports that were made in it, each with the digest of its evidence.
        at: when this was written down.
        digest: of all of it.

    """

    system: str
    period: str
    start: date
    days: Mapping[str, int]
    incidents: int
    metrics: Mapping[str, Kept]
    runs: tuple[tuple[str, str], ...]
    at: datetime
    digest: str = ""

    @property
    def measured(self) -> int:
        """How many values were measured in it."""
        return sum(kept.figure.count for kept in self.metrics.values())


def subject_of(environment: str, system: str, period: str, start: date) -> str:
    """The subject of the event that holds a period."""
    return f"report/{environment}/{system}/{period}/{start.isoformat()}"


def detail_of(frozen: Frozen) -> dict[str, Any]:
    """What the event of a period holds; `read` reads it."""
    document = {
        "version": 1,
        "system": frozen.system,
        "period": frozen.period,
        "start": frozen.start.isoformat(),
        "days": dict(frozen.days),
        "incidents": frozen.incidents,
        "metrics": [[name, *one.written()] for name, one in frozen.metrics.items()],
        "runs": [list(run) for run in frozen.runs],
        "at": frozen.at.isoformat(),
    }
    return {"document": document, "digest": digest_of(document)}


def digest_of(document: Mapping[str, Any]) -> str:
    """The SHA-256 of a document, its keys in order."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def read(detail: Mapping[str, Any]) -> Frozen | None:
    """Read what `detail_of` gives; ``None`` where it is not what its digest says, and so is not shown."""
    try:
        document = detail["document"]
        if digest_of(document) != detail["digest"]:
            return None
        return Frozen(
            system=str(document["system"]),
            period=str(document["period"]),
            start=date.fromisoformat(document["start"]),
            days={str(status): int(count) for status, count in document["days"].items()},
            incidents=int(document["incidents"]),
            metrics={str(name): Kept.read(*kept) for name, *kept in document["metrics"]},
            runs=tuple((str(run), str(evidence)) for run, evidence in document["runs"]),
            at=datetime.fromisoformat(document["at"]),
            digest=str(detail["digest"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
