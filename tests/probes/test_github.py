from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from checks.model import Observation
from checks.probes import _github_api
from checks.sandbox.kit import IssueTracker, Route, Service, running
from tests.probes.conftest import NOW, HostileServer, measured, reason_of, settings, value_of

TOKEN = "ghp_secret"
RESET = str(int(NOW.timestamp()) + 600)
ISSUES = "/repos/shop/shop/issues"


class Tracker(Service):
    """The sandbox's issue tracker, and nothing else."""

    name = "tracker"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.issues = IssueTracker(self.database, "shop/shop")

    def routes(self) -> Sequence[Route]:
        return self.issues.routes()


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with running(Tracker(tmp_path)) as service:
        yield service


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """Each test begins without answers of another."""
    _github_api._kept.clear()


def github(measure: str, **options: Any) -> dict[str, Any]:
    """A declared github probe."""
    return {"kind": "github", "api": "{api}", "repository": "shop/shop", "measure": measure, **options}


def number(url: str, measure: str, unit: str = "", **options: Any) -> float:
    """The value that is measured."""
    return value_of(github(measure, **options), unit, settings({"api": url, "token": TOKEN}, secrets=(TOKEN,)))


def seen_by(url: str, measure: str, unit: str = "", **options: Any) -> Observation:
    """The whole observation."""
    seen = measured(github(measure, **options), unit, settled=settings({"api": url, "token": TOKEN}, secrets=(TOKEN,)))
    assert isinstance(seen, Observation), seen
    return seen


def refused(url: str, measure: str = "open-issues", **options: Any) -> str:
    """Why there is no observation; it never holds the token."""
    said = reason_of(github(measure, **options), settled=settings({"api": url, "token": TOKEN}, secrets=(TOKEN,)))
    assert TOKEN not in said
    return said


def open_issue(tracker: Tracker, hours: float, *labels: str, author: str = "asker", **options: Any) -> int:
    """An issue that was opened some hours ago."""
    return tracker.issues.add("Help", author=author, labels=labels, created_at=NOW - timedelta(hours=hours), **options)


def test_open_issues_are_counted_over_all_pages(tracker: Tracker) -> None:
    """Each page is read; pull requests, closed issues and other labels do not count."""
    for number_ in range(230):
        open_issue(tracker, number_, "bug", *(["P0"] if number_ % 10 == 0 else []))
    open_issue(tracker, 1, "bug", pull_request=True)
    open_issue(tracker, 2, "bug", closed_at=NOW)
    open_issue(tracker, 3)
    assert number(tracker.url, "open-issues") == 231
    assert number(tracker.url, "open-issues", labels=["bug"]) == 230
    assert number(tracker.url, "open-issues", labels=["bug", "P0"]) == 23
    assert number(tracker.url, "open-issues", labels=["none"]) == 0


def test_the_oldest_unanswered_issue_gives_its_age(tracker: Tracker) -> None:
    """An answer is a comment of somebody else; the author's own and a bot's are none."""
    answered = open_issue(tracker, 90, "P0")
    tracker.issues.comment(answered, "Look here", author="maintainer")
    asked_again = open_issue(tracker, 30, "P0")
    tracker.issues.comment(asked_again, "Anybody?", author="asker")
    tracker.issues.comment(asked_again, "Thank you for your report", author="greeter[bot]")
    open_issue(tracker, 5, "P0")
    open_issue(tracker, 60, "P3")
    seen = seen_by(tracker.url, "oldest-unanswered", "s", labels=["P0"])
    assert (seen.value, seen.detail, seen.samples) == (30 * 3600, f"issue {asked_again}", 2)
    assert number(tracker.url, "oldest-unanswered", "h") == 60
    tracker.issues.comment(asked_again, "Mended", author="maintainer")
    assert number(tracker.url, "oldest-unanswered", "h", labels=["P0"]) == 5


def test_where_all_are_answered_the_age_is_zero(tracker: Tracker) -> None:
    """No open issue, or none without an answer, is an age of nothing."""
    assert seen_by(tracker.url, "oldest-unanswered", "s").detail == "no open issue"
    tracker.issues.comment(open_issue(tracker, 9), "Yes", author="maintainer")
    seen = seen_by(tracker.url, "oldest-unanswered", "s")
    assert (seen.value, seen.detail) == (0, "all 1 open issues were answered")


