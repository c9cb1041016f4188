"""The redis probe against a real Redis server."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from checks.model import Observation, Unmeasured
from tests.probes import conftest
from tests.services.servers import Redis

pytestmark = pytest.mark.service
Start = Callable[..., Redis]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts Redis servers and ends them."""
    started: list[Redis] = []

    def start(**given: str) -> Redis:
        server = Redis(tmp_path, **given)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


def seen(server: Redis, measure: str, unit: str = "", login: str = "", **options: Any) -> Observation | Unmeasured:
    """What measuring gives; `login` is the user and the password, as they stand in the address."""
    settled = conftest.settings(
        {"cache": f"redis://{login}127.0.0.1:{server.port}"}, secrets=(login.strip(":@"),) if login else ()
    )
    return conftest.measured({"kind": "redis", "url": "{cache}", "measure": measure, **options}, unit, settled, datetime.now(UTC))


def value_of(server: Redis, measure: str, unit: str = "", **options: Any) -> float:
    """The value that measuring gives; there must be one."""
    observation = seen(server, measure, unit, **options)
    assert isinstance(observation, Observation), observation
    return observation.value


def detail_of(server: Redis, measure: str, unit: str = "") -> str:
    """What else was seen when measuring; there must be a value."""
    observation = seen(server, measure, unit)
    assert isinstance(observation, Observation), observation
    return observation.detail


def reason_of(server: Redis, measure: str, unit: str = "", **options: Any) -> str:
    """Why measuring gives nothing; it must give nothing."""
    unmeasured = seen(server, measure, unit, **options)
    assert isinstance(unmeasured, Unmeasured), unmeasured
    return unmeasured.reason


def test_a_ping_takes_some_time(start: Start) -> None:
    """The value is the time of one PING alone."""
    assert 0 < value_of(start(), "ping", "ms") < 1000


def test_the_hit_rate_since_the_start(start: Start) -> None:
    """Hits and misses make the rate; without a look-up, or with too few, there is none."""
    server = start()
    assert "no key was looked up since its start" in reason_of(server, "hit-rate", "%")
    server.tell("SET", "a", "1")
    for key in ("a", "a", "a", "b"):
        server.tell("GET", key)
    observation = seen(server, "hit-rate", "%")
    assert isinstance(observation, Observation), observation
    assert (observation.value, observation.samples) == (75.0, 4)
    assert observation.detail.startswith("3 of 4 look-ups since its start")
    assert "only 4 keys were looked up" in reason_of(server, "hit-rate", "%", needs=5)


def test_the_hit_rate_over_a_window_is_of_that_window(start: Start) -> None:
    """What was looked up before the window does not count; a window without a look-up has no rate."""
    server = start()
    server.tell("SET", "a", "1")
    for _ in range(20):
        server.tell("GET", "missing")
    assert reason_of(server, "hit-rate", "%", over="100ms") == "no key was looked up over 100 ms, so there is no hit rate"
    ended = threading.Event()

    def look_up() -> None:
        while not ended.wait(0.02):
            server.tell("GET", "a")

    thread = threading.Thread(target=look_up)
    thread.start()
    try:
        assert value_of(server, "hit-rate", "%", over="500ms") == 100.0
    finally:
        ended.set()
        thread.join()
    assert value_of(server, "hit-rate", "%") < 100


def test_counters_that_are_reset_meanwhile_are_unknown(start: Start) -> None:
    """A reset within the window is not taken for a negative number of look-ups."""
    server = start()
    server.tell("SET", "a", "1")
    for _ in range(50):
        server.tell("GET", "a")
    timer = threading.Timer(0.3, lambda: server.tell("CONFIG", "RESETSTAT"))
    timer.start()
    assert "its counters were reset" in reason_of(server, "hit-rate", "%", over="800ms")
    timer.join()


def test_memory_and_evictions(start: Start) -> None:
    """A cache that is full drops keys; its memory stands near its maximum, and without a maximum there is no share."""
    server = start(maxmemory="3mb", maxmemory_policy="allkeys-lru")
    assert value_of(server, "evictions") == 0
    for number in range(400):
        server.tell("SET", f"key-{number}", "x" * 10_000)
    assert value_of(server, "evictions") > 50
    assert value_of(server, "evictions", over="50ms") == 0
    assert 60 < value_of(server, "memory-share", "%") < 130
    assert 1 < value_of(server, "memory", "MB") < 4
    server.tell("CONFIG", "SET", "maxmemory", "0")
    assert reason_of(server, "memory-share", "%").startswith("no maxmemory is set")


