"""Console.ext's stand-in: what its figures say is what it did."""

from __future__ import annotations

import gzip
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.catalogue import Catalogue, notebook, resolve
from checks.judge import judge
from checks.model import Result, Status
from checks.probes import measure
from checks.run import context
from checks.run.context import Context
from checks.sandbox.console_ext import ConsoleExt
from checks.sandbox.console_ext_backups import Backups
from checks.sandbox.console_ext_logs import RETENTION, LogStore
from checks.sandbox.console_ext_repository import Releases
from checks.sandbox.console_ext_resources import Minutes
from checks.sandbox.console_ext_source.rate_limit import Bucket
from checks.sandbox.console_ext_store import Ledger, api_key, password
from checks.sandbox.kit import HttpError, running, utc_text
from tests.sandbox.support import eventually

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 14, 9, 26, tzinfo=UTC)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ConsoleExt]:
    with running(ConsoleExt(tmp_path / "console-ext")) as service:
        yield service


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "console-ext.db")
    ledger.prepare(datetime.now(UTC))
    yield ledger
    ledger.close()


def ask(service: ConsoleExt, path: str, body: object = None, token: str = "") -> tuple[int, dict[str, Any]]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(service.url + path, data, {"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def post(service: ConsoleExt, customer: int = 1) -> int:
    status, _ = ask(service, "/notifications", {"recipient": "ada", "text": "hello"}, api_key(customer))
    return status


def admin(service: ConsoleExt, path: str, body: object) -> tuple[int, dict[str, Any]]:
    return ask(service, path, body, service.variables()["CONSOLE_EXT_ADMIN_TOKEN"])


def judged(service: ConsoleExt, catalogue: Catalogue, name: str) -> Result:
    metric = catalogue.metric(f"console-ext/{name}")
    settled = resolve(catalogue.system("console-ext"), "sandbox", service.variables())
    return judge(metric, measure(metric, settled, datetime.now(UTC)), datetime.now(UTC))


def walked(
    service: ConsoleExt, catalogue: Catalogue, folder: Path, name: str, parameters: dict[str, Any], last: int | None = None
) -> str:
    """Run every cell of a procedure in order, those that change and destroy too; what it printed."""
    runbook, system = catalogue.runbook(f"console-ext/{name}"), catalogue.system("console-ext")
    settled = resolve(system, "sandbox", service.variables())
    context.write(Context("drill", runbook.slug, system, "sandbox", parameters), folder / "context.json")
    cells = [cell.source for cell in notebook.read(runbook).cells if cell.cell_type == "code"][:last]
    (folder / "walk.py").write_text("\n\n".join(cells), encoding="utf-8")
    environment = {
        **os.environ,
        **service.variables(),
        **{name.upper(): value for name, value in settled.values.items()},
        context.VARIABLE: str(folder / "context.json"),
    }
    done = subprocess.run(
        [sys.executable, str(folder / "walk.py")], env=environment, capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def restore(releases: Releases, backups: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    tool = [sys.executable, str(releases.clone / "tools" / "restore.py"), "--backups", str(backups), *arguments]
    return subprocess.run(tool, capture_output=True, text=True, check=False, timeout=60)


def test_a_healthy_stand_in_breaks_no_limit(service: ConsoleExt, catalogue: Catalogue) -> None:
    """Just after it is ready, every metric that a probe measures is ok."""
    eventually(lambda: judged(service, catalogue, "correlation-followed").status is Status.OK)
    metrics = [metric for metric in catalogue.system("console-ext").metrics.values() if metric.probe["kind"] != "notebook"]
    results = [judged(service, catalogue, metric.name) for metric in metrics]
    assert [(result.metric, result.reason) for result in results if result.status is not Status.OK] == []
    assert len(results) >= 20


@pytest.mark.slow
def test_the_disaster_procedure_recovers_a_lost_database(service: ConsoleExt, catalogue: Catalogue, tmp_path: Path) -> None:
    """All its cells in order, those that change and destroy too: rows served again, writes no longer held, copy kept."""
    before = ask(service, "/health")[1]["customers"]
    service.faults.add("database")
    eventually(lambda: ask(service, "/health")[0] == 503)
    assert "live database: can't be read" in walked(service, catalogue, tmp_path, "disaster-recovery", {})
    assert ask(service, "/health") == (200, {"status": "ok", "version": "2.3.0", "customers": before, "held": False})
    assert len(list(service.folder.glob("console-ext.replaced-*.db"))) == 1
    assert post(service) == 202


@pytest.mark.slow
def test_the_release_procedure_makes_a_whole_release(service: ConsoleExt, catalogue: Catalogue, tmp_path: Path) -> None:
    """All its cells in order: the next patch is tagged, deployed after staging, approved, and back on develop."""
    given = {"version": "next", "change": "Something small.", "reviewer": "Another Pair of Eyes <review@console-ext.invalid>"}
    said = walked(service, catalogue, tmp_path, "release", given)
    assert "highest tag 2.3.0; this would be 2.3.1" in said
    eventually(lambda: ask(service, "/health")[1]["version"] == "2.3.1")
    record = [json.loads(line) for line in service.releases.deployments.read_text(encoding="utf-8").splitlines()]
    assert [(line["version"], line["environment"]) for line in record[-2:]] == [("2.3.1", "staging"), ("2.3.1", "production")]
    assert service.releases.unfinished() is None
    assert judged(service, catalogue, "develop-behind").status is Status.OK
    assert "Something small." in (service.releases.clone / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_load_test_brings_a_backend_and_ends(service: ConsoleExt, catalogue: Catalogue, tmp_path: Path) -> None:
    """All its cells but the last, which waits: real requests in growing number, none failed, and a third backend at the end."""
    # Whatever else this machine does meanwhile, all four steps are taken.
    said = walked(service, catalogue, tmp_path, "load-test", {"most": 100, "seconds": 1, "slowest": 10_000}, last=-1)
    rows = [line.split() for line in said.splitlines() if re.fullmatch(r" +\d+ +\d+ +\d+ +\d+ +[\d.]+", line)]
    assert len(rows) == 4, said
    assert {row[2] for row in rows} == {"0"}
    assert int(rows[-1][3]) > 2


def test_a_notification_is_delivered_and_followed_by_its_id(service: ConsoleExt) -> None:
    """The API, the receiver and the worker write the correlation id that the customer sent."""
    request = urllib.request.Request(
        service.url + "/notifications",
        json.dumps({"recipient": "ada", "text": "hello"}).encode(),
        {"Authorization": f"Bearer {api_key(2)}", "X-Correlation-Id": "00c0ffee00c0ffee"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        number = json.load(answer)["id"]
    eventually(lambda: ask(service, f"/notifications/{number}", token=api_key(2))[1]["state"] == "delivered")
    wrote: set[str] = set()

    def all_have_written() -> bool:
        lines = service.log.path.read_text(encoding="utf-8").splitlines()
        wrote.update(json.loads(line)["service"] for line in lines if "00c0ffee00c0ffee" in line)
        return len(wrote) >= 3

    eventually(all_have_written)
    assert wrote == {"api", "sink", "worker"}


def test_errors_are_really_answered(service: ConsoleExt, catalogue: Catalogue) -> None:
    """While errors are on, notifications are answered 500 and the error rate breaks its limit."""
    service.faults.add("errors")
    statuses = {post(service, customer) for customer in (1, 2, 3, 4) for _ in range(8)}
    assert statuses == {202, 500}
    assert judged(service, catalogue, "error-rate").status is Status.CRITICAL


def test_slow_answers_are_measured_as_slow(service: ConsoleExt) -> None:
    """While slow is on, some of ten requests take 0.9 s or longer."""
    service.faults.add("slow")
    took = []
    for _ in range(10):
        began = time.monotonic()
        ask(service, "/health")
        took.append(time.monotonic() - began)
    assert max(took) >= 0.9


def test_refused_deliveries_fail_and_can_be_delivered_again(service: ConsoleExt, catalogue: Catalogue) -> None:
    """A receiver that refuses makes delivery success break its limit; requeued, the same notifications arrive."""
    service.faults.add("delivery")
    eventually(lambda: judged(service, catalogue, "delivery-success").status is Status.WARNING)
    failed = "SELECT id, cause FROM notifications WHERE state = 'failed' AND cause LIKE '503%'"
    number, cause = service.ledger.rows(failed)[0]
    assert cause == "503 the receiver takes nothing today"
    service.faults.remove("delivery")
    time.sleep(0.3)
    status, answer = admin(service, "/admin/requeue", {"minutes": 5})
    assert (status, answer["requeued"] > 0) == (200, True)
    state = "SELECT state FROM notifications WHERE id = ?"
    eventually(lambda: bool(service.ledger.value(state, number) == "delivered"))


def test_without_its_database_nothing_is_served(service: ConsoleExt, catalogue: Catalogue) -> None:
    """While the database is away, health and notifications answer 503; healed, the same rows are there again."""
    customers = ask(service, "/health")[1]["customers"]
    service.faults.add("database")
    eventually(lambda: ask(service, "/health/database")[0] == 503)
    assert not service.database.path.exists()
    assert post(service) == 503
    assert judged(service, catalogue, "database").status is Status.CRITICAL
    assert judged(service, catalogue, "delivery-success").status is Status.UNKNOWN
    service.faults.remove("database")
    eventually(lambda: ask(service, "/health")[0] == 200)
    assert ask(service, "/health")[1]["customers"] == customers


def test_a_stand_in_stopped_without_its_database_starts_with_all_rows(tmp_path: Path) -> None:
    """Rows survive a stop while the database is away."""
    folder = tmp_path / "console-ext"
    with running(ConsoleExt(folder)) as service:
        before = service.ledger.value("SELECT count(*) FROM notifications")
        service.faults.add("database")
        eventually(lambda: not service.database.path.exists())
    service = ConsoleExt(folder)
    service.faults.remove()
    with running(service):
        assert service.ledger.value("SELECT count(*) FROM notifications") >= before


def test_an_account_is_locked_after_five_wrong_passwords(service: ConsoleExt, catalogue: Catalogue) -> None:
    """The fifth wrong password locks the account, for the right one too, and the lock is counted."""
    wrong = [ask(service, "/login", {"name": "user-9", "password": "guess"})[0] for _ in range(5)]
    assert wrong == [401] * 5
    assert ask(service, "/login", {"name": "user-9", "password": password(9)})[0] == 423
    assert ask(service, "/login", {"name": "user-10", "password": password(10)})[0] == 200
    assert judged(service, catalogue, "brute-force").status is Status.CRITICAL


def test_a_greedy_customer_is_limited_and_no_other(service: ConsoleExt) -> None:
    """One customer's burst is refused beyond its limit and named; others are served."""
    assert {post(service, 3) for _ in range(60)} == {202, 429}
    assert post(service, 4) == 202
    assert ask(service, "/metrics")[1]["rate_limit"]["customers"] == [3]


def test_debug_lines_are_written_only_while_debugging(service: ConsoleExt, catalogue: Catalogue) -> None:
    """DEBUG in production is seen as soon as a line of it is written."""
    assert judged(service, catalogue, "debug-in-production").status is Status.OK
    service.faults.add("debug-logging")
    eventually(lambda: judged(service, catalogue, "debug-in-production").status is Status.CRITICAL)


def test_a_worker_with_ids_of_its_own_is_found_out(service: ConsoleExt, catalogue: Catalogue) -> None:
    """An id in every line isn't enough: one that the API never wrote breaks the limit."""
    service.faults.add("correlation")
    eventually(lambda: judged(service, catalogue, "correlation-followed").status is Status.CRITICAL)
    assert judged(service, catalogue, "correlation-ids").status is Status.OK


def test_a_tag_without_its_release_is_seen_until_it_is_finished(service: ConsoleExt) -> None:
    """Broken, a tag lacks its changelog entry and its deployment; healed, both are there and the tag stays."""
    service.faults.add("release")
    eventually(lambda: service.releases.unfinished() == "2.3.1")
    assert ask(service, "/health")[1]["version"] == "2.3.0"
    service.faults.remove("release")
    eventually(lambda: ask(service, "/health")[1]["version"] == "2.3.1")
    assert service.releases.unfinished() is None
    assert service.releases.tags()[-1] == "v2.3.1"


def test_switching_over_needs_a_token_a_hold_and_a_sound_database(service: ConsoleExt, tmp_path: Path) -> None:
    """Each of the three is refused by itself, and the live database stays."""
    assert ask(service, "/admin/hold", {"hold": True}, "guess")[0] == 403
    assert admin(service, "/admin/switchover", {"restored": str(tmp_path / "x.db")})[0] == 409
    assert admin(service, "/admin/hold", {"hold": True})[0] == 200
    assert post(service) == 503
    (tmp_path / "x.db").write_bytes(b"no database")
    assert admin(service, "/admin/switchover", {"restored": str(tmp_path / "x.db")})[0] == 409
    assert admin(service, "/admin/hold", {"hold": False})[0] == 200
    assert post(service) == 202


def test_a_restored_database_takes_the_live_one_s_place_and_back(service: ConsoleExt) -> None:
    """After the switch-over the restored rows are served; switched back, those of before."""
    restored = service.folder / "console-ext.restored.db"
    assert admin(service, "/admin/hold", {"hold": True})[0] == 200
    done = restore(service.releases, service.backups, "--to", str(restored))
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(restored)) as copy:
        copy.execute("DELETE FROM customers WHERE id = 8 AND id NOT IN (SELECT customer FROM notifications)")
        copy.execute("INSERT INTO customers VALUES (99, 'Only in the copy', 'ck_copy', '', '')")
        copy.commit()
    status, answer = admin(service, "/admin/switchover", {"restored": str(restored)})
    assert status == 200
    assert service.ledger.value("SELECT name FROM customers WHERE id = 99") == "Only in the copy"
    assert admin(service, "/admin/switchover", {"restored": answer["previous"]})[0] == 200
    assert service.ledger.value("SELECT name FROM customers WHERE id = 99") is None
    assert admin(service, "/admin/hold", {"hold": False})[0] == 200
    assert post(service) == 202


def test_a_lost_database_is_replaced_by_the_restored_one(service: ConsoleExt) -> None:
    """After a switch-over the loss is over: the restored rows are served and nothing takes them away again."""
    before = ask(service, "/health")[1]["customers"]
    service.faults.add("database")
    eventually(lambda: ask(service, "/health")[0] == 503)
    assert admin(service, "/admin/hold", {"hold": True})[0] == 200
    restored = service.folder / "console-ext.restored.db"
    assert restore(service.releases, service.backups, "--to", str(restored)).returncode == 0
    assert admin(service, "/admin/switchover", {"restored": str(restored)})[0] == 200
    assert admin(service, "/admin/hold", {"hold": False})[0] == 200
    time.sleep(1.0)
    assert ask(service, "/health") == (200, {"status": "ok", "version": "2.3.0", "customers": before, "held": False})
    assert "database" not in service.faults
    assert post(service) == 202


def test_a_full_backup_and_its_segments_restore_to_the_last_change(ledger: Ledger, tmp_path: Path) -> None:
    """What was accepted, and settled, after the full backup comes back from the segments."""
    releases = Releases(tmp_path / "repository")
    backups = Backups(ledger, tmp_path / "backups")
    early = ledger.accept(1, "ada", "before the full backup", "0" * 16)
    backups.full()
    late = ledger.accept(1, "ada", "after it", "1" * 16)
    backups.segment()
    ledger.settle(early, "delivered", 1, "")
    backups.segment()
    done = restore(releases, tmp_path / "backups", "--to", str(tmp_path / "restored.db"))
    told = json.loads(done.stdout)
    assert (told["segments"], told["broken_at"], told["integrity"]) == (2, None, "ok")
    with closing(sqlite3.connect(tmp_path / "restored.db")) as copy:
        states = dict(copy.execute("SELECT id, state FROM notifications WHERE id IN (?, ?)", (early, late)).fetchall())
    assert states == {early: "delivered", late: "queued"}


def test_archives_that_are_cut_off_are_named_and_not_restored(ledger: Ledger, tmp_path: Path) -> None:
    """A truncated full backup is passed over for an older one, and no segment is applied across the gap."""
    releases = Releases(tmp_path / "repository")
    backups = Backups(ledger, tmp_path / "backups")
    backups.replay(datetime.now(UTC))
    cut = [backups.full(break_off_at=40), backups.segment(break_off_at=40)]
    backups.segment()
    inspected = json.loads(restore(releases, tmp_path / "backups", "--inspect").stdout)
    assert inspected["unreadable"] == [path.name for path in cut]
    told = json.loads(restore(releases, tmp_path / "backups", "--to", str(tmp_path / "restored.db")).stdout)
    assert told["full"] != cut[0].name
    assert (told["segments"], told["broken_at"]) == (0, cut[1].name)


def test_without_any_readable_backup_the_restore_fails(ledger: Ledger, tmp_path: Path) -> None:
    """It says so and exits 1; an empty database is never passed off as restored."""
    releases = Releases(tmp_path / "repository")
    Backups(ledger, tmp_path / "backups").full(break_off_at=40)
    done = restore(releases, tmp_path / "backups", "--to", str(tmp_path / "restored.db"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "no readable full backup among 1" in done.stderr
    assert not (tmp_path / "restored.db").exists()


def test_replayed_backups_hold_the_rows_of_their_day(ledger: Ledger, tmp_path: Path) -> None:
    """30 days and 12 months are there, each dated to its day and without the rows that came later."""
    now = datetime.now(UTC)
    backups = Backups(ledger, tmp_path / "backups")
    backups.replay(now)
    backups.full()
    dailies = sorted(backups.daily.glob("*.sql.gz"))
    assert len({path.name[12:20] for path in dailies}) == 30
    assert len(list(backups.monthly.glob("*.sql.gz"))) == 12
    oldest = gzip.decompress(dailies[0].read_bytes()).decode()
    stored = int(re.search(r'"notifications": (\d+)', oldest.rpartition("\n-- rows ")[2]).group(1))  # type: ignore[union-attr]
    existed = ledger.value("SELECT count(*) FROM notifications WHERE created_at <= ?", utc_text(now - timedelta(days=29)))
    assert 0 < stored == existed < ledger.value("SELECT count(*) FROM notifications")
    assert abs(dailies[0].stat().st_mtime - (now - timedelta(days=29)).timestamp()) < 2


def test_a_lost_day_is_not_made_up_while_it_runs(ledger: Ledger, tmp_path: Path) -> None:
    """A full backup fills today only; a day that was deleted stays missing."""
    backups = Backups(ledger, tmp_path / "backups")
    backups.replay(datetime.now(UTC))
    sorted(backups.daily.glob("*.sql.gz"))[3].unlink()
    backups.full()
    assert len({path.name[12:20] for path in backups.daily.glob("*.sql.gz")}) == 29


def test_each_level_is_deleted_when_its_time_is_over(tmp_path: Path) -> None:
    """The oldest line of a level is within its retention, and not a day younger; DEBUG was never written."""
    store = LogStore(tmp_path / "log-store.db")
    store.replay(NOW - timedelta(days=30))
    store.replay(NOW)
    store.expire(NOW)
    oldest = {
        level: datetime.fromisoformat(ts) for level, ts in store.database.rows("SELECT level, min(ts) FROM lines GROUP BY 1")
    }
    store.close()
    assert set(oldest) == {"ERROR", "WARN", "INFO"}
    for level, ts in oldest.items():
        assert timedelta(0) <= RETENTION[level] - (NOW - ts) < timedelta(days=1)


def test_a_minute_is_averaged_by_itself_and_forgotten_after_a_quarter_of_an_hour() -> None:
    """An idle minute does not dilute a busy one, and no minute older than 15 counts."""
    now = 0.0
    minutes = Minutes(lambda: now)
    assert minutes.figures() == {"minute_percent": None, "minutes": 0}
    for minute in range(20):
        now = 60.0 * minute
        minutes.add(10.0 if minute < 19 else 80.0)
    minutes.add(100.0)
    assert minutes.figures() == {"minute_percent": 90.0, "minutes": 15}


def test_a_bucket_refills_with_time() -> None:
    """A burst is let through, one more is refused, and time gives tokens back up to the burst."""
    now = 0.0
    bucket = Bucket(2, 1.0, lambda: now)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now = 100.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]


def test_a_damaged_database_never_replaces_the_live_one(ledger: Ledger, tmp_path: Path) -> None:
    """A file without the service's tables is refused and the live rows stay."""
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE something (id INTEGER)")
    with pytest.raises(HttpError, match="no sound database"):
        ledger.replace_by(tmp_path / "other.db")
    assert ledger.value("SELECT count(*) FROM customers") == 8