def test_issues_that_waited_longer_than_agreed_are_counted(tracker: Tracker) -> None:
    """Those without an answer and older than the agreed time count, and are named."""
    late = [open_issue(tracker, hours, "P1") for hours in (50, 4.01)]
    open_issue(tracker, 4, "P1")
    open_issue(tracker, 3, "P1")
    tracker.issues.comment(open_issue(tracker, 40, "P1"), "Late, but here", author="maintainer")
    seen = seen_by(tracker.url, "past-sla", labels=["P1"], sla="4h")
    assert (seen.value, seen.detail) == (2, f"issues {late[0]}, {late[1]}")
    assert number(tracker.url, "past-sla", labels=["P1"], sla="60h") == 0


def test_the_token_goes_to_the_api_only_and_is_masked(httpserver: HTTPServer) -> None:
    """The token is sent as a bearer's, and neither source nor detail holds it."""
    httpserver.expect_request(ISSUES, headers={"Authorization": f"Bearer {TOKEN}"}).respond_with_json([])
    seen = seen_by(httpserver.url_for(""), "open-issues", token="{token}")
    assert seen.value == 0
    assert TOKEN not in f"{seen}"


def test_a_next_page_on_another_host_is_refused(httpserver: HTTPServer) -> None:
    """A Link header cannot lead the token away."""
    httpserver.expect_request(ISSUES).respond_with_json([], headers={"Link": '<http://evil.test/x>; rel="next"'})
    assert "the next page is on another host, evil.test" in refused(httpserver.url_for(""), token="{token}")


def test_a_redirect_is_not_followed(httpserver: HTTPServer) -> None:
    """A moved repository says so by its status."""
    httpserver.expect_request(ISSUES).respond_with_data(status=301, headers={"Location": "http://evil.test/"})
    assert "was answered with HTTP status 301" in refused(httpserver.url_for(""), token="{token}")


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": RESET}, "is used up until 2026-01-31 12:10:00 UTC"),
        (429, {"Retry-After": "90"}, "the rate limit is used up until 2026-01-31 12:01:30 UTC"),
        (403, {}, "issues was answered with HTTP status 403"),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}, "answered with HTTP status 403"),
        (401, {}, "the token is not accepted"),
        (404, {}, "is not there, or may not be seen with this token"),
        (500, {}, "answered with HTTP status 500"),
        (204, {}, "answered with HTTP status 204"),
    ],
)  # fmt: skip
def test_a_refusal_is_unknown_with_its_reason(httpserver: HTTPServer, status: int, headers: dict[str, str], reason: str) -> None:
    """A used-up limit says when it ends; what is forbidden, missing or broken is told apart."""
    httpserver.expect_request(ISSUES).respond_with_data("{}", status=status, headers=headers)
    assert reason in refused(httpserver.url_for(""), token="{token}")


def test_a_limit_reached_on_a_later_page_leaves_no_half_count(httpserver: HTTPServer) -> None:
    """A count that could not be finished is unknown."""
    link = {"Link": f'<{httpserver.url_for(ISSUES)}?page=2>; rel="next"'}
    httpserver.expect_ordered_request(ISSUES).respond_with_json([{"number": 1}], headers=link)
    httpserver.expect_ordered_request(ISSUES, query_string="page=2").respond_with_data(status=429, headers={"Retry-After": "5"})
    assert "the rate limit is used up" in refused(httpserver.url_for(""))


@pytest.mark.parametrize("body", ["<html>", "{}", "[1]", '["x"]', "null"])
def test_an_answer_of_another_shape_is_unknown(httpserver: HTTPServer, body: str) -> None:
    """What is not GitHub's is no count of nothing."""
    httpserver.expect_request(ISSUES).respond_with_data(body)
    said = refused(httpserver.url_for(""))
    assert "is not JSON" in said or "does not have the shape of GitHub's" in said


def test_an_answer_that_has_not_changed_is_not_sent_again(httpserver: HTTPServer) -> None:
    """The ETag is given back, a 304 stands for what was read, and another token does not see it."""
    asked: list[tuple[str | None, str | None]] = []

    def answer(request: Request) -> Response:
        asked.append((request.headers.get("If-None-Match"), request.headers.get("Authorization")))
        if request.headers.get("If-None-Match") == '"one"':
            return Response(status=304)
        return Response(json.dumps([{"number": 1}, {"number": 2}]), headers={"ETag": '"one"'})

    httpserver.expect_request(ISSUES).respond_with_handler(answer)
    url = httpserver.url_for("")
    assert [number(url, "open-issues"), number(url, "open-issues"), number(url, "open-issues", token="{token}")] == [2, 2, 2]
    assert asked == [(None, None), ('"one"', None), (None, f"Bearer {TOKEN}")]


