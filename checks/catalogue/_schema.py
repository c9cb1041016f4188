"""What ``system.yml`` and a runbook's front matter may hold, as pydantic models at the border."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from checks import judge
from checks.catalogue.probe_kinds import Declaration, Duration, ProbeDeclaration
from checks.errors import DataError
from checks.model import Limit

_SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Slug = Annotated[str, Field(pattern=_SLUG)]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _parse_limit(value: object) -> Limit:
    if isinstance(value, Limit):
        return value
    try:
        return judge.parse_limit(str(value))
    except DataError as error:
        raise ValueError(
            "; ".join(part for part in (error.what, error.expected and f"expected {error.expected}") if part)
        ) from error


def _cron_fires(expression: str) -> str:
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(f"expected five cron fields, such as 0 9 * * *: {error}") from error
    except StopIteration as error:
        raise ValueError("expected a schedule that fires; this one never does") from error
    return expression


def _known_timezone(name: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("expected a name of the IANA time zone database, such as UTC or Europe/Berlin") from error
    return name


Sources = Annotated[list[str], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str])]
LimitText = Annotated[Limit, BeforeValidator(_parse_limit, json_schema_input_type=str)]
CronText = Annotated[str, AfterValidator(_cron_fires)]
TimezoneName = Annotated[str, AfterValidator(_known_timezone)]


class MetricEntry(Declaration):
    """A named quantity with a unit, a probe and limits."""

    title: str = Field(min_length=1)
    unit: str = ""
    probe: ProbeDeclaration
    warning: LimitText | None = None
    critical: LimitText | None = None
    group: str = "Metrics"
    meaning: str = ""
    priority: str | None = None
    runbook: str | None = Field(None, pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")
    fresh_for: Duration | None = Field(None, alias="fresh-for")
    source: Sources = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_a_limit(self) -> MetricEntry:
        if self.warning is None and self.critical is None:
            raise ValueError("without a limit a metric can never fail; expected `warning:` or `critical:`")
        return self


class ContactEntry(Declaration):
    """Who answers for a system."""

    role: str
    reach: str = ""


class SystemFile(Declaration):
    """One operated service: where it lives, what is measured of it, and by which limits it is judged."""

    system: Slug
    title: str = Field(min_length=1)
    summary: str = Field(min_length=1)
    owner: str = ""
    contacts: list[ContactEntry] = Field(default_factory=list)
    environments: dict[Slug, dict[str, str]] = Field(min_length=1)
    metrics: dict[Slug, MetricEntry] = Field(min_length=1)
    source: Sources = Field(default_factory=list)


class ParameterEntry(Declaration):
    """A typed value that a runbook may be given."""

    type: Literal["string", "integer", "number", "boolean"]
    default: str | int | float | bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: list[str] = Field(default_factory=list)
    help: str = ""


class ScheduleEntry(Declaration):
    """When a runbook is due."""

    cron: CronText
    timezone: TimezoneName = "UTC"


class FrontMatter(Declaration):
    """What stands above a runbook's text."""

    title: str = Field(min_length=1)
    system: Slug
    kind: Literal["check", "procedure", "report"]
    summary: str = Field(min_length=1)
    schedule: ScheduleEntry | None = None
    deadline: Duration = timedelta(minutes=5)
    cell_deadline: Duration = Field(timedelta(minutes=1), alias="cell-deadline")
    fresh_for: Duration = Field(timedelta(hours=26), alias="fresh-for")
    time_budget: Duration | None = Field(None, alias="time-budget")
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")], ParameterEntry] = Field(default_factory=dict)
    environments: list[Slug] = Field(default_factory=list)
    owner: str = ""
    source: Sources = Field(default_factory=list)
    jupyter: dict[str, Any] | None = Field(None, description="Jupytext's own block; Proofbook leaves it alone.")
