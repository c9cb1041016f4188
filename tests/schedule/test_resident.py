"""The scheduler that stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.catalogue import Catalogue, Settings
from checks.errors import ProofbookError, ServiceAway
from checks.journal import Journal, open_journal
from checks.model import CatchUp, Cron, Overlap, Run, Runbook, RunState
from checks.run.ends import Outcome, Prepared
from checks.schedule import resident
from checks.schedule.due import Slot
from checks.schedule.place import Lookout, Place
from checks.schedule.resident import Reporter, Resident
from tests.journal.samples import NOW, a_metric, a_run, a_runbook, a_system, ended

MINUTE = timedelta(minutes=1)


class Notes(Reporter):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def took(self, slot: Slot) -> None:
        self.told.append(f"took {slot.runbook} {slot.due_at:%H:%M}")

    def passed_over(self, slot: Slot) -> None:
        self.told.append(f"passed over {slot.runbook} {slot.due_at:%H:%M}")

    def lost(self, run: Run) -> None:
        self.told.append(f"lost {run.runbook}")

    def sampling(self, metrics: int, other: str) -> None:
        self.told.append(f"samples {metrics}{' by ' + other if other else ''}")

    def reloaded(self, error: ProofbookError | None) -> None:
        self.told.append("reloaded" if error is None else f"broken: {error.what}")

    def away(self, error: ProofbookError | None) -> None:
        self.told.append("back" if error is None else "away")


class Kitchen:
    """Runs that end when they are told to, instead of notebooks."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.running: dict[str, threading.Event] = {}

    def run_many(self, prepared: list[Prepared], journal: Journal, *, cancelled: threading.Event, **_: Any) -> list[Outcome]:
        (one,) = prepared
        started = replace(one.run, started_at=datetime.now(UTC))  # leases are held in real time
        journal.start_run(started)
        done = self.running[one.runbook.slug] = threading.Event()
        while not done.wait(0.01) and not cancelled.is_set():
            pass
        state = RunState.FINISHED if done.is_set() else RunState.CANCELLED
        run = ended(started, state=state)
        journal.finish_run(run, [])
        return [Outcome(run, (), None)]

    def finish(self, scheduler: Resident, slug: str) -> None:
        ends = time.monotonic() + 10
        while slug not in self.running and time.monotonic() < ends:
            time.sleep(0.01)
        self.running.pop(slug).set()
        while any(slot.runbook == slug and not work.done() for work, slot in scheduler._under_way.items()):
            assert time.monotonic() < ends
            time.sleep(0.01)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(f"sqlite:///{tmp_path}/journal.db") as opened:
        yield opened


