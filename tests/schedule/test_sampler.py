"""Samples that are taken between runs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks.catalogue.environment import Settled
from checks.errors import ProofbookError, ServiceAway
from checks.journal import Journal, Sample, open_journal
from checks.judge import parse_limit
from checks.model import Metric, Observation, Result, Status, Unmeasured
from checks.schedule.sampler import Listener, Sampler, Task, judged
from tests.journal.samples import NOW, a_metric

SETTLED = Settled("sandbox", {}, {}, frozenset())
Seen = Observation | Unmeasured


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(f"sqlite:///{tmp_path}/journal.db") as opened:
        yield opened


def a_task(name: str = "cpu", every: float = 0.2, host: str = "", **changes: object) -> Task:
    probe = {"kind": "http", "url": f"http://{host or name}/"}
    cadence = timedelta(seconds=every)
    metric = a_metric(name, probe=probe, every=cadence, critical=parse_limit("> 80 %"))
    return Task(replace(metric, **changes), SETTLED, cadence)  # type: ignore[arg-type]


def gives(value: float) -> Callable[[Metric, Settled, datetime], Seen]:
    return lambda _metric, _settled, now: Observation(value, "%", now, 0.0, "a fake")


def clock() -> datetime:
    return datetime.now(UTC)


def let(sampler: Sampler, tasks: list[Task], seconds: float, tick: float = 0.1) -> None:
    """Let it sample for some time."""

    async def live() -> None:
        until = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, until.set)
        await sampler.run(tasks, until, timedelta(seconds=tick))

    asyncio.run(live())


class Told(Listener):
    def __init__(self) -> None:
        self.changes: list[tuple[str, Status, Status | None]] = []
        self.troubles: list[ProofbookError] = []

    def changed(self, result: Result, before: Status | None) -> None:
        self.changes.append((result.metric, result.status, before))

    def troubled(self, error: ProofbookError) -> None:
        self.troubles.append(error)


def test_values_are_taken_at_their_cadence(journal: Journal) -> None:
    """Each metric gets a value a cadence, judged and kept, and the first judgement of each is a result without a run."""
    started = clock()
    let(Sampler(journal, "sandbox", clock=clock, measuring=gives(40)), [a_task("cpu"), a_task("disk", every=0.4)], 1.5)
    cpu, disk = (len(journal.observations(f"shop/{name}", "sandbox", started)) for name in ("cpu", "disk"))
    assert 2 <= cpu <= 8
    assert 1 <= disk <= 4
    latest = journal.latest_results("sandbox")["shop/cpu"]
    assert (latest.result.status, latest.run_id) == (Status.OK, "")
    assert journal.tally("shop/cpu", "sandbox", started).ok == cpu


def test_a_sample_that_breaks_its_limit_is_seen_at_once(journal: Journal) -> None:
    """A metric that turns critical between runs is critical in the journal, and whoever listens is told once."""
    values = iter([40.0, 95.0, 96.0, *[30.0] * 99])
    told = Told()
    measuring = lambda _metric, _settled, now: Observation(next(values), "%", now, 0.0, "a fake")  # noqa: E731
    sampler = Sampler(journal, "sandbox", clock=clock, measuring=measuring, listener=told)
    for _ in range(4):
        asyncio.run(sampler.once([a_task()]))
    assert told.changes == [("cpu", Status.CRITICAL, Status.OK), ("cpu", Status.OK, Status.CRITICAL)]
    assert journal.tally("shop/cpu", "sandbox", NOW).critical == 2
    assert [change.result.status for change in journal.status_changes("sandbox", NOW - timedelta(days=9999))] == [
        Status.OK,
        Status.CRITICAL,
        Status.OK,
    ]


def test_a_sample_that_fails_is_a_gap(journal: Journal) -> None:
    """What could not be measured, and what a bug of ours kept from being measured, is unknown with its reason, not a value."""

    def measuring(metric: Metric, _settled: Settled, now: datetime) -> Seen:
        if metric.name == "bug":
            raise RuntimeError("oh")
        return Unmeasured("the connection was refused", now, 0.1, "a fake")

    found = asyncio.run(Sampler(journal, "sandbox", clock=clock, measuring=measuring).once([a_task("away"), a_task("bug")]))
    assert {(result.metric, result.status, result.reason) for result in found} == {
        ("away", Status.UNKNOWN, "the connection was refused"),
        ("bug", Status.UNKNOWN, "a bug in Proofbook: RuntimeError: oh"),
    }
    assert journal.ever_measured("sandbox") == frozenset()


def test_a_probe_that_hangs_is_left_behind(journal: Journal) -> None:
    """A sample that does not end in time is a gap; its metric is not asked again meanwhile, and others are sampled on."""
    release, asked = threading.Event(), Counter[str]()

    def measuring(metric: Metric, _settled: Settled, now: datetime) -> Seen:
        asked[metric.name] += 1
        if metric.name == "stuck":
            release.wait(30)
        return Observation(1, "%", now, 0.0, "a fake")

    started = time.monotonic()
    sampler = Sampler(journal, "sandbox", clock=clock, at_once=2, measuring=measuring)
    let(sampler, [a_task("stuck"), a_task("well")], 1.5)
    assert time.monotonic() - started < 10  # it does not wait for the probe that hangs
    release.set()
    assert asked["stuck"] == 1
    assert asked["well"] >= 2
    reasons = journal.latest_results("sandbox")["shop/stuck"].result.reason
    assert "has not ended yet" in reasons or "no answer within 0.2 s" in reasons
    assert journal.observations("shop/stuck", "sandbox", NOW - timedelta(days=9999)) == []


def test_a_probe_slower_than_its_cadence_skips(journal: Journal) -> None:
    """Samples never pile up: while one takes longer than the cadence the next are left out, so no queue grows."""
    asked = Counter[str]()

    def measuring(metric: Metric, _settled: Settled, now: datetime) -> Seen:
        asked[metric.name] += 1
        time.sleep(0.15)
        return Observation(1, "%", now, 0.0, "a fake")

    let(
        Sampler(journal, "sandbox", clock=clock, at_once=1, measuring=measuring),
        [a_task(f"m{n}", every=0.2) for n in range(6)],
        3.0,
    )
    assert sum(asked.values()) <= 22  # one at a time, 0.15 s each
    assert set(asked) == {f"m{n}" for n in range(6)}  # and each has its turn


def test_a_target_is_asked_by_a_few_at_once(journal: Journal) -> None:
    """No more probes ask one server at the same time than politeness allows, and other servers need not wait for it."""
    now_asking, most, lock = Counter[str](), Counter[str](), threading.Lock()

    def measuring(metric: Metric, _settled: Settled, now: datetime) -> Seen:
        host = str(metric.probe["url"])
        with lock:
            now_asking[host] += 1
            most[host] = max(most[host], now_asking[host])
        time.sleep(0.02)
        with lock:
            now_asking[host] -= 1
        return Observation(1, "%", now, 0.0, "a fake")

    tasks = [a_task(f"a{n}", host="busy", every=30) for n in range(20)] + [a_task(f"b{n}", host=f"own-{n}") for n in range(4)]
    found = asyncio.run(Sampler(journal, "sandbox", clock=clock, at_one_target=3, measuring=measuring).once(tasks))
    assert len(found) == 24
    assert most["http://busy/"] == 3


def test_what_was_found_waits_for_a_journal_that_is_away(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the journal does not answer samples are kept, whoever listens is told, and they are written when it is back."""
    told, record = Told(), journal.record_samples
    sampler = Sampler(journal, "sandbox", clock=clock, measuring=gives(40), listener=told)

    def away(*_: object) -> None:
        raise ServiceAway("the journal's database does not answer")

    monkeypatch.setattr(journal, "record_samples", away)
    assert asyncio.run(sampler.once([a_task()])) == []
    monkeypatch.setattr(journal, "record_samples", record)
    assert len(told.troubles) == 1
    assert [result.status for result in asyncio.run(sampler.write())] == [Status.OK]
    assert len(journal.observations("shop/cpu", "sandbox", NOW - timedelta(days=9999))) == 1


