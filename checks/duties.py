"""The words of what people answer for, as frozen values; `checks.model` gives them out with all the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from pathlib import Path
from zoneinfo import ZoneInfo

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class BusinessHours:
    """When people are there: the same hours of some days of each week. Holidays count as any other day.

    Attributes:
        days: as ``date.weekday`` counts them, 0 being Monday; at least one, in order.
        opens, closes: how long after midnight, on the clocks of `timezone`, which is one of the IANA database.

    """

    days: tuple[int, ...]
    opens: timedelta
    closes: timedelta
    timezone: str

    def after(self, start: datetime, length: timedelta) -> datetime:
        """When so much time has passed since a moment, of which only business hours count.

        Args:
            start: aware.
            length: more than none.

        Returns:
            A moment in UTC; at the end of a day rather than at the beginning of the next.

        """
        zone = ZoneInfo(self.timezone)
        day, left = start.astimezone(zone).date(), length
        while True:
            if day.weekday() in self.days:
                # Days are longer and shorter where clocks change, so what has passed is told in UTC.
                midnight = datetime.combine(day, time())
                begin, end = ((midnight + at).replace(tzinfo=zone).astimezone(UTC) for at in (self.opens, self.closes))
                begin = max(begin, start.astimezone(UTC))
                if left <= end - begin:
                    return begin + left
                left -= max(end - begin, timedelta(0))
            day += timedelta(days=1)

    def __str__(self) -> str:
        """``Monday to Friday, 09:00 to 17:00, America/New_York``."""
        first, last = self.days[0], self.days[-1]
        in_a_row = len(self.days) > 2 and last - first == len(self.days) - 1
        days = f"{_DAYS[first]} to {_DAYS[last]}" if in_a_row else ", ".join(_DAYS[day] for day in self.days)
        opens, closes = (str(at).zfill(8).removesuffix(":00") for at in (self.opens, self.closes))
        return f"{days}, {opens} to {closes}, {self.timezone}"


@dataclass(frozen=True, slots=True)
class Severity:
    """How grave an incident is, and by when somebody has to act.

    Attributes:
        name: as people say it (``P1``).
        acknowledge, resolve: how long that may take from when it was opened; ``None``: nobody promised a time.
        hours: when those clocks run, in words; empty: day and night.
        business: when they run, where that is not day and night.

    """

    name: str
    title: str
    acknowledge: timedelta | None = None
    resolve: timedelta | None = None
    hours: str = ""
    business: BusinessHours | None = None

    def acknowledge_by(self, opened: datetime) -> datetime | None:
        """By when somebody is to be on an incident that was opened then; ``None`` where no time is promised."""
        return self._after(opened, self.acknowledge)

    def resolve_by(self, opened: datetime) -> datetime | None:
        """By when an incident that was opened then is to be over; ``None`` where no time is promised."""
        return self._after(opened, self.resolve)

    def _after(self, opened: datetime, promise: timedelta | None) -> datetime | None:
        if promise is None:
            return None
        return self.business.after(opened, promise) if self.business else opened + promise


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Work that was planned and announced, once or again and again.

    Attributes:
        length: how long it takes.
        starts: when, aware; ``None`` where it comes back.
        cron: five cron fields, read in `timezone`; empty where it comes once.

    """

    title: str
    length: timedelta
    starts: datetime | None = None
    cron: str = ""
    timezone: str = "UTC"
    note: str = ""


class IncidentStatus(Enum):
    """How far an incident has got."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong and that people took up, as the front matter of its page has it.

    Attributes:
        name: the slug, and the name of its page in ``docs/incidents``.
        severity: one of the system's severities, where it declares any.
        opened, acknowledged, resolved: when, aware; ``None``: not yet.
        runbook: the runbook that was followed (``system/name``), if any.
        environment: where it is; empty: wherever the site looks.

    """

    name: str
    title: str
    system: str
    severity: str
    opened: datetime
    path: Path
    acknowledged: datetime | None = None
    resolved: datetime | None = None
    runbook: str | None = None
    environment: str = ""

    @property
    def status(self) -> IncidentStatus:
        """What its times say."""
        if self.resolved is not None:
            return IncidentStatus.RESOLVED
        return IncidentStatus.OPEN if self.acknowledged is None else IncidentStatus.ACKNOWLEDGED

    @property
    def subject(self) -> str:
        """What the journal's events about it are filed under."""
        return f"incident/{self.name}"


class Proof(Enum):
    """What ticks an item of a checklist."""

    HAND = "hand"
    METRIC = "metric"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """One line of a checklist.

    Attributes:
        name: the slug within its system: what a person signs; of a metric or a runbook, that one's name.
        text: what it says, without markup and figures.
        section: the heading that it stands under.
        page: the file that it stands in, from the project's folder; `line` counts from 1.
        lasts: how long a person's word on it may hold at most.
        digest: of what it says as written; a word given on other words does not hold.

    """

    system: str
    name: str
    proof: Proof
    text: str
    section: str
    page: Path
    line: int
    lasts: timedelta
    digest: str

    @property
    def slug(self) -> str:
        """The name that is the same on pages, in the journal and on the command line."""
        return f"{self.system}/{self.name}"
