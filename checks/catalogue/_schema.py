"""What ``system.yml`` and a runbook's front matter may hold, as pydantic models at the border."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from checks import judge
from checks.catalogue.probe_kinds import Declaration, Duration, ProbeDeclaration
from checks.errors import DataError
from checks.model import CatchUp, Cron, Limit, Overlap

_SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Slug = Annotated[str, Field(pattern=_SLUG)]
SeverityName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _parse_limit(value: object) -> Limit:
    return _read(judge.parse_limit, value)


def _parse_band(value: object) -> Limit:
    return _read(judge.parse_band, value)


def _read(parse: Callable[[str], Limit], value: object) -> Limit:
    if isinstance(value, Limit):
        return value
    try:
        return parse(str(value))
    except DataError as error:
        raise ValueError(
            "; ".join(part for part in (error.what, error.expected and f"expected {error.expected}") if part)
        ) from error


def _cron_fires(expression: str) -> str:
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(f"expected five cron fields, such as 0 9 * * *: {error}") from error
    except StopIteration as error:
        raise ValueError("expected a schedule that fires; this one never does") from error
    return expression


def parse_moment(value: object) -> datetime:
    """Read a time as people write it, with its zone: ``2024-11-02 10:42Z``; kept in UTC.

    Raises:
        ValueError: it is no time, or does not say in which zone.

    """
    read = value
    if not isinstance(read, datetime):
        try:
            read = datetime.fromisoformat(str(value))
        except ValueError as error:
            raise ValueError("expected a time such as 2024-11-02T10:42:00Z") from error
    if read.tzinfo is None:
        raise ValueError("a time without its zone; expected one such as 2024-11-02T10:42:00Z")
    # YAML's own kind of time remembers how it was written, and would be written so again.
    return datetime.fromtimestamp(read.timestamp(), UTC)


def _known_timezone(name: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("expected a name of the IANA time zone database, such as UTC or Europe/Berlin") from error
    return name


def _below_the_runbook(name: str) -> str:
    parts = name.split("/")
    if not all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", part) for part in parts):
        raise ValueError(
            "this names no file beside the runbook; expected letters, digits, _ . - and /, such as queries/orders.sql"
        )
    return name


Sources = Annotated[list[str], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str])]
LimitText = Annotated[Limit, BeforeValidator(_parse_limit, json_schema_input_type=str)]
BandText = Annotated[Limit, BeforeValidator(_parse_band, json_schema_input_type=str)]
Moment = Annotated[datetime, BeforeValidator(parse_moment, json_schema_input_type=str)]


def _time_of_day(value: object) -> timedelta:
    try:
        return datetime.strptime(str(value), "%H:%M") - datetime(1900, 1, 1)  # noqa: DTZ001, DTZ007 - of no day and no zone
    except ValueError as error:
        raise ValueError(f"`{value}` is no time of a day; expected hours and minutes, such as 09:00") from error


TimeOfDay = Annotated[timedelta, BeforeValidator(_time_of_day, json_schema_input_type=str)]
CronText = Annotated[str, AfterValidator(_cron_fires)]
FileName = Annotated[str, AfterValidator(_below_the_runbook)]
TimezoneName = Annotated[str, AfterValidator(_known_timezone)]


class LeaveEntry(Declaration):
    """The conditions to leave a status once it is entered; without one it is left when its limit isn't broken any more."""

    warning: LimitText | None = None
    critical: LimitText | None = None


class BaselineEntry(Declaration):
    """What is usual for a metric: a statistic of its own past, or a figure that somebody stated."""

    statistic: str = Field("median", pattern=r"^(median|mean|min|max|p\d{1,2}(\.\d+)?)$")
    window: Duration | None = Field(None, description="How far back the past goes.")
    needs: Duration | None = Field(None, description="How much time its samples must cover; default: a quarter of the window.")
    samples: int = Field(5, ge=1, description="How many samples there must be.")
    aligned: Literal["none", "hour-of-day", "hour-of-week"] = Field("none", description="Only samples of the same hour, in UTC.")
    since: str = Field("", description="A time, or a {setting} that holds one, before which samples don't count.")
    until: str = Field("", description="A time, or a {setting} that holds one, after which samples don't count.")
    figure: str | float | None = Field(None, description="A value with its unit, instead of a statistic.")
    on: date | None = Field(None, description="The day on which the figure was set.")
    by: str = Field("", description="Who set it.")

    @model_validator(mode="after")
    def _past_or_figure(self) -> BaselineEntry:
        if (self.figure is None) == (self.window is None):
            raise ValueError("expected either `window:` and its statistic, or `figure:` with `on:` and `by:`")
        if self.figure is not None and (self.on is None or not self.by):
            raise ValueError("expected `on:`, the day, and `by:`, who set it, beside `figure:`")
        if self.needs is not None and self.window is not None and self.needs > self.window:
            raise ValueError("expected `needs:` to be no longer than `window:`; no history could ever be enough")
        return self


