"""Checklists: what ticks each item, and a person's word on it, which ends and can be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from checks.errors import DataError, Refused
from checks.journal.duties import SIGN_REFUSED, SIGNED, SignOff, detail_of, sign_offs
from checks.journal.report import system_status
from checks.judge.lifetimes import run_until
from checks.model import ChecklistItem, Proof, Status

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.journal import Event, Snapshot

_MOST_SIGNED = 5_000


class Book(Protocol):
    """What checklists need of a journal; `checks.journal.Journal` is one."""

    def snapshot(self, environment: str) -> Snapshot:
        """The latest runs and results."""

    def events(
        self, kind: str | None = None, subject: str | None = None, since: datetime | None = None, limit: int = 200
    ) -> Sequence[Event]:
        """Events, the last recorded first."""

    def record_event(self, kind: str, at: datetime, subject: str, actor: str, detail: Mapping[str, object]) -> None:
        """Note something that happened."""


@dataclass(frozen=True, slots=True)
class Line:
    """One item as it is now.

    Attributes:
        ticked: whether evidence or a word that holds ticks it.
        said: why, or why not.
        signed: the last word given on it, whether it holds or not.

    """

    item: ChecklistItem
    ticked: bool
    said: str
    signed: SignOff | None = None


def lines(catalogue: Catalogue, journal: Book, system: str, environment: str, now: datetime) -> list[Line]:
    """Every item of a system's checklists with what ticks it now.

    Raises:
        DataError: there is no such system.

    """
    items = catalogue.checklists.get(catalogue.system(system).name, ())
    signed = sign_offs(journal.events(kind=SIGNED, limit=_MOST_SIGNED), environment)
    proven = _Proven(catalogue, journal, system, environment, now)
    return [_line(item, signed.get(item.slug), proven, now) for item in items]


def sign(
    catalogue: Catalogue,
    journal: Book,
    slug: str,
    *,
    environment: str,
    actor: str,
    at_a_terminal: bool,
    now: datetime,
    until: datetime | None = None,
    lasts: timedelta | None = None,
    in_the_name_of: str = "",
    note: str = "",
) -> SignOff:
    """Give a person's word on an item, and journal it; what is refused is journaled, too.

    Args:
        catalogue: what the item stands in.
        journal: where it is written.
        slug: the item (``shop/shelves``).
        environment: where it holds.
        actor: the login of the person.
        at_a_terminal: whether somebody sits there: a pipe or a schedule has no word to give.
        now: the time, aware, in UTC.
        until: when it ends.
        lasts: or how long it holds; default: as long as the item allows.
        in_the_name_of: whom the caller claims to be.
        note: anything more, for who reads it.

    Raises:
        DataError: there is no such item.
        Refused: it may not be signed so.

    """
    item = catalogue.item(slug)
    ends = until or now + (lasts or item.lasts)
    why = _refusal(item, actor, in_the_name_of, ends, now, at_a_terminal=at_a_terminal)
    if why is None and item.proof is not Proof.HAND:
        ticked, said = _Proven(catalogue, journal, item.system, environment, now).of(item)
        if not ticked:
            why = Refused("evidence speaks against it", where=slug, found=said, remedy="mend it and measure again; then sign")
    if why is not None:
        detail = {"environment": environment, "reason": why.what, "found": why.found or "", "until": ends.isoformat()}
        journal.record_event(SIGN_REFUSED, now, slug, actor, detail)
        raise why
    given = SignOff(slug, actor, now, ends, item.digest, note)
    journal.record_event(SIGNED, now, slug, actor, detail_of(given, environment, item.text))
    return given


def _refusal(
    item: ChecklistItem, actor: str, claimed: str, ends: datetime, now: datetime, *, at_a_terminal: bool
) -> Refused | None:
    if not at_a_terminal:
        remedy = "sign from a terminal, as yourself"
        return Refused("a sign-off needs a person at a terminal", where=item.slug, found="no terminal", remedy=remedy)
    if claimed and claimed != actor:
        return Refused(
            "nobody signs in another's name", where=item.slug, expected=actor, found=claimed, remedy=f"let {claimed} sign it"
        )
    if ends <= now:
        return Refused(
            "this sign-off has expired before it is given", where=item.slug, expected="a time to come", found=ends.isoformat()
        )
    if ends > now + item.lasts:
        most = now + item.lasts
        return Refused(
            "a word on this item does not hold so long",
            where=item.slug,
            expected=f"until {most:%Y-%m-%d %H:%M} UTC at most",
            found=ends.isoformat(),
            remedy="sign for a shorter time, or let the item say how long: lasts=…",
        )
    return None


class _Proven:
    """What evidence says of an item."""

    def __init__(self, catalogue: Catalogue, journal: Book, system: str, environment: str, now: datetime) -> None:
        snapshot = journal.snapshot(environment)
        books = catalogue.runbooks
        declared = catalogue.system(system)
        lasts = catalogue.lifetimes(environment)
        runs, results = snapshot.latest_runs, snapshot.latest_results
        report = system_status(declared, books.values(), runs, results, now, snapshot.since, lasts)
        self._metrics = {item.slug: item for item in report.items if item.metric is not None}
        self._runs = snapshot.latest_runs
        self._books = books
        self._now = now

    def of(self, item: ChecklistItem) -> tuple[bool, str]:
        """Whether it is ticked by evidence, and why or why not."""
        if item.proof is Proof.METRIC:
            found = self._metrics.get(item.slug)
            if found is None:
                raise DataError(f"there is no metric `{item.slug}`", where=f"{item.page}:{item.line}")
            return found.label == Status.OK.value, f"{found.label}: {found.reason.removeprefix('stale, ')}"
        book, run = self._books.get(item.slug), self._runs.get(item.slug)
        if book is None:
            raise DataError(f"there is no runbook `{item.slug}`", where=f"{item.page}:{item.line}")
        if run is None or run.ended_at is None:
            return False, "never run"
        aged = run_until(book, run) <= self._now
        said = f"{'stale, last ' if aged else ''}{run.status.value}, run of {run.ended_at:%Y-%m-%d %H:%M} UTC"
        return run.status is Status.OK and not aged, said


def _line(item: ChecklistItem, signed: SignOff | None, proven: _Proven, now: datetime) -> Line:
    if item.proof is not Proof.HAND:
        return Line(item, *proven.of(item), signed)
    if signed is None:
        return Line(item, False, "nobody signed it", None)
    why = signed.why_not(item, ended=signed.until <= now)
    held = f"signed by {signed.actor} until {signed.until:%Y-%m-%d %H:%M} UTC"
    return Line(item, not why, f"signed by {signed.actor}, but {why}" if why else held, signed)
