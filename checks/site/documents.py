"""What periods that are over came to, read from the journal when a page looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from checks.journal.periods import FROZEN, PERIODS, Frozen, read

if TYPE_CHECKING:
    from checks.journal import Event
    from checks.journal.bulk import Bulk


class Documents(Mapping[str, Frozen]):
    """What was written down of periods that are over, by subject; read when somebody looks at it.

    Args:
        told: the event that says up to which day that was done; ``None`` where it never was.
        bulk: where it is read from.

    """

    def __init__(self, told: Event | None, bulk: Bulk) -> None:
        self.upto = date.fromisoformat(str(told.detail["upto"])) if told else None
        since = told.detail["since"] if told else {}
        self.since = {name: date.fromisoformat(str(day)) for name, day in since.items()} if isinstance(since, Mapping) else {}
        self._mark = str(told.id) if told else ""
        self._bulk = bulk
        self._known: dict[str, Frozen | None] = {}

    def __getitem__(self, subject: str) -> Frozen:
        self.need([subject])
        found = self._known[subject]
        if found is None:
            raise KeyError(subject)
        return found

    def __contains__(self, subject: object) -> bool:
        self.need([str(subject)])
        return self._known[str(subject)] is not None

    def __iter__(self) -> Iterator[str]:
        return iter([subject for subject, found in self._known.items() if found])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def need(self, subjects: Sequence[str]) -> None:
        """Read some now, in one question."""
        missing = [subject for subject in subjects if subject not in self._known]
        if missing and self.upto:
            found = self._bulk.noted(FROZEN, missing)
            self._known |= {subject: read(found[subject]) if subject in found else None for subject in missing}
        self._known |= {subject: None for subject in missing if subject not in self._known}

    def version(self, subject: str) -> str:
        """What tells whether a document is as it was: one of a period that was over then is never written again."""
        name, start = subject.split("/")[-2:]
        over = self.upto is not None and PERIODS[name](date.fromisoformat(start)).end <= self.upto
        return "over" if over else self._mark

    def versions(self) -> str:
        """What tells whether any of them is as it was."""
        return self._mark
