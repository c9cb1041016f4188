"""When metrics are sampled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalogue import Catalogue, Settings
from checks.catalogue.environment import Settled
from checks.schedule.cadence import due_samples, last_moment, next_moment, sampled, target
from tests.journal.samples import NOW, a_metric, a_system

MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  the zone is added
CADENCES = st.timedeltas(timedelta(seconds=1), timedelta(days=2))
SETTLED = Settled("sandbox", {"url": "http://ada:hunter2@127.0.0.1:8080", "db": "/srv/shop.db"}, {}, frozenset())


@given(st.from_regex(r"[a-z]{1,9}/[a-z]{1,9}", fullmatch=True), CADENCES, MOMENTS)
def test_moments_are_one_cadence_apart(slug: str, every: timedelta, now: datetime) -> None:
    """From any moment the next one is later, the last one is not, and they are one cadence apart."""
    last, following = last_moment(slug, every, now), next_moment(slug, every, now)
    assert last <= now < following
    assert following - last == every
    assert next_moment(slug, every, following) == following + every
    assert last_moment(slug, every, following) == following


def test_metrics_of_one_cadence_are_spread_over_it() -> None:
    """Of a thousand metrics that are sampled every minute no second gets more than a few: nothing stampedes."""
    moments = [next_moment(f"shop/metric-{number}", timedelta(minutes=1), NOW) for number in range(1000)]
    by_second = [sum(moment.second == second for moment in moments) for second in range(60)]
    assert max(by_second) < 40
    assert min(by_second) > 3


def test_what_was_looked_at_is_due_again_after_its_next_moment() -> None:
    """A metric is due if nobody has looked at it since its last moment, by whatever way; a new one is due at once."""
    metric = a_metric(every=timedelta(minutes=5), probe={"kind": "host"})
    moment = last_moment(metric.slug, timedelta(minutes=5), NOW)
    assert due_samples([metric], {}, NOW) == [metric]
    assert due_samples([metric], {metric.slug: moment - timedelta(seconds=1)}, NOW) == [metric]
    assert due_samples([metric], {metric.slug: moment}, NOW) == []


def test_only_what_a_probe_can_measure_by_itself_is_sampled(tmp_path: Path) -> None:
    """A metric without ``every:``, one that only a runbook's cell measures, and a system that lives elsewhere are left out."""
    often = {"every": timedelta(minutes=1)}
    shop = a_system(
        a_metric("often", probe={"kind": "host"}, **often), a_metric("seldom", probe={"kind": "host"}), a_metric("cell", **often)
    )
    catalogue = Catalogue(tmp_path, {"shop": shop}, {}, Settings("sandbox", "UTC", "", tmp_path, "A site"))
    assert [metric.name for metric in sampled(catalogue, "sandbox")] == ["often"]
    assert sampled(catalogue, "production") == []


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        ({"kind": "http", "url": "{url}/health"}, "127.0.0.1:8080"),
        ({"kind": "sql", "database": "{db}"}, "/srv/shop.db"),
        ({"kind": "http", "url": "{unknown}/health"}, "http of shop"),
        ({"kind": "http", "url": "http://[::1/"}, "http of shop"),
        ({"kind": "host"}, "host of shop"),
    ],
)
def test_probes_of_one_server_have_one_target(probe: dict[str, object], expected: str) -> None:
    """What a probe asks is told by its address, without user and password; where there is none, by its kind and system."""
    assert target(replace(a_metric(), probe=probe), SETTLED) == expected
