"""The users' side of turbo-octo-robot: issues, discussions and e-mails, asked and answered."""

from __future__ import annotations

import mailbox
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path

from checks.sandbox.kit import Answer, Counted, Database, Faults, Handler, HttpError, IssueTracker, Request, Route

_TABLES = """
CREATE TABLE IF NOT EXISTS discussion (
  number INTEGER PRIMARY KEY, title TEXT NOT NULL, created_at TEXT NOT NULL, comments INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS fault_issue (fault TEXT NOT NULL, number INTEGER NOT NULL);
"""
_MAILS_KEPT = 40

# What was asked before the first start: title, labels, days ago it was opened, hours to the answer, days open (None: still).
_HISTORY: tuple[tuple[str, tuple[str, ...], float, float, float | None], ...] = (
    ("Standalone does not start behind a proxy", ("P0", "bug", "v2.0.0"), 7.6, 1.5, 1.0),
    ("Notes of a customer are lost when moving", ("P1", "bug", "v2.0.0"), 7.1, 3, 2.5),
    ("How do I move one site of two?", ("question", "v2.0.0"), 6.5, 9, 2),
    ("Export as CSV", ("feature",), 6.2, 20, None),
    ("Umlauts in the city are shown as question marks", ("P1", "bug", "v2.0.0", "escalated"), 5.3, 5, 1.5),
    ("May I keep Frappe running meanwhile?", ("question",), 4.4, 6, 1),
    ("Dark theme", ("feature",), 3.8, 30, None),
    ("Where is my token?", ("question",), 2.1, 4, 0.5),
    ("Which Python does Standalone need?", ("question",), 0.9, 2, 0.4),
    ("Sign-in with a passkey", ("feature",), 30.0, 60, 25.0),
)
_WISHES_AT_LEAST = 30
# What a fault adds: title, labels, hours it has waited.
_OF_FAULT: dict[str, tuple[str, tuple[str, ...], float]] = {
    "critical-bug": ("Saving a customer fails since v2.0.0", ("P0", "bug", "v2.0.0"), 5),
    "support": ("How do I import my customers?", ("question",), 30),
}


