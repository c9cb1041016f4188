"""Many answers at once: what a site of thousands of pages asks of a journal, in a few questions instead of thousands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from checks.journal import _queries, _rows
from checks.journal import _tables as t
from checks.journal._derived import DAY
from checks.journal._engine import asked, reading
from checks.journal.facts import Counted, InForce, RunMark, Stretch
from checks.model import Result, Run, RunState

_MOST_AT_ONCE = 500
"""Names in one question; databases have a bound."""

_T = TypeVar("_T")


class Bulk:
    """Questions about many runbooks, runs or metrics; what the journal has nothing of is left out of each answer.

    Args:
        engine: the journal's database.
        environment: the one whose runs count.

    """

    def __init__(self, engine: sa.Engine, environment: str) -> None:
        self._engine = engine
        self._environment = environment

    def marks(self, limit: int) -> dict[str, tuple[tuple[str, str], ...]]:
        """By runbook: its runs that started last, the newest first, and how each ended.

        Where this is as it was, so are these runs: a run is added, ends once, and is never changed.
        """
        found: dict[str, list[tuple[str, str]]] = {}
        for row in self._all(_queries.newest_runs(limit, t.runs.c.id, t.run_ends.c.state)):
            found.setdefault(row.runbook, []).append((row.id, row.state.value if row.state else ""))
        return {runbook: tuple(some[:limit]) for runbook, some in found.items()}

    def counted(self) -> dict[str, Counted]:
        """By runbook: how many runs there are. It is the one question that looks at each of them, in an index."""
        rows = self._all(_queries.counted())
        return {row.runbook: Counted(int(row.number), int(row.ended), row.first) for row in rows}

    def run_marks(self, after: Mapping[str, tuple[datetime, str] | None]) -> dict[str, list[RunMark]]:
        """All runs of some runbooks, the one that started first comes first.

        Args:
            after: by a runbook's slug, the run after which they are asked for, as when it started and its id; or ``None``.

        """
        found: dict[str, list[RunMark]] = {runbook: [] for runbook in after}
        asked = [_queries.run_marks(self._environment, runbook, after=last) for runbook, last in after.items() if last]
        of_all = _portions([runbook for runbook, last in after.items() if last is None])
        asked += [_queries.run_marks(self._environment, *some) for some in of_all]
        with reading(self._engine) as connection:
            for query in asked:
                for row in connection.execute(query):
                    mark = RunMark(row.id, row.started_at, row.state.value if row.state else "", row.evidence or "")
                    found[row.runbook].append(mark)
        return found

    def latest_runs(self, runbooks: Sequence[str], limit: int) -> dict[str, list[Run]]:
        """The runs of each runbook that started last, the newest first."""
        found: dict[str, list[Run]] = {}
        for some in _portions(runbooks):
            query = _queries.newest_runs(limit, *_rows.RUN_COLUMNS).where(t.runs.c.runbook.in_(some))
            for row in self._all(query):
                found.setdefault(row.runbook, []).append(_rows.to_run(row))
        return {runbook: runs[:limit] for runbook, runs in found.items()}

    def runs(self, ids: Sequence[str]) -> dict[str, Run]:
        """Runs by their ids."""
        rows = (row for some in _portions(ids) for row in self._all(_queries.runs_with_ends().where(t.runs.c.id.in_(some))))
        return {row.id: _rows.to_run(row) for row in rows}

    def results(self, run_ids: Sequence[str]) -> dict[str, list[Result]]:
        """What runs found, by the run's id, in the order in which it was judged."""
        found: dict[str, list[Result]] = {}
        for some in _portions(run_ids):
            query = _queries.results_of(*some)
            for row in self._all(query):
                found.setdefault(row.run_id, []).append(_rows.to_result(row))
        return found

    def seen(self, since: datetime) -> dict[str, tuple[int, datetime, int]]:
        """By metric: its latest result, when it was last seen, and how often it was judged on the days since a moment.

        Where this is as it was, nothing has come to the metric's history.
        """
        rows: Sequence[Any] = self._all(_queries.seen(), since=t.to_micros(since) // DAY)
        return {f"{system}/{metric}": (result, seen_at, int(judged or 0)) for system, metric, result, seen_at, judged in rows}

    def stretches(self, metrics: Sequence[str], since: datetime, width: timedelta) -> dict[str, list[Stretch]]:
        """What was observed of metrics, summed up in stretches of one width that began since a moment, the oldest first."""
        found: dict[str, list[Stretch]] = {}
        for keys in self._series(metrics):
            query = _queries.stretches(self._environment, since, width).where(t.series.c.id.in_(list(keys)))
            found |= _rows.to_stretches(self._all(query))
        return found

    def limits_in_force(self, metrics: Sequence[str]) -> dict[str, list[InForce]]:
        """Which limits judged metrics, and from when to when, the oldest first."""
        found: dict[str, list[InForce]] = {}
        for keys in self._series(metrics):
            for row in self._all(_queries.limit_changes(self._environment).where(t.series.c.id.in_(list(keys)))):
                known = found.setdefault(f"{row.system}/{row.metric}", [])
                if known:
                    known[-1] = replace(known[-1], until=row.judged_at)
                known.append(InForce(row.judged_at, None, row.warning, row.critical))
        return found

    def failed_runs(self, since: datetime, limit: int) -> list[Run]:
        """The runs that ended since a moment without being finished, the one that ended last first."""
        query = (
            _queries.runs_with_ends()
            .where(
                t.runs.c.environment == self._environment,
                t.run_ends.c.ended_at >= since,
                t.run_ends.c.state != RunState.FINISHED,
            )
            .order_by(t.run_ends.c.ended_at.desc(), t.runs.c.id)
            .limit(limit)
        )
        return [_rows.to_run(row) for row in self._all(query)]

    def judged(self, metric: str, since: datetime) -> list[tuple[Result, str | None]]:
        """How a metric was judged since a moment, the oldest first, each with the id of the run that did."""
        system, _, name = metric.partition("/")
        query = _queries.results_since(self._environment, system, name, since)
        return [(_rows.to_result(row), row.run_id) for row in self._all(query)]

    def values(self, metric: str, since: datetime) -> list[tuple[datetime, float, str]]:
        """Every value of a metric since a moment with its unit, the oldest first."""
        system, _, name = metric.partition("/")
        query = _queries.observations(self._environment, system, name, since)
        return [(row.ts, row.value, row.unit) for row in self._all(query)][::-1]

    def noted(self, kind: str, subjects: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The detail of the first event of a kind about each of some subjects."""
        found: dict[str, Mapping[str, Any]] = {}
        for some in _portions(subjects):
            query = sa.select(t.events.c.subject, t.events.c.detail).where(t.events.c.subject.in_(some), t.events.c.kind == kind)
            for row in self._all(query.order_by(t.events.c.id)):
                found.setdefault(row.subject, row.detail)
        return found

    def _series(self, metrics: Sequence[str]) -> Iterator[Mapping[int, str]]:
        """The slugs of metrics by their keys, in portions."""
        query = sa.select(t.series).where(t.series.c.environment == self._environment)
        wanted = set(metrics)
        if len(wanted) <= _MOST_AT_ONCE:
            # Of very many metrics, one is found without looking at all of them.
            query = query.where(t.series.c.metric.in_(sorted({slug.partition("/")[2] for slug in wanted})))
            query = query.where(t.series.c.system.in_(sorted({slug.partition("/")[0] for slug in wanted})))
        known = [(row.id, slug) for row in self._all(query) if (slug := f"{row.system}/{row.metric}") in wanted]
        for some in _portions(known):
            yield dict(some)

    def _all(self, query: sa.Select[Any], **given: object) -> Sequence[sa.Row[Any]]:
        return asked(self._engine, query, {"environment": self._environment, **given})


def _portions(names: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for first in range(0, len(names), _MOST_AT_ONCE):
        yield names[first : first + _MOST_AT_ONCE]
