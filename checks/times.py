"""The words of when a runbook is due, as frozen values; `checks.model` gives them out with all the others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class CatchUp(Enum):
    """What becomes of the times that nobody was there for."""

    LAST = "last"
    SKIP = "skip"
    ALL = "all"


class Overlap(Enum):
    """What becomes of a run whose time comes while the one before still runs."""

    WAIT = "wait"
    SKIP = "skip"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Cron:
    """When a runbook is due: five cron fields, read in a time zone of the IANA database.

    Attributes:
        catch_up: which missed times are made up for: the last of them, none, or every one, the oldest first.
        overlap: whether a run waits for the one before, is left out, or runs beside it.

    """

    expression: str
    timezone: str = "UTC"
    catch_up: CatchUp = CatchUp.LAST
    overlap: Overlap = Overlap.WAIT
