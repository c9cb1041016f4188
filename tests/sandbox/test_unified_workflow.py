"""The workflow system's stand-in: what is served, stored and counted really happened, and each fault really breaks something."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalogue import load
from checks.model import FixedBaseline
from checks.sandbox.kit import Call, Job, running
from checks.sandbox.unified_workflow import UnifiedWorkflow
from checks.sandbox.unified_workflow_browser import Browser, Person
from checks.sandbox.unified_workflow_people import People
from checks.sandbox.unified_workflow_store import BASELINES, RELEASES, TENANTS, commission_cents, now_text
from tests.sandbox.support import Got, ask, eventually


class Quiet(UnifiedWorkflow):
    """The stand-in without anything that happens by itself; a test does it."""

    burst: ClassVar[int] = 0

    def traffic(self) -> Call | None:
        return None

    def jobs(self) -> list[Job]:
        return []


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Quiet]:
    with running(Quiet(tmp_path / "unified-workflow")) as started:
        yield started


@pytest.fixture
def people(service: Quiet) -> People:
    return People(service.url, service.keys["password"], service._tokens, service.faults, service.database, service.browser)


def switch(service: Quiet, *faults: str) -> None:
    """Switch faults on, or all off where none is given, and let the service follow."""
    for fault in faults:
        service.faults.add(fault)
    if not faults:
        service.faults.remove()
    service._follow()


def send(service: Quiet, path: str, method: str = "GET", body: object = None, token: str = "") -> Got:
    """A request of the northern manager, or of whoever the token belongs to."""
    return ask(service.url + path, method=method, body=body, token=token or service._tokens[TENANTS[0]])


def log_in(service: Quiet, user: str = "manager", password: str | None = None) -> Got:
    told = {"tenant": TENANTS[0], "user": user, "password": service.keys["password"] if password is None else password}
    return ask(f"{service.url}/login", method="POST", body=told)


def number(service: Quiet, query: str) -> int:
    return int(service.database.value(query))


@pytest.mark.parametrize(("price", "owed"), [(0, 0), (6, 0), (7, 1), (100, 8), (2_506, 200), (2_507, 201), (12_345, 988)])
def test_a_commission_is_eight_percent_half_up(price: int, owed: int) -> None:
    """8 % of the price in cents, and half a cent is a whole one."""
    assert commission_cents(price) == owed


@given(st.integers(0, 10**9))
def test_a_commission_agrees_with_the_independent_query(price: int) -> None:
    """The formula that the metric uses gives the same for every price."""
    assert commission_cents(price) == (price * 8 + 50) // 100


def test_a_tenant_sees_its_own_rows_until_the_policies_are_off(service: Quiet) -> None:
    """With policies on nothing foreign is given; the leak gives it, and the audit log says so; healing ends it."""
    foreign = number(service, "SELECT id FROM customer WHERE tenant = 'harbour' LIMIT 1")

    kept = send(service, "/api/customers").body, send(service, f"/api/customers/{foreign}").status
    switch(service, "leak")
    leaked = send(service, "/api/customers").body, send(service, f"/api/customers/{foreign}").status
    noted = number(service, "SELECT count(*) FROM audit WHERE allowed AND caller_tenant != row_tenant")
    switch(service)

    assert ({row["tenant"] for row in kept[0]}, kept[1]) == ({"north"}, 404)
    assert ({row["tenant"] for row in leaked[0]}, leaked[1]) == (set(TENANTS), 200)
    assert noted == len(TENANTS)  # two tenants of the list, and the customer
    assert send(service, f"/api/customers/{foreign}").status == 404


def test_a_refused_look_at_another_tenant_is_noted(service: Quiet) -> None:
    """The snoop's request is refused by the policy, and stands in the audit log as refused."""
    switch(service, "snoop")
    calls = [UnifiedWorkflow.traffic(service) for _ in range(8)]
    snooping = [call for call in calls if call and call.path.startswith("/api/customers/")]

    statuses = [
        ask(service.url + one.path, token=one.headers["Authorization"].removeprefix("Bearer ")).status for one in snooping
    ]

    assert statuses == [404]
    assert service.database.rows("SELECT count(*), sum(allowed) FROM audit WHERE caller_tenant != row_tenant") == [(1, 0)]


def test_an_audit_log_that_is_off_notes_nothing(service: Quiet) -> None:
    """A list is noted; with the audit fault it is served and not noted."""
    send(service, "/api/workflows")
    send(service, "/api/customers")
    before = number(service, "SELECT count(*) FROM audit")
    switch(service, "audit")

    assert send(service, "/api/customers").status == 200
    assert before > 0
    assert number(service, "SELECT count(*) FROM audit") == before


