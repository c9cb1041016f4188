"""What lies outside of Console.ext and is talked to: pager, chat and mailbox, the packages' index, and the public tracker."""

from __future__ import annotations

import json
import smtplib
import socketserver
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from itertools import count
from typing import Any

from checks.sandbox.kit import Answer, Database, Faults, HttpError, IssueTracker, Request, Route, utc_text
from checks.sandbox.kit_http import Server

REPOSITORY = "console-ext/console-ext"
CHANNELS = ("pager", "chat", "mail")
_WINDOW, _ON_ITS_WAY = 60.0, 3.0  # seconds that figures look back, and that an alert may be under way
_TITLE = "Sign-up page: the button is cut off on small screens"
# Package, the version that the repository pins, and how many days ago it came out.
PINNED = {"falconry": ("3.1.0", 120), "sendline": ("1.4.2", 60), "pebble-sql": ("2.0.5", 200), "tokens": ("0.9.1", 45)}
# Advisory, package, severity, the version that mends it, and the hours since it was made public.
_MENDED = (
    ("CX-2025-0114", "sendline", "high", "1.4.2", 24 * 61),
    ("CX-2025-0131", "tokens", "medium", "0.9.1", 24 * 46),
)
_OPEN = (
    ("CX-2025-0208", "falconry", "critical", "3.1.1", 30),
    ("CX-2025-0202", "sendline", "high", "1.4.3", 80),
    ("CX-2025-0190", "pebble-sql", "medium", "2.0.6", 24 * 10),
)


@dataclass
class _Alert:
    channel: str
    sent_at: float
    arrived_at: float | None = None


