"""The parts that Console.ext's stand-in is made of: each does what it is for, and each fault really breaks something."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks.catalogue import load
from checks.sandbox import console_ext_accounts as accounts
from checks.sandbox import console_ext_balancer as balancing
from checks.sandbox import console_ext_outside as outside
from checks.sandbox.console_ext_accounts import Accounts
from checks.sandbox.console_ext_balancer import Balancer
from checks.sandbox.console_ext_ci import Pipeline
from checks.sandbox.console_ext_faults import FAULTS
from checks.sandbox.console_ext_history import OPERATIONS
from checks.sandbox.console_ext_logs import CorrelatedLog, LogStore
from checks.sandbox.console_ext_outside import PINNED, Outside
from checks.sandbox.console_ext_repository import Releases
from checks.sandbox.console_ext_store import USERS, Ledger, password
from checks.sandbox.console_ext_upkeep import ALLOTTED_DISK, Configuration, Secrets, StatusPage, Volume
from checks.sandbox.kit import Answer, Database, Faults, HttpError, Request, Route
from checks.sandbox.kit_http import Server

# What each fault breaks at the latest when its window has passed.
BREAKS = {
    "errors": {"error-rate", "notification-volume"},
    "slow": {"latency-p95", "slowest-operation", "hot-spot"},
    "delivery": {"delivery-success"},
    "database": {"database"},
    "backups": {"unreadable-backups"},
    "backups-stopped": {"recovery-point"},
    "brute-force": {"brute-force", "failed-logins"},
    "debug-logging": {"debug-in-production"},
    "rate-limit": {"rate-limited-customers", "busiest-key", "unusual-keys"},
    "correlation": {"correlation-followed"},
    "release": {"changelog-missing", "version-mismatch", "release-steps-missing", "guide-behind"},
    "backend": {"backends-up", "busiest-backend"},
    "network": {"network-latency"},
    "chatter": {"network-volume"},
    "disk": {"disk"},
    "connections": {"database-connections"},
    "queries": {"query-time"},
    "index": {"queries-without-index"},
    "peak": {"backend-load"},
    "standstill": {"notification-volume", "signups"},
    "silence": {"silent-customers"},
    "signups": {"signups"},
    "churn": {"user-retention"},
    "dashboard": {"dashboard-engagement"},
    "feedback": {"feedback-refused"},
    "limiter-off": {"limit-use", "unusual-keys"},
    "alerts": {"pager-lost", "chat-lost", "mail-lost"},
    "status-page": {"status-page-age"},
    "tracker": {"tickets-overdue"},
    "config-backup": {"state-backup-age", "settings-backup-age"},
    "secrets": {"secrets-missing"},
    "leftovers": {"leftovers"},
    "advisories": {"patch-critical", "patch-high", "patch-passed-over", "packages-behind"},
    "scan": {"ci-scan-age", "packages-unknown"},
    "develop": {"develop-failing", "examples-failing", "complexity", "fixes-waiting"},
    "branches": {"branches-astray", "develop-behind"},
    "shortcut": {"release-steps-missing", "version-mislabelled", "develop-behind", "specification-differs", "guide-behind"},
    "tags": {"patch-age", "minor-age", "major-age", "version-mismatch"},
}
# These need a day, a year or a whole outage to break, or a fault of the machine that nobody brings about on purpose.
BY_TIME = {
    "availability", "request-rate", "cpu", "memory", "correlation-ids", "services-forwarding", "log-retention-error",
    "log-retention-warn", "log-retention-info", "log-retention-debug", "backup-age", "daily-backups", "monthly-archives",
    "recovered-point", "recovery-time", "tags-not-semver", "tests-run", "tests-failed",
}  # fmt: skip


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    return Faults(tmp_path / "faults.json", look_every=0)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[CorrelatedLog]:
    store = LogStore(tmp_path / "store.db")
    log = CorrelatedLog(tmp_path / "log.jsonl", store)
    yield log
    log.close()
    store.close()


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    return Releases(tmp_path_factory.mktemp("repository"))


def asked(method: str = "POST", body: object = None, key: str = "", path: str = "/ping") -> Request:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return Request(method, path, {}, headers, json.dumps(body).encode() if body is not None else b"", {})


def test_every_fault_breaks_something_and_nearly_every_metric_can_be_broken() -> None:
    """The table names every fault and every metric; those that only time can break are named as such."""
    metrics = set(load(Path(__file__).parents[2]).systems["console-ext"].metrics)
    assert set(BREAKS) == set(FAULTS)
    assert set().union(*BREAKS.values()) | BY_TIME == metrics
    assert not set().union(*BREAKS.values()) & BY_TIME


def test_a_history_has_every_step_of_every_release(releases: Releases) -> None:
    """Six versions are tagged on main, each was merged and approved, and develop has all of it."""
    assert (len(releases.tags()), releases.deployed(), releases.unfinished()) == (6, "2.3.0", None)
    merges = releases.git("log", "--merges", "--format=%(trailers:key=Reviewed-by,valueonly)", "origin/main").split("\n")
    assert len([line for line in merges if "Another Pair of Eyes" in line]) >= 6
    assert releases.git("rev-list", "--count", "origin/develop..origin/main") == "0"
    assert releases.head("develop") == releases.git("rev-parse", "origin/develop")
    staged = [json.loads(line) for line in releases.deployments.read_text(encoding="utf-8").splitlines()]
    assert [line["environment"] for line in staged] == ["staging", "production"] * 6


def test_a_release_that_was_cut_short_is_followed_by_a_whole_one(tmp_path: Path) -> None:
    """The short one skips staging and develop and takes an operation away; the next one brings all of it back."""
    releases = Releases(tmp_path / "repository")
    releases.cut_short()
    short = json.loads((releases.clone / "docs" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    behind = releases._run("git", "rev-list", "--count", "develop..main", cwd=releases.origin)
    releases.make_good()
    whole = json.loads((releases.clone / "docs" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    record = [json.loads(line) for line in releases.deployments.read_text(encoding="utf-8").splitlines()]

    assert (behind, "/notifications/{id}" in short) == ("1", False)
    assert {f"{method.upper()} {path}" for path, methods in whole.items() for method in methods} == {
        f"{method} {path}" for method, path in OPERATIONS
    }
    assert [(line["version"], line["environment"]) for line in record[-3:]] == [
        ("2.3.1", "production"),
        ("2.3.2", "staging"),
        ("2.3.2", "production"),
    ]
    assert releases._run("git", "rev-list", "--count", "develop..main", cwd=releases.origin) == "0"


def test_what_lies_about_in_the_repository_comes_and_goes(tmp_path: Path) -> None:
    """Stray and left-over branches, lost tags and trouble on develop are there, and are gone afterwards."""
    releases = Releases(tmp_path / "repository")

    def heads() -> set[str]:
        listed = releases._run("git", "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads", cwd=releases.origin)
        return set(listed.split())

    before = heads()
    releases.stray()
    releases.leave_over()
    assert heads() - before == {"johns-stuff", "feature/old-idea"}
    releases.bring_back()
    releases.clear_away()
    assert heads() == before
    releases.push_trouble()
    assert "console_ext/price.py" in releases._run("git", "ls-tree", "-r", "--name-only", "develop", cwd=releases.origin)
    releases.take_trouble_back()
    trees = {releases._run("git", "rev-parse", f"{branch}^{{tree}}", cwd=releases.origin) for branch in ("main", "develop")}
    assert len(trees) == 1
    releases.lose_tags()
    assert releases.tags() == ["v1.0.0"]


def test_the_cadence_is_kept_by_whole_releases(tmp_path: Path) -> None:
    """A day later nothing is due; then the quarter's major version, the month's minor one, and the week's patch."""
    releases = Releases(tmp_path / "repository")
    seen = []
    for days in (1, 5, 30, 8):
        releases.keep_up(datetime.now(UTC) + timedelta(days=days))
        seen.append(releases.deployed())
    assert seen == ["2.3.0", "3.0.0", "3.1.0", "3.1.1"]


