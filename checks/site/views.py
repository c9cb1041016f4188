"""What templates show of facts: values picked and put into words; no HTML is written here."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from checks.judge import format_observed
from checks.judge.lifetimes import run_until
from checks.model import Metric, Result, Run, Runbook, RunState, Status, StepClass
from checks.site.facts import Facts

if TYPE_CHECKING:
    from checks.journal.report import Item, Report, SystemReport
    from checks.site.evidence import Output


BADNESS = (Status.CRITICAL, Status.UNKNOWN, Status.WARNING, Status.OK)
"""The worst first."""

_AGES = (Status.OK, Status.WARNING)
"""What nobody can say any more once it is too old."""
_RANK = {label: at for at, label in enumerate(("ok", "warning", "stale", "unknown", "critical"))}

_ALIKE = 2
"""More metrics than this with one trouble are told as one."""
_MOST_RESULTS = 80
"""Results of one step on a page."""
_MOST_OF_A_RUN = 160
"""Results of all steps on a page; of more, each step shows its share."""
_LEAST_RESULTS = 3
_TOLD = 5
"""So many of them are named."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A status as it is shown: its word, and until when it may be believed.

    Attributes:
        label: ``ok``, ``warning``, ``critical``, ``unknown``, ``stale`` or ``never`` (a run that was never made).
        measured: when it was measured; with `fresh_for`, the browser can tell when it turns stale.
        fresh_for: seconds that it speaks for from then; ``None`` where age changes nothing any more.

    """

    label: str
    measured: datetime | None = None
    fresh_for: int | None = None

    @property
    def word(self) -> str:
        """The label for a reader."""
        return {"never": "Never run"}.get(self.label, self.label.capitalize())

    @property
    def shape(self) -> str:
        """The name of its symbol and colour."""
        return {"never": "stale"}.get(self.label, self.label)

    @property
    def until(self) -> datetime | None:
        """When it turns stale."""
        return self.measured + timedelta(seconds=self.fresh_for) if self.measured and self.fresh_for is not None else None


def badge(of: Item | Report) -> Badge:
    """The badge of an item, a system or the whole site."""
    from checks.journal.report import Freshness, Item

    if isinstance(of, Item):
        fresh = of.freshness is Freshness.FRESH and of.measured_at and of.stale_at
        return _badge(of.label, of.measured_at, of.stale_at if fresh else None)
    label = of.status.value
    if (
        of.status is Status.UNKNOWN
        and all(item.label == "stale" for item in of.items if item.status is Status.UNKNOWN)
        and of.items
    ):
        label = "stale"
    return _badge(label, of.newest_at, of.stale_at)


def run_badge(facts: Facts, run: Run | None, runbook: Runbook) -> Badge:
    """The badge of a runbook's latest run; a well one turns stale when it no longer speaks for now."""
    if run is None:
        return Badge("never" if runbook.schedule is None else "unknown")
    if not run.state.ended:
        return Badge("unknown")
    until = run_until(runbook, run)
    over = facts.passed(until)
    aged = over and run.status in _AGES
    return _badge("stale" if aged else run.status.value, run.ended_at or run.started_at, None if over else until)


def decision_badge(met: str, states: Sequence[Badge]) -> Badge:
    """The badge of a condition: what speaks against it may be believed as long as each of its states."""
    if met != "no":
        return Badge({"yes": "critical"}.get(met, "unknown"))
    _, soonest = min(((state.until, state) for state in states if state.until), key=itemgetter(0), default=(None, Badge("ok")))
    return Badge("ok", soonest.measured, soonest.fresh_for)


def past_badge(run: Run) -> Badge:
    """The badge of a run in a history, which age does not change: what it found then, or that it has not ended."""
    return Badge(run.status.value) if run.state.ended else Badge("unknown")


def answer(facts: Facts) -> str:
    """Whether everything is well, in a few words."""
    report = facts.report
    if not report.items:
        return "There is nothing to measure yet"
    if report.newest_at is None:
        return "Nothing has been measured yet"
    begun = sum(one.resolved is None for one in facts.incidents)
    count = len(needs(facts, report)) + begun
    if not count:
        return "Everything is well"
    if not begun and all(item.label == "stale" for item in report.needs):
        return "This answer is stale"
    return "1 thing needs someone" if count == 1 else f"{count} things need someone"