class Outside:
    """A server that stands for everybody else, and a receiver of mail.

    Args:
        database: where the tracker keeps its issues.
        faults: ``alerts`` makes pager, chat and mailbox refuse, ``advisories`` publishes three, ``scan`` forgets a package,
            ``tracker`` leaves an issue without an answer.

    """

    def __init__(self, database: Database, faults: Faults) -> None:
        self._database = database
        self._faults = faults
        self._began = datetime.now(UTC)
        self.tracker = IssueTracker(database, REPOSITORY)
        self._alerts: dict[int, _Alert] = {}
        self._order: deque[int] = deque()
        self._numbers = count(1)
        self._server: Server | None = None
        self._mail: _Mailbox | None = None

    @property
    def url(self) -> str:
        """Where it serves."""
        return self._server.url if self._server else ""

    def start(self) -> None:
        """Open its ports, and answer the first issues."""
        if not self.tracker.count():
            for title, days in (
                ("Retry after a refused connection", 20),
                ("A key with a name", 12),
                ("Typing error in guide", 4),
            ):
                number = self.tracker.add(title, author="user", created_at=self._began - timedelta(days=days))
                self.tracker.comment(number, "Thank you, we are on it.", at=self._began - timedelta(days=days, hours=-20))
        self._server = Server(self._routes(), lambda *_: None, lambda *_: None)
        self._mail = _Mailbox(self._arrived, lambda: "alerts" in self._faults)
        for server in (self._server, self._mail):
            threading.Thread(target=server.serve_forever, args=(0.1,), name="outside", daemon=True).start()

    def stop(self) -> None:
        """Close its ports."""
        if self._server:
            self._server.close_all()
        if self._mail:
            self._mail.shutdown()
            self._mail.server_close()
        self._database.close()

    # Alerts ----------------------------------------------------------------------------------------------------------

    def alert(self) -> None:
        """Send one test alert by each channel, as whatever wakes people does; a refusal is seen in the figures."""
        for channel in CHANNELS:
            number = next(self._numbers)
            self._alerts[number] = _Alert(channel, time.monotonic())
            self._order.append(number)
            try:
                self._send(channel, number)
            except (OSError, smtplib.SMTPException):
                continue  # it did not arrive, and is counted as such
        while len(self._order) > 300:
            self._alerts.pop(self._order.popleft(), None)

    def figures(self) -> dict[str, object]:
        """How many alerts of the last minute were sent by each channel, and how many of them never arrived."""
        now = time.monotonic()
        told: dict[str, object] = {}
        for channel in CHANNELS:
            sent = [one for one in list(self._alerts.values()) if one.channel == channel and one.sent_at >= now - _WINDOW]
            settled = [one for one in sent if one.arrived_at is not None or now - one.sent_at > _ON_ITS_WAY]
            lost = sum(one.arrived_at is None for one in settled)
            told[channel] = {"sent": len(settled), "lost": lost if settled else None}
        return told

    def follow(self) -> None:
        """Leave an issue without an answer, or answer it, as the fault says."""
        waiting = self._database.rows("SELECT number FROM issue WHERE title = ? AND state = 'open'", _TITLE)
        if "tracker" in self._faults and not waiting:
            self.tracker.add(_TITLE, author="user", created_at=datetime.now(UTC) - timedelta(days=9))
        elif "tracker" not in self._faults and waiting:
            self.tracker.comment(waiting[0][0], "Sorry that this took so long. It is mended.")
            self.tracker.change(waiting[0][0], state="closed")

    def _send(self, channel: str, number: int) -> None:
        if channel == "mail":
            message = EmailMessage()
            message["From"], message["To"], message["Subject"] = "console-ext@localhost", "team@localhost", f"Summary {number}"
            message.set_content("Nothing here needs you.")
            port = int(self._mail.server_address[1]) if self._mail else 0
            with smtplib.SMTP("127.0.0.1", port, timeout=3) as post:
                post.send_message(message)
            return
        path, body = {
            "pager": ("/v2/enqueue", {"event_action": "trigger", "dedup_key": str(number), "payload": {"summary": "test"}}),
            "chat": ("/services/hook", {"text": f"Test alert {number}"}),
        }[channel]
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=3) as answer:
            answer.read()

    def _arrived(self, number: str) -> None:
        if number.isdecimal() and int(number) in self._alerts:
            self._alerts[int(number)].arrived_at = time.monotonic()

    def _take(self, request: Request, number: str, status: int) -> Answer:
        del request
        if "alerts" in self._faults:
            raise HttpError(403, "this integration was removed")
        self._arrived(number)
        return Answer({"status": "success"}, status)

    # Packages --------------------------------------------------------------------------------------------------------

    def _routes(self) -> list[Route]:
        return [
            Route("POST", "/v2/enqueue", lambda asked: self._take(asked, str(asked.json().get("dedup_key")), 202)),
            Route(
                "POST", "/services/hook", lambda asked: self._take(asked, str(asked.json().get("text")).rpartition(" ")[2], 200)
            ),
            Route("GET", "/packages/{name}", self._package),
            *self.tracker.routes(),
        ]

    def _package(self, request: Request) -> Answer:
        name = request.args["name"]
        if name not in PINNED or ("scan" in self._faults and name == "tokens"):
            raise HttpError(404, "no such package")
        known = _MENDED + (_OPEN if "advisories" in self._faults else ())
        advisories = [
            {"id": key, "severity": severity, "mended_in": mended, "published_at": self._ago(hours=hours)}
            for key, package, severity, mended, hours in known
            if package == name
        ]
        pinned, days = PINNED[name]
        releases: list[dict[str, Any]] = [{"version": pinned, "released_at": self._ago(hours=24 * days)}]
        if "advisories" in self._faults and name == "falconry":
            releases.append({"version": "3.1.1", "released_at": self._ago(hours=24 * 40)})
        return Answer({"name": name, "releases": releases, "advisories": advisories})

    def _ago(self, *, hours: float) -> str:
        return utc_text(self._began - timedelta(hours=hours))


class _Mailbox(socketserver.ThreadingTCPServer):
    """Takes mail as an SMTP server does, just enough of it, and tells the last word of each subject."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, arrived: Callable[[str], None], refuses: Callable[[], bool]) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.arrived = arrived
        self.refuses = refuses


class _Post(socketserver.StreamRequestHandler):
    timeout = 10
    server: _Mailbox

    def handle(self) -> None:
        self._say("220 mailbox")
        while line := self.rfile.readline().decode(errors="replace").strip():
            match line.split()[0].upper():
                case "RCPT" if self.server.refuses():
                    self._say("550 no such mailbox")
                case "DATA":
                    self._say("354 go on")
                    self._read_message()
                    self._say("250 taken")
                case "QUIT":
                    self._say("221 goodbye")
                    return
                case _:
                    self._say("250 ok")

    def _read_message(self) -> None:
        subject = ""
        while (line := self.rfile.readline().decode(errors="replace").rstrip("\r\n")) != ".":
            if line.startswith("Subject: ") and not subject:
                subject = line
        self.server.arrived(subject.rpartition(" ")[2])

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