@pytest.mark.parametrize(("faults", "statuses"), [((), [403, 403, 403]), (("role",), [422, 422, 404])])
def test_incomplete_attempts_show_the_role_and_change_nothing(
    service: Quiet, faults: tuple[str, ...], statuses: list[int]
) -> None:
    """A Beautician is refused; with the role check skipped, the same attempts get further and still change nothing."""
    for fault in faults:
        switch(service, fault)
    token = log_in(service, "monitor-beautician").body["token"]
    rows = "SELECT (SELECT count(*) FROM customer) + (SELECT count(*) FROM workflow)"
    before = number(service, rows)

    attempts: list[tuple[str, str, object]] = [
        ("POST", "/api/customers", {}),
        ("POST", "/api/workflows", {}),
        ("DELETE", "/api/workflows/0", None),
    ]
    assert [send(service, path, method, body, token).status for method, path, body in attempts] == statuses
    assert number(service, rows) == before


def test_logins_are_told_apart(service: Quiet) -> None:
    """A right password, a wrong one, an unknown user and a service without its database are counted as what they are."""
    answers = [log_in(service).status, log_in(service, password="guess").status, log_in(service, "nobody").status]
    switch(service, "database")
    answers.append(log_in(service).status)
    figures = service.counting.figures()

    assert answers == [200, 401, 401, 503]
    assert (figures["auth_failure_percent"], figures["login_success_percent"]) == (25.0, 25.0)


def test_nothing_counted_is_no_figure(service: Quiet) -> None:
    """Without logins, views, sessions, events and requests their figures are missing, not zero and not full marks."""
    figures = service.counting.figures()

    missing = ("auth_failure_percent", "login_success_percent", "http_5xx_percent", "js_exception_percent", "page_load_p95_ms")
    assert {figures[name] for name in (*missing, "session_median_s", "event_p95_ms", "api_mean_ms")} == {None}


def test_the_limits_are_held_against_what_the_team_agreed(service: Quiet) -> None:
    """The baselines of the catalogue are the figures that the service has on record, each with its day and who set it."""
    metrics = load(Path(__file__).parents[2]).systems["unified-workflow"].metrics
    declared = {name: metric.baseline for name, metric in metrics.items() if metric.baseline is not None}

    assert {name: one.value for name, one in declared.items() if isinstance(one, FixedBaseline)} == BASELINES
    assert dict(service.database.rows("SELECT name, value FROM baseline")) == BASELINES


def test_what_is_created_is_counted_by_the_minute(service: Quiet, people: People) -> None:
    """The rate is of rows that were really stored: nothing before the first, and more than nothing after it."""
    before = service.counting.figures()["workflows_per_minute"]
    people.work()

    assert before == 0
    assert float(str(service.counting.figures()["workflows_per_minute"])) > 0


def test_finished_work_books_its_commission_and_tells_the_screens(service: Quiet, people: People) -> None:
    """A workflow that is started is finished, its commission is right and linked, and its event is delivered."""
    people.work()
    people.deliver()

    query = "SELECT amount_cents, price_cents FROM commission JOIN workflow ON workflow.id = workflow_id"
    ((amount, price),) = service.database.rows(query)
    assert amount == commission_cents(price)
    assert service.counting.figures()["event_p95_ms"] is not None
    assert number(service, "SELECT count(*) FROM event WHERE delivered_at IS NULL") == 0


@pytest.mark.parametrize("mended_by", ["heal", "operator"])
def test_wrong_commissions_end_with_the_release_and_are_corrected(service: Quiet, people: People, mended_by: str) -> None:
    """The bad release books ten times too much and loses links; after the rollback it doesn't, and both ways correct them."""
    wrong = (
        "SELECT (SELECT count(*) FROM commission WHERE workflow_id IS NULL) + (SELECT count(*) FROM commission "
        "JOIN workflow ON workflow.id = workflow_id WHERE amount_cents != (price_cents * 8 + 50) / 100)"
    )
    switch(service, "commissions")
    for _ in range(10):
        people.work()
    assert number(service, wrong) == 10
    assert number(service, "SELECT count(*) FROM commission WHERE workflow_id IS NULL") == 2

    operator = service.keys["operator_token"]
    assert send(service, "/operator/releases", "POST", {"version": RELEASES[0]}, operator).body["now"] == RELEASES[0]
    people.work()
    assert number(service, wrong) == 10

    if mended_by == "heal":
        switch(service)
    else:
        corrected = send(service, "/operator/commissions/recompute", "POST", {}, operator).body["corrected"]
        assert corrected == 10
    assert number(service, wrong) == 0
    assert number(service, "SELECT count(DISTINCT workflow_id) FROM commission") == 11