def test_the_age_of_the_last_save(start: Start) -> None:
    """The age counts from a save that happened; a server that only started has saved nothing."""
    server = start()
    assert "nothing was saved since its start" in reason_of(server, "save-age", "s")
    server.tell("SAVE")
    time.sleep(1.1)
    server.tell("SET", "a", "1")
    assert 1 <= value_of(server, "save-age", "s") < 10
    assert value_of(server, "unsaved") == 1


def test_a_save_that_fails_does_not_count(start: Start, tmp_path: Path) -> None:
    """While saving fails, the age goes on from the last save that succeeded, and says so."""
    server = start()
    server.tell("SAVE")
    # A folder stands where the file is to be moved to; this fails for root, too.
    (tmp_path / "dump.rdb").unlink()
    (tmp_path / "dump.rdb").mkdir()
    server.tell("SET", "a", "1")
    server.tell("BGSAVE")
    for _ in range(100):
        if "failed" in detail_of(server, "save-age", "s"):
            break
        time.sleep(0.05)
    assert detail_of(server, "save-age", "s") == "1 changes since; the last save failed"


@pytest.mark.parametrize("login", ["", ":wr0ng-secret@", "someone:wr0ng-secret@"])
def test_a_wrong_password_is_unknown_and_never_shown(start: Start, login: str) -> None:
    """Who is not let in knows nothing, and no text holds the password that was tried."""
    server = start(requirepass="r1ght-secret")
    unmeasured = seen(server, "ping", "ms", login)
    assert isinstance(unmeasured, Unmeasured), unmeasured
    assert "did not accept the user or the password, or wants one" in unmeasured.reason
    assert "secret" not in repr(unmeasured)


def test_the_right_password_is_used_and_never_shown(start: Start) -> None:
    """With its password, also where that needs quoting, a server is measured; the source does not hold it."""
    server = start(requirepass="r1ght/s:cret@")
    observation = seen(server, "ping", "ms", ":r1ght%2Fs%3Acret%40@")
    assert isinstance(observation, Observation), observation
    assert "cret" not in repr(observation)


def test_only_ping_and_info_are_ever_sent(start: Start) -> None:
    """A user who may do nothing else can measure everything: nothing that writes is sent."""
    server = start()
    server.tell("ACL", "SETUSER", "watcher", "on", ">pw", "-@all", "+ping", "+info")
    server.tell("SAVE")
    for measure, unit in (("ping", "ms"), ("evictions", ""), ("memory", "B"), ("save-age", "s"), ("unsaved", "")):
        observation = seen(server, measure, unit, "watcher:pw@")
        assert isinstance(observation, Observation), observation
    assert server.tell("ACL", "LOG") == "[]"  # no command was refused, so no other was sent
    server.tell("ACL", "SETUSER", "watcher", "-info")
    unmeasured = seen(server, "memory", "B", "watcher:pw@")
    assert isinstance(unmeasured, Unmeasured)
    assert "its user may not ask this" in unmeasured.reason


def test_a_server_that_is_away_is_unknown(start: Start) -> None:
    """After its end the connection is refused."""
    server = start()
    server.stop()
    assert reason_of(server, "ping", "ms") == f"redis://127.0.0.1:{server.port}: the connection was refused"


def test_a_server_that_hangs_is_unknown_in_time(start: Start) -> None:
    """A halted server accepts the connection and answers nothing: the deadline ends that."""
    server = start()
    server.signal(signal.SIGSTOP)
    started = time.monotonic()
    for measure, unit in (("ping", "ms"), ("memory", "B")):
        assert "did not end within 300 ms" in reason_of(server, measure, unit, timeout="300ms")
    assert time.monotonic() - started < 3
    server.signal(signal.SIGCONT)
    assert value_of(server, "ping", "ms") > 0


def test_a_server_that_is_loading_is_unknown(start: Start) -> None:
    """While it reads its data it has no figures to give."""
    server = start()
    for number in range(1000):
        server.tell("SET", f"key-{number}", "x")
    server.tell("SAVE")
    server.stop()
    loading = start(key_load_delay="5000", loading_process_events_interval_bytes="1024")
    assert "it is still loading its data" in reason_of(loading, "ping", "ms", timeout="5s")
