"""The wellbeing stand-in: what its plan measures is real, and each fault is felt where it should be."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import sqlite3
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from checks.sandbox import wellbeing_files, wellbeing_operation, wellbeing_parts, wellbeing_rows
from checks.sandbox.kit import RESTART_CODE, running
from checks.sandbox.wellbeing import Wellbeing
from tests.sandbox.support import ask, eventually


class Brisk(Wellbeing):
    """The same with fewer requests before it is ready and more of them after, so that a fault shows sooner."""

    burst: ClassVar[int] = 30
    rate: ClassVar[float] = 30.0


@pytest.fixture(scope="module", autouse=True)
def a_larger_process() -> Iterator[None]:
    """The stand-in shares its process with the tests here, whose memory is counted as its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wellbeing_operation, "_MEMORY_LIMIT", 200_000_000 + 2 * psutil.Process().memory_info().rss)
        yield


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wellbeing]:
    """One stand-in for the tests that leave nothing behind which another would see."""
    with running(Wellbeing(tmp_path_factory.mktemp("shared") / "wellbeing")) as started:
        yield started


@pytest.fixture
def mended(shared: Wellbeing) -> Iterator[Wellbeing]:
    """The same stand-in, healed after the test."""
    yield shared
    shared.faults.remove()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Wellbeing]:
    """The stand-in, serving in this process."""
    with running(Brisk(tmp_path / "wellbeing")) as started:
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


def test_a_healthy_system_keeps_its_targets_with_a_margin(shared: Wellbeing) -> None:
    """Without a fault the figures that the plan judges are far from their limits from the start."""
    metrics = get(shared, "/metrics")

    assert metrics["requests"] >= 60
    assert metrics["error_rate"] == 0.0
    assert metrics["avg_response_time"] < 100
    assert metrics["p95_response_time"] < 500
    assert get(shared, "/api/v1/cache/stats")["hit_rate"] > 80
    assert get(shared, "/api/v1/db/stats")["peak_percent"] < 80
    assert get(shared, "/admin/backups")["missed"] == 0
    assert get(shared, "/api/v1/admin/stats/daily")["active_users_1d"] > 0
    assert get(shared, "/health") == {
        "parts": {"api": "up", "cache": "up", "database": "up"},
        "down": 0,
        "pid_file": str(shared.pid_file),
        "release": shared.release,
    }
    assert metrics["process"]["memory_percent"] < 60
    assert metrics["p50_response_time"] < 100
    assert get(shared, "/api/v1/db/stats")["unused_indexes"] == 0
    people = get(shared, "/api/v1/admin/stats/daily")
    assert people["retention_7d"] > 30
    assert people["churn_30d"] < 15
    assert people["users_against_30d_ago"] > 110
    assert people["adoption_least"] > 70
    assert people["signups_7d"] > 100
    assert get(shared, "/ci/runs/main")["failed"] == 0
    assert get(shared, "/ci/runs/main")["tests"] == 3
    assert get(shared, "/admin/secret-key")["age_days"] < 1


def test_its_dump_is_as_large_as_the_plan_asks_and_restores_whole(shared: Wellbeing) -> None:
    """The first dump is above 1 MB compressed and restores to exactly the rows that it promises."""
    dump = newest_dump(shared)
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


def test_dumps_that_break_off_are_small_and_counted_as_missed(mended: Wellbeing) -> None:
    """With the fault backups the newest dump is below 1 MB and is no success; healed, the next one is whole."""
    success = get(mended, "/admin/backups")["last_success_at"]
    time.sleep(1.1)  # dumps are named by the second
    mended.faults.add("backups")
    post(mended, "/admin/backups")
    assert newest_dump(mended).stat().st_size == 65_536
    assert get(mended, "/admin/backups")["last_success_at"] == success

    mended.faults.remove()
    time.sleep(1.1)
    post(mended, "/admin/backups")
    assert newest_dump(mended).stat().st_size > 1_000_000
    assert get(mended, "/admin/backups")["last_success_at"] > success


def test_dumps_that_stop_leave_the_old_ones(mended: Wellbeing) -> None:
    """With the fault no-backups no dump is added."""
    before = newest_dump(mended)
    mended.faults.add("no-backups")
    post(mended, "/admin/backups")

    assert newest_dump(mended) == before