def test_pages_without_end_are_unknown(httpserver: HTTPServer) -> None:
    """A server that always has one more page is left."""
    link = {"Link": f'<{httpserver.url_for(ISSUES)}>; rel="next"'}
    httpserver.expect_request(ISSUES).respond_with_json([], headers=link)
    assert "there are more than 50 pages" in refused(httpserver.url_for(""))


def test_a_server_that_hangs_is_unknown_at_the_deadline(hostile: Any) -> None:
    """One deadline covers all requests, a drop a second included."""

    def drip(connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.1)

    server: HostileServer = hostile(drip)
    started = time.monotonic()
    assert refused(server.url, timeout="500ms").endswith("did not end within 500 ms")
    assert time.monotonic() - started < 3


def test_an_endless_answer_is_unknown(hostile: Any) -> None:
    """The byte cap holds."""

    def pour(connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"[" * 65536)

    server: HostileServer = hostile(pour)
    assert "more than 10 MB" in refused(server.url)


def test_a_host_that_the_environment_does_not_name_is_not_asked() -> None:
    """The API is one of the environment's settings."""
    said = reason_of(github("open-issues", api="http://127.0.0.1:9/x"), settled=settings({"api": "http://api.test"}))
    assert "is no host of the environment" in said
    assert "no repository" in refused("http://127.0.0.1:9", repository="shop/../x")
    assert "no answer" in refused("http://127.0.0.1:9")


def workflow(id_: int, state: str = "active") -> dict[str, Any]:
    """A workflow as the API lists it."""
    return {"id": id_, "name": f"W{id_}", "state": state}


def runs(httpserver: HTTPServer, id_: int, *conclusions: str) -> None:
    """The completed runs of a workflow, the latest first."""
    path = f"/repos/shop/shop/actions/workflows/{id_}/runs"
    document = {"workflow_runs": [{"conclusion": conclusion} for conclusion in conclusions]}
    httpserver.expect_request(path, query_string={"status": "completed", "per_page": "20", "branch": "main"}).respond_with_json(
        document
    )


def test_workflows_that_failed_last_time_are_counted(httpserver: HTTPServer) -> None:
    """The latest run that was not cancelled or skipped counts, of active workflows only."""
    listed = [workflow(1), workflow(2), workflow(3), workflow(4), workflow(5, "disabled_manually")]
    httpserver.expect_request("/repos/shop/shop/actions/workflows").respond_with_json({"workflows": listed})
    runs(httpserver, 1, "success", "failure")
    runs(httpserver, 2, "cancelled", "timed_out", "success")
    runs(httpserver, 3)
    runs(httpserver, 4, "failure")
    seen = seen_by(httpserver.url_for(""), "failing-workflows", branch="main")
    assert (seen.value, seen.detail, seen.samples) == (2, "W2: timed_out; W4: failure", 3)


def test_workflows_that_never_ran_are_unknown(httpserver: HTTPServer) -> None:
    """No completed run at all is nothing to be glad of."""
    httpserver.expect_request("/repos/shop/shop/actions/workflows").respond_with_json({"workflows": [workflow(1)]})
    runs(httpserver, 1, "cancelled")
    assert "no workflow has a completed run" in refused(httpserver.url_for(""), "failing-workflows", branch="main")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"data": {"repository": {"hasDiscussionsEnabled": True, "discussions": {"totalCount": 7}}}}, "7.0"),
        ({"data": {"repository": {"hasDiscussionsEnabled": False, "discussions": {"totalCount": 0}}}}, "they are switched off"),
        ({"data": {"repository": None}}, "does not have the shape of GitHub's"),
        ({"errors": [{"message": "Could not resolve"}], "data": None}, "GraphQL answers: [{'message': 'Could not resolve'}]"),
        ([], "GraphQL answers"),
    ],
)
def test_open_discussions_without_an_answer_are_counted(httpserver: HTTPServer, document: Any, said: str) -> None:
    """GraphQL's number is the value; its errors come with status 200 and are unknown."""
    httpserver.expect_request("/graphql", method="POST").respond_with_json(document)
    seen = measured(github("discussions", token="{token}"), settled=settings({"api": httpserver.url_for(""), "token": TOKEN}))
    assert said in (str(seen.value) if isinstance(seen, Observation) else seen.reason)
    assert "needs a `token:`" in refused(httpserver.url_for(""), "discussions")
