"""The stand-in of turbo-octo-robot: a release that is being moved to, with its API, users, tracker, CI and repository."""

from __future__ import annotations

import secrets
import threading
import time
from datetime import UTC, datetime
from typing import ClassVar

from checks.sandbox import turbo_octo_robot_app as app
from checks.sandbox.kit import (
    Answer,
    Call,
    Counted,
    Database,
    HttpError,
    Job,
    Request,
    Route,
    Service,
    read_json,
    utc_text,
    write_json,
)
from checks.sandbox.turbo_octo_robot_project import Project
from checks.sandbox.turbo_octo_robot_support import Support

REPOSITORY = "mitchlabeetch/turbo-octo-robot"
USERS, MOVED_AT_START, CUSTOMERS_EACH = 200, 170, 3
_LOGIN_USER = "support"
_TOKEN_MINUTES, _SHORT_TOKEN_MINUTES = 60, 5
_ERROR_SHARE, _SLOW_SHARE, _SLOW_S = 0.4, 0.25, 0.4
_USERS_WITH_LOSS = 3
_NOTES_KEPT = 500
_RATINGS = (5, 5, 4, 5)  # what one user after the other answers to the survey
_CITIES = ("Łódź", "Porto", "Turku", "Zürich")

_FRAPPE = """
CREATE TABLE IF NOT EXISTS user (email TEXT PRIMARY KEY, full_name TEXT NOT NULL, enabled INTEGER NOT NULL, migrated_at TEXT);
CREATE TABLE IF NOT EXISTS customer (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, city TEXT NOT NULL);
"""


