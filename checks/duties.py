"""The words of what people answer for, as frozen values; `checks.model` gives them out with all the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Severity:
    """How grave an incident is, and by when somebody has to act.

    Attributes:
        name: as people say it (``P1``).
        acknowledge, resolve: how long that may take from when it was opened; ``None``: nobody promised a time.
        hours: when those clocks run, in words; empty: day and night.

    """

    name: str
    title: str
    acknowledge: timedelta | None = None
    resolve: timedelta | None = None
    hours: str = ""


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
