"""Who runs what is due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from checks.catalogue import Catalogue, Settings
from checks.journal import Journal, open_journal
from checks.model import Overlap
from checks.schedule import Slot, claim_due, due_here, not_due
from tests.journal.samples import NOW, a_metric, a_run, a_runbook, a_system, ended, keep


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(f"sqlite:///{tmp_path}/journal.db") as opened:
        yield opened


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    books = [a_runbook("daily", "0 7 * * *"), a_runbook("hourly", "0 * * * *"), a_runbook("by-hand")]
    systems = {"shop": a_system(a_metric())}
    settings = Settings("sandbox", "UTC", "", tmp_path, "A site")
    return Catalogue(tmp_path, systems, {book.slug: book for book in books}, settings)


def test_what_is_due_is_claimed_once(catalogue: Catalogue, journal: Journal) -> None:
    """The first to ask gets every due slot, the next one none, until another time comes."""
    first = claim_due(catalogue, journal, "sandbox", NOW)
    assert first == [Slot("shop/daily", "sandbox", NOW - timedelta(hours=2)), Slot("shop/hourly", "sandbox", NOW)]
    assert claim_due(catalogue, journal, "sandbox", NOW) == []
    for slot in first:
        keep(journal, runbook=slot.runbook)
    later = NOW + timedelta(hours=1)
    assert claim_due(catalogue, journal, "sandbox", later) == [Slot("shop/hourly", "sandbox", later)]


def test_a_slot_that_another_took_meanwhile_is_left_out(
    catalogue: Catalogue, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When another scheduler claims between looking and claiming, only what was won is given."""
    monkeypatch.setattr(journal, "last_slots", lambda _environment, _now: {})
    assert journal.claim_slot("shop/hourly", "sandbox", NOW, NOW, "another")
    assert [slot.runbook for slot in claim_due(catalogue, journal, "sandbox", NOW)] == ["shop/daily"]


def test_why_each_other_runbook_is_not_run(catalogue: Catalogue, journal: Journal) -> None:
    """Of each runbook that is not taken it is said when it is due, that it waits for the run before, or that it never is."""
    claim_due(catalogue, journal, "sandbox", NOW)
    told = not_due(catalogue, journal.last_slots("sandbox", NOW), "sandbox", NOW + timedelta(hours=1), {"shop/daily"})
    assert told == {
        "shop/by-hand": "it has no schedule",
        "shop/hourly": f"it is due since {NOW + timedelta(hours=1):%Y-%m-%d %H:%M} UTC, and waits for the run before to end",
    }


def test_looking_claims_nothing(catalogue: Catalogue, journal: Journal) -> None:
    """To ask what is due leaves it due."""
    assert len(due_here(catalogue, {}, "sandbox", NOW)) == 2
    assert journal.last_slots("sandbox") == {}


def test_nothing_is_due_where_the_system_does_not_live(catalogue: Catalogue, journal: Journal) -> None:
    """In an environment that its system.yml does not name a system's runbooks are never due."""
    assert claim_due(catalogue, journal, "production", NOW) == []


@pytest.mark.parametrize(("overlap", "passed"), [(Overlap.WAIT, 0), (Overlap.SKIP, 1)])
def test_a_slot_of_a_runbook_that_is_running_is_not_taken(
    catalogue: Catalogue, journal: Journal, overlap: Overlap, passed: int
) -> None:
    """Who asks from cron does not begin a second run either: the slot waits, or is given up with an event, and never comes."""
    book = catalogue.runbooks["shop/hourly"]
    assert book.schedule is not None
    books = {book.slug: replace(book, schedule=replace(book.schedule, overlap=overlap))}
    running = a_run(NOW - timedelta(seconds=30), runbook="shop/hourly")
    journal.start_run(running)
    changed = replace(catalogue, runbooks=books)
    assert claim_due(changed, journal, "sandbox", NOW) == []
    journal.finish_run(ended(running), [])
    assert len(journal.events(kind="slot-passed-over")) == passed
    assert len(claim_due(changed, journal, "sandbox", NOW)) == 1 - passed