def test_a_stuck_sequence_collides_in_the_log_and_never_in_the_table(service: Quiet, people: People) -> None:
    """Each refused code is a line of the database's log, repetitions too, and no error there."""
    switch(service, "codes")
    for _ in range(4):
        people.grow()

    lines = service.database_log.path.read_text(encoding="utf-8").splitlines()
    assert sum("customer code collision" in line for line in lines) == 4
    assert not any('"ERROR"' in line for line in lines)
    assert number(service, "SELECT count(*) - count(DISTINCT tenant || customer_code) FROM customer") == 0


def test_doubled_codes_are_stored_and_parted_by_healing(service: Quiet, people: People) -> None:
    """Without its index the table takes a code twice; healing gives the later ones codes of their own, and refuses again."""
    doubled = "SELECT count(*) - count(DISTINCT tenant || customer_code) FROM customer"
    switch(service, "duplicates")
    for _ in range(4):
        people.grow()
    assert number(service, doubled) == 4

    switch(service)
    people.grow()
    assert number(service, doubled) == 0
    switch(service, "codes")
    assert send(service, "/api/customers", "POST", {"name": "One more"}).status == 409


def test_every_failure_of_the_database_is_a_line(service: Quiet) -> None:
    """Health and lists are answered 503, and each of them is an error in the database's log, though they are alike."""
    switch(service, "database")

    assert [send(service, path).status for path in ("/health", "/api/workflows", "/api/workflows")] == [503] * 3
    assert service.database_log.path.read_text(encoding="utf-8").count('"level":"ERROR"') == 3


