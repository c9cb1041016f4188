"""The wellbeing stand-in: what its plan measures is real, and each fault is felt where it should be."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from checks.sandbox.kit import RESTART_CODE, running
from checks.sandbox.wellbeing import Wellbeing
from tests.sandbox.support import ask, eventually


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Wellbeing]:
    """The stand-in, serving in this process."""
    with running(Wellbeing(tmp_path / "wellbeing")) as started:
        yield started


def get(service: Wellbeing, path: str) -> Any:
    """What the operator is answered at a path."""
    return ask(f"{service.url}{path}", token=service.token).body


def post(service: Wellbeing, path: str, body: object = None) -> Any:
    """What the operator is answered to a change."""
    return ask(f"{service.url}{path}", method="POST", body=body or {}, token=service.token).body


def newest_dump(service: Wellbeing) -> Path:
    """The dump that was written last."""
    return max(service.backups.glob("*.sql.gz"), key=lambda path: path.stat().st_mtime)


def test_a_healthy_system_keeps_its_targets_with_a_margin(service: Wellbeing) -> None:
    """Without a fault the figures that the plan judges are far from their limits from the start."""
    metrics = get(service, "/metrics")

    assert metrics["requests"] >= 60
    assert metrics["error_rate"] == 0.0
    assert metrics["avg_response_time"] < 100
    assert metrics["p95_response_time"] < 500
    assert get(service, "/api/v1/cache/stats")["hit_rate"] > 80
    assert get(service, "/api/v1/db/stats")["peak_percent"] < 80
    assert get(service, "/admin/backups")["missed"] == 0
    assert get(service, "/api/v1/admin/stats/daily")["active_users_1d"] > 0
    assert get(service, "/health") == {
        "parts": {"api": "up", "cache": "up", "database": "up"},
        "down": 0,
        "pid_file": str(service.pid_file),
    }


def test_its_dump_is_as_large_as_the_plan_asks_and_restores_whole(service: Wellbeing) -> None:
    """The first dump is above 1 MB compressed and restores to exactly the rows that it promises."""
    dump = newest_dump(service)
    assert dump.stat().st_size > 1_200_000

    text = gzip.decompress(dump.read_bytes()).decode()
    promised = json.loads(text.rstrip().rpartition("-- rows ")[2])
    with closing(sqlite3.connect(":memory:")) as restored:
        restored.executescript(text)
        for table, rows in promised.items():
            assert restored.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == rows
    assert promised["user"] == 3000


def test_errors_are_really_served(service: Wellbeing) -> None:
    """With the fault errors the rate passes 10 % within seconds, and one line in the log says why."""
    service.faults.add("errors")

    eventually(lambda: get(service, "/metrics")["error_rate"] > 10, within=20)
    log = service.log.path.read_text(encoding="utf-8")
    assert log.count("the insights engine does not answer") == 1


def test_slow_answers_really_take_long(service: Wellbeing) -> None:
    """With the fault slow some users wait more than two seconds, and so does the 95th percentile."""
    service.faults.add("slow")

    eventually(lambda: get(service, "/metrics")["p95_response_time"] > 2000, within=40)
    assert get(service, "/metrics")["error_rate"] < 10  # slow, and not failing


def test_dumps_that_break_off_are_small_and_counted_as_missed(service: Wellbeing) -> None:
    """With the fault backups the newest dump is below 1 MB and is no success; healed, the next one is whole."""
    success = get(service, "/admin/backups")["last_success_at"]
    time.sleep(1.1)  # dumps are named by the second
    service.faults.add("backups")
    post(service, "/admin/backups")
    assert newest_dump(service).stat().st_size == 65_536
    assert get(service, "/admin/backups")["last_success_at"] == success

    service.faults.remove()
    time.sleep(1.1)
    post(service, "/admin/backups")
    assert newest_dump(service).stat().st_size > 1_000_000
    assert get(service, "/admin/backups")["last_success_at"] > success


def test_dumps_that_stop_leave_the_old_ones(service: Wellbeing) -> None:
    """With the fault no-backups no dump is added."""
    before = newest_dump(service)
    service.faults.add("no-backups")
    post(service, "/admin/backups")

    assert newest_dump(service) == before


def test_a_cache_that_keeps_nothing_misses(service: Wellbeing) -> None:
    """With the fault cache the hit rate falls below the plan's 80 %."""
    service.faults.add("cache")

    eventually(lambda: get(service, "/api/v1/cache/stats")["hit_rate"] < 80, within=30)
    assert get(service, "/api/v1/cache/stats")["hit_rate"] < 80


