"""turbo-octo-robot's stand-in: its release, users, tracker and CI are real, and each fault changes what really happens."""

from __future__ import annotations

import io
import json
import mailbox
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from checks.sandbox import turbo_octo_robot_app as app
from checks.sandbox.kit import running
from checks.sandbox.turbo_octo_robot import MOVED_AT_START, REPOSITORY, USERS, TurboOctoRobot

PREFIX = "TURBO_OCTO_ROBOT_"
BASE = f"/repos/{REPOSITORY}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurboOctoRobot]:
    with running(TurboOctoRobot(tmp_path_factory.mktemp("sandbox") / "turbo-octo-robot")) as service:
        yield service


def ask(service: TurboOctoRobot, path: str, body: object = None, token: str | None = None) -> tuple[int, bytes]:
    told = service.variables()[f"{PREFIX}GITHUB_TOKEN"] if token is None else token
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(service.url + path, data, {"Authorization": f"Bearer {told}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def told(service: TurboOctoRobot, path: str, body: object = None) -> Any:
    status, answer = ask(service, path, body)
    assert status == 200, answer
    return json.loads(answer)


def sign_in(service: TurboOctoRobot) -> dict[str, Any]:
    account = {"username": "support", "password": service.variables()[f"{PREFIX}LOGIN_PASSWORD"]}
    return dict(told(service, "/auth/login", account))


def until(holds: Callable[[], object], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not (held := bool(holds())) and time.monotonic() < end:
        time.sleep(0.1)
    return held


@contextmanager
def broken(service: TurboOctoRobot, fault: str) -> Iterator[None]:
    service.faults.add(fault)
    try:
        yield
    finally:
        service.faults.remove(fault)


def open_issues(service: TurboOctoRobot, label: str) -> list[dict[str, Any]]:
    return list(told(service, f"{BASE}/issues?labels={label}"))


def latest_run(service: TurboOctoRobot, workflow: int = 1) -> dict[str, Any]:
    return dict(told(service, f"{BASE}/actions/workflows/{workflow}/runs?per_page=1")["workflow_runs"][0])


def refs(service: TurboOctoRobot) -> dict[str, str]:
    listed = service.project.repository.git("ls-remote", "origin").splitlines()
    return {name: commit for commit, name in (line.split("\t") for line in listed)}


def unanswered_mails(service: TurboOctoRobot) -> int:
    inbox = mailbox.Maildir(service.support.mailbox, create=False)
    answered = {message["In-Reply-To"] for message in inbox.get_folder("Sent")}
    return sum(message["Message-ID"] not in answered for message in inbox)


def test_most_users_are_moved_with_all_their_customers(service: TurboOctoRobot) -> None:
    """At the start the users said to be moved are in both stores, customer by customer, and some are left to move."""
    moved = service.frappe.rows("SELECT email FROM user WHERE migrated_at IS NOT NULL")
    assert MOVED_AT_START <= len(moved) < USERS
    for (email,) in moved[:20]:
        before = service.frappe.rows("SELECT id, name, city FROM customer WHERE owner = ?", email)
        assert before
        assert service.database.rows("SELECT id, name, city FROM customer WHERE owner = ?", email) == before


def test_moving_goes_on(tmp_path: Path) -> None:
    """Each further move takes one user, and the last one is not moved twice."""
    robot = TurboOctoRobot(tmp_path)
    robot.setup()
    for _ in range(USERS):
        robot._move_one()
    assert robot.frappe.value("SELECT count(migrated_at) FROM user") == USERS
    assert robot.database.value("SELECT count(*) FROM user") == USERS


def test_a_token_lasts_an_hour(service: TurboOctoRobot) -> None:
    """A sign-in gives a token that the API takes and that says it ends in 60 minutes; the fault makes it five."""
    given = sign_in(service)
    assert given["expires_in"] == 3600
    assert ask(service, "/api/customers", token=given["access_token"])[0] == 200
    with broken(service, "tokens"):
        assert sign_in(service)["expires_in"] == 300


def test_tokens_are_checked() -> None:
    """A token is refused once its time is over, under another key, and when anything of it was changed."""
    token = app.issue("anna", b"key", now=0, minutes=60)
    assert app.verify(token, b"key", now=3599) == "anna"
    for wrong, key, now in (
        (token, b"key", 3600),
        (token, b"other", 0),
        (token.replace(".", ".A", 1), b"key", 0),
        ("", b"key", 0),
    ):
        with pytest.raises(app.NotSignedIn):
            app.verify(wrong, key, now=now)


def test_strangers_are_refused(service: TurboOctoRobot) -> None:
    """Without their tokens neither the API nor the tracker answers, so that no access is never taken for no issues."""
    for path in ("/api/customers", "/export/full", f"{BASE}/issues"):
        assert ask(service, path, token="forged")[0] == 401
    assert ask(service, "/graphql", {"query": "discussions"}, token="forged")[0] == 401
    assert ask(service, "/auth/login", {"username": "support", "password": "wrong"})[0] == 401


def test_an_export_holds_everybody_or_is_cut_short(service: TurboOctoRobot) -> None:
    """A full export is an archive of every user; with the fault it breaks off and no ZIP reader opens it."""
    token = sign_in(service)["access_token"]
    users = service.database.value("SELECT count(*) FROM user")
    status, data = ask(service, "/export/full", token=token)
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert status == 200
    assert archive.testzip() is None
    assert len(json.loads(archive.read("users.json"))) >= users
    with broken(service, "export"):
        shorter = ask(service, "/export/full", token=token)[1]
        assert 0 < len(shorter) < len(data)
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(shorter))


def test_errors_are_really_served(service: TurboOctoRobot) -> None:
    """With the fault about four of ten API requests fail; without it none does."""
    assert {ask(service, "/health")[0] for _ in range(40)} == {200}
    with broken(service, "errors"):
        assert {ask(service, "/health")[0] for _ in range(40)} == {200, 503}


def test_slow_answers_are_really_slow(service: TurboOctoRobot) -> None:
    """With the fault some of the answers take longer than the plan's limit for all but one in twenty."""
    with broken(service, "slow"):
        took = []
        for _ in range(30):
            begun = time.perf_counter()
            ask(service, "/health")
            took.append(time.perf_counter() - begun)
    assert sum(one > 0.1 for one in took) > 30 * 0.05


def test_the_release_is_in_a_real_repository(service: TurboOctoRobot) -> None:
    """Origin has both tags and main, main contains the release, and the release's program is the one that serves."""
    there = refs(service)
    assert {"refs/heads/main", "refs/tags/v1.0.0"} <= set(there)
    service.project.repository.git("merge-base", "--is-ancestor", "v2.0.0", "origin/main")
    assert (
        service.project.repository.git("show", "v2.0.0:standalone/app/main.py") == Path(app.__file__).read_text("utf-8").strip()
    )


def test_the_tag_goes_and_comes_back(service: TurboOctoRobot) -> None:
    """The fault deletes the release's tag on origin; healing puts it back on the same commit."""
    commit = refs(service)["refs/tags/v2.0.0"]
    with broken(service, "tag"):
        assert until(lambda: "refs/tags/v2.0.0" not in refs(service))
    assert until(lambda: refs(service).get("refs/tags/v2.0.0") == commit)


def test_ci_really_runs(service: TurboOctoRobot) -> None:
    """A failing test that is pushed makes the workflow fail on that commit; taking it back makes it pass on the next."""
    assert until(lambda: latest_run(service)["conclusion"] == "success")
    with broken(service, "ci"):
        assert until(lambda: latest_run(service)["conclusion"] == "failure")
        assert latest_run(service)["head_sha"] == told(service, f"{BASE}/commits/main")["sha"]
        assert latest_run(service, workflow=2)["conclusion"] == "success"
    assert until(lambda: latest_run(service)["conclusion"] == "success")


def test_ci_runs_again_when_main_goes_back(tmp_path: Path) -> None:
    """After main is reset to v1.0.0 its own tests pass there, and no fault is committed on top of it."""
    robot = TurboOctoRobot(tmp_path)
    robot.setup()
    robot.project.work()
    robot.project.repository.git("push", "--quiet", "--force", "origin", "v1.0.0:refs/heads/main")
    robot.faults.add("vulnerable")
    robot.project.work()
    rows = robot.database.rows("SELECT head_sha, conclusion FROM workflow_run ORDER BY id DESC LIMIT 2")
    assert set(rows) == {(robot.project.repository.git("rev-parse", "v1.0.0"), "success")}


def test_an_old_pin_has_a_known_advisory(service: TurboOctoRobot) -> None:
    """With the fault main pins a version that the index lists an advisory for; a package it does not know is not found."""

    def advisories() -> list[str]:
        # The origin itself: a fetch would race with the stand-in's own work in the clone.
        origin = service.project.repository.origin
        pins = service.project.repository.git("--git-dir", str(origin), "show", "main:standalone/requirements.txt").split()
        return [one["id"] for pin in pins for one in told(service, f"/pypi/{pin.replace('==', '/')}/json")["vulnerabilities"]]

    assert advisories() == []
    with broken(service, "vulnerable"):
        assert until(advisories)
    assert until(lambda: not advisories())
    assert ask(service, "/pypi/no-such-package/json")[0] == 404


def test_a_critical_bug_waits_until_it_is_healed(service: TurboOctoRobot) -> None:
    """The fault opens a P0 that nobody answers; healing answers and closes it."""
    assert open_issues(service, "P0") == []
    with broken(service, "critical-bug"):
        assert until(lambda: open_issues(service, "P0"))
        assert [issue["comments"] for issue in open_issues(service, "P0")] == [0]
    assert until(lambda: not open_issues(service, "P0"))


def test_support_answers_unless_it_is_broken(service: TurboOctoRobot) -> None:
    """E-mails and questions are answered at once; with the fault one of each stays, thirty hours old."""
    assert until(lambda: unanswered_mails(service) == 0)
    with broken(service, "support"):
        assert until(lambda: unanswered_mails(service) == 1 and len(open_issues(service, "question")) == 1)
    assert until(lambda: unanswered_mails(service) == 0 and not open_issues(service, "question"))


def test_users_who_ask_are_answered(tmp_path: Path) -> None:
    """Questions by issue and by e-mail leave nothing open, and the mailbox keeps a bounded number of messages."""
    robot = TurboOctoRobot(tmp_path)
    robot.setup()
    for asked in range(1, 101):
        robot.support.ask()
        if asked % 20 == 0:
            robot.support.work()
    assert unanswered_mails(robot) == 0
    assert len(mailbox.Maildir(robot.support.mailbox)) <= 41
    assert len(mailbox.Maildir(robot.support.mailbox).get_folder("Sent")) <= 60
    assert robot.support.tracker.count() > 50


def test_lost_data_is_really_gone_and_comes_back(service: TurboOctoRobot) -> None:
    """The fault deletes three users' customers in Standalone; healing copies them from Frappe again."""
    query = "SELECT count(*) FROM customer WHERE owner IN ('user001@localhost', 'user002@localhost', 'user003@localhost')"
    with broken(service, "data-loss"):
        assert until(lambda: service.database.value(query) == 0)
    assert until(lambda: service.database.value(query) == service.frappe.value(query) > 0)


def seconds_to_start(database: Path) -> float:
    begun = time.perf_counter()
    command = [sys.executable, "-I", app.__file__, "--database", str(database), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            with urllib.request.urlopen(f"{process.stdout.readline().strip()}/health", timeout=10) as answer:
                assert json.load(answer)["status"] == "ok"
            return time.perf_counter() - begun
        finally:
            process.kill()


def test_a_lock_file_makes_the_start_slow(service: TurboOctoRobot) -> None:
    """The program starts and answers by itself; with the fault it waits two seconds for a lock that nobody holds."""
    assert seconds_to_start(service.database.path) < 2
    lock = service.database.path.with_name(f"{service.database.path.name}.lock")
    with broken(service, "start"):
        assert until(lock.exists)
        assert seconds_to_start(service.database.path) > 2
    assert until(lambda: not lock.exists())


def test_a_second_start_keeps_what_is_there(tmp_path: Path) -> None:
    """Starting again finds the same users, commits, secrets and issues, and doubles nothing."""
    first = TurboOctoRobot(tmp_path)
    first.setup()
    before = (first.project.repository.git("rev-parse", "origin/main"), first.support.tracker.count(), first.variables())
    second = TurboOctoRobot(tmp_path)
    second.setup()
    assert (
        second.project.repository.git("rev-parse", "origin/main"),
        second.support.tracker.count(),
        second.variables(),
    ) == before
    with closing(sqlite3.connect(second.frappe.path)) as store:
        assert store.execute("SELECT count(*) FROM user").fetchone() == (USERS,)


def test_a_start_that_broke_off_is_begun_anew(tmp_path: Path) -> None:
    """A repository that an earlier start left half made is made again, whole."""
    (tmp_path / "project" / "origin.git").mkdir(parents=True)
    robot = TurboOctoRobot(tmp_path)
    robot.setup()
    assert "refs/tags/v2.0.0" in refs(robot)