@dataclass(frozen=True, slots=True)
class Need:
    """Something that needs a person.

    Attributes:
        title: what it is: a metric, a runbook, or how many metrics share one trouble.
        also: the titles of the first of those metrics; empty where it is one.
        go: the runbook to follow; ``None`` where none is declared.

    """

    item: Item
    badge: Badge
    title: str
    also: str
    value: str
    limit: str
    go: Runbook | None


def needs(facts: Facts, report: Report) -> list[Need]:
    """What needs someone, the worst first; metrics of a system that nothing is known of for one reason are one need."""
    alike: dict[tuple[str, str, str], list[Item]] = {}
    for item in report.needs:
        one = item.slug if item.status is not Status.UNKNOWN or item.metric is None else ""
        alike.setdefault((item.system, item.label, one or ("" if item.label == "stale" else item.reason)), []).append(item)
    return [
        _need(facts, item) for items in alike.values() for item in ([items] if len(items) > _ALIKE else [[one] for one in items])
    ]


def _need(facts: Facts, items: list[Item]) -> Need:
    item = items[0]
    result = item.result
    limit = ""
    if result is not None and result.status in (Status.CRITICAL, Status.WARNING):
        limit = (result.critical if result.status is Status.CRITICAL else result.warning) or ""
    wanted = (item.metric.runbook if item.metric else None) or item.runbook
    return Need(
        item,
        badge(item),
        item.title if len(items) == 1 else f"{len(items)} metrics",
        "" if len(items) == 1 else _some(items),
        value_of(result),
        limit,
        facts.catalogue.runbooks.get(wanted or ""),
    )


def _some(items: list[Item]) -> str:
    titles = [one.title for one in items]
    return ", ".join(titles[:_TOLD]) + (f" and {len(titles) - _TOLD} more" if len(titles) > _TOLD else "")


@dataclass(frozen=True, slots=True)
class SystemRow:
    """One system in the table of systems."""

    report: SystemReport
    badge: Badge
    note: str
    due: datetime | None
    overdue: datetime | None


