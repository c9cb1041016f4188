"""Small drawings as inline SVG: the last day of a metric with its limits as dotted lines, the last month of a system as bars."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from checks.judge import format_value
from checks.site import words
from checks.site.facts import DAYS_SHOWN, bound
from checks.site.history import SPANS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from checks.journal import Stretch
    from checks.model import Metric
    from checks.site.facts import Facts

_WIDTH, _HEIGHT, _MARGIN = 120, 26, 3
_MOST_POINTS = 60
_DAY = SPANS[0]


def spark(facts: Facts, metric: Metric) -> Markup:
    """The last 24 hours of a metric; empty where nothing was measured in them."""
    known = facts.stretches[_DAY.name].get(metric.slug, ())
    seen = [one for one in known if one.unit == known[-1].unit]
    if not seen:
        return Markup()
    lowest, highest = min(one.low for one in seen), max(one.high for one in seen)
    points = _thinned(seen)
    limits = {"warning": bound(metric.warning, metric), "critical": bound(metric.critical, metric)}
    lines = [line for some in limits.values() for line in some]
    low, high = min([lowest, *lines]), max([highest, *lines])
    start = facts.upto(_DAY.width) - _DAY.length

    def x(moment: datetime) -> int:
        return round(max(0.0, min(1.0, (moment - start) / _DAY.length)) * (_WIDTH - 4) + 2)

    def y(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(_HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN), 1)

    path = " ".join(f"{at} {height:g}" for at, height in _bent([(x(moment), y(value)) for moment, value in points]))
    # Figures and our own words, but for what is said; Markup.format takes its time over each.
    drawn = "".join(
        f'<line class="pb-spark-{name}" x1="0" x2="{_WIDTH}" y1="{y(line)}" y2="{y(line)}"/>'
        for name, some in limits.items()
        for line in some
    )
    drawn += f'<path d="M{path}"/>' if len(points) > 1 else ""
    drawn += f'<circle cx="{x(points[-1][0])}" cy="{y(points[-1][1])}" r="2"/>'
    said = f"{words.harmless(metric.title)}, 24 hours: lowest {_said(lowest, metric)}, highest {_said(highest, metric)}"
    begin = f'<svg class="pb-spark" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(said)}">'
    return Markup(f"{begin}{drawn}</svg>")  # noqa: S704 - escaped above


def _thinned(seen: Sequence[Stretch]) -> list[tuple[datetime, float]]:
    """At most sixty points, the last of them the newest; of each the value farthest from what is usual: no peak is lost."""
    middle = sorted(one.mean for one in seen)[len(seen) // 2]
    points = [(one.at, max((one.low, one.high), key=lambda value: abs(value - middle))) for one in seen]
    newest = (seen[-1].at, seen[-1].mean)
    if len(points) <= _MOST_POINTS:
        return [*points[:-1], newest]
    size = -(-len(points) // (_MOST_POINTS - 1))
    spans = [points[at : at + size] for at in range(0, len(points) - 1, size)]
    return [*(max(some, key=lambda point: abs(point[1] - middle)) for some in spans), newest]


def _bent(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Points of a line without those that lie on a level stretch of it, which draw nothing."""
    inner = [
        here for before, here, after in zip(points, points[1:], points[2:], strict=False) if not before[1] == here[1] == after[1]
    ]
    return [*points[:1], *inner, *points[-1:]]


def _said(value: float, metric: Metric) -> str:
    return format_value(value, metric.unit)


@dataclass(frozen=True, slots=True)
class Span:
    """Days in a row that had one status: where their line begins, how long it is, and what it says."""

    label: str
    x: int
    y: int
    length: int
    said: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The last thirty days of a system."""

    spans: tuple[Span, ...]
    said: str


_A_DAY = 6
_LEVEL = {"warning": 12, "none": 16}
"""Where the middle of a bar stands that is not of full height."""


def strip(facts: Facts, system: str) -> Strip:
    """The last thirty days of a system, the oldest first; a day without a judgement is ``none``."""
    known = facts.days.get(system, {})
    today = facts.utc_day
    days = [today - timedelta(days=back) for back in range(DAYS_SHOWN - 1, -1, -1)]
    labels = [known[day].value if day in known else "none" for day in days]
    spans, at = [], 0
    for label, some in groupby(labels):
        count = len(list(some))
        word = "not measured" if label == "none" else label
        first, last = days[at], days[at + count - 1]
        said = f"{_day(first)}: {word}" if count == 1 else f"{_day(first)} to {_day(last)}: {word}"
        spans.append(Span(label, at * _A_DAY, _LEVEL.get(label, 9), count * _A_DAY - 2, said))
        at += count
    sums = Counter(labels)
    words_of = {"critical": "critical", "unknown": "unknown", "warning": "with warnings", "ok": "ok", "none": "not measured"}
    said = ", ".join(f"{sums[label]} {word}" for label, word in words_of.items() if sums[label])
    return Strip(tuple(spans), f"{DAYS_SHOWN} days: {said}")


def _day(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"