def test_a_window_is_judged_by_the_samples_before(journal: Journal) -> None:
    """``for 15m`` is unknown until samples cover a quarter of an hour, then broken if every one of them breaks."""
    metric = a_task(every=300, critical=parse_limit("> 80 % for 15m")).metric
    statuses = []
    for minutes in range(0, 25, 5):
        now = NOW + timedelta(minutes=minutes)
        (result,) = judged([(metric, Observation(95, "%", now, 0.0, "a fake"))], "sandbox", journal, now)
        journal.record_samples("sandbox", [Sample(result, timedelta(minutes=15))])
        statuses.append(result.status)
    assert statuses == [Status.UNKNOWN, Status.UNKNOWN, Status.UNKNOWN, Status.CRITICAL, Status.CRITICAL]


def test_hundreds_of_metrics_are_sampled_in_one_process(journal: Journal) -> None:
    """Hundreds of metrics a second or two apart are all sampled, by few threads and in few transactions."""
    tasks = [a_task(f"m{number}", every=2, host=f"host-{number % 50}") for number in range(400)]
    sampler = Sampler(journal, "sandbox", clock=clock, measuring=gives(40))
    let(sampler, tasks, 3, tick=1)
    assert len(journal.ever_measured("sandbox")) == 400
    assert sampler._threads.made <= 33
    assert sampler.figures.gaps == 0