@pytest.fixture
def kitchen(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> Kitchen:
    kitchen = Kitchen(journal)
    monkeypatch.setattr(resident, "run_many", kitchen.run_many)
    return kitchen


def a_place(tmp_path: Path, *books: Runbook, **settings: Any) -> Place:
    found = []
    for book in books:
        path = tmp_path / f"{book.name}.md"
        path.write_text(f"{book.summary}\n")
        found.append(replace(book, path=path))
    shop = a_system(a_metric("grave", priority="P1"), a_metric("light", priority="P3"))
    held = Settings("sandbox", "UTC", "", tmp_path, "A site", **settings)
    return Place(Catalogue(tmp_path, {"shop": shop}, {book.slug: book for book in found}, held), "sandbox", {})


def scheduled(name: str, cron: str = "* * * * *", **changes: Any) -> Runbook:
    policy = {key: changes.pop(key) for key in ("overlap", "catch_up") if key in changes}
    return replace(a_runbook(name, **changes), schedule=Cron(cron, **policy))


def a_scheduler(place: Place, journal: Journal, notes: Notes, jobs: int = 2) -> Resident:
    # The runs' times are the real ones, as their leases are; what is due is asked of the time that a test gives.
    return Resident(lambda: place, journal, clock=lambda: datetime.now(UTC), jobs=jobs, reporter=notes)


def test_what_is_due_is_run_once(tmp_path: Path, journal: Journal, kitchen: Kitchen) -> None:
    """Each due slot is claimed and run once, and a runbook that was away for days runs once, not once for each time."""
    notes = Notes()
    scheduler = a_scheduler(
        a_place(tmp_path, scheduled("morning", "0 7 * * *"), scheduled("hourly", "0 * * * *")), journal, notes
    )
    now = datetime.now(UTC)
    scheduler.tick(now)
    for slug in ("shop/morning", "shop/hourly"):
        kitchen.finish(scheduler, slug)
    scheduler.tick(now)
    scheduler.end()
    assert sorted(text.split()[1] for text in notes.told if text.startswith("took")) == ["shop/hourly", "shop/morning"]
    assert {run.runbook: run.state for run in journal.runs()} == {
        "shop/morning": RunState.FINISHED,
        "shop/hourly": RunState.FINISHED,
    }


def test_only_what_can_begin_is_claimed(tmp_path: Path, journal: Journal, kitchen: Kitchen) -> None:
    """With room for one run the graver runbook is first, and the slot of the other stays free for another scheduler."""
    notes = Notes()
    books = (scheduled("a-light", summary='check("light")'), scheduled("b-grave", summary='check("grave")'))
    scheduler = a_scheduler(a_place(tmp_path, *books), journal, notes, jobs=1)
    now = datetime.now(UTC)
    scheduler.tick(now)
    assert set(journal.last_slots("sandbox")) == {"shop/b-grave"}
    kitchen.finish(scheduler, "shop/b-grave")
    scheduler.tick(now)
    kitchen.finish(scheduler, "shop/a-light")
    scheduler.end()
    assert [text.split()[1] for text in notes.told if text.startswith("took")] == ["shop/b-grave", "shop/a-light"]


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (Overlap.WAIT, ["took shop/slow 09:00", "took shop/slow 09:02"]),
        (Overlap.SKIP, ["took shop/slow 09:00", "passed over shop/slow 09:01", "passed over shop/slow 09:02"]),
        (Overlap.ALLOW, ["took shop/slow 09:00", "took shop/slow 09:01", "took shop/slow 09:02"]),
    ],
    ids=lambda value: getattr(value, "value", ""),
)
def test_a_run_longer_than_its_interval(
    tmp_path: Path, journal: Journal, kitchen: Kitchen, overlap: Overlap, expected: list[str]
) -> None:
    """40: a runbook that is due again while it still runs waits and then runs once, is left out with an event, or runs beside."""
    notes = Notes()
    slow = scheduled("slow", overlap=overlap, catch_up=CatchUp.LAST)
    scheduler = a_scheduler(a_place(tmp_path, slow), journal, notes, jobs=3)
    for minutes in range(3):
        scheduler.tick(NOW + minutes * MINUTE)
        time.sleep(0.05)
    if overlap is Overlap.WAIT:
        kitchen.finish(scheduler, "shop/slow")
    scheduler.tick(NOW + 2 * MINUTE + timedelta(seconds=30))
    scheduler.end()
    assert [text for text in notes.told if text.startswith(("took", "passed"))] == expected
    passed = [event.detail["due_at"] for event in journal.events(kind="slot-passed-over")]
    assert len(passed) == sum(text.startswith("passed") for text in expected)


def test_a_runbook_that_runs_elsewhere_is_not_begun_here(tmp_path: Path, journal: Journal, kitchen: Kitchen) -> None:
    """A runbook that another process, or a person, is running counts as going on."""
    elsewhere = a_run(datetime.now(UTC), runbook="shop/slow")
    journal.start_run(elsewhere)
    notes = Notes()
    scheduler = a_scheduler(a_place(tmp_path, scheduled("slow")), journal, notes)
    scheduler.tick(datetime.now(UTC))
    assert not [text for text in notes.told if text.startswith("took")]
    journal.finish_run(ended(elsewhere), [])
    scheduler.tick(datetime.now(UTC))
    scheduler.end()
    assert [text for text in notes.told if text.startswith("took")]


def test_a_clock_that_jumps_runs_nothing_twice(tmp_path: Path, journal: Journal, kitchen: Kitchen) -> None:
    """42: a clock that is set forward and back again by days runs each time at most once, and the schedule goes on."""
    notes = Notes()
    scheduler = a_scheduler(a_place(tmp_path, scheduled("hourly", "0 * * * *")), journal, notes)
    for now in (NOW, NOW + timedelta(days=2), NOW - timedelta(days=2), NOW, NOW + timedelta(days=2, hours=1)):
        before = len(notes.told)
        scheduler.tick(now)
        if any(text.startswith("took") for text in notes.told[before:]):
            kitchen.finish(scheduler, "shop/hourly")
    scheduler.end()
    took = [text for text in notes.told if text.startswith("took")]
    assert len(took) == 3  # at first, after the jump forward, and when time has passed that moment again


def test_of_two_schedulers_one_samples(tmp_path: Path, journal: Journal) -> None:
    """One scheduler holds the sign and samples; when it ends, the other one takes over at its next sign."""
    often = a_metric("often", every=timedelta(minutes=5), probe={"kind": "host", "measure": "memory"})
    place = replace(
        a_place(tmp_path),
        catalogue=Catalogue(tmp_path, {"shop": a_system(often)}, {}, Settings("sandbox", "UTC", "", tmp_path, "")),
    )
    first, second, notes, others = None, None, Notes(), Notes()
    first, second = a_scheduler(place, journal, notes), a_scheduler(place, journal, others)
    second._me = "host-2:7 - -"
    now = datetime.now(UTC)
    first.tick(now)
    second.tick(now)
    first.end()
    second.tick(datetime.now(UTC) + timedelta(seconds=20))
    second.end()
    assert notes.told == ["samples 1"]
    assert others.told == [f"samples 0 by {first._me.partition(' ')[0]}", "samples 1"]


