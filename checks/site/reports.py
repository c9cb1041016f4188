"""Reports: a period beside the one before, and the periods before those, out of what the journal holds of each day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from checks.judge import TEXT_UNIT, format_value
from checks.model import Metric, Run, RunbookKind

if TYPE_CHECKING:
    from checks.journal import Stretch
    from checks.site.facts import Facts

_COLUMNS = 8
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


def periods(name: str, today: date, count: int = _COLUMNS) -> list[Period]:
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
    """What can be counted of a period: its days by status, incidents that began in it, and measurements."""

    period: Period
    days: Counter[str]
    incidents: int
    measured: int


@dataclass(frozen=True, slots=True)
class Report:
    """A system over some periods, the newest first."""

    system: str
    title: str
    sums: tuple[Sums, ...]
    lines: tuple[Line, ...]
    runs: tuple[Run, ...]


def report(facts: Facts, system: str, name: str, count: int = _COLUMNS) -> Report:
    """A system's report of a kind of period: this one, the last one, and those before."""
    declared = facts.catalogue.system(system)
    spans = periods(name, facts.utc_day, count)
    lines = tuple(_line(metric, facts, spans) for metric in declared.metrics.values() if metric.unit != TEXT_UNIT)
    books = [book for book in facts.catalogue.runbooks_of(system) if book.kind is RunbookKind.REPORT]
    runs = [run for book in books for run in facts.runs.get(book.slug, ()) if spans[1].start <= run.started_at.date()]
    sums = tuple(_sums(facts, system, span, [line.figures[at].count for line in lines]) for at, span in enumerate(spans))
    return Report(system, declared.title, sums, lines, tuple(runs))


def _sums(facts: Facts, system: str, span: Period, counts: Sequence[int]) -> Sums:
    known = facts.days.get(system, {})
    days = Counter(status.value for day, status in known.items() if span.holds(day))
    begun = sum(one.system == system and span.holds(one.opened.date()) for one in facts.incidents)
    return Sums(span, days, begun, sum(counts))


def _line(metric: Metric, facts: Facts, spans: Sequence[Period]) -> Line:
    seen = [one for one in facts.daily.get(metric.slug, ()) if one.unit == metric.unit]
    figures = tuple(_figure([one for one in seen if span.holds(one.at.date())]) for span in spans)
    shown = tuple(format_value(figure.mean, metric.unit) if figure.count else "" for figure in figures)
    change, sign = compared(figures[0], figures[1], metric)
    newest = figures[0]
    spread = ""
    if newest.count and newest.high > newest.low:
        spread = f"{format_value(newest.low, metric.unit)} to {format_value(newest.high, metric.unit)}"
    return Line(metric, figures, shown, spread, change, sign)


def _figure(days: Sequence[Stretch]) -> Figure:
    count = sum(one.count for one in days)
    if not count:
        return Figure(0)
    mean = sum(one.mean * one.count for one in days) / count
    return Figure(count, min(one.low for one in days), mean, max(one.high for one in days))


_SAME = 0.005
"""A change of less than half a percent is none that a reader would see."""


def compared(new: Figure, old: Figure, metric: Metric) -> tuple[str, str]:
    """How one figure differs from another, in words, and ``up``, ``down`` or ``same``; both empty where one is missing."""
    if not new.count or not old.count:
        return "", ""
    difference = new.mean - old.mean
    if abs(difference) <= _SAME * max(abs(new.mean), abs(old.mean)):
        return "the same", "same"
    sign = "up" if difference > 0 else "down"
    # A share of a share misleads, and nothing has a share of zero.
    if metric.unit == "%" or old.mean == 0:
        said = format_value(abs(difference), metric.unit).replace(" %", " points")
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
    return compared(_figure(this), _figure(last), metric)
