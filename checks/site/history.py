"""What pages show of the past, read from the journal when a page looks at it; and what tells that it is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from checks.model import Result, Run, Runbook
from checks.site.lazily import Lazily

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.journal import InForce, Snapshot, Stretch
    from checks.journal.bulk import Bulk
    from checks.journal.facts import Counted, RunMark

RUNS_SHOWN = 20
RUNS_ON_A_PAGE = 50
"""How many runs stand on a page of their own; of a runbook that has more than are shown."""
DAYS_COMPARED = 400
"""How far back reports compare: four quarters and the one that runs."""
_FAILED_SHOWN = timedelta(days=30)
_MOST_FAILED = 200


@dataclass(frozen=True, slots=True)
class PlotSpan:
    """A span that is plotted, and the stretches of time that its values are summed up in."""

    name: str
    title: str
    length: timedelta
    width: timedelta


SPANS = (
    PlotSpan("day", "Last 24 hours", timedelta(hours=24), timedelta(minutes=10)),
    PlotSpan("week", "Last 7 days", timedelta(days=7), timedelta(hours=1)),
    PlotSpan("quarter", "Last 91 days", timedelta(days=91), timedelta(hours=12)),
)


@dataclass(frozen=True, slots=True)
class History:
    """The past of what the catalogue declares, in one environment.

    Attributes:
        marks: by runbook, what tells whether its runs are as they were.
        runs: the latest runs of each runbook, by its slug, the newest first.
        by_id: every run that a page may link to.
        results: the results of the latest ended run of each runbook, by its slug.
        stretches: by the name of a plotted span, what was observed of each metric in it.
        daily: what was observed of each metric, summed up by day (UTC), the oldest first.
        limits: the limits that judged each metric, the oldest first.
        failed: the runs of the last month that ended without being finished, the one that ended last first.
        counted: how many runs each runbook has, by its slug; one that never ran is left out.

    """

    marks: Mapping[str, str]
    runs: Lazily[Sequence[Run]]
    by_id: Runs
    results: Lazily[Sequence[Result]]
    stretches: Mapping[str, Lazily[Sequence[Stretch]]]
    daily: Lazily[Sequence[Stretch]]
    limits: Lazily[Sequence[InForce]]
    failed: Sequence[Run]
    counted: Mapping[str, Counted]


class Runs(Mapping[str, Run]):
    """Every run that a page may link to, by its id.

    Args:
        latest: the latest runs of each runbook.
        others: ids of runs that are linked to for another reason.
        bulk: where a run is read from.

    """

    def __init__(self, latest: Lazily[Sequence[Run]], others: Iterable[str], bulk: Bulk) -> None:
        self._latest = latest
        self.others = frozenset(others)
        self._bulk = bulk
        self._known: dict[str, Run] = {}
        self._merged = 0

    def __getitem__(self, id: str) -> Run:  # noqa: A002 - the journal's word
        if id not in self._known:
            self.need([id])
        return self._known[id]

    def __iter__(self) -> Iterator[str]:
        linked = {run.id for runs in self._latest.values() for run in runs} | self.others
        self.need(linked)
        return iter(sorted(linked & self._known.keys()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def need(self, ids: Iterable[str]) -> None:
        """Read some runs now, in one question."""
        missing = [id_ for id_ in ids if id_ and id_ not in self._known]
        if missing and self._merged < len(loaded := self._latest.loaded()):
            self._known |= {run.id: run for slug in loaded for run in self._latest[slug]}
            self._merged = len(loaded)
            missing = [id_ for id_ in missing if id_ not in self._known]
        if missing:
            self._known |= self._bulk.runs(missing)

    def lines(self, after: Mapping[str, tuple[datetime, str] | None]) -> dict[str, list[RunMark]]:
        """Every run of some runbooks, the earliest first; of those after one that is named by when it started and its id."""
        return self._bulk.run_marks(after)

    def versions(self) -> str:
        """What tells whether any of them is as it was."""
        return self._latest.versions() + "\n".join(sorted(self.others))


def pages_of_runs(count: int) -> int:
    """How many pages the runs of a runbook take beside its own; 0 where that one shows all of them."""
    return -(-count // RUNS_ON_A_PAGE) if count > RUNS_SHOWN else 0


def runs_address(runbook: Runbook, number: int) -> str:
    """Where a page of a runbook's runs lies; the first holds the oldest."""
    return f"systems/{runbook.system}/runbooks/{runbook.name}/runs-{number}.html"


def upto(now: datetime, step: timedelta) -> datetime:
    """The end of the step of time that `now` is in; steps are counted from 1970."""
    left = (now - datetime.fromtimestamp(0, now.tzinfo)) % step
    return now + (step - left) if left else now


def history(catalogue: Catalogue, bulk: Bulk, snapshot: Snapshot, linked: Iterable[str], now: datetime) -> History:
    """What is known of the past of everything that is declared; little of it is read before it is looked at.

    Args:
        catalogue: what is declared.
        bulk: where it is read from.
        snapshot: the latest runs and results.
        linked: ids of runs that pages link to, whether or not they are among the latest.
        now: aware.

    """
    newest = bulk.marks(RUNS_SHOWN)
    marks = {slug: repr(newest.get(slug)) for slug in catalogue.runbooks}
    seen = bulk.seen(now - SPANS[-1].length)

    def of_metric(step: timedelta) -> Callable[[str], str]:
        window = upto(now, step).isoformat()
        return lambda slug: f"{seen.get(slug)} {window}"

    metrics = [metric.slug for system in catalogue.systems.values() for metric in system.metrics.values()]
    runs = Lazily[Sequence[Run]](catalogue.runbooks, lambda slugs: bulk.latest_runs(slugs, RUNS_SHOWN), marks.__getitem__, ())
    latest_ids = {slug: run.id for slug, run in snapshot.latest_runs.items()}

    def results(slugs: Sequence[str]) -> dict[str, Sequence[Result]]:
        found = bulk.results([latest_ids[slug] for slug in slugs if slug in latest_ids])
        return {slug: found.get(latest_ids.get(slug, ""), ()) for slug in slugs}

    def summed(length: timedelta, width: timedelta) -> Lazily[Sequence[Stretch]]:
        since = upto(now, width) - length
        return Lazily(metrics, lambda slugs: bulk.stretches(slugs, since, width), of_metric(width), ())

    failed = bulk.failed_runs(now - _FAILED_SHOWN, _MOST_FAILED)
    return History(
        marks=marks,
        runs=runs,
        by_id=Runs(runs, [*latest_ids.values(), *(run.id for run in failed), *linked], bulk),
        results=Lazily(catalogue.runbooks, results, lambda slug: f"{marks[slug]} {latest_ids.get(slug)}", ()),
        stretches={span.name: summed(span.length, span.width) for span in SPANS},
        daily=summed(timedelta(days=DAYS_COMPARED), timedelta(days=1)),
        limits=Lazily(metrics, bulk.limits_in_force, of_metric(timedelta(days=36_500)), ()),
        failed=failed,
        counted=bulk.counted(),
    )