class TurboOctoRobot(Service):
    """A release of which most users have been moved, and the rest are being moved one by one."""

    name = "turbo-octo-robot"
    FAULTS: ClassVar = {
        "errors": "Four of ten API requests are answered with status 503.",
        "slow": "One API answer in four takes 400 ms.",
        "ci": "A test that fails is pushed to main, and CI runs it.",
        "critical-bug": "A P0 issue has waited five hours without an answer.",
        "support": "A question and an e-mail have waited thirty hours without an answer.",
        "vulnerable": "main pins a package version with a known advisory.",
        "export": "The archive of a full export breaks off after 60 % of its bytes.",
        "tokens": "Sign-in gives tokens that are valid for five minutes.",
        "start": "A crashed process has left its lock file, and each start waits two seconds for it.",
        "data-loss": "The customers of three moved users are gone from Standalone.",
        "tag": "The tag v2.0.0 is deleted on origin.",
        "patch": "v2.0.1 is tagged on main, and the changelog says nothing of it.",
        "faq": "A copy of 130 days ago takes the FAQ's place on main.",
        "wishes": "A robot opens more feature requests than there are issues.",
    }
    rate = 6.0

    def setup(self) -> None:
        """Users and customers in Frappe, most of them moved to Standalone; repository, tracker and mailbox."""
        self._secrets = self._read_or_make_secrets()
        self._moving = threading.Lock()
        self.database.script(app.TABLES)
        self.frappe = Database(self.folder / "frappe.db")
        self.frappe.script(_FRAPPE)
        if not self.frappe.value("SELECT count(*) FROM user"):
            self._fill_frappe()
        if not self.database.value("SELECT count(*) FROM account"):
            salt = secrets.token_bytes(16)
            digest = app.digest_of(self._secrets["password"], salt)
            self.database.run("INSERT INTO account VALUES (?, ?, ?)", _LOGIN_USER, salt, digest)
        while self.frappe.value("SELECT count(migrated_at) FROM user") < MOVED_AT_START:
            self._move_one()
        self.project = Project(self.folder / "project", self.database, self.faults, REPOSITORY)
        self.support = Support(self.folder / "support", self.database, self.faults, REPOSITORY, self._secrets["github_token"])

    def stop(self) -> None:
        """Close the second database as well."""
        super().stop()
        self.frappe.close()

    def variables(self) -> dict[str, str]:
        """Where the API, the tracker, the index, the stores, the repository and the mailbox are, and how to sign in."""
        prefix = "TURBO_OCTO_ROBOT"
        return {
            **super().variables(),
            f"{prefix}_RELEASED": self.project.released_at(),
            f"{prefix}_GITHUB_API": self.url,
            f"{prefix}_GITHUB_TOKEN": self._secrets["github_token"],
            f"{prefix}_PACKAGE_INDEX": self.url,
            f"{prefix}_ORIGIN": str(self.project.origin),
            f"{prefix}_CLONE": str(self.project.workspace),
            f"{prefix}_FRAPPE_DATABASE": str(self.frappe.path),
            f"{prefix}_MAILBOX": str(self.support.mailbox),
            f"{prefix}_LOGIN_USER": _LOGIN_USER,
            f"{prefix}_LOGIN_PASSWORD": self._secrets["password"],
        }

    def jobs(self) -> list[Job]:
        """Developers and CI, the support team, users who ask, and the move of the users who are left."""
        return [
            Job("project", every=2, run=self.project.work),
            Job("support", every=1, run=self.support.work),
            Job("data", every=1, run=self._lose_or_restore),
            Job("questions", every=300, run=self.support.ask),
            Job("move", every=20, run=self._move_one, at_start=False),
            Job("tidy", every=60, run=self._tidy, at_start=False),
        ]

    def routes(self) -> list[Route]:
        """The API, and what stands in for GitHub and the package index."""
        return [
            Route("GET", "/health", self._health),
            Route("POST", "/auth/login", self._login, Counted.OPERATOR),
            Route("GET", "/export/full", self._export, Counted.OPERATOR),
            Route("GET", "/api/customers", self._customers),
            Route("GET", "/api/customers/{id}", self._customer),
            Route("POST", "/api/customers/{id}/notes", self._add_note),
            *self.support.routes(),
            *self.project.routes(),
        ]

    def traffic(self) -> Call:
        """What users do: mostly look at customers, sometimes write a note."""
        signed_in = {"Authorization": f"Bearer {self._token(1)}"}
        customer = self.random.randint(1, MOVED_AT_START * CUSTOMERS_EACH)
        kind = self.random.random()
        if kind < 0.2:
            return Call("GET", "/health")
        if kind < 0.4:
            return Call("GET", "/api/customers", headers=signed_in)
        if kind < 0.9:
            return Call("GET", f"/api/customers/{customer}", headers=signed_in)
        return Call("POST", f"/api/customers/{customer}/notes", {"text": "Called back."}, headers=signed_in)

    # The API --------------------------------------------------------------------------------------------------------

    def _health(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's form
        self._suffer()
        return Answer(app.healthy(self.database.path))

    def _login(self, request: Request) -> Answer:
        given = request.json()
        rows = self.database.rows("SELECT salt, digest FROM account WHERE name = ?", str(given.get("username", "")))
        if not rows or app.digest_of(str(given.get("password", "")), rows[0][0]) != rows[0][1]:
            raise HttpError(401, "name or password is wrong")
        minutes = _SHORT_TOKEN_MINUTES if "tokens" in self.faults else _TOKEN_MINUTES
        return Answer({"access_token": self._token(minutes), "token_type": "bearer", "expires_in": 60 * minutes})

    def _export(self, request: Request) -> Answer:
        self._signed_in(request)
        members = []
        for name, query in app.EXPORTED.items():
            columns = query.removeprefix("SELECT ").partition(" FROM ")[0].split(", ")
            members.append((name, [dict(zip(columns, row, strict=True)) for row in self.database.rows(query)]))
        archive = app.export(members)
        if "export" in self.faults:
            archive = archive[: len(archive) * 6 // 10]
        return Answer(archive, headers={"Content-Type": "application/zip"})

    def _customers(self, request: Request) -> Answer:
        self._signed_in(request)
        self._suffer()
        rows = self.database.rows("SELECT id, name FROM customer ORDER BY id LIMIT 20")
        return Answer([{"id": id_, "name": name} for id_, name in rows])

    def _customer(self, request: Request) -> Answer:
        self._signed_in(request)
        self._suffer()
        rows = self.database.rows("SELECT id, name, city FROM customer WHERE id = ?", request.args["id"])
        if not rows:
            raise HttpError(404, "Not Found")
        return Answer(dict(zip(("id", "name", "city"), rows[0], strict=True)))

    def _add_note(self, request: Request) -> Answer:
        self._signed_in(request)
        self._suffer()
        text = str(request.json().get("text", ""))
        note = self.database.run("INSERT INTO note (customer, text) VALUES (?, ?)", int(request.args["id"]), text)
        return Answer({"id": note}, 201)

    def _suffer(self) -> None:
        """What the faults do to an API request."""
        if "slow" in self.faults and self.random.random() < _SLOW_SHARE:
            time.sleep(_SLOW_S)
        if "errors" in self.faults and self.random.random() < _ERROR_SHARE:
            self.log.error("the connection pool is used up")
            raise HttpError(503, "the connection pool is used up")

    def _signed_in(self, request: Request) -> None:
        try:
            app.verify(request.headers.get("authorization", "").removeprefix("Bearer "), self._key, now=time.time())
        except app.NotSignedIn as error:
            raise HttpError(401, str(error)) from error

    def _token(self, minutes: int) -> str:
        return app.issue(_LOGIN_USER, self._key, now=time.time(), minutes=minutes)

    @property
    def _key(self) -> bytes:
        return self._secrets["key"].encode()

    # Users and their data -------------------------------------------------------------------------------------------

    def _read_or_make_secrets(self) -> dict[str, str]:
        path = self.folder / "secrets.json"
        if not path.exists():
            write_json(path, {name: secrets.token_urlsafe(24) for name in ("key", "password", "github_token")})
            path.chmod(0o600)
        return {name: str(value) for name, value in read_json(path).items()}

    def _fill_frappe(self) -> None:
        users = [f"user{number:03}@localhost" for number in range(1, USERS + 1)]
        customers = [
            (owner, f"Customer {number:03}-{each}", _CITIES[(number + each) % len(_CITIES)])
            for number, owner in enumerate(users, start=1)
            for each in range(1, CUSTOMERS_EACH + 1)
        ]
        self.frappe.many("INSERT INTO customer (owner, name, city) VALUES (?, ?, ?)", customers)
        self.frappe.many(
            "INSERT INTO user (email, full_name, enabled) VALUES (?, ?, 1)",
            [(email, f"User {number:03}") for number, email in enumerate(users, start=1)],
        )

    def _move_one(self) -> None:
        """Move the next user with all customers from Frappe to Standalone, and ask how it went."""
        with self._moving:
            rows = self.frappe.rows(
                "SELECT rowid, email, full_name FROM user WHERE migrated_at IS NULL AND enabled = 1 ORDER BY email LIMIT 1"
            )
            if not rows:
                return
            number, email, full_name = rows[0]
            now = utc_text(datetime.now(UTC))
            self._copy_customers(email)
            self.database.run("INSERT OR REPLACE INTO user VALUES (?, ?, ?)", email, full_name, now)
            self.database.run("INSERT OR REPLACE INTO survey_answer VALUES (?, ?)", email, _RATINGS[number % len(_RATINGS)])
            self.frappe.run("UPDATE user SET migrated_at = ? WHERE email = ?", now, email)

    def _copy_customers(self, owner: str) -> None:
        rows = self.frappe.rows("SELECT id, owner, name, city FROM customer WHERE owner = ?", owner)
        self.database.many("INSERT OR REPLACE INTO customer VALUES (?, ?, ?, ?)", rows)

    def _lose_or_restore(self) -> None:
        """Delete customers of moved users while data is lost, and copy them again once it is not."""
        owners = [row[0] for row in self.database.rows("SELECT email FROM user ORDER BY email LIMIT ?", _USERS_WITH_LOSS)]
        for owner in owners:
            if "data-loss" in self.faults:
                self.database.run("DELETE FROM customer WHERE owner = ?", owner)
            elif not self.database.value("SELECT count(*) FROM customer WHERE owner = ?", owner):
                self._copy_customers(owner)
        lock = self.database.path.with_name(f"{self.database.path.name}.lock")
        if "start" in self.faults:
            lock.touch()
        else:
            lock.unlink(missing_ok=True)

    def _tidy(self) -> None:
        self.database.run("DELETE FROM note WHERE id <= (SELECT max(id) FROM note) - ?", _NOTES_KEPT)
