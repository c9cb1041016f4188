"""The issue tracker's API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks.sandbox.kit import running
from tests.sandbox.example import Example
from tests.sandbox.support import ask

NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    """The issues' address of a stand-in with 45 issues, every third a bug, every fifth closed."""
    with running(Example(tmp_path)) as service:
        for number in range(1, 46):
            service.issues.add(
                f"issue {number}",
                labels=["bug"] if number % 3 == 0 else ["question"],
                created_at=NOW - timedelta(days=number),
                closed_at=NOW if number % 5 == 0 else None,
            )
        yield f"{service.url}/repos/someone/example"


def test_pages_lead_to_each_issue_once(base: str) -> None:
    """Following the Link header from the first page meets each open issue exactly once, newest first."""
    url: str | None = f"{base}/issues?per_page=10"
    numbers: list[int] = []
    while url:
        page = ask(url)
        numbers += [issue["number"] for issue in page.body]
        following = re.search(r'<([^>]+)>; rel="next"', page.headers.get("Link", ""))
        url = following.group(1) if following else None

    assert numbers == [number for number in range(1, 46) if number % 5]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=closed", 9),
        ("state=all", 45),
        ("state=all&labels=bug", 15),
        ("labels=bug", 12),
        ("labels=bug,question", 0),
        ("state=all&since=2024-05-06T00:00:00Z", 9),
        ("labels=nothing%27;DROP%20TABLE%20issue", 0),
    ],
)
def test_issues_are_chosen_by_state_label_and_time(base: str, query: str, expected: int) -> None:
    """A query gives the issues that it describes, and text that looks like SQL describes none."""
    assert len(ask(f"{base}/issues?per_page=100&{query}").body) == expected


def test_an_issue_is_opened_labelled_commented_and_closed(base: str) -> None:
    """What is posted is stored and comes back with its label, comment, state and dates."""
    number = ask(f"{base}/issues", method="POST", body={"title": "It broke", "labels": ["bug"]}).body["number"]
    ask(f"{base}/issues/{number}/comments", method="POST", body={"body": "I see it too"})
    ask(f"{base}/issues/{number}", method="PATCH", body={"state": "closed", "labels": ["bug", "P1"]})

    issue = ask(f"{base}/issues/{number}").body
    assert issue["state"] == "closed"
    assert issue["closed_at"] >= issue["created_at"]
    assert [label["name"] for label in issue["labels"]] == ["bug", "P1"]
    assert issue["comments"] == 1
    assert ask(f"{base}/issues/{number}/comments").body[0]["body"] == "I see it too"


def test_what_cannot_be_is_refused(base: str) -> None:
    """An issue without a title, a state that does not exist and an unknown number have their status."""
    assert ask(f"{base}/issues", method="POST", body={}).status == 422
    assert ask(f"{base}/issues/1", method="PATCH", body={"state": "gone"}).status == 422
    assert ask(f"{base}/issues/999").status == 404
    assert ask(f"{base}/issues/abc").status == 404