class Support:
    """Issue tracker, discussions and mailbox, and the team that answers in them.

    Args:
        folder: where the mailbox (Maildir, with a folder ``Sent``) lies.
        token: what a request to the tracker must carry; without it the answer is 401, as on GitHub.
        faults: ``critical-bug`` leaves a P0 unanswered past its time, ``support`` a question and an e-mail, ``wishes``
            opens more wishes than there are issues.

    """

    def __init__(self, folder: Path, database: Database, faults: Faults, repository: str, token: str) -> None:
        self.mailbox = folder / "mailbox"
        self._database = database
        self._faults = faults
        self._token = token
        self._repository = repository
        self._asked = 0
        database.script(_TABLES)
        self.tracker = IssueTracker(database, repository)
        folder.mkdir(parents=True, exist_ok=True)
        self._inbox = mailbox.Maildir(self.mailbox, create=True)
        self._sent = self._inbox.add_folder("Sent")
        if not self.tracker.count():
            self._begin(datetime.now(UTC))

    def _begin(self, now: datetime) -> None:
        for title, labels, days, hours, days_open in _HISTORY:
            opened = now - timedelta(days=days)
            number = self.tracker.add(title, author="user", labels=labels, created_at=opened)
            self.tracker.comment(number, "Thank you, we are on it.", at=opened + timedelta(hours=hours))
            if days_open is not None:
                self.tracker.change(number, state="closed", at=opened + timedelta(days=days_open))
        for title, days in (("Share your migration story", 5.0), ("What should v2.1.0 bring?", 3.0)):
            begun = (now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._database.run("INSERT INTO discussion (title, created_at, comments) VALUES (?, ?, 2)", title, begun)
        for days in (6.0, 4.0, 1.0):
            self._answer_mail(
                self._receive_mail("Moving to Standalone", now - timedelta(days=days)), now - timedelta(days=days - 0.2)
            )

    # What users ask and the team answers ----------------------------------------------------------------------------

    def work(self) -> None:
        """Bring issues and e-mails to what the faults ask for; healing one is answering it."""
        now = datetime.now(UTC)
        for fault, (title, labels, hours) in _OF_FAULT.items():
            number = self._database.value("SELECT number FROM fault_issue WHERE fault = ?", fault)
            if fault in self._faults and number is None:
                waited = now - timedelta(hours=hours)
                number = self.tracker.add(title, author="user", labels=labels, created_at=waited)
                self._database.run("INSERT INTO fault_issue (fault, number) VALUES (?, ?)", fault, number)
                if fault == "support":
                    self._receive_mail(title, waited)
            elif fault not in self._faults and number is not None:
                self.tracker.comment(number, "Sorry that this took so long. It is mended.")
                self.tracker.change(number, state="closed")
                self._database.run("DELETE FROM fault_issue WHERE fault = ?", fault)
        if "support" not in self._faults:
            self._answer_all_mail(now)
        self._wish_or_clear(now)

    def _wish_or_clear(self, now: datetime) -> None:
        """A robot opens more wishes than there are issues, once; healing removes what it opened, as one removes spam."""
        known = self._database.value("SELECT count(*) FROM fault_issue WHERE fault = 'wishes'")
        if "wishes" in self._faults and not known:
            for number in range(max(_WISHES_AT_LEAST, self.tracker.count() + 10)):
                wish = self.tracker.add(f"Please add wish {number}", author="robot", labels=("feature",), created_at=now)
                self._database.run("INSERT INTO fault_issue (fault, number) VALUES ('wishes', ?)", wish)
        elif "wishes" not in self._faults and known:
            self._database.run("DELETE FROM issue WHERE number IN (SELECT number FROM fault_issue WHERE fault = 'wishes')")
            self._database.run("DELETE FROM fault_issue WHERE fault = 'wishes'")

    def ask(self) -> None:
        """A user asks a question by issue or by e-mail; issues are answered and closed at once, e-mails by `work`."""
        self._asked += 1
        if self._asked % 2:
            number = self.tracker.add("How do I sign in?", author="user", labels=("question",))
            self.tracker.comment(number, "With the account you had in Frappe; see the FAQ.")
            self.tracker.change(number, state="closed")
        else:
            self._receive_mail("How long does moving take?", datetime.now(UTC))
        for box in (self._inbox, self._sent):
            for key in sorted(box.keys())[:-_MAILS_KEPT]:
                box.discard(key)

    def _receive_mail(self, subject: str, at: datetime) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "user@localhost", "support@localhost", subject
        message["Date"], message["Message-ID"] = format_datetime(at), make_msgid(domain="localhost")
        message.set_content("Please help.\n")
        self._inbox.add(message)
        return message

    def _answer_mail(self, message: EmailMessage, at: datetime) -> None:
        reply = EmailMessage()
        reply["From"], reply["To"], reply["Subject"] = "support@localhost", "user@localhost", f"Re: {message['Subject']}"
        reply["Date"], reply["In-Reply-To"] = format_datetime(at), message["Message-ID"]
        reply.set_content("Here is how.\n")
        self._sent.add(reply)

    def _answer_all_mail(self, now: datetime) -> None:
        answered = {message["In-Reply-To"] for message in self._sent}
        for received in self._inbox:
            if received["Message-ID"] not in answered:
                original = EmailMessage()
                original["Subject"], original["Message-ID"] = received["Subject"], received["Message-ID"]
                self._answer_mail(original, now)

    # What is asked of the tracker -----------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        """The issue API and the GraphQL API, for those who are signed in."""
        own = [Route("POST", "/graphql", self._graphql)]
        return [
            replace(route, handler=self.signed_in(route.handler), counted=Counted.OPERATOR)
            for route in (*self.tracker.routes(), *own)
        ]

    def signed_in(self, handler: Handler) -> Callable[[Request], Answer]:
        """A handler that refuses whoever does not carry the tracker's token."""

        def guarded(request: Request) -> Answer:
            if request.headers.get("authorization") != f"Bearer {self._token}":
                raise HttpError(401, "Bad credentials")
            return handler(request)

        return guarded

    def _graphql(self, request: Request) -> Answer:
        if "discussions" not in str(request.json().get("query", "")):
            raise HttpError(400, "only discussions are answered here")
        rows = self._database.rows("SELECT number, title, created_at, comments FROM discussion ORDER BY number DESC LIMIT 100")
        nodes = [
            {"number": number, "title": title, "createdAt": at, "closed": False, "comments": {"totalCount": comments}}
            for number, title, at, comments in rows
        ]
        listed = {"totalCount": len(nodes), "nodes": nodes}
        return Answer({"data": {"repository": {"hasDiscussionsEnabled": True, "discussions": listed}}})