def test_a_session_may_end_by_itself(service: Quiet, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session lasts as long as its person stays; with the fault it ends sooner, and its token is worth nothing then."""
    monkeypatch.setattr("checks.sandbox.unified_workflow_people._STAY", 0.5)
    people.visit()
    usual = service.counting.figures()["session_median_s"]
    monkeypatch.setattr("checks.sandbox.unified_workflow._SHORT_SESSION", 2.0)
    switch(service, "sessions")
    token = log_in(service).body["token"]
    before = send(service, "/api/workflows", token=token).status
    eventually(lambda: send(service, "/api/workflows", token=token).status == 401)

    assert isinstance(usual, float)
    assert 0.45 <= usual <= 2
    assert before == 200
    query = "SELECT (julianday(closed_at) - julianday(opened_at)) * 86400 FROM session WHERE token = ?"
    assert service.database.value(query, token) == pytest.approx(2.0, abs=0.05)


def test_a_pause_refuses_writing_survives_a_restart_and_ends(tmp_path: Path) -> None:
    """A paused service answers 503 to whoever would write, also after a restart, until it is resumed with the token."""
    folder = tmp_path / "unified-workflow"
    with running(Quiet(folder)) as service:
        refused = send(service, "/operator/pause", "POST", {"service": "workflows"}).status
        paused = send(service, "/operator/pause", "POST", {"service": "workflows"}, service.keys["operator_token"]).body
    with running(Quiet(folder)) as service:
        told = {"price_cents": 100}
        statuses = [send(service, "/api/workflows", "POST", told).status, send(service, "/api/workflows").status]
        resumed = send(service, "/operator/resume", "POST", {"service": "workflows"}, service.keys["operator_token"]).body
        statuses.append(send(service, "/api/workflows", "POST", told).status)

    assert (refused, paused, resumed) == (401, {"paused": ["workflows"]}, {"paused": []})
    assert statuses == [503, 200, 201]


def test_a_restart_keeps_rows_keys_and_release_and_mends_what_healed_meanwhile(tmp_path: Path) -> None:
    """What stands is not made anew, and a fault that was healed while nothing ran leaves nothing behind."""
    folder = tmp_path / "unified-workflow"
    with running(Quiet(folder)) as service:
        keys, customers = service.keys, number(service, "SELECT count(*) FROM customer")
        service.store.activate(RELEASES[0])
        switch(service, "leak", "duplicates")
    service.faults.remove()
    with running(Quiet(folder)) as service:
        assert service.keys == keys
        assert number(service, "SELECT count(*) FROM customer") == customers
        assert service.store.release() == RELEASES[0]
        assert number(service, "SELECT count(*) FROM policy WHERE enabled") == 3
        assert number(service, "SELECT count(*) FROM sqlite_master WHERE name = 'customer_code_unique'") == 1
    assert stat.S_IMODE((folder / "keys.json").stat().st_mode) == 0o600


def test_what_is_broken_before_the_start_is_followed_and_lasts(tmp_path: Path) -> None:
    """Faults that are switched on while nothing runs hold from the start on, and through a restart with doubled codes."""
    folder = tmp_path / "unified-workflow"
    service = Quiet(folder)
    for fault in ("leak", "duplicates"):
        service.faults.add(fault)
    for expected in (2, 4):
        with running(Quiet(folder)) as service:
            assert number(service, "SELECT count(*) FROM policy WHERE enabled") == 0
            answers = [send(service, "/api/customers", "POST", {"name": "Twice"}).status for _ in range(2)]
            assert answers == [201, 201]
            assert number(service, "SELECT count(*) - count(DISTINCT tenant || customer_code) FROM customer") == expected


def test_a_browser_reports_what_it_saw(service: Quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole script shows its data; half of one is an exception; a slow one is late; no page, no report."""
    monkeypatch.setattr("checks.sandbox.unified_workflow._SLOW_SCRIPT", 0.3)
    browser, person, token = Browser(60), Person(service.url), service._tokens[TENANTS[0]]
    well = browser.view(person, token)
    switch(service, "bundle")
    late = browser.view(person, token)
    switch(service)
    switch(service, "js-errors")
    half = browser.view(person, token)

    assert well
    assert late
    assert half
    assert (well.exception, half.exception.partition(":")[0]) == ("", "SyntaxError")
    assert late.loaded_ms >= 300
    assert late.shown_ms > late.loaded_ms
    assert browser.view(Person("http://127.0.0.1:9"), token) is None


def test_events_pile_up_while_nobody_receives_and_arrive_afterwards(service: Quiet, people: People) -> None:
    """A refused event waits and is counted; once the receiver answers, it arrives, late."""
    switch(service, "events")
    people.work()
    people.deliver()
    waiting = service.counting.figures()["events_failing"]
    switch(service)
    people.deliver()

    assert waiting == 1
    assert service.counting.figures()["events_failing"] == 0


def test_what_is_old_is_pruned(service: Quiet) -> None:
    """After an hour audit rows and logins go; those of the last hour and all customers stay."""
    service.database.run("INSERT INTO login VALUES (?, 'north', 'ok')", now_text(-4_000))
    log_in(service)
    customers = number(service, "SELECT count(*) FROM customer")

    service._prune()

    assert number(service, "SELECT count(*) FROM login") == 1
    assert number(service, "SELECT count(*) FROM customer") == customers


def test_failing_answers_failing_logins_and_wrong_passwords_are_counted(service: Quiet, people: People) -> None:
    """Each of these faults moves its own figure across the plan's limit, and the others not at all."""
    service.random.seed(1)
    switch(service, "errors")
    statuses = {send(service, "/api/workflows").status for _ in range(40)}
    after_errors = service.counting.figures()
    switch(service)
    switch(service, "auth")
    assert {log_in(service).status for _ in range(40)} == {200, 503}
    after_auth = service.counting.figures()
    service.database.run("DELETE FROM login")
    switch(service)
    switch(service, "passwords")
    people._random.seed(1)
    for _ in range(40):
        people.come_and_go()
    after_passwords = service.counting.figures()

    assert statuses == {200, 500}
    assert float(str(after_errors["http_5xx_percent"])) > 0.1
    assert after_errors["auth_failure_percent"] is None
    assert float(str(after_auth["auth_failure_percent"])) > 1
    assert after_passwords["auth_failure_percent"] == 0
    assert float(str(after_passwords["login_success_percent"])) < 98


def test_lists_without_their_index_are_slow_and_nothing_else_is(service: Quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow fault's work is timed as the list's query, and ends with the fault."""
    monkeypatch.setattr("checks.sandbox.unified_workflow_store._HEAVY_SECONDS", 0.25)
    service.random.seed(1)
    switch(service, "slow")
    for _ in range(5):
        send(service, "/api/workflows")
    slow = service.store.query_ms(60, "workflow listing")
    switch(service)
    send(service, "/api/customers")

    assert slow[-1] >= 250
    assert service.store.query_ms(60, "customer search")[-1] < 250


def test_a_standstill_creates_nothing(service: Quiet, people: People) -> None:
    """While nobody creates anything the rates are zero: measured, and below the limit, not missing."""
    switch(service, "standstill")
    people.work()
    people.grow()

    figures = service.counting.figures()
    assert (figures["workflows_per_minute"], figures["customers_per_minute"]) == (0.0, 0.0)
