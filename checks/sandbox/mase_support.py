"""The support desk of MASE's users: a ticket every five minutes, now and then a complaint."""

from __future__ import annotations

from datetime import datetime, timedelta

from checks.sandbox.kit_issues import IssueTracker
from checks.sandbox.kit_store import Database

_EVERY = timedelta(minutes=5)
_HISTORY = timedelta(hours=26)
_OPEN_FOR = timedelta(hours=1)
_COMPLAINT_EVERY = 24  # tickets: one complaint in two hours
_COMPLAINTS_AT_ONCE = 7
_COMPLAINTS_AT_MOST = 30
_QUESTIONS = (
    "How do I set the accent colour for one role?",
    "Which template does a new site start with?",
    "Can I export my palette?",
    "Where is the contrast checker?",
)


class SupportDesk:
    """Opens tickets as time goes by; the desk is open while the sandbox is down, so gaps are filled at the next start.

    Args:
        database: where the tickets are stored.
        tracker: their API.

    """

    def __init__(self, database: Database, tracker: IssueTracker) -> None:
        self._database = database
        self._tracker = tracker
        self._complained = 0

    def catch_up(self, now: datetime) -> None:
        """Open each ticket that was due until `now`, with the date it was due at; close those older than an hour."""
        last = self._database.value("SELECT max(created_at) FROM issue WHERE author = 'visitor'")
        due = max(datetime.fromisoformat(last) + _EVERY, now - _HISTORY) if last else now - _HISTORY
        number = self._tracker.count()
        while due <= now:
            number += 1
            complaint = number % _COMPLAINT_EVERY == 0
            self._tracker.add(
                "The preview takes a moment too long" if complaint else _QUESTIONS[number % len(_QUESTIONS)],
                author="visitor",
                labels=["support", "complaint"] if complaint else ["support"],
                created_at=due,
                closed_at=due + _OPEN_FOR if due + _OPEN_FOR <= now else None,
            )
            due += _EVERY
        old = (now - _OPEN_FOR).strftime("%Y-%m-%dT%H:%M:%SZ")
        for (number,) in self._database.rows("SELECT number FROM issue WHERE state = 'open' AND created_at < ?", old):
            self._tracker.change(number, state="closed", at=now)

    def complain(self) -> None:
        """Let users complain: several at once at first, then one each time, up to a bound."""
        for _ in range(1 if self._complained else _COMPLAINTS_AT_ONCE):
            if self._complained < _COMPLAINTS_AT_MOST:
                self._complained += 1
                self._tracker.add("My colours are gone", author="annoyed", labels=["support", "complaint"])

    def calm_down(self) -> None:
        """Nobody complains any more; what was complained stays."""
        self._complained = 0
