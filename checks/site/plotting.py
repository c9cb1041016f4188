"""Plots as inline SVG: a metric over a day, a week and a quarter, with the limits that judged it then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from checks.errors import DataError
from checks.judge import TEXT_UNIT, drawn_bounds, format_value, parse_limit
from checks.site import words
from checks.site.history import SPANS, PlotSpan

if TYPE_CHECKING:
    from checks.journal import Stretch
    from checks.model import Incident, Metric
    from checks.site.facts import Facts

_WIDTH, _HEIGHT, _MARGIN = 600.0, 160.0, 8.0
_MOST_POINTS = 40
"""Of more than so many, only the newest has a point of its own."""
_REACH = 12.0
"""How far from a value a pointer may be."""
_GAP = 3
"""A line is broken where nothing was measured for this many times the usual distance: nothing is drawn that was not measured."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing with the words around it; `drawing` is empty where nothing was measured.

    Attributes:
        limits: status and text of each limit that judged in the span.

    """

    span: PlotSpan
    drawing: Markup | str = ""
    top: str = ""
    bottom: str = ""
    start: datetime | None = None
    middle: datetime | None = None
    end: datetime | None = None
    said: str = ""
    limits: tuple[tuple[str, str], ...] = ()
    incidents: tuple[Incident, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    status: str
    text: str
    since: datetime
    until: datetime
    bound: float


def plots(facts: Facts, metric: Metric) -> list[Plot]:
    """A metric over each span; of a text there is none, as it has no scale."""
    return [] if metric.unit == TEXT_UNIT else [_plot(facts, metric, span) for span in SPANS]


def _plot(facts: Facts, metric: Metric, span: PlotSpan) -> Plot:
    seen = [one for one in facts.stretches[span.name].get(metric.slug, ()) if one.unit == metric.unit]
    if not seen:
        return Plot(span)
    end = facts.upto(span.width)
    start = end - span.length
    lines = list(_lines(facts, metric, start, end))
    happened = tuple(one for one in facts.incidents if one.system == metric.system and _within(one, start, end))
    lowest, highest = min(one.low for one in seen), max(one.high for one in seen)
    low, high = min([lowest, *(line.bound for line in lines)]), max([highest, *(line.bound for line in lines)])

    def x(moment: datetime) -> float:
        return round(max(0.0, min(1.0, (moment - start) / span.length)) * _WIDTH, 1)

    def y(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(_HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN), 1)

    drawn = [_line(line.status, x(line.since), x(line.until), y(line.bound)) for line in lines]
    drawn += [_incident(incident, x, end, facts) for incident in happened]
    # Each point is asked for several times.
    across = [x(one.at) for one in seen]
    means = [y(one.mean) for one in seen]
    for begin, upto in _unbroken(seen):
        part = range(begin, upto)
        if any(seen[at].high > seen[at].low for at in part):
            upper = [f"{across[at]} {y(seen[at].high)}" for at in part]
            lower = [f"{across[at]} {y(seen[at].low)}" for at in reversed(part)]
            drawn.append(_path("range", f"M{' '.join(upper + lower)}Z"))
        if len(part) > 1:
            drawn.append(_path("line", "M" + " ".join(f"{across[at]} {means[at]}" for at in part)))
    # A point is a line without length, so that it stays round however the drawing is stretched.
    points = range(len(seen)) if len(seen) <= _MOST_POINTS else range(len(seen) - 1, len(seen))
    drawn.append(_path("point", "".join(f"M{across[at]} {means[at]}h0" for at in points)))
    drawn.append(_exact(facts, metric, seen, across))
    count = sum(one.count for one in seen)
    said = f"lowest {_said(lowest, metric)}, highest {_said(highest, metric)}, measured {count:,} time{'' if count == 1 else 's'}"
    told = escape(f"{words.harmless(metric.title)}, {span.title.lower()}: {said}")
    frame = f'viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none" role="img" aria-label="{told}"'
    drawing = Markup(f'<svg class="pb-plot" {frame}>{"".join(drawn)}</svg>')  # noqa: S704 - escaped above
    named = tuple(dict.fromkeys((line.status, line.text) for line in lines))
    return Plot(
        span, drawing, _said(high, metric), _said(low, metric), start, start + span.length / 2, end, said, named, happened
    )


# There are thousands in a publication, and Markup.format takes its time over each: these hold our own words and figures only.
def _line(status: str, begin: float, end: float, at: float) -> Markup:
    return Markup(f'<line class="pb-plot-{status}" x1="{begin}" x2="{end}" y1="{at}" y2="{at}"/>')  # noqa: S704


def _path(kind: str, points: str) -> Markup:
    return Markup(f'<path class="pb-plot-{kind}" d="{points}"/>')  # noqa: S704


def _within(incident: Incident, start: datetime, end: datetime) -> bool:
    return incident.opened < end and (incident.resolved is None or incident.resolved > start)


def _incident(incident: Incident, x: Callable[[datetime], float], until: datetime, facts: Facts) -> Markup:
    """A band over the time of an incident, which says what it was when it is pointed at."""
    begin, end = x(incident.opened), x(incident.resolved or until)
    said = f"{incident.severity}: {incident.title}, from {words.precise(incident.opened, facts.zone)}"
    said += f" to {words.precise(incident.resolved, facts.zone)}" if incident.resolved else ", not over"
    return Markup('<rect class="pb-plot-incident" x="{}" y="0" width="{}" height="{:g}"><title>{}</title></rect>').format(
        begin, round(max(end - begin, 1.0), 1), _HEIGHT, words.harmless(said)
    )


def _exact(facts: Facts, metric: Metric, seen: Sequence[Stretch], places: Sequence[float]) -> Markup:
    """What was measured, exactly, for who points at it: each stretch has the room up to halfway to its neighbours."""
    drawn = []
    for position, one in enumerate(seen):
        left = (places[position - 1] + places[position]) / 2 if position else max(0.0, places[0] - _REACH)
        right = (places[position] + places[position + 1]) / 2 if position + 1 < len(seen) else min(_WIDTH, places[-1] + _REACH)
        left, right = max(left, places[position] - _REACH), min(right, places[position] + _REACH)
        said = f"{words.precise(one.at, facts.zone)}: {_said(one.mean, metric)}"
        if one.high > one.low:
            said += f", from {_said(one.low, metric)} to {_said(one.high, metric)}, {one.count} times"
        room = f'x="{left:.1f}" y="0" width="{max(right - left, 1.0):.1f}" height="{_HEIGHT:g}"'
        drawn.append(f'<rect class="pb-hit" {room}><title>{escape(said)}</title></rect>')
    return Markup("".join(drawn))  # noqa: S704 - figures, and escaped text


def _lines(facts: Facts, metric: Metric, start: datetime, end: datetime) -> Iterator[_Line]:
    for force in facts.limits.get(metric.slug, ()):
        until = force.until or end
        if until <= start:
            continue
        for status, text in (("warning", force.warning), ("critical", force.critical)):
            for bound in _bounds(text, metric):
                yield _Line(status, str(text), force.since, until, bound)


def _bounds(text: str | None, metric: Metric) -> tuple[float, ...]:
    """The bounds of a limit that judged once; none where it has no place on the metric's scale today."""
    if text is None:
        return ()
    try:
        return drawn_bounds(parse_limit(text), metric.unit)
    except DataError:
        return ()


def _unbroken(seen: Sequence[Stretch]) -> Iterator[tuple[int, int]]:
    """Where each part begins and ends between which nothing is missing."""
    gaps = [after.at - before.at for before, after in pairwise(seen)]
    most = timedelta(seconds=median(gap.total_seconds() for gap in gaps) * _GAP) if gaps else timedelta(0)
    begin = 0
    for position, gap in enumerate(gaps, start=1):
        if gap > most:
            yield begin, position
            begin = position
    yield begin, len(seen)


def _said(value: float, metric: Metric) -> str:
    return format_value(value, metric.unit)