def test_an_attack_is_stored_and_a_blocked_address_is_turned_away(service: Wellbeing) -> None:
    """With the fault logins one address fails more than ten times; once blocked it is refused before it can try."""
    query = "SELECT address, count(*) FROM login_attempt WHERE succeeded = 0 GROUP BY address ORDER BY 2 DESC LIMIT 1"
    service.faults.add("logins")
    eventually(lambda: (service.database.rows(query) or [("", 0)])[0][1] > 10, within=30)
    address = service.database.rows(query)[0][0]

    post(service, "/admin/blocked-addresses", {"address": address})
    time.sleep(0.3)
    attempts = service.database.rows(query)[0][1]
    time.sleep(1.5)
    assert service.database.rows(query)[0][1] == attempts
    assert [one["address"] for one in get(service, "/admin/blocked-addresses")] == [address]
    assert ask(f"{service.url}/admin/blocked-addresses/{address}", method="DELETE", token=service.token).status == 200
    assert get(service, "/admin/blocked-addresses") == []


def test_a_leaking_pool_runs_dry_and_recovers(service: Wellbeing) -> None:
    """With the fault pool connections stay in use until none is free; healed, they come back."""
    service.faults.add("pool")
    eventually(lambda: ask(f"{service.url}/api/v1/notifications/1").status == 503, within=40)
    assert get(service, "/api/v1/db/stats")["peak_percent"] == 100.0

    service.faults.remove()
    eventually(lambda: get(service, "/api/v1/db/stats")["in_use"] < 3)
    assert ask(f"{service.url}/api/v1/notifications/1").status == 200


def test_a_failing_job_writes_error_lines(service: Wellbeing) -> None:
    """With the fault log each second adds a line of level ERROR."""
    service.faults.add("log")

    eventually(lambda: service.log.path.read_text(encoding="utf-8").count("was not sent") >= 3, within=10)
    lines = [line for line in service.log.path.read_text(encoding="utf-8").splitlines() if "was not sent" in line]
    assert {json.loads(line)["level"] for line in lines} == {"ERROR"}


def test_a_dead_api_answers_nothing_but_503(service: Wellbeing) -> None:
    """With the fault api health and metrics are 503 too, so that nothing can be read from them."""
    service.faults.add("api")
    eventually(lambda: ask(f"{service.url}/health").status == 503)

    assert ask(f"{service.url}/metrics").status == 503
    assert ask(f"{service.url}/api/v1/insights/1").status == 503


def test_operators_need_the_token(service: Wellbeing) -> None:
    """Without the administrator's token, or with another, nothing of the operator's side answers or changes."""
    entries = get(service, "/api/v1/cache/stats")["entries"]
    for token in ("", "guess", "ümläut".encode().decode("latin-1")):
        assert ask(f"{service.url}/admin/cache/flush", method="POST", body={}, token=token).status == 401
    assert ask(f"{service.url}/api/v1/admin/stats/daily").status == 401
    assert get(service, "/api/v1/cache/stats")["entries"] >= entries
    assert (service.folder / "keys.json").stat().st_mode & 0o077 == 0


def test_operators_changes_really_happen(service: Wellbeing) -> None:
    """Flushing empties the cache, optimising and reindexing run in the database, a restart ends with its code."""
    assert post(service, "/admin/cache/flush")["removed"] >= 20
    assert post(service, "/admin/database/optimise")["took_ms"] > 0
    assert service.database.value("SELECT count(*) FROM sqlite_stat1") > 0
    assert post(service, "/admin/database/reindex")["statements"] == "REINDEX;"
    assert post(service, "/admin/restart") == {"pid": os.getpid()}
    assert service.ended.wait(3)
    assert service.exit_code == RESTART_CODE
