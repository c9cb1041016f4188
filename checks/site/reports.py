"""Reports: a period beside the one before, and the periods before those, out of what the journal holds of each day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from checks.journal.periods import Figure, Frozen, Period, periods, subject_of, summed
from checks.judge import TEXT_UNIT, format_value
from checks.model import Metric, Run, RunbookKind
from checks.site import archives

if TYPE_CHECKING:
    from checks.site.facts import Facts

_COLUMNS = 8
LINES = 50
"""The most metrics of a report on a page beside other things."""


@dataclass(frozen=True, slots=True)
class Line:
    """One metric over some periods, the newest first.

    Attributes:
        shown: the mean of each period in its unit; empty where nothing was measured.
        spread: the lowest and the highest of the newest period.
        change: how the newest differs from the one before, in words; empty where there is nothing to compare.
        sign: ``up``, ``down``, ``same`` or empty.

    """

    metric: Metric
    figures: tuple[Figure, ...]
    shown: tuple[str, ...]
    spread: str
    change: str
    sign: str


@dataclass(frozen=True, slots=True)
class Sums:
    """What can be counted of a period: its days by status, incidents that began in it, and measurements.

    Attributes:
        frozen: what was written down of it when it had ended; ``None`` where it has not ended, or nobody did.

    """

    period: Period
    days: Counter[str]
    incidents: int
    measured: int
    frozen: Frozen | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A system over some periods, the newest first.

    Attributes:
        total: how many metrics it has; the lines may be fewer.
        archive: title and address of each page of periods that are over, the newest first.

    """

    system: str
    title: str
    sums: tuple[Sums, ...]
    lines: tuple[Line, ...]
    runs: tuple[Run, ...]
    total: int = 0
    archive: tuple[tuple[str, str], ...] = ()


def report(facts: Facts, system: str, name: str, count: int = _COLUMNS) -> Report:
    """A system's report of a kind of period: this one as it stands, and those before as they were written down."""
    declared = facts.catalogue.system(system)
    spans = periods(name, facts.utc_day, count)
    frozen = [frozen_of(facts, system, name, span) if at else None for at, span in enumerate(spans)]
    metrics = [metric for metric in declared.metrics.values() if metric.unit != TEXT_UNIT]
    shown = _worst_first(facts, metrics)[:LINES] if len(metrics) > LINES else metrics
    facts.daily.need([metric.slug for metric in shown])
    lines = tuple(_line(metric, facts, spans, frozen) for metric in shown)
    books = [book for book in facts.catalogue.runbooks_of(system) if book.kind is RunbookKind.REPORT]
    runs = [run for book in books for run in facts.runs.get(book.slug, ()) if spans[1].start <= run.started_at.date()]
    counts = [sum(line.figures[at].count for line in lines) for at in range(count)]
    sums = tuple(_sums(facts, system, span, counts[at], frozen[at]) for at, span in enumerate(spans))
    return Report(system, declared.title, sums, lines, tuple(runs), len(metrics), archives.links(facts, system, name))


def frozen_of(facts: Facts, system: str, name: str, span: Period) -> Frozen | None:
    """What was written down of a period when it had ended; ``None`` where nothing was, or where somebody altered it."""
    subject = subject_of(facts.environment, system, name, span.start)
    return facts.frozen.get(subject)


def _worst_first(facts: Facts, metrics: Sequence[Metric]) -> list[Metric]:
    order = ("critical", "unknown", "stale", "warning", "ok")
    return sorted(metrics, key=lambda metric: order.index(facts.item(metric.slug).label))


def _sums(facts: Facts, system: str, span: Period, count: int, frozen: Frozen | None) -> Sums:
    if frozen is not None:
        return Sums(span, Counter(frozen.days), frozen.incidents, frozen.measured, frozen)
    known = facts.days.get(system, {})
    days = Counter(status.value for day, status in known.items() if span.holds(day))
    begun = sum(one.system == system and span.holds(one.opened.date()) for one in facts.incidents)
    return Sums(span, days, begun, count)


def _line(metric: Metric, facts: Facts, spans: Sequence[Period], frozen: Sequence[Frozen | None]) -> Line:
    seen = [one for one in facts.daily.get(metric.slug, ()) if one.unit == metric.unit]
    figures = tuple(
        _kept(metric, known) if known is not None else summed([one for one in seen if span.holds(one.at.date())])
        for span, known in zip(spans, frozen, strict=True)
    )
    shown = tuple(format_value(figure.mean, metric.unit) if figure.count else "" for figure in figures)
    change, sign = compared(figures[0], figures[1], metric.unit)
    newest = figures[0]
    spread = ""
    if newest.count and newest.high > newest.low:
        spread = f"{format_value(newest.low, metric.unit)} to {format_value(newest.high, metric.unit)}"
    return Line(metric, figures, shown, spread, change, sign)


def _kept(metric: Metric, frozen: Frozen) -> Figure:
    known = frozen.metrics.get(metric.name)
    return known.figure if known is not None and known.unit == metric.unit else Figure(0)


_SAME = 0.005
"""A change of less than half a percent is none that a reader would see."""


def compared(new: Figure, old: Figure, unit: str) -> tuple[str, str]:
    """How one figure differs from another, in words, and ``up``, ``down`` or ``same``; both empty where one is missing."""
    if not new.count or not old.count:
        return "", ""
    difference = new.mean - old.mean
    if abs(difference) <= _SAME * max(abs(new.mean), abs(old.mean)):
        return "the same", "same"
    sign = "up" if difference > 0 else "down"
    # A share of a share misleads, and nothing has a share of zero.
    if unit == "%" or old.mean == 0:
        # Of a change of points, more than two figures is noise.
        told = float(f"{abs(difference):.2g}") if unit == "%" else abs(difference)
        said = format_value(told, unit).replace(" %", " points")
    else:
        share = abs(difference) / abs(old.mean) * 100
        said = f"{share:.0f} %" if share < 1000 else f"{share / 100 + 1:.0f} times"
    return f"{sign} {said}", sign


def trend(facts: Facts, metric: Metric) -> tuple[str, str]:
    """How the last seven days differ from the seven before, as `compared` says it."""
    today = facts.utc_day
    seen = [one for one in facts.daily.get(metric.slug, ()) if one.unit == metric.unit]
    this = [one for one in seen if timedelta(0) <= today - one.at.date() < timedelta(days=7)]
    last = [one for one in seen if timedelta(days=7) <= today - one.at.date() < timedelta(days=14)]
    return compared(summed(this), summed(last), metric.unit)
