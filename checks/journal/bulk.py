"""Many answers at once: what a site of thousands of pages asks of a journal, in a few questions instead of thousands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from checks.journal import _queries, _rows
from checks.journal import _tables as t
from checks.journal._engine import reading
from checks.journal.facts import InForce, Stretch
from checks.model import Result, Run

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

    def marks(self) -> dict[str, tuple[int, int, datetime, datetime]]:
        """By runbook: how many runs it has, how many have ended, when the first and the last began.

        Runs are only ever added, ended once, and pruned from the first on: where this is as it was, all of a runbook's runs are.
        """
        started = t.runs.c.started_at
        query = (
            sa.select(
                t.runs.c.runbook,
                sa.func.count().label("runs"),
                sa.func.count(t.run_ends.c.run_id).label("ended"),
                sa.func.min(started).label("first"),
                sa.func.max(started).label("last"),
            )
            .select_from(t.runs.outerjoin(t.run_ends, t.run_ends.c.run_id == t.runs.c.id))
            .where(t.runs.c.environment == self._environment)
            .group_by(t.runs.c.runbook)
        )
        return {row.runbook: (row.runs, row.ended, row.first, row.last) for row in self._all(query)}

    def latest_runs(self, runbooks: Sequence[str], limit: int) -> dict[str, list[Run]]:
        """The runs of each runbook that started last, the newest first."""
        place = sa.func.row_number().over(
            partition_by=t.runs.c.runbook, order_by=(t.runs.c.started_at.desc(), t.runs.c.id.desc())
        )
        found: dict[str, list[Run]] = {}
        for some in _portions(runbooks):
            ranked = (
                sa.select(t.runs.c.id, place.label("place"))
                .where(t.runs.c.environment == self._environment, t.runs.c.runbook.in_(some))
                .subquery()
            )
            query = (
                _queries.runs_with_ends()
                .join(ranked, ranked.c.id == t.runs.c.id)
                .where(ranked.c.place <= limit)
                .order_by(*newest_first)
            )
            for row in self._all(query):
                found.setdefault(row.runbook, []).append(_rows.to_run(row))
        return found

    def runs(self, ids: Sequence[str]) -> dict[str, Run]:
        """Runs by their ids."""
        rows = (row for some in _portions(ids) for row in self._all(_queries.runs_with_ends().where(t.runs.c.id.in_(some))))
        return {row.id: _rows.to_run(row) for row in rows}

    def results(self, run_ids: Sequence[str]) -> dict[str, list[Result]]:
        """What runs found, by the run's id, in the order in which it was judged."""
        found: dict[str, list[Result]] = {}
        for some in _portions(run_ids):
            query = (
                sa.select(*_rows.RESULT_COLUMNS)
                .select_from(t.results.join(t.series, t.series.c.id == t.results.c.series))
                .where(t.results.c.run_id.in_(some))
                .order_by(t.results.c.id)
            )
            for row in self._all(query):
                found.setdefault(row.run_id, []).append(_rows.to_result(row))
        return found

    def observations(self, metrics: Sequence[str], since: datetime) -> dict[str, list[tuple[datetime, float]]]:
        """The values of metrics from `since` on, the oldest first, each in the unit of its newest value."""
        rows: dict[str, list[Any]] = {}
        for keys in self._series(metrics):
            query = (
                sa.select(t.observations.c.series, t.observations.c.ts, t.observations.c.value, t.observations.c.unit)
                .where(t.observations.c.series.in_(list(keys)), t.observations.c.ts >= since)
                .order_by(t.observations.c.series, t.observations.c.ts)
            )
            for row in self._all(query):
                rows.setdefault(keys[row.series], []).append(row)
        return {slug: [(row.ts, row.value) for row in some if row.unit == some[-1].unit] for slug, some in rows.items()}

    def stretches(self, metrics: Sequence[str], since: datetime, width: timedelta) -> dict[str, list[Stretch]]:
        """What was observed of metrics from `since` on, summed up in stretches of time of one width, the oldest first."""
        found: dict[str, list[Stretch]] = {}
        micros = sa.literal(width // timedelta(microseconds=1), sa.BigInteger)
        after = sa.type_coerce(t.observations.c.ts, sa.BigInteger) - sa.literal(t.to_micros(since), sa.BigInteger)
        stretch = ((after - after % micros) / micros).label("stretch")
        for keys in self._series(metrics):
            seen = (
                sa.select(*t.observations.c, stretch)
                .where(t.observations.c.series.in_(list(keys)), t.observations.c.ts >= since)
                .subquery()
            )
            value, newest = seen.c.value, sa.func.max(seen.c.ts)
            query = (
                sa.select(
                    seen.c.series,
                    seen.c.unit,
                    newest.label("at"),
                    sa.func.min(value).label("low"),
                    sa.func.avg(value).label("mean"),
                    sa.func.max(value).label("high"),
                    sa.func.count().label("number"),
                )
                .group_by(seen.c.series, seen.c.unit, seen.c.stretch)
                .order_by(seen.c.series, newest)
            )
            for row in self._all(query):
                one = Stretch(row.at, row.low, row.mean, row.high, row.number, row.unit)
                found.setdefault(keys[row.series], []).append(one)
        return found

    def limits_in_force(self, metrics: Sequence[str]) -> dict[str, list[InForce]]:
        """Which limits judged metrics, and from when to when, the oldest first."""
        found: dict[str, list[InForce]] = {}
        for keys in self._series(metrics):
            limits = (t.results.c.warning, t.results.c.critical)
            judged = (
                sa.select(
                    t.results.c.series,
                    t.results.c.id,
                    t.results.c.judged_at,
                    *limits,
                    *(_of_the_one_before(column).label(f"{column.name}_before") for column in limits),
                    _of_the_one_before(t.results.c.id).label("before"),
                )
                .where(t.results.c.series.in_(list(keys)))
                .subquery()
            )
            changed = judged.c.warning.is_distinct_from(judged.c.warning_before) | judged.c.critical.is_distinct_from(
                judged.c.critical_before
            )
            query = (
                sa.select(judged)
                .where(judged.c.before.is_(None) | changed)
                .order_by(judged.c.series, judged.c.judged_at, judged.c.id)
            )
            for row in self._all(query):
                known = found.setdefault(keys[row.series], [])
                if known:
                    known[-1] = replace(known[-1], until=row.judged_at)
                known.append(InForce(row.judged_at, None, row.warning, row.critical))
        return found

    def failed_runs(self, since: datetime, limit: int) -> list[Run]:
        """The runs that ended since a moment without being finished, the one that ended last first."""
        from checks.model import RunState

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

    def _series(self, metrics: Sequence[str]) -> Iterator[Mapping[int, str]]:
        """The slugs of metrics by their keys, in portions."""
        query = sa.select(t.series).where(t.series.c.environment == self._environment)
        wanted = set(metrics)
        known = [(row.id, slug) for row in self._all(query) if (slug := f"{row.system}/{row.metric}") in wanted]
        for some in _portions(known):
            yield dict(some)

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with reading(self._engine) as connection:
            return connection.execute(query).all()


def _of_the_one_before(column: sa.Column[Any]) -> sa.Over[Any]:
    return sa.func.lag(column, type_=column.type).over(
        partition_by=t.results.c.series, order_by=(t.results.c.judged_at, t.results.c.id)
    )


def _portions(names: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for first in range(0, len(names), _MOST_AT_ONCE):
        yield names[first : first + _MOST_AT_ONCE]