class MetricEntry(Declaration):
    """A named quantity with a unit, a probe and limits."""

    title: str = Field(min_length=1)
    unit: str = ""
    probe: ProbeDeclaration
    warning: LimitText | None = None
    critical: LimitText | None = None
    group: str = "Metrics"
    meaning: str = ""
    green: BandText | None = Field(None, description="The band that is well, beside yellow and red; instead of limits.")
    yellow: BandText | None = None
    red: BandText | None = None
    every: Duration | None = Field(None, description="How often it is measured; windows and baselines need it.")
    series: Literal["gauge", "counter", "events"] = Field("gauge", description="What the samples are.")
    needs: int = Field(0, ge=0, description="A value that rests on fewer samples is unknown.")
    baseline: BaselineEntry | None = None
    leave: LeaveEntry | None = None
    stay: Duration | None = Field(None, description="How long it is at least in a status that it entered.")
    priority: str | None = None
    runbook: str | None = Field(None, pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")
    fresh_for: Duration | None = Field(
        None,
        alias="fresh-for",
        description="How long a result speaks for now; default: the shortest that a runbook says which checks it.",
    )
    source: Sources = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_a_limit(self) -> MetricEntry:
        bands = [band for band in (self.green, self.yellow, self.red) if band is not None]
        if bands and (self.warning or self.critical):
            raise ValueError("bands and limits say the same twice; expected `green:`, `yellow:` and `red:`, or limits")
        if bands and len(bands) < 3:
            raise ValueError("a band is missing; expected `green:`, `yellow:` and `red:`")
        if not bands and self.warning is None and self.critical is None:
            raise ValueError("without a limit a metric can never fail; expected `warning:` or `critical:`")
        return self


class ContactEntry(Declaration):
    """Who answers for a system."""

    role: str
    reach: str = ""


class StateEntry(Declaration):
    """That a metric is in a status, or in a graver one."""

    metric: Slug
    at: Literal["warning", "critical"] = "critical"


class ConditionEntry(Declaration):
    """A named combination of metrics' states that a decision rests on; a metric's name alone means that it is critical."""

    title: str = Field(min_length=1)
    any_: list[Slug | StateEntry] | None = Field(None, alias="any", min_length=1)
    all_: list[Slug | StateEntry] | None = Field(None, alias="all", min_length=1)
    at_least: int | None = Field(None, alias="at-least", ge=1)
    of: list[Slug | StateEntry] | None = Field(None, min_length=1)
    source: Sources = Field(default_factory=list)

    @property
    def states(self) -> list[str | StateEntry]:
        """The states that it combines."""
        return list(self.any_ or self.all_ or self.of or [])

    @model_validator(mode="after")
    def _one_rule(self) -> ConditionEntry:
        if (self.any_ is not None) + (self.all_ is not None) + (self.at_least is not None) != 1:
            raise ValueError("expected one of `any:`, `all:`, and `at-least:` with `of:`")
        if (self.at_least is None) is not (self.of is None):
            raise ValueError("expected `at-least:` and `of:` together")
        if self.at_least is not None and self.at_least > len(self.states):
            raise ValueError(f"more states than there are; expected `at-least:` up to {len(self.states)}")
        return self


class SeverityEntry(Declaration):
    """How grave an incident of a system can be, and by when somebody has to act."""

    title: str = Field(min_length=1)
    acknowledge: Duration | None = Field(None, description="How long until somebody is on it.")
    resolve: Duration | None = Field(None, description="How long until it is over.")
    hours: str = Field("", description="When these clocks run, in words; empty: as `clock` says.")
    clock: Literal["always", "business-hours"] = Field(
        "always", description="Whether these clocks run day and night, or in the system's `business-hours` only."
    )


class BusinessHoursEntry(Declaration):
    """When people are there; public holidays are days like any other."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        ["mon", "tue", "wed", "thu", "fri"], min_length=1, description="Of each week."
    )
    from_: TimeOfDay = Field(alias="from", description="When they begin, such as 09:00.")
    until: TimeOfDay = Field(description="When they end, on the same day.")
    timezone: TimezoneName

    @model_validator(mode="after")
    def _some_time(self) -> BusinessHoursEntry:
        if self.until <= self.from_:
            raise ValueError("business hours end before they begin; expected `until:` to be later than `from:`")
        return self


class MaintenanceEntry(Declaration):
    """Work that was planned and announced: once, from a moment on, or again and again by a schedule."""

    title: str = Field(min_length=1)
    for_: Duration = Field(alias="for", description="How long it takes.")
    starts: Moment | None = Field(None, description="When, with its time zone; for work that comes once.")
    cron: CronText | None = Field(None, description="Five cron fields; for work that comes back.")
    timezone: TimezoneName = "UTC"
    note: str = ""

    @model_validator(mode="after")
    def _once_or_again(self) -> MaintenanceEntry:
        if (self.starts is None) == (self.cron is None):
            raise ValueError("expected either `starts:`, for work that comes once, or `cron:`, for work that comes back")
        return self


class SystemFile(Declaration):
    """One operated service: where it lives, what is measured of it, and by which limits it is judged."""

    system: Slug
    title: str = Field(min_length=1)
    summary: str = Field(min_length=1)
    owner: str = ""
    contacts: list[ContactEntry] = Field(default_factory=list)
    environments: dict[Slug, dict[str, str]] = Field(min_length=1)
    metrics: dict[Slug, MetricEntry] = Field(min_length=1)
    conditions: dict[Slug, ConditionEntry] = Field(default_factory=dict)
    severities: dict[SeverityName, SeverityEntry] = Field(default_factory=dict, description="The gravest first.")
    business_hours: BusinessHoursEntry | None = Field(None, alias="business-hours")
    maintenance: list[MaintenanceEntry] = Field(default_factory=list)
    source: Sources = Field(default_factory=list)

    @model_validator(mode="after")
    def _hours_for_clocks(self) -> SystemFile:
        timed = [name for name, one in self.severities.items() if one.clock == "business-hours"]
        if timed and self.business_hours is None:
            raise ValueError(
                f"the clocks of {timed[0]} run in business hours, of which there are none; expected `business-hours:`"
            )
        return self


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
    catch_up: Literal["last", "skip", "all"] = Field(
        "last", alias="catch-up", description="Of times that nobody was there for: run the last, none, or every one."
    )
    overlap: Literal["wait", "skip", "allow"] = Field(
        "wait", description="While the run before goes on: wait for it, leave this time out, or run beside it."
    )

    def read(self) -> Cron:
        """The schedule as the rest knows it."""
        return Cron(self.cron, self.timezone, CatchUp(self.catch_up), Overlap(self.overlap))


class FrontMatter(Declaration):
    """What stands above a runbook's text."""

    title: str = Field(min_length=1)
    system: Slug
    kind: Literal["check", "procedure", "report"]
    summary: str = Field(min_length=1)
    schedule: ScheduleEntry | None = None
    deadline: Duration = timedelta(minutes=5)
    cell_deadline: Duration = Field(timedelta(minutes=1), alias="cell-deadline")
    fresh_for: Duration = Field(
        timedelta(hours=26),
        alias="fresh-for",
        description="How long its run speaks for now, and the longest that its results do.",
    )
    time_budget: Duration | None = Field(None, alias="time-budget")
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")], ParameterEntry] = Field(default_factory=dict)
    files: list[FileName] = Field(
        default_factory=list,
        description="Files below the runbook's folder that its working directory begins with, which is empty otherwise.",
    )
    environments: list[Slug] = Field(default_factory=list)
    owner: str = ""
    source: Sources = Field(default_factory=list)
    jupyter: dict[str, Any] | None = Field(None, description="Jupytext's own block; Proofbook leaves it alone.")


class IncidentFrontMatter(Declaration):
    """What stands above an incident's page in ``docs/incidents``."""

    title: str = Field(min_length=1)
    system: Slug
    severity: SeverityName = Field(description="One of the system's severities, where it declares any.")
    opened: Moment = Field(description="When it was known, with its time zone.")
    acknowledged: Moment | None = Field(None, description="When somebody took it up.")
    resolved: Moment | None = Field(None, description="When it was over.")
    runbook: str | None = Field(None, pattern=r"^[a-z0-9-]+/[a-z0-9-]+$", description="The runbook that was followed.")
    status: Literal["open", "acknowledged", "resolved"] | None = Field(None, description="What the times say, as a word.")
    environment: Slug | None = Field(None, description="Where it is; default: wherever the site looks.")
    source: Sources = Field(default_factory=list)
    hide: list[str] | None = Field(None, description="MkDocs' own.")
