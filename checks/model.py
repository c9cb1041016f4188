"""The words of Proofbook as frozen values; nothing here reads, writes or knows the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from checks.duties import BusinessHours as BusinessHours
from checks.duties import ChecklistItem as ChecklistItem
from checks.duties import Incident as Incident
from checks.duties import IncidentStatus as IncidentStatus
from checks.duties import Maintenance as Maintenance
from checks.duties import Proof as Proof
from checks.duties import Severity as Severity
from checks.limits import Against as Against
from checks.limits import Alignment as Alignment
from checks.limits import Baseline as Baseline
from checks.limits import BaselineUsed as BaselineUsed
from checks.limits import FixedBaseline as FixedBaseline
from checks.limits import Limit as Limit
from checks.limits import Operator as Operator
from checks.limits import Series as Series
from checks.limits import Span as Span
from checks.times import CatchUp as CatchUp
from checks.times import Cron as Cron
from checks.times import Overlap as Overlap


class Status(Enum):
    """What a judgement says, in the four states of monitoring plugins."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"

    __hash__ = object.__hash__  # each is one object; an Enum's own hash is Python code

    @property
    def exit_code(self) -> int:
        """The plugin's exit code: 0 ok, 1 warning, 2 critical, 3 unknown (Monitoring Plugins guidelines, table 2)."""
        return _EXIT_CODES[self]

    @staticmethod
    def worst(statuses: Iterable[Status]) -> Status:
        """The worst of some statuses: critical > unknown > warning > ok; of none at all, unknown."""
        return max(statuses, key=_BADNESS.__getitem__, default=Status.UNKNOWN)


_EXIT_CODES = {Status.OK: 0, Status.WARNING: 1, Status.CRITICAL: 2, Status.UNKNOWN: 3}
_BADNESS = {Status.OK: 0, Status.WARNING: 1, Status.UNKNOWN: 2, Status.CRITICAL: 3}


class StepClass(Enum):
    """What executing a step may do to the system."""

    READ = "read"
    CHANGE = "change"
    DESTRUCTIVE = "destructive"
    MANUAL = "manual"


class RunbookKind(Enum):
    """What a runbook is for."""

    CHECK = "check"
    PROCEDURE = "procedure"
    REPORT = "report"


class RunState(Enum):
    """Where one execution of a runbook has got to."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self not in (RunState.QUEUED, RunState.RUNNING)


class Trigger(Enum):
    """Who asked for a run."""

    COMMAND = "command"
    SCHEDULE = "schedule"
    PUBLISH = "publish"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a system lives: the settings that probes refer to as ``{name}``.

    Attributes:
        settings: values that may hold ``${VARIABLE}`` and ``${secret:VARIABLE}``; resolved when a run starts.

    """

    name: str
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Metric:
    """A named quantity of one system with a unit, a probe and limits.

    Attributes:
        name: the slug within its system (``error-rate``).
        unit: unit of the observed value (``%``, ``ms``, ``MB``, ``s``, ``h``, ``d`` or empty for a count).
        probe: the probe's declaration: ``kind`` and its options, as written.
        group: the heading under which its plan lists it.
        meaning: one or two sentences for the reader: what it is and why its limit is where it is.
        runbook: the runbook to follow when it is broken (``system/name``), if any.
        fresh_for: how long a result speaks for now; ``None``: as `checks.judge.lifetimes` finds from those who measure it.
        source: the requirement rows that it fulfils.
        green: where it is judged by bands, the one that is well; a value in no band is unknown.
        every: how often it is measured; windows and baselines hold their samples to it.
        series: what its samples are.
        needs: how many samples an observation must rest on; fewer are unknown.
        baseline: what is usual for it.
        leave_warning, leave_critical: the condition to leave that status once it is entered.
        stay: how long it is at least in a status that it entered.

    """

    system: str
    name: str
    title: str
    unit: str
    probe: Mapping[str, object]
    warning: Limit | None = None
    critical: Limit | None = None
    group: str = "Metrics"
    meaning: str = ""
    priority: str | None = None
    runbook: str | None = None
    fresh_for: timedelta | None = None
    source: tuple[str, ...] = ()
    green: Limit | None = None
    every: timedelta | None = None
    series: Series = Series.GAUGE
    needs: int = 0
    baseline: Baseline | FixedBaseline | None = None
    leave_warning: Limit | None = None
    leave_critical: Limit | None = None
    stay: timedelta | None = None

    @property
    def slug(self) -> str:
        """The name that is the same everywhere: ``system/metric``."""
        return f"{self.system}/{self.name}"


@dataclass(frozen=True, slots=True)
class Contact:
    """Who answers for a system; an empty `reach` is a gap in the plan that `lint` counts."""

    role: str
    reach: str = ""


class Rule(Enum):
    """How many of a condition's states must be there."""

    ALL = "all"
    ANY = "any"
    AT_LEAST = "at-least"


@dataclass(frozen=True, slots=True)
class State:
    """That a metric is in a status, or in a graver one."""

    metric: str
    at: Status = Status.CRITICAL