def test_a_cache_that_keeps_nothing_misses(service: Wellbeing) -> None:
    """With the fault cache the hit rate falls below the plan's 80 %."""
    service.faults.add("cache")

    eventually(lambda: get(service, "/api/v1/cache/stats")["hit_rate"] < 80, within=30)
    assert get(service, "/api/v1/cache/stats")["hit_rate"] < 80


def test_an_attack_is_stored_and_a_blocked_address_is_turned_away(mended: Wellbeing) -> None:
    """With the fault logins one address fails more than ten times; once blocked it is refused before it can try."""
    query = "SELECT address, count(*) FROM login_attempt WHERE succeeded = 0 GROUP BY address ORDER BY 2 DESC LIMIT 1"
    mended.faults.add("logins")
    eventually(lambda: (mended.database.rows(query) or [("", 0)])[0][1] > 10, within=30)
    address = mended.database.rows(query)[0][0]

    post(mended, "/admin/blocked-addresses", {"address": address})
    refused = "SELECT count(*) FROM refused_request WHERE status = 403 AND address = ?"
    # By then what was on its way when it was blocked has arrived.
    eventually(lambda: mended.database.value(refused, address) > 5, within=30)
    attempts = mended.database.rows(query)[0][1]
    eventually(lambda: mended.database.value(refused, address) > 15, within=30)
    assert mended.database.rows(query)[0][1] == attempts
    assert [one["address"] for one in get(mended, "/admin/blocked-addresses")] == [address]
    assert ask(f"{mended.url}/admin/blocked-addresses/{address}", method="DELETE", token=mended.token).status == 200
    assert get(mended, "/admin/blocked-addresses") == []


def test_a_leaking_pool_runs_dry_and_recovers(service: Wellbeing) -> None:
    """With the fault pool connections stay in use until none is free; healed, they come back."""
    service.faults.add("pool")
    eventually(lambda: ask(f"{service.url}/api/v1/notifications/1").status == 503, within=40)
    assert get(service, "/api/v1/db/stats")["peak_percent"] == 100.0

    service.faults.remove()
    eventually(lambda: get(service, "/api/v1/db/stats")["in_use"] < 3)
    assert ask(f"{service.url}/api/v1/notifications/1").status == 200


def test_a_failing_job_writes_error_lines(mended: Wellbeing) -> None:
    """With the fault log each second adds a line of level ERROR."""
    mended.faults.add("log")

    eventually(lambda: mended.log.path.read_text(encoding="utf-8").count("was not sent") >= 3, within=10)
    lines = [line for line in mended.log.path.read_text(encoding="utf-8").splitlines() if "was not sent" in line]
    assert {json.loads(line)["level"] for line in lines} == {"ERROR"}


def test_a_dead_api_answers_nothing_but_503(service: Wellbeing) -> None:
    """With the fault api health and metrics are 503 too, so that nothing can be read from them."""
    service.faults.add("api")
    eventually(lambda: ask(f"{service.url}/health").status == 503)

    assert ask(f"{service.url}/metrics").status == 503
    assert ask(f"{service.url}/api/v1/insights/1").status == 503


def test_operators_need_the_token(shared: Wellbeing) -> None:
    """Without the administrator's token, or with another, nothing of the operator's side answers or changes."""
    entries = get(shared, "/api/v1/cache/stats")["entries"]
    for token in ("", "guess", "ümläut".encode().decode("latin-1")):
        assert ask(f"{shared.url}/admin/cache/flush", method="POST", body={}, token=token).status == 401
    assert ask(f"{shared.url}/api/v1/admin/stats/daily").status == 401
    assert get(shared, "/api/v1/cache/stats")["entries"] >= entries
    assert (shared.folder / "keys.json").stat().st_mode & 0o077 == 0


def through_proxy(service: Wellbeing) -> tuple[int, float]:
    """What health is answered over TLS by who trusts the proxy's authority, and how many days the certificate has left."""
    trusted = ssl.create_default_context(cafile=service.proxy.authority)
    port = int(service.proxy.url.rpartition(":")[2])
    with closing(http.client.HTTPSConnection("127.0.0.1", port, context=trusted, timeout=5)) as connection:
        connection.request("GET", "/health")
        until = ssl.cert_time_to_seconds(str((connection.sock.getpeercert() or {})["notAfter"]))
        return connection.getresponse().status, (until - time.time()) / 86400


