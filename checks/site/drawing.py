"""Sparklines as inline SVG: the last day of a metric, with its limits as dotted lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from checks.judge import format_value
from checks.site.facts import SPARK_SPAN, bound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from checks.model import Metric
    from checks.site.facts import Facts

_WIDTH, _HEIGHT, _MARGIN = 120, 26, 3
_MOST_POINTS = 60


def spark(facts: Facts, metric: Metric) -> Markup:
    """The last 24 hours of a metric; empty where nothing was measured in them."""
    observations = facts.observations.get(metric.slug, ())
    if not observations:
        return Markup()
    points = _thinned(observations)
    values = [value for _, value in points]
    limits = {"warning": bound(metric.warning, metric), "critical": bound(metric.critical, metric)}
    lines = [line for some in limits.values() for line in some]
    low, high = min(values + lines), max(values + lines)
    start = facts.now - SPARK_SPAN

    def x(moment: datetime) -> float:
        return round(max(0.0, min(1.0, (moment - start) / SPARK_SPAN)) * (_WIDTH - 4) + 2, 1)

    def y(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(_HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN), 1)

    path = " ".join(f"{x(moment)} {y(value)}" for moment, value in points)
    drawn = [
        Markup('<line class="pb-spark-{}" x1="0" x2="{}" y1="{}" y2="{}"/>').format(name, _WIDTH, y(line), y(line))
        for name, some in limits.items()
        for line in some
    ]
    drawn.append(Markup('<path d="M{}"/>').format(path) if len(points) > 1 else Markup())
    drawn.append(Markup('<circle cx="{}" cy="{}" r="2"/>').format(x(points[-1][0]), y(points[-1][1])))
    said = f"{metric.title}, 24 hours: lowest {_said(min(values), metric)}, highest {_said(max(values), metric)}"
    return Markup('<svg class="pb-spark" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, _HEIGHT, said, Markup().join(drawn)
    )


def _thinned(observations: Sequence[tuple[datetime, float]]) -> list[tuple[datetime, float]]:
    """At most sixty points; of each span the value farthest from the whole's middle, so that no peak is lost."""
    if len(observations) <= _MOST_POINTS:
        return list(observations)
    middle = sorted(value for _, value in observations)[len(observations) // 2]
    size = -(-len(observations) // (_MOST_POINTS - 1))
    spans = [observations[at : at + size] for at in range(0, len(observations) - 1, size)]
    return [*(max(some, key=lambda point: abs(point[1] - middle)) for some in spans), observations[-1]]


def _said(value: float, metric: Metric) -> str:
    return format_value(value, metric.unit)
