"""Figures taken of many samples: percentiles, rates and ratios, each with the number of samples that it rests on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from checks.judge.windows import Samples


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and how much it rests on.

    Attributes:
        value: NaN where nothing was there to take it of; that is judged unknown.
        samples: how many samples (requests, lines, rows) it was taken of.

    """

    value: float
    samples: int


_NOTHING = Figure(math.nan, 0)


def percentile(values: Iterable[float], percent: float) -> Figure:
    """The percentile of some values, interpolated between the two next to it (Hyndman and Fan, type 7).

    Args:
        values: the values, in any order; one that is no finite number makes the figure NaN.
        percent: from 0 (the lowest) to 100 (the highest).

    Raises:
        ValueError: `percent` is not from 0 to 100.

    """
    if not 0 <= percent <= 100:
        raise ValueError(f"expected a percentile from 0 to 100, found {percent}")
    ordered = sorted(values)
    if not all(math.isfinite(value) for value in ordered):
        return Figure(math.nan, len(ordered))
    if not ordered:
        return _NOTHING
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    share = place - below
    return Figure(low if share == 0 or low == high else low * (1 - share) + high * share, len(ordered))


def mean(values: Iterable[float]) -> Figure:
    """The arithmetic mean of some values."""
    known = list(values)
    return Figure(math.fsum(known) / len(known), len(known)) if known else _NOTHING


def statistic(values: Sequence[float], name: str) -> Figure:
    """A statistic by its name: ``median``, ``mean``, ``min``, ``max`` or a percentile such as ``p95``.

    Raises:
        ValueError: there is no such statistic.

    """
    if name == "mean":
        return mean(values)
    named = {"min": 0.0, "median": 50.0, "max": 100.0}
    if name in named:
        return percentile(values, named[name])
    if not name.startswith("p") or not name[1:].replace(".", "", 1).isdecimal():
        raise ValueError(f"expected median, mean, min, max or a percentile such as p95, found {name}")
    return percentile(values, float(name[1:]))


def ratio(part: float, whole: int) -> Figure:
    """A part of a whole in percent, such as failed requests of all; of nothing at all there is no share."""
    return Figure(100 * part / whole, whole) if whole > 0 else Figure(math.nan, max(whole, 0))


def rate(samples: Samples) -> Figure:
    """How fast a counter rises, per second, from its first to its last sample; a fall is a restart at zero."""
    if len(samples) < 2 or samples[-1][0] <= samples[0][0]:
        return Figure(math.nan, len(samples))
    values = [value for _, value in samples]
    rises = [value - before if value >= before else value for before, value in itertools.pairwise(values)]
    return Figure(math.fsum(rises) / (samples[-1][0] - samples[0][0]).total_seconds(), len(samples))


def percentile_of_buckets(buckets: Sequence[tuple[float, int]], percent: float) -> Figure:
    """The percentile of a histogram, as Prometheus' ``histogram_quantile`` takes it: evenly spread within a bucket.

    Args:
        buckets: (upper bound, how many values are at or below it), the bounds rising, the last one infinite.
        percent: from 0 to 100. One that falls into the last bucket is the highest finite bound: no more is known.

    Raises:
        ValueError: the bounds or the numbers do not rise, or the last bound is finite.

    """
    if not 0 <= percent <= 100:
        raise ValueError(f"expected a percentile from 0 to 100, found {percent}")
    bounds, counts = [bound for bound, _ in buckets], [count for _, count in buckets]
    if bounds != sorted(set(bounds)) or counts != sorted(counts) or not bounds or bounds[-1] != math.inf:
        raise ValueError("expected buckets with rising bounds, the last one infinite, and numbers that never fall")
    total = counts[-1]
    if total == 0 or len(buckets) == 1:
        return Figure(math.nan, total)
    wanted = total * percent / 100
    at = next(number for number, count in enumerate(counts) if count >= wanted)
    if at == len(buckets) - 1:
        return Figure(bounds[-2], total)
    low = bounds[at - 1] if at else min(0.0, bounds[0])
    before = counts[at - 1] if at else 0
    inside = counts[at] - before
    return Figure(low + (bounds[at] - low) * ((wanted - before) / inside if inside else 0.0), total)