def test_ci_tries_each_commit_and_stands_still_with_its_fault(releases: Releases, tmp_path: Path, faults: Faults) -> None:
    """Tests, examples, ways and packages of develop's newest commit are in the result; broken, the result grows old."""
    away = Outside(Database(tmp_path / "tracker.db"), faults)
    away.start()
    try:
        pipeline = Pipeline(releases, tmp_path / "ci", away.url, faults)
        pipeline.look()
        pipeline.look()
        (path,) = pipeline.folder.glob("*.json")
        faults.add("scan")
        pipeline.look()
    finally:
        away.stop()

    result = json.loads(path.read_text(encoding="utf-8"))
    assert (result["commit"], result["tests"], result["examples"]) == (
        releases.head("develop"), {"ran": 4, "failed": 0}, {"ran": 3, "failed": 0},
    )  # fmt: skip
    assert result["scan"] == {"packages": len(PINNED), "unknown": [], "exposed": [], "behind": []}
    assert time.time() - path.stat().st_mtime == pytest.approx(8 * 86_400, abs=60)


def test_an_alert_that_nobody_confirms_is_lost(tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pager, chat and mail each confirm by themselves; refused, each alert is counted as lost."""
    monkeypatch.setattr(outside, "_ON_ITS_WAY", 0.0)
    away = Outside(Database(tmp_path / "tracker.db"), faults)
    away.start()
    try:
        away.alert()
        well = away.figures()
        faults.add("alerts")
        away.alert()
        broken = away.figures()
    finally:
        away.stop()
    assert well == {channel: {"sent": 1, "lost": 0} for channel in outside.CHANNELS}
    assert broken == {channel: {"sent": 2, "lost": 1} for channel in outside.CHANNELS}


def test_an_issue_waits_while_its_fault_is_on(tmp_path: Path, faults: Faults) -> None:
    """It is nine days old and without an answer; healed, it is answered and closed."""
    away = Outside(database := Database(tmp_path / "tracker.db"), faults)
    faults.add("tracker")
    away.follow()
    ((number, opened),) = database.rows("SELECT number, created_at FROM issue WHERE state = 'open'")
    faults.remove()
    away.follow()
    assert datetime.now(UTC) - datetime.fromisoformat(opened) > timedelta(days=8)
    assert database.value("SELECT count(*) FROM issue_comment WHERE number = ?", number) == 1
    assert database.value("SELECT state FROM issue WHERE number = ?", number) == "closed"


def test_the_balancer_passes_over_who_is_away(log: CorrelatedLog, faults: Faults) -> None:
    """Both backends get their turn; with one gone each request is answered by the other, and afterwards by both again."""

    def open_backend() -> Server:
        server = Server([Route("GET", "/ping", lambda _: Answer("pong"))], lambda *_: None, lambda *_: None)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    balancer = Balancer(open_backend, log, faults)
    balancer.start()
    try:
        answers = [balancer.forward(asked("GET")).status for _ in range(4)]
        shares = [one["requests"] for one in balancer.figures()["backends"]]  # type: ignore[attr-defined]
        faults.add("backend")
        balancer.look()
        answers += [balancer.forward(asked("GET")).status for _ in range(4)]
        alone = balancer.figures()
        faults.remove()
        balancer.look()
        balancer.look()
    finally:
        up = balancer.figures()["up"]
        balancer.stop()
    assert answers == [200] * 8
    assert (shares, alone["up"], alone["busiest_percent"], up) == ([2, 2], 1, 75.0, 2)
    assert balancer.forward(asked("GET")).status == 503


@pytest.mark.parametrize(("broken", "backends"), [(False, 3), (True, 2)])
def test_a_backend_is_added_under_load_unless_the_fault_forbids_it(
    log: CorrelatedLog, faults: Faults, monkeypatch: pytest.MonkeyPatch, broken: bool, backends: int
) -> None:
    """More requests than each backend should have bring a third one; with the fault they share what there is."""
    monkeypatch.setattr(balancing, "_ADD_ABOVE", 0.1)
    if broken:
        faults.add("peak")
    balancer = Balancer(lambda: _quiet_server(), log, faults)
    balancer.start()
    try:
        for _ in range(5):
            balancer.forward(asked("GET"))
        balancer.look()
        assert len(balancer.backends) == backends
    finally:
        balancer.stop()


def _quiet_server() -> Server:
    server = Server([Route("GET", "/ping", lambda _: Answer("pong"))], lambda *_: None, lambda *_: None)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def test_use_is_counted_of_what_was_stored(tmp_path: Path, log: CorrelatedLog, faults: Faults) -> None:
    """A sign-up, a visit and feedback are figures; a form that is broken stores nothing and says so."""
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.prepare(datetime.now(UTC))
    users = Accounts(ledger, log, faults)
    assert users.sign_up(asked(body={"name": "user-77", "password": "x"})).status == 201
    with pytest.raises(HttpError, match="taken"):
        users.sign_up(asked(body={"name": "user-77", "password": "x"}))
    session = users.log_in(asked(body={"name": "user-1", "password": password(1)})).body["session"]  # type: ignore[index]
    users.dashboard(asked("GET", key=session))
    users.feedback(asked(body={"text": "fine"}, key=session))
    faults.add("feedback")
    with pytest.raises(HttpError):
        users.feedback(asked(body={"text": "fine"}, key=session))
    for number in (1, 1, 2):
        users.used(number)
    figures = users.figures()
    ledger.close()

    assert figures["signups_per_minute"] == pytest.approx(60 / accounts._RATES_FROM)
    assert (figures["accounts"], figures["retention_percent"]) == (USERS, 100 / USERS)
    assert (figures["dashboard_percent"], figures["feedback_refused_percent"]) == (100.0, 50.0)
    assert (figures["busiest_key_percent"], figures["silent_customers"]) == (66.67, 8)


def test_a_key_in_unusual_use_is_counted_once(tmp_path: Path, log: CorrelatedLog, faults: Faults) -> None:
    """Three times the use of the key in the middle, and more than a handful, is unusual; an even use is not."""
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.prepare(datetime.now(UTC))
    users = Accounts(ledger, log, faults)
    for number in range(1, 9):
        for _ in range(8):
            users.used(number)
    even = users.figures()["unusual_keys"]
    for _ in range(30):
        users.used(3)
    unusual = users.figures()["unusual_keys"]
    ledger.close()
    assert (even, unusual) == (0, 1)


def test_the_ledger_times_its_statements_and_can_be_made_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report beside a look-up really delays it; leaked connections are really open; the index really goes and comes."""
    monkeypatch.setattr("checks.sandbox.console_ext_store._DRAGS", 1.0)
    monkeypatch.setattr("checks.sandbox.console_ext_store._DRAG_SECONDS", 0.05)
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.prepare(datetime.now(UTC))
    quick = ledger.query_ms()[-1]
    ledger.dragging = True
    ledger.value("SELECT count(*) FROM customers")
    ledger.dragging = False
    ledger.leak(on=True)
    opened = [str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink() and one.exists()]
    ledger.leak(on=False)
    plan = "EXPLAIN QUERY PLAN SELECT state FROM notifications WHERE finished_at >= '2026'"
    ledger.set_index(there=False)
    without = ledger.rows(plan)[0][3]
    ledger.set_index(there=True)
    with_index = ledger.rows(plan)[0][3]
    slowest = ledger.query_ms()[-1]
    ledger.close()

    assert quick < slowest
    assert slowest >= 50
    assert opened.count(str(tmp_path / "ledger.db")) == 2
    assert (without.startswith("SCAN"), "notifications_finished" in with_index) == (True, True)


def test_a_full_disk_is_really_filled_and_freed(tmp_path: Path, faults: Faults) -> None:
    """The core dump takes its blocks, and they are given back when the fault is over."""
    (tmp_path / "backups" / "daily").mkdir(parents=True)
    volume = Volume(tmp_path, faults)
    volume.look()
    assert volume.used < ALLOTTED_DISK / 100
    faults.add("disk")
    volume.look()
    full = volume.figures()["used_percent"]
    faults.remove()
    volume.look()
    assert volume.used < ALLOTTED_DISK / 100
    assert float(str(full)) > 85


def test_settings_are_archived_and_lost_with_their_fault(tmp_path: Path, faults: Faults) -> None:
    """Each day of the last three has an archive, and now; broken, the newest is of days ago."""
    kept = Configuration(tmp_path / "config", tmp_path / "archives", faults)
    kept.write([{"type": "backend", "name": "backend-1"}], {"burst": 25})
    kept.back_up()

    def newest() -> float:
        return max(path.stat().st_mtime for path in (tmp_path / "archives").glob("infrastructure-*"))

    assert len(list((tmp_path / "archives").glob("environment-*.json.gz"))) == 4
    assert time.time() - newest() < 10
    faults.add("config-backup")
    kept.back_up()
    assert time.time() - newest() > 86_400


def test_secrets_are_for_the_service_alone(tmp_path: Path) -> None:
    """Spilled, one is missing and one is open to all; filled again, each is there with its old value or a new one, and closed."""
    secrets = Secrets(tmp_path / "store")
    secrets.fill()
    token = secrets.read("admin-token")
    secrets.spill()
    assert not (secrets.folder / "receiver-token").exists()
    assert (secrets.folder / "pager-key").stat().st_mode & 0o077
    secrets.fill()
    assert secrets.read("admin-token") == token
    assert not any(path.stat().st_mode & 0o077 for path in secrets.folder.iterdir())


def test_a_status_page_that_is_not_written_grows_old(tmp_path: Path, faults: Faults) -> None:
    """It says how it goes and since when; with its fault the same page stays."""
    page = StatusPage(tmp_path / "page.json", faults, lambda: "in service")
    page.write()
    os.utime(tmp_path / "page.json", (time.time() - 90,) * 2)
    faults.add("status-page")
    page.write()
    told = page.read()
    assert told["state"] == "in service"
    assert float(str(told["age_s"])) > 60


def test_the_pipeline_says_what_it_could_not_look_at(releases: Releases) -> None:
    """Without an index every package is unknown, and the exit status is still 0: nothing is passed off as scanned."""
    done = subprocess.run(
        ["python3", "tools/pipeline.py", "--scan-only", "--packages", "http://127.0.0.1:9"],
        cwd=releases.clone, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert json.loads(done.stdout)["scan"]["unknown"] == list(PINNED)