def test_each_fault_of_the_month_is_felt_and_mends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory, people, keys, source, pace, indexes, refusals and proxy: each changes what is measured, and comes back."""
    monkeypatch.setattr(wellbeing_parts, "_INDEX_WINDOW", 2.0)
    monkeypatch.setattr(wellbeing_rows, "_CLOSED_AT_ONCE", 3000)
    hour_ago = "strftime('%Y-%m-%dT%H:%M:%S', 'now', '-1 hour')"
    grown = f"SELECT 720 * sum(length(sealed)) / 1e9 FROM focus_session WHERE started_at > {hour_ago}"
    most = "SELECT count(*) FROM refused_request WHERE status = 401 GROUP BY address ORDER BY 1 DESC LIMIT 1"
    with running(Brisk(tmp_path / "wellbeing")) as service:
        assert through_proxy(service)[0] == 200
        for fault in ("bloat", "leak", "scan", "certificate", "old-key", "accounts", "reminders", "traces", "index"):
            service.faults.add(fault)
        for fault in ("vulnerable", "tests", "secret"):
            service.faults.add(fault)

        def felt() -> bool:
            metrics, people = get(service, "/metrics"), get(service, "/api/v1/admin/stats/daily")
            return (
                metrics["network"]["megabytes_per_second"] > 5
                and metrics["process"]["memory_percent"] > 90
                and service.database.value(most) > 50
                and get(service, "/admin/secret-key")["age_days"] > 31
                and (people["active_users_30d"], people["signups_7d"], people["retention_7d"]) == (0, 0, 0)
                and people["churn_30d"] == 100
                and people["users_against_30d_ago"] == 0
                and service.database.value("SELECT max(reminders) FROM user_setting") == 0
                and service.database.value(grown) > 10
                and get(service, "/api/v1/db/stats")["unused_indexes"] == 1
                and get(service, "/ci/runs/main")["failed"] == 1
            )

        eventually(felt, within=40)
        with pytest.raises(ssl.SSLCertVerificationError):
            through_proxy(service)
        show = service.project.repository.git
        assert wellbeing_files.VULNERABLE_PIN in show("show", f"origin/main:{wellbeing_files.REQUIREMENTS}")
        assert "AKIA" in show("log", "--patch", "origin/main")
        service.faults.add("proxy")
        eventually(lambda: not service.proxy.running)
        with pytest.raises(ConnectionRefusedError):
            through_proxy(service)

        service.faults.remove()
        eventually(lambda: get(service, "/ci/runs/main")["failed"] == 0 and service.proxy.running)
        assert through_proxy(service)[1] > 60
        assert "AKIA" not in show("log", "--patch", "--all", "origin/main")
        assert wellbeing_files.SAFE_PIN in show("show", f"origin/main:{wellbeing_files.REQUIREMENTS}")
        eventually(lambda: service.database.value(grown) < 2)
        people = get(service, "/api/v1/admin/stats/daily")
        assert people["active_users_30d"] > 2000
        assert people["adoption_least"] > 70
        assert get(service, "/metrics")["process"]["memory_percent"] < 70
        assert get(service, "/admin/secret-key")["age_days"] < 1
        eventually(lambda: get(service, "/api/v1/db/stats")["unused_indexes"] == 0)


def test_a_release_is_deployed_when_its_tests_pass_and_says_how_many_instances_run(tmp_path: Path) -> None:
    """What fails is refused; what passes is in use after the start, its instances behind the proxy, and can be taken back."""
    folder = tmp_path / "wellbeing"
    with running(Wellbeing(folder)) as service:
        before, commit = service.release, service.project.repository.commit
        commit("Break it", {wellbeing_files.REGRESSION_TEST: wellbeing_files.REGRESSION})
        assert "1 of 4 tests failed" in post(service, "/admin/releases", {"ref": "main"})["message"]
        commit("Mend it", {wellbeing_files.REGRESSION_TEST: None, wellbeing_files.COMPOSE: wellbeing_files.compose(3)})
        wanted = post(service, "/admin/releases", {"ref": "main"})["commit"]
        assert service.ended.wait(3)
        assert get(service, "/admin/releases")["in_use"] == before
    with running(Wellbeing(folder)) as service:
        state = get(service, "/admin/releases")
        assert (state["in_use"], len(state["instances"]), state["before"]) == (wanted, 3, before)
        assert [through_proxy(service)[0] for _ in range(3)] == [200, 200, 200]
        assert post(service, "/admin/releases", {"ref": "before"})["commit"] == before


def test_heavy_answers_take_a_third_of_a_second_longer(mended: Wellbeing) -> None:
    """With the fault heavy an answer to a user takes at least 0.3 s, so half of them are above the target."""
    mended.faults.add("heavy")
    begun = time.monotonic()
    assert ask(f"{mended.url}/api/v1/insights/1").status == 200
    assert time.monotonic() - begun >= 0.3


def test_a_start_takes_up_a_renewed_key_and_goes_on_with_the_days_figures(tmp_path: Path) -> None:
    """Until the next start the old key signs; then its tokens are refused, and requests are counted on from where they were."""
    folder, login = tmp_path / "wellbeing", {"user": 1, "password": "right"}
    with running(Wellbeing(folder)) as service:
        ticket = post(service, "/api/v1/login", login)["token"]
        key = json.loads((folder / "keys.json").read_text(encoding="utf-8"))["secret_key"]
        assert key not in json.dumps(post(service, "/admin/secret-key"))
        assert get(service, "/admin/secret-key")["another_waits"]
        assert ask(f"{service.url}/api/v1/session", token=ticket).body == {"user": 1}
        counted = get(service, "/api/v1/analytics/monthly-summary")["days"][-1]["requests"]
    with running(Wellbeing(folder)) as service:
        assert not get(service, "/admin/secret-key")["another_waits"]
        assert ask(f"{service.url}/api/v1/session", token=ticket).status == 401
        fresh = post(service, "/api/v1/login", login)["token"]
        assert ask(f"{service.url}/api/v1/session", token=fresh).body == {"user": 1}
        month = get(service, "/api/v1/analytics/monthly-summary")
        assert month["days"][-1]["requests"] >= counted + 100
        assert {"/api/v1/insights/{user}", "/api/v1/login"} <= {one["route"] for one in month["routes"]}


def test_services_that_are_stopped_serve_nobody_until_they_are_started(shared: Wellbeing) -> None:
    """Stopped, users get 503 and the proxy's port is closed; started, all answers again. A part can be restarted alone."""
    post(shared, "/admin/services/stop")
    assert ask(f"{shared.url}/api/v1/insights/1").status == 503
    assert ask(f"{shared.url}/health").status == 503
    with pytest.raises(ConnectionRefusedError):
        through_proxy(shared)
    post(shared, "/admin/services/start")
    assert ask(f"{shared.url}/api/v1/notifications/1").status == 200
    assert through_proxy(shared)[0] == 200

    since = get(shared, "/admin/parts")["cache"]["since"]
    assert post(shared, "/admin/parts/cache/restart")["parts"]["cache"]["since"] > since
    assert post(shared, "/admin/parts/engine/restart") == {
        "message": "the parts are cache, database and proxy; the API itself is restarted by /admin/restart"
    }


def test_support_sees_nothing_of_a_person(shared: Wellbeing) -> None:
    """An account is answered for with three yeses or noes; a reset is a link that only the user gets."""
    assert get(shared, "/admin/accounts/7") == {"exists": True, "open": True, "reminders": False}
    assert get(shared, "/admin/accounts/999999") == {"exists": False, "open": False, "reminders": False}
    assert post(shared, "/admin/accounts/8/reset") == {"sent": True}
    assert ask(f"{shared.url}/admin/accounts/999999/reset", method="POST", body={}, token=shared.token).status == 404


def test_operators_changes_really_happen(service: Wellbeing) -> None:
    """Flushing empties the cache, optimising and reindexing run in the database, a restart ends with its code."""
    assert post(service, "/admin/cache/flush")["removed"] >= 20
    assert post(service, "/admin/database/optimise")["took_ms"] > 0
    assert service.database.value("SELECT count(*) FROM sqlite_stat1") > 0
    assert post(service, "/admin/database/reindex")["statements"] == "REINDEX;"
    assert post(service, "/admin/restart") == {"pid": os.getpid()}
    assert service.ended.wait(3)
    assert service.exit_code == RESTART_CODE
