"""Metrics that go stale before they are due to be measured again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from checks.catalogue._findings import Finding
from checks.judge.durations import print_duration
from checks.judge.lifetimes import is_sampled

if TYPE_CHECKING:
    from checks.catalogue._load import Catalogue
    from checks.catalogue._open_limits import Places
    from checks.model import Cron, Metric, Runbook

_FROM = datetime(2024, 1, 1, tzinfo=UTC)
_UNTIL = _FROM + timedelta(days=800)
_MOST = 3_000  # of one schedule: ten days of one that is due every five minutes


def stale_before_due(metric: Metric, catalogue: Catalogue, places: Places) -> Iterator[Finding]:
    """A metric whose results stop to speak for now before those who measure it are due again, though all of them are on time."""
    checking = [book for book in catalogue.runbooks_of(metric.system) if metric.name in book.checks and book.schedule]
    for environment in catalogue.systems[metric.system].environments:
        here = [book for book in checking if not book.environments or environment in book.environments]
        lifetimes = catalogue.lifetimes(environment)
        lasts, pause = lifetimes.of(metric), _longest_pause(metric, here)
        if pause is None or lasts > pause:
            continue
        book = lifetimes.said_by(metric)
        says = f"as {book.slug} says" if book else "as it says"
        yield Finding(
            places.of(metric.name, *(() if metric.fresh_for is None else ("fresh-for",))),
            f"{metric.name}: it speaks for {_shown(lasts)}, {says}, and {_shown(pause)} may pass until "
            f"{_who(metric, here)} is due: it is stale in between",
            f"let it be measured more often, or let `fresh-for:` of {book.slug if book else 'it'} be longer than {_shown(pause)}"
            + (", or give the metric one of its own" if book else ""),
        )
        return


def _who(metric: Metric, books: list[Runbook]) -> str:
    names = [book.slug for book in books]
    return " or ".join(names) if names else f"its next sample (`every: {_shown(metric.every or timedelta(0))}`)"


def _longest_pause(metric: Metric, books: list[Runbook]) -> timedelta | None:
    """The longest time between two moments at which a metric is to be measured; ``None`` where nothing says when it is."""
    schedules = frozenset(book.schedule for book in books if book.schedule is not None)
    pauses = [metric.every] if metric.every is not None and is_sampled(metric) else []
    if schedules:
        pauses.append(_pause(schedules))
    return min((pause for pause in pauses if pause is not None), default=None)


@cache
def _pause(schedules: frozenset[Cron]) -> timedelta:
    """The longest time in which none of some schedules is due, as far as they are looked at."""
    fires = [_fires(schedule) for schedule in schedules]
    # A rare one adds nothing to what a frequent one was looked at for.
    end = min(one[-1] if len(one) == _MOST else _UNTIL for one in fires)
    moments = sorted({moment for one in fires for moment in one if moment <= end})
    return max((later - one for one, later in pairwise(moments)), default=_UNTIL - _FROM)


@cache
def _fires(schedule: Cron) -> tuple[datetime, ...]:
    from cronsim import CronSim

    fired = CronSim(schedule.expression, _FROM.astimezone(ZoneInfo(schedule.timezone)))
    return tuple(islice(takewhile(lambda moment: moment < _UNTIL, (moment.astimezone(UTC) for moment in fired)), _MOST))


def _shown(span: timedelta) -> str:
    return print_duration(max(span, timedelta(seconds=1)))
