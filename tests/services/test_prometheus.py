"""The prometheus probe against a real Prometheus that scrapes itself and has some history."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checks.judge import judge, parse_limit
from checks.model import Baseline, Metric, Observation, Status, Unmeasured
from checks.probes import measure
from tests.probes import conftest
from tests.services.servers import Prometheus

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Its history, a value every 15 s: load rose from 50 to 80 twenty minutes ago; gappy misses five of the last minutes."""
    now = int(time.time())
    times = range(now - 3600, now - 1, 15)  # what it scrapes itself must be newer
    history = [f'load{{host="a"}} {80 if at > now - 1200 else 50} {at}' for at in times]
    history += [f'load{{host="b"}} 10 {at}' for at in times]
    history += [f"gappy 1 {at}" for at in times if not now - 900 < at < now - 200]
    history += [f"broken {'NaN' if at > now - 300 else 1} {at}" for at in times]
    history += [f"idle 0 {at}" for at in times]
    started = Prometheus(tmp_path_factory.mktemp("prometheus"), history)
    started.start()
    for _ in range(200):  # until it is ready and has scraped itself a few times
        if isinstance(seen(started, "count_over_time(up[1m]) > 2"), Observation):
            break
        time.sleep(0.1)
    yield started
    started.stop()


def seen(server: Prometheus, query: str, unit: str = "", **options: Any) -> Observation | Unmeasured:
    """What measuring gives."""
    settled = conftest.settings({"prometheus": f"http://127.0.0.1:{server.port}/", "host": "a"})
    probe = {"kind": "prometheus", "url": "{prometheus}", "query": query, **options}
    return conftest.measured(probe, unit, settled, datetime.now(UTC))


def test_the_value_now(server: Prometheus) -> None:
    """An instant query gives the one value of its series, in the metric's unit; a setting stands for its value."""
    for query, value in (('up{job="itself"}', 1), ('load{host="{host}"}', 80), ("sum(load)", 90), ("scalar(sum(load)) + 1", 91)):
        observation = seen(server, query, "%")
        assert isinstance(observation, Observation), observation
        assert (observation.value, observation.unit) == (value, "%")


@pytest.mark.parametrize(
    ("statistic", "span", "value"),
    [("min", "15m", 80.0), ("max", "15m", 80.0), ("min", "30m", 50.0), ("max", "30m", 80.0), ("mean", "40m", 65.0)],
)
def test_a_range_uses_the_servers_own_history(server: Prometheus, statistic: str, span: str, value: float) -> None:
    """The least value of the last 15 min tells whether a limit was broken all that time."""
    observation = seen(server, 'load{host="a"}', "%", range=span, statistic=statistic, step="15s")
    assert isinstance(observation, Observation), observation
    assert observation.value == pytest.approx(value, abs=1)
    assert observation.samples == pytest.approx(int(span[:-1]) * 4, abs=2)
    assert f"{statistic} of the last {span.replace('m', ' min')}" in observation.source


@pytest.mark.parametrize(
    ("query", "limit", "status", "reason"),
    [
        ('load{host="a"}', "> 70 % for 15m", Status.CRITICAL, "80 % breaks > 70 % for 15m"),
        ('load{host="a"}', "> 70 % for 30m", Status.OK, "% for 30m (for 1"),
        ('load{host="a"}', "> 90 % for 15m", Status.OK, "does not break > 90 % for 15m"),
        ('load{host="a"}', "> 70 % for 2h", Status.OK, "does not break > 70 % for 2h"),
        ('load{host="b"}', "< 20 % for 2h", Status.UNKNOWN, "needs 2 h of samples"),
        ("100 * gappy", "> 70 % for 30m", Status.UNKNOWN, "needs 30 min of samples without a gap"),
        ('load{host="a"}', "> 110 % of baseline", Status.CRITICAL, "of 50 %, median of 1 h"),
        ("nothing_of_this_name", "> 70 % for 15m", Status.UNKNOWN, "no series matches"),
    ],
)
def test_windows_and_baselines_are_judged_by_the_servers_own_history(
    server: Prometheus, query: str, limit: str, status: Status, reason: str
) -> None:
    """The first measurement ever settles `for 15m` where the server remembers what was before it; else it is unknown."""
    metric = Metric(
        "shop",
        "load",
        "Load",
        "%",
        {"kind": "prometheus", "url": "{prometheus}", "query": query},
        critical=parse_limit(limit),
        every=timedelta(minutes=1),
        baseline=Baseline("median", timedelta(hours=1), timedelta(minutes=40)) if "baseline" in limit else None,
    )
    settled = conftest.settings({"prometheus": f"http://127.0.0.1:{server.port}/"})
    now = datetime.now(UTC)
    result = judge(metric, measure(metric, settled, now), now)
    assert (result.status, reason in result.reason) == (status, True), result
    assert result.observation is None or result.observation.past == ()


@pytest.mark.parametrize(
    ("query", "options", "reason"),
    [
        ("nothing_of_this_name", {}, "no series matches"),
        ("load", {}, "2 series match; aggregate them in the query, as by sum(…)"),
        ("load", {"range": "5m"}, "2 series match"),
        ("broken", {}, "its value is NaN"),
        ("broken", {"range": "15m"}, "its value is NaN"),
        ("idle / idle", {}, "its value is NaN"),
        ("load{host='a'} / on() idle", {}, "its value is infinite"),
        ("gappy", {"range": "20m", "step": "15s"}, "the history of 20 min has a gap of"),
        ('up{job="itself"}', {"range": "15m"}, "the history of 15 min has a gap of"),
        ("sum(load", {}, "it refused the query"),
        ("idle[5m]", {}, "the query gives a range of values"),
        ("load[5m]", {"range": "5m"}, "it refused the query"),
        ('"text"', {}, "its answer is a string, not a number"),
    ],
)
def test_what_is_no_number_is_unknown(server: Prometheus, query: str, options: dict[str, str], reason: str) -> None:
    """No series, several, NaN, gaps and mistakes in the query are told apart."""
    unmeasured = seen(server, query, "%", **options)
    assert isinstance(unmeasured, Unmeasured), unmeasured
    assert reason in unmeasured.reason
    assert query in unmeasured.source


def test_a_server_that_hangs_or_is_away_is_unknown(server: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A halted server ends at the deadline; one that has ended refuses the connection."""
    other = Prometheus(tmp_path_factory.mktemp("prometheus"), ["load 1 1"])
    other.start()
    other.signal(signal.SIGSTOP)
    hanging = seen(other, "up", timeout="300ms")
    other.stop()
    away = seen(other, "up")
    assert isinstance(hanging, Unmeasured)
    assert isinstance(away, Unmeasured)
    assert "no whole answer within 300 ms" in hanging.reason
    assert "the connection was refused" in away.reason
