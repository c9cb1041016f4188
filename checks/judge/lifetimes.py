"""How long what was measured speaks for now: the one place that decides it, for pages, terminals, exports and runs alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property

from checks.model import Metric, Run, Runbook

FRESH_FOR = timedelta(hours=26)
"""How long a result speaks for now when neither its metric nor a runbook says: a daily check with two hours' grace."""

RENEW = timedelta(minutes=15)
"""How long a sampled result that is ok speaks for the good samples that follow it, before one of them is a result again."""


class Lifetimes:
    """How long results of a project's metrics speak for now.

    A metric that says so itself is believed. Else the shortest time counts that anybody says who measures it: the runbooks
    that check it, the one that measured it last, and whoever samples it. A review that looks at a figure once a week must not
    keep it looking current, where a check of every morning says that a day is all that it is good for.

    Args:
        runbooks: the project's runbooks.
        environment: where is measured: a runbook that may not run there measures nothing there; empty: anywhere.

    """

    def __init__(self, runbooks: Iterable[Runbook], environment: str = "") -> None:
        self._books = {runbook.slug: runbook for runbook in runbooks}
        self._environment = environment

    def of(self, metric: Metric, measured_by: str = "") -> timedelta:
        """How long a result of a metric speaks for now, from when it was measured.

        Args:
            metric: the declaration.
            measured_by: the slug of the runbook that measured it; empty where none did, or nobody did yet.

        """
        if metric.fresh_for is not None:
            return metric.fresh_for
        said = [sampled_for(metric)]
        said += [book.fresh_for for book in (self._shortest.get(metric.slug), self._books.get(measured_by)) if book]
        return min((span for span in said if span is not None), default=FRESH_FOR)

    def said_by(self, metric: Metric) -> Runbook | None:
        """The runbook whose ``fresh-for`` a metric takes, whoever measures it; ``None`` where it takes none."""
        book = self._shortest.get(metric.slug)
        return book if book is not None and metric.fresh_for is None and self.of(metric) == book.fresh_for else None

    @cached_property
    def _shortest(self) -> Mapping[str, Runbook]:
        found: dict[str, Runbook] = {}
        for book in self._books.values():
            if not self._environment or not book.environments or self._environment in book.environments:
                for name in book.checks:
                    slug = f"{book.system}/{name}"
                    found[slug] = min(found.get(slug, book), book, key=_shortest_first)
        return found


def run_until(runbook: Runbook, run: Run) -> datetime:
    """Until when a run as a whole speaks for now; its results may be stale before."""
    return (run.ended_at or run.started_at) + runbook.fresh_for


def _shortest_first(book: Runbook) -> tuple[timedelta, bool]:
    """The shortest first; of equals one that a schedule runs, which readers will know."""
    return book.fresh_for, book.schedule is None


def is_sampled(metric: Metric) -> bool:
    """Whether a scheduler measures a metric between runs: it says how often, and a probe can measure it."""
    return metric.every is not None and metric.probe.get("kind") != "notebook"


def renew_after(lasts: timedelta, every: timedelta) -> timedelta:
    """How old a sampled result may become before a good sample is a result again, so that none of them ends before the next.

    Args:
        lasts: how long results of the metric speak for now.
        every: how often it is sampled.

    """
    return max(min(RENEW, lasts / 2, lasts - 2 * every), timedelta(0))


def sampled_for(metric: Metric) -> timedelta | None:
    """How long a sample speaks for now: until two results that should have followed it are missing; ``None`` without samples."""
    return 2 * RENEW + 2 * metric.every if metric.every is not None and is_sampled(metric) else None
