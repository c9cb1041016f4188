"""An issue tracker with the shape of GitHub's REST API, over rows in SQLite."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from checks.sandbox.kit_http import Answer, HttpError, Request, Route
from checks.sandbox.kit_store import Database

_TABLES = """
CREATE TABLE IF NOT EXISTS issue (
  number INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL, author TEXT NOT NULL, state TEXT NOT NULL,
  labels TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, closed_at TEXT,
  pull_request INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS issue_comment (
  id INTEGER PRIMARY KEY, number INTEGER NOT NULL REFERENCES issue, author TEXT NOT NULL, body TEXT NOT NULL,
  created_at TEXT NOT NULL);
"""
_COLUMNS = "number, title, body, author, state, labels, created_at, updated_at, closed_at, pull_request"
_PER_PAGE_AT_MOST = 100


def _text(moment: datetime | None) -> str:
    return (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class IssueTracker:
    """Issues and pull requests with labels, state, dates and comments.

    Args:
        repository: ``owner/name`` as the API's paths hold it.

    ``routes()`` serves ``/repos/<owner>/<name>/issues`` (query: state, labels, since, creator, sort, direction, per_page,
    page; with a Link header), ``…/issues/<n>`` (GET, PATCH), ``…/issues`` (POST), ``…/issues/<n>/comments`` (GET, POST)
    and ``…/labels``.

    """

    def __init__(self, database: Database, repository: str) -> None:
        self._database = database
        self.repository = repository
        database.script(_TABLES)

    def count(self) -> int:
        """How many issues there are in all."""
        return int(self._database.value("SELECT count(*) FROM issue"))

    def add(
        self,
        title: str,
        *,
        body: str = "",
        author: str = "someone",
        labels: Sequence[str] = (),
        created_at: datetime | None = None,
        closed_at: datetime | None = None,
        pull_request: bool = False,
    ) -> int:
        """Open an issue (closed already, where `closed_at` is given); its number."""
        opened, closed = _text(created_at), _text(closed_at) if closed_at else None
        state, names = "closed" if closed else "open", json.dumps(list(labels))
        return self._database.run(
            "INSERT INTO issue (title, body, author, state, labels, created_at, updated_at, closed_at, pull_request)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(title, body, author, state, names, opened, closed or opened, closed, int(pull_request)),
        )

    def comment(self, number: int, body: str, *, author: str = "maintainer", at: datetime | None = None) -> int:
        """Add a comment to an issue; the comment's id."""
        moment = _text(at)
        self._database.run("UPDATE issue SET updated_at = max(updated_at, ?) WHERE number = ?", moment, number)
        return self._database.run(
            "INSERT INTO issue_comment (number, author, body, created_at) VALUES (?, ?, ?, ?)", number, author, body, moment
        )

    def change(
        self, number: int, *, state: str | None = None, labels: Sequence[str] | None = None, at: datetime | None = None
    ) -> None:
        """Close, open again or label an issue."""
        moment = _text(at)
        if state is not None:
            closed_at = moment if state == "closed" else None
            self._database.run("UPDATE issue SET state = ?, closed_at = ? WHERE number = ?", state, closed_at, number)
        if labels is not None:
            self._database.run("UPDATE issue SET labels = ? WHERE number = ?", json.dumps(list(labels)), number)
        self._database.run("UPDATE issue SET updated_at = ? WHERE number = ?", moment, number)

    def routes(self) -> list[Route]:
        """The API; put them among the service's own routes."""
        base = f"/repos/{self.repository}"
        return [
            Route("GET", f"{base}/issues", self._list),
            Route("POST", f"{base}/issues", self._open),
            Route("GET", f"{base}/issues/{{number}}", self._show),
            Route("PATCH", f"{base}/issues/{{number}}", self._change),
            Route("GET", f"{base}/issues/{{number}}/comments", self._comments),
            Route("POST", f"{base}/issues/{{number}}/comments", self._comment),
            Route("GET", f"{base}/labels", self._labels),
        ]

    def _list(self, request: Request) -> Answer:
        asked = request.query
        conditions, values = ["1 = 1"], list[object]()
        if (state := asked.get("state", "open")) != "all":
            conditions.append("state = ?")
            values.append(state)
        for label in filter(None, asked.get("labels", "").split(",")):
            conditions.append("EXISTS (SELECT 1 FROM json_each(issue.labels) WHERE value = ?)")
            values.append(label)
        for name, condition in (("since", "updated_at >= ?"), ("creator", "author = ?")):
            if name in asked:
                conditions.append(condition)
                values.append(asked[name])
        where = " AND ".join(conditions)
        order = {"updated": "updated_at"}.get(asked.get("sort", ""), "created_at")
        direction = "ASC" if asked.get("direction") == "asc" else "DESC"
        page, per_page = _number(asked, "page", 1), min(_number(asked, "per_page", 30), _PER_PAGE_AT_MOST)
        total = int(self._database.value(f"SELECT count(*) FROM issue WHERE {where}", *values))  # noqa: S608 - own words
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM issue WHERE {where} ORDER BY {order} {direction}, number {direction} LIMIT ? OFFSET ?",  # noqa: S608
            *values, per_page, (page - 1) * per_page,
        )  # fmt: skip
        return Answer([self._as_json(row) for row in rows], headers=_links(request, page, -(-total // per_page)))

    def _show(self, request: Request) -> Answer:
        return Answer(self._issue(request))

    def _open(self, request: Request) -> Answer:
        wanted = request.json()
        if not wanted.get("title"):
            raise HttpError(422, "title is missing")
        number = self.add(
            str(wanted["title"]), body=str(wanted.get("body", "")), labels=[str(one) for one in wanted.get("labels", [])]
        )
        return Answer(self._one(number), 201)

    def _change(self, request: Request) -> Answer:
        number, wanted = self._issue(request)["number"], request.json()
        if wanted.get("state", "open") not in ("open", "closed"):
            raise HttpError(422, "state is open or closed")
        self.change(number, state=wanted.get("state"), labels=wanted.get("labels"))
        return Answer(self._one(number))

    def _comments(self, request: Request) -> Answer:
        number = self._issue(request)["number"]
        rows = self._database.rows("SELECT id, author, body, created_at FROM issue_comment WHERE number = ? ORDER BY id", number)
        return Answer([{"id": id_, "user": {"login": who}, "body": body, "created_at": at} for id_, who, body, at in rows])

    def _comment(self, request: Request) -> Answer:
        number, body = self._issue(request)["number"], str(request.json().get("body", ""))
        if not body:
            raise HttpError(422, "body is missing")
        return Answer({"id": self.comment(number, body), "body": body}, 201)

    def _labels(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        names = self._database.rows("SELECT DISTINCT value FROM issue, json_each(issue.labels) ORDER BY value")
        return Answer([{"name": name} for (name,) in names])

    def _issue(self, request: Request) -> dict[str, Any]:
        number = request.args["number"]
        found = self._one(int(number)) if number.isdecimal() else None
        if found is None:
            raise HttpError(404, "Not Found")
        return found

    def _one(self, number: int) -> dict[str, Any] | None:
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM issue WHERE number = ?", number)  # noqa: S608 - own words
        return self._as_json(rows[0]) if rows else None

    def _as_json(self, row: tuple[Any, ...]) -> dict[str, Any]:
        number, title, body, author, state, labels, created_at, updated_at, closed_at, pull_request = row
        return {
            "number": number,
            "title": title,
            "body": body,
            "user": {"login": author},
            "state": state,
            "labels": [{"name": name} for name in json.loads(labels)],
            "comments": self._database.value("SELECT count(*) FROM issue_comment WHERE number = ?", number),
            "created_at": created_at,
            "updated_at": updated_at,
            "closed_at": closed_at,
            **({"pull_request": {}} if pull_request else {}),
        }


def _number(asked: Any, name: str, default: int) -> int:
    text = asked.get(name, "")
    return max(1, int(text)) if text.isdecimal() else default


def _links(request: Request, page: int, pages: int) -> dict[str, str]:
    base = f"http://{request.headers.get('host', 'localhost')}{request.path}"
    wanted = {
        "prev": page - 1 if page > 1 else None,
        "next": page + 1 if page < pages else None,
        "last": pages if page < pages else None,
    }
    links = [
        f'<{base}?{urlencode({**request.query, "page": number})}>; rel="{name}"'
        for name, number in wanted.items()
        if number is not None
    ]
    return {"Link": ", ".join(links)} if links else {}
