"""When each metric is sampled: pure functions of its name, its ``every:`` and the time."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from checks.catalogue import Catalogue
from checks.catalogue.environment import Settled
from checks.errors import DataError
from checks.judge.lifetimes import is_sampled
from checks.model import Metric

_MICROSECOND = timedelta(microseconds=1)
_WHERE = ("url", "address", "database", "host", "server")
"""What a probe's declaration may call the place that it asks."""


def sampled(catalogue: Catalogue, environment: str) -> list[Metric]:
    """The metrics that are measured between runs: they say how often, and a probe can measure them."""
    return [metric for system in catalogue.systems_in(environment) for metric in system.metrics.values() if is_sampled(metric)]


def next_moment(slug: str, every: timedelta, after: datetime) -> datetime:
    """The first moment later than `after` at which a metric is sampled.

    The moments are `every` apart and begin at a place that the metric's name decides: so metrics of one cadence are spread
    over it evenly, nothing stampedes, and whoever samples, and whenever they began, does so at the same moments.

    Args:
        slug: the metric's slug.
        every: how often.
        after: aware.

    """
    return after + every - _since_last(slug, every, after)


def last_moment(slug: str, every: timedelta, now: datetime) -> datetime:
    """The last moment not later than `now` at which a metric is to be sampled."""
    return now - _since_last(slug, every, now)


def _since_last(slug: str, every: timedelta, now: datetime) -> timedelta:
    width = every // _MICROSECOND
    place = zlib.crc32(slug.encode()) * width >> 32
    epoch = datetime(1970, 1, 1, tzinfo=now.tzinfo)
    return ((now - epoch) // _MICROSECOND - place) % width * _MICROSECOND


def due_samples(metrics: Iterable[Metric], last_seen: Mapping[str, datetime], now: datetime) -> list[Metric]:
    """The metrics that have not been looked at since their last moment.

    Args:
        metrics: metrics with ``every:``.
        last_seen: when each was last measured, or could not be, by its slug.
        now: aware.

    """
    return [
        metric
        for metric in metrics
        if metric.every is not None
        and (metric.slug not in last_seen or last_seen[metric.slug] < last_moment(metric.slug, metric.every, now))
    ]


def target(metric: Metric, settled: Settled) -> str:
    """What a metric's probe asks, for politeness only: never shown, as it may hold a secret."""
    for name in _WHERE:
        declared = metric.probe.get(name)
        if isinstance(declared, str) and declared:
            try:
                filled = settled.fill(declared)
                return urlsplit(filled).netloc.rpartition("@")[2] or filled
            except (DataError, ValueError):
                break  # no value, or no address: that is told when it is measured
    return f"{metric.probe.get('kind')} of {metric.system}"
