"""What people said, as the journal's events have it: sign-offs that hold, and the notes of incidents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from checks.journal.facts import Event
from checks.model import ChecklistItem, Incident

SIGNED = "checklist-signed"
"""The kind of event that a sign-off is; what was refused is `SIGN_REFUSED`."""
SIGN_REFUSED = "checklist-refused"
OPENED, NOTED, ACKNOWLEDGED, RESOLVED = "incident-opened", "incident-noted", "incident-acknowledged", "incident-resolved"
INCIDENT_KINDS = (OPENED, NOTED, ACKNOWLEDGED, RESOLVED)
"""The kinds of event that an incident's story is made of."""


@dataclass(frozen=True, slots=True)
class SignOff:
    """A person's word on an item of a checklist.

    Attributes:
        item: the item's slug.
        actor: the login of who gave it.
        until: when it ends.
        digest: of the words that it was given on.

    """

    item: str
    actor: str
    at: datetime
    until: datetime
    digest: str
    note: str = ""

    def why_not(self, item: ChecklistItem, *, ended: bool) -> str:
        """Why it does not hold, given whether it has ended; empty where it does."""
        if self.digest != item.digest:
            return "the item was reworded since"
        return f"it held until {self.until:%Y-%m-%d %H:%M} UTC" if ended else ""


def sign_offs(events: Iterable[Event], environment: str) -> dict[str, SignOff]:
    """The last sign-off of each item in an environment, by the item's slug.

    Args:
        events: of the kind `SIGNED`, in any order; one that lacks a time is not read.
        environment: where they were given.

    """
    found: dict[str, SignOff] = {}
    for event in sorted(events, key=lambda one: one.id):
        until = _moment(event.detail.get("until"))
        if event.kind == SIGNED and event.detail.get("environment") == environment and until is not None:
            digest, note = str(event.detail.get("digest", "")), str(event.detail.get("note", ""))
            found[event.subject] = SignOff(event.subject, event.actor, event.at, until, digest, note)
    return found


def told_of(incident: Incident, events: Iterable[Event]) -> list[Event]:
    """The events of one incident, the oldest first."""
    return sorted((event for event in events if event.subject == incident.subject), key=lambda event: (event.at, event.id))


def detail_of(sign: SignOff, environment: str, text: str) -> Mapping[str, object]:
    """What an event of a sign-off holds; `sign_offs` reads it."""
    return {
        "environment": environment,
        "until": sign.until.isoformat(),
        "digest": sign.digest,
        "note": sign.note,
        "text": text,
    }


def _moment(value: object) -> datetime | None:
    try:
        read = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return read if read.tzinfo is not None else None