@dataclass(frozen=True, slots=True)
class Condition:
    """A named combination of metrics' states that a decision rests on, such as when to roll back.

    Attributes:
        name: the slug within its system.
        count: how many, for ``at-least``.

    """

    name: str
    title: str
    rule: Rule
    states: tuple[State, ...]
    count: int = 1
    source: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class System:
    """One operated service, as its ``system.yml`` describes it."""

    name: str
    title: str
    summary: str
    environments: Mapping[str, Environment]
    metrics: Mapping[str, Metric]
    path: Path
    owner: str = ""
    contacts: tuple[Contact, ...] = ()
    source: tuple[str, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    severities: Mapping[str, Severity] = field(default_factory=dict)
    maintenance: tuple[Maintenance, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A typed value that a runbook may be given.

    Attributes:
        type: ``string``, ``integer``, ``number`` or ``boolean`` (JSON Schema's names).
        default: used when none is given; ``None``: the parameter must be given.
        choices: the values allowed; empty: any of the type.

    """

    name: str
    type: str
    default: str | int | float | bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One ``##`` section of a runbook.

    Attributes:
        number: counted from 1; 0 is what stands before the first ``##``.
        title: the heading's text.
        step_class: the gravest class that a cell of it is tagged with.
        cells: positions of its cells in the notebook, prose included, counted from 0.

    """

    number: int
    title: str
    step_class: StepClass
    cells: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Runbook:
    """A Jupytext Markdown notebook with front matter.

    Attributes:
        name: the slug within its system; the file's name without ``.md``.
        fresh_for: how long its results speak for now.
        deadline: how long one run may take in all; `cell_deadline`: how long one cell.
        environments: where it may run; empty: in each of the system's.
        digest: SHA-256 of the file, in hex.
        checks: the names that its cells may check, as far as its text shows; some may be no metrics.
        files: names, below its own folder, of the files that its working directory begins with.

    """

    system: str
    name: str
    title: str
    kind: RunbookKind
    summary: str
    path: Path
    digest: str
    schedule: Cron | None = None
    deadline: timedelta = timedelta(minutes=5)
    cell_deadline: timedelta = timedelta(minutes=1)
    fresh_for: timedelta = timedelta(hours=26)
    time_budget: timedelta | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    environments: tuple[str, ...] = ()
    owner: str = ""
    source: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The name that is the same in notebook, journal, evidence and URL: ``system/name``."""
        return f"{self.system}/{self.name}"


@dataclass(frozen=True, slots=True)
class Observation:
    """A value that was really measured.

    Attributes:
        value: a finite number; booleans are 1 and 0; a text (unit ``text``) is its fingerprint, and stands in `detail`.
        unit: the unit the value is in.
        measured_at: when, aware, in UTC.
        took: seconds that measuring needed.
        source: from what, secrets left out (``GET http://127.0.0.1:8001/metrics → error_rate``).
        detail: what else was seen on the way, one short line (``12 of 480 requests``).
        samples: how many samples (requests, lines, rows) the value rests on; ``None`` where nobody counted.
        past: earlier values that the source itself remembers, in `unit`, oldest first; they are judged by, and not recorded.

    """

    value: float
    unit: str
    measured_at: datetime
    took: float
    source: str
    detail: str = ""
    samples: int | None = None
    past: tuple[tuple[datetime, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """That measuring failed, and why: what a probe returns when it has no observation."""

    reason: str
    measured_at: datetime
    took: float
    source: str


@dataclass(frozen=True, slots=True)
class Result:
    """One check's outcome: the observation, the limits as they were then, the status and its reason.

    Attributes:
        metric: the metric's slug within its system.
        observation: what was measured; ``None`` where nothing could be.
        warning, critical: the limits' texts that judged it.
        reason: why it is so, in one sentence (``12.4 % breaks > 10 %``).
        judged_at: when, aware, in UTC.
        cell: position of the cell in the evidence, counted from 0; ``None`` outside a notebook.
        step: number of the step; ``None`` outside a notebook.
        baseline: the baseline that it was judged by; ``None`` where none was needed, or there was none.

    """

    system: str
    metric: str
    title: str
    status: Status
    reason: str
    judged_at: datetime
    observation: Observation | None = None
    warning: str | None = None
    critical: str | None = None
    cell: int | None = None
    step: int | None = None
    baseline: BaselineUsed | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a runbook in an environment with parameters.

    Attributes:
        id: a ULID: sorts by time of start.
        status: the worst of its results; unknown where the run did not finish or judged nothing.
        reason: why the run is not simply the sum of its results (``cell 4 failed: …``); empty where it is.
        source: SHA-256 of the runbook's file as executed.
        evidence: SHA-256 of the executed notebook; ``None`` where none could be kept.
        basis: digests of what else it rested on, by name: system, settings, packages; empty where nobody knows.

    """

    id: str
    runbook: str
    system: str
    environment: str
    trigger: Trigger
    state: RunState
    status: Status
    started_at: datetime
    ended_at: datetime | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""
    source: str = ""
    evidence: str | None = None
    host: str = ""
    actor: str = ""
    made_with: Mapping[str, object] = field(default_factory=dict)
    redacted: int | None = None
    basis: Mapping[str, str] = field(default_factory=dict)