def test_a_sign_of_life_is_given(tmp_path: Path, journal: Journal) -> None:
    """41: as long as the scheduler lives the journal and the file of `alive` say so; when it is dead neither does any more."""
    alive = tmp_path / "alive"
    scheduler = a_scheduler(a_place(tmp_path, alive=str(alive)), journal, Notes())
    now = datetime.now(UTC)
    scheduler.tick(now)
    ends = time.monotonic() + 10
    while not alive.exists() and time.monotonic() < ends:
        time.sleep(0.01)
    (sign,) = journal.signs("sandbox")
    assert sign.at == now
    assert sign.until > now
    assert datetime.fromisoformat(alive.read_text().strip()) == now
    back = now - timedelta(days=1)
    scheduler.tick(back)
    assert [sign.at for sign in journal.signs("sandbox")] == [back]  # a clock that is set back silences nobody
    scheduler.end()
    (sign,) = journal.signs("sandbox")
    assert sign.until <= datetime.now(UTC)


def test_a_journal_that_is_away_stops_nothing_for_good(
    tmp_path: Path, journal: Journal, kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the journal does not answer nothing is begun, which is said once; when it is back the schedule goes on."""
    notes = Notes()
    scheduler = a_scheduler(a_place(tmp_path, scheduled("hourly", "0 * * * *")), journal, notes)
    asked = journal.last_slots

    def away(*_: object) -> None:
        raise ServiceAway("the journal's database does not answer")

    monkeypatch.setattr(journal, "last_slots", away)
    now = datetime.now(UTC)
    scheduler.tick(now)
    scheduler.tick(now)
    monkeypatch.setattr(journal, "last_slots", asked)
    scheduler.tick(now)
    scheduler.end()
    assert [text.split()[0] for text in notes.told] == ["samples", "away", "took", "back"]


def test_what_runs_when_it_ends_is_journaled(tmp_path: Path, journal: Journal, kitchen: Kitchen) -> None:
    """Asked to end, the scheduler ends what runs and journals it as cancelled, and signs off."""
    stop, notes = threading.Event(), Notes()
    scheduler = a_scheduler(a_place(tmp_path, scheduled("slow")), journal, notes)
    living = threading.Thread(target=scheduler.run, args=(stop,))
    living.start()
    ends = time.monotonic() + 10
    while "shop/slow" not in kitchen.running and time.monotonic() < ends:
        time.sleep(0.01)
    stop.set()
    living.join(20)
    assert not living.is_alive()
    assert [run.state for run in journal.runs()] == [RunState.CANCELLED]


SITE = """site_name: Shop
plugins:
  - proofbook: {environment: test}
"""
SYSTEM = """system: shop
title: Shop
summary: Sells.
environments: {test: {root: /}}
metrics:
  disk: {title: Disk, unit: "%", probe: {kind: host, measure: disk, path: "{root}"}, critical: "> 99 %"}
"""


def test_what_people_change_is_read_anew(tmp_path: Path, journal: Journal) -> None:
    """A changed file holds at the next look; a broken one is told, once, and what held before still does."""
    folder = tmp_path / "docs" / "systems" / "shop"
    folder.mkdir(parents=True)
    (tmp_path / "mkdocs.yml").write_text(SITE)
    (folder / "system.yml").write_text(SYSTEM)
    look, notes = Lookout(tmp_path, None, lambda _state, _environment: {}), Notes()
    assert look().catalogue is look().catalogue
    scheduler = Resident(look, journal, clock=lambda: NOW, jobs=1, reporter=notes)
    scheduler.tick(NOW)
    (folder / "system.yml").write_text(SYSTEM.replace("> 99 %", "> 98 %"))
    scheduler.tick(NOW + MINUTE)
    assert scheduler._place.catalogue.metric("shop/disk").critical is not None
    (folder / "system.yml").write_text(SYSTEM.replace("> 99 %", "> > 97 %"))
    scheduler.tick(NOW + 2 * MINUTE)
    scheduler.tick(NOW + 3 * MINUTE)
    limit = scheduler._place.catalogue.metric("shop/disk").critical
    assert limit is not None
    assert limit.text == "> 98 %"
    (folder / "system.yml").write_text(SYSTEM)
    scheduler.tick(NOW + 4 * MINUTE)
    scheduler.end()
    assert [text.partition(":")[0] for text in notes.told] == ["samples 0", "reloaded", "broken", "reloaded"]