def system_row(facts: Facts, report: SystemReport) -> SystemRow:
    """A system with what it lacks, and what of it is due."""
    labels = Counter(item.label for item in report.needs)
    runbooks = facts.catalogue.runbooks_of(report.system)
    due = [moment for runbook in runbooks if (moment := facts.next_due(runbook.slug))]
    late = [moment for runbook in runbooks if (moment := facts.overdue_since(runbook.slug))]
    note = ", ".join(f"{labels[label]} {label}" for label in ("critical", "unknown", "stale", "warning") if labels[label])
    return SystemRow(report, badge(report), note, min(due, default=None), min(late, default=None))


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric with its latest result beside its declared limits."""

    metric: Metric
    item: Item
    badge: Badge
    value: str
    run: Run | None
    last_critical: datetime | None


def metric_row(facts: Facts, metric: Metric) -> MetricRow:
    """A metric as the latest result has it."""
    item = facts.item(metric.slug)
    return MetricRow(
        metric,
        item,
        badge(item),
        value_of(item.result),
        facts.by_id.get(item.run_id or ""),
        facts.last_critical.get(metric.slug),
    )


@dataclass(frozen=True, slots=True)
class RunbookRow:
    """One runbook with its latest run."""

    runbook: Runbook
    run: Run | None
    badge: Badge
    due: datetime | None
    overdue: datetime | None
    changed: bool

    @property
    def took(self) -> float | None:
        """Seconds that the latest run took."""
        return (self.run.ended_at - self.run.started_at).total_seconds() if self.run and self.run.ended_at else None


def runbook_row(facts: Facts, runbook: Runbook) -> RunbookRow:
    """A runbook as its latest ended run has it."""
    run = facts.latest_runs.get(runbook.slug)
    return RunbookRow(
        runbook,
        run,
        run_badge(facts, run, runbook),
        facts.next_due(runbook.slug),
        facts.overdue_since(runbook.slug),
        run is not None and bool(run.source) and run.source != runbook.digest,
    )


def next_of(facts: Facts, runbook: Runbook) -> datetime | None:
    """When a runbook is due next."""
    return facts.next_due(runbook.slug)


@dataclass(frozen=True, slots=True)
class StepView:
    """What the latest run left of one step.

    Attributes:
        badge: of its results; ``None`` where it has none.
        said: why there is none, or what became of the step.
        rows: all of its results.
        first: those that a page shows: all, or of very many those that are wrong first.

    """

    run: Run | None
    badge: Badge | None
    said: str
    rows: Sequence[Result] = ()
    first: Sequence[tuple[Result, Badge]] = ()
    outputs: tuple[tuple[int, Output], ...] = ()

    @property
    def lines(self) -> int:
        """How many lines of output there are."""
        return sum(output.text.count("\n") + 1 for _, output in self.outputs if output.text)


def step(facts: Facts, runbook: Runbook, number: int) -> StepView:
    """A step of a runbook with the results, output and fate that its latest run gave it."""
    run = facts.latest_runs.get(runbook.slug)
    if run is None:
        return StepView(None, None, "never run")
    declared = next((step for step in facts.steps.of(runbook) if step.number == number), None)
    evidence = facts.archive.get(run.evidence)
    if declared is None or evidence is None:
        return StepView(run, None, "no evidence")
    cells = evidence.step(declared.title, number)
    positions = {cell.position for cell in cells}
    of = facts.results.get(runbook.slug, ())
    rows = [result for result in of if result.cell in positions]
    told = _told(facts, runbook, rows)
    first = [(one.result, one.badge) for one in _first(told, len(of))]
    outputs = tuple((cell.position, output) for cell in cells for output in cell.outputs if not output.result)
    code = [cell for cell in cells if cell.code and cell.source.strip()]
    if any(output.failed for _, output in outputs):
        return StepView(run, Badge("unknown"), "failed", rows, first, outputs)
    if rows:
        return StepView(run, _worst(told), "", rows, first, outputs)
    if not code:
        return StepView(run, None, "", outputs=outputs)
    if any(cell.executed for cell in code):
        return StepView(run, None, "executed", outputs=outputs)
    stopped = run.state in (RunState.FAILED, RunState.TIMED_OUT, RunState.LOST) and declared.step_class is StepClass.READ
    return StepView(run, None, "not reached" if stopped else "not executed", outputs=outputs)


def _badge(label: str, measured: datetime | None, until: datetime | None) -> Badge:
    if measured is None or until is None:
        return Badge(label, measured)
    return Badge(label, measured, max(0, int((until - measured).total_seconds())))


class _Told(NamedTuple):
    """A result as it is told: thousands are looked at, of which few have a badge of their own."""

    result: Result
    label: str
    measured: datetime
    until: datetime | None

    @property
    def badge(self) -> Badge:
        return _badge(self.label, self.measured, self.until)


def _told(facts: Facts, runbook: Runbook, results: Sequence[Result]) -> list[_Told]:
    lifetimes = facts.catalogue.lifetimes(facts.environment)
    found = []
    for result in results:
        system = facts.catalogue.systems.get(result.system)
        metric = system.metrics.get(result.metric) if system else None
        measured = result.observation.measured_at if result.observation else result.judged_at
        found.append((result, measured, measured + (lifetimes.of(metric, runbook.slug) if metric else runbook.fresh_for)))
    # What ends before a moment that is over is over, too: few of them need be asked for.
    ends = sorted({until for _, _, until in found})
    over = set(ends[: bisect_left(ends, True, key=lambda until: not facts.passed(until))])
    return [
        _Told(result, "stale" if until in over and result.status in _AGES else result.status.value, measured, None)
        if until in over
        else _Told(result, result.status.value, measured, until)
        for result, measured, until in found
    ]


def _first(told: Sequence[_Told], of: int) -> Sequence[_Told]:
    """Those that a page shows, where all steps of the run have so many."""
    share = min(max(_LEAST_RESULTS, _MOST_OF_A_RUN * len(told) // max(of, _MOST_OF_A_RUN)), _MOST_RESULTS)
    return told if len(told) <= share else sorted(told, key=lambda one: one.label == "ok")[:share]


def _worst(told: Sequence[_Told]) -> Badge:
    worst = max(told, key=lambda one: _RANK[one.label])
    return _badge(worst.label, worst.measured, min((one.until for one in told if one.until is not None), default=None))


def value_of(result: Result | None) -> str:
    """The observed value of a result as it is shown; empty where there is none."""
    return format_observed(result.observation) if result and result.observation else ""
