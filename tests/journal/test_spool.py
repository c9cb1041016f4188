"""Ends of runs that the journal could not take wait in files, and are written once, in their order."""

from __future__ import annotations

import math
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from checks.errors import ServiceAway
from checks.journal import Journal, open_journal, spool
from checks.model import BaselineUsed, Run, RunState, Status
from tests.journal.samples import NOW, a_result, a_run, ended

LATER = NOW + timedelta(hours=1)


def _started(journal: Journal, number: int = 0) -> Run:
    run = a_run(NOW + timedelta(minutes=number), basis={"system": "ab"}, made_with={"limits": {"cpu": 3}})
    journal.start_run(run)
    return run


def test_what_waited_is_what_was_given(journal: Journal, tmp_path: Path) -> None:
    """A run's end and all its results are written as they were, odd numbers and baselines included; the file is gone."""
    run = ended(_started(journal), Status.WARNING)
    results = [
        a_result(status=Status.WARNING, baseline=BaselineUsed(0.1 + 0.2, "%", 412, "median")),
        a_result("odd", Status.UNKNOWN, value=math.nan),
        a_result("gone", Status.UNKNOWN, value=None),
    ]
    path = spool.keep(tmp_path, run, results)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert spool.flush(journal, tmp_path, LATER).written == (run.id,)
    assert journal.run(run.id) == run
    (first, odd, gone) = journal.results(run.id)
    assert (first, gone) == (results[0], results[2])
    assert odd.observation is not None
    assert math.isnan(odd.observation.value)
    assert spool.waiting(tmp_path) == []
    assert journal.verify(None).findings == []


def test_they_are_written_in_the_order_in_which_runs_ended(journal: Journal, tmp_path: Path) -> None:
    """Of several that wait, the one that ended first is written first, whenever it was kept."""
    runs = [ended(_started(journal, number), after=timedelta(hours=number)) for number in range(3)]
    for run in reversed(runs):
        spool.keep(tmp_path, run, [])
    assert spool.flush(journal, tmp_path, LATER).written == tuple(run.id for run in runs)
    assert [event.subject for event in journal.events()] == [run.id for run in reversed(runs)]


def test_many_who_write_them_write_them_once(journal: Journal, url: str, tmp_path: Path) -> None:
    """Commands that find what waits at the same moment leave one end, one set of results and one event."""
    run = ended(_started(journal))
    spool.keep(tmp_path, run, [a_result()])

    def open_it(_: int) -> None:
        open_journal(url, state=tmp_path).close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(open_it, range(4)))
    assert journal.run(run.id) == run
    assert len(journal.results(run.id)) == 1
    assert [event.kind for event in journal.events()] == ["run-ended"]
    assert spool.waiting(tmp_path) == []


def test_a_file_that_goes_while_it_is_looked_at_stops_nobody(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another command has written an end between the listing and the reading, there is nothing left to do."""
    run = ended(_started(journal))
    path = spool.keep(tmp_path, run, [])
    path.unlink()
    monkeypatch.setattr(spool, "waiting", lambda _: [path])
    assert spool.flush(journal, tmp_path, LATER) == spool.Flushed()


def test_an_end_that_was_taken_after_all_is_not_written_again(journal: Journal, tmp_path: Path) -> None:
    """Where the journal had the end already and only its answer was lost, nothing is added, and nothing is said to be late."""
    run = ended(_started(journal))
    journal.finish_run(run, [a_result()])
    spool.keep(tmp_path, run, [a_result()])
    assert spool.flush(journal, tmp_path, LATER) == spool.Flushed((run.id,))
    assert len(journal.results(run.id)) == 1
    assert len(journal.events()) == 1


def test_a_run_that_was_given_up_stays_lost(journal: Journal, tmp_path: Path) -> None:
    """What comes after a run was given up is refused, with an event that says so; pages go on saying lost."""
    run = _started(journal)
    journal.finish_run(ended(run, Status.UNKNOWN, state=RunState.LOST), [])
    spool.keep(tmp_path, ended(run, after=timedelta(minutes=2)), [a_result()])
    assert spool.flush(journal, tmp_path, LATER).refused == (run.id,)
    assert journal.latest_runs("sandbox")["shop/morning"].state is RunState.LOST
    assert journal.results(run.id) == []
    assert journal.events()[0].kind == spool.LATE
    assert spool.waiting(tmp_path) == []


def test_what_is_no_end_of_a_run_is_left(journal: Journal, tmp_path: Path) -> None:
    """A file that was damaged, or that belongs to another journal, is put aside and stops nobody."""
    path = spool.keep(tmp_path, ended(a_run()), [])
    torn = path.with_name("0-torn.json")
    torn.write_text(path.read_text()[:-9])
    run = ended(_started(journal, 5))
    spool.keep(tmp_path, run, [])
    told = spool.flush(journal, tmp_path, LATER)
    assert (told.written, set(told.unread)) == ((run.id,), {torn.name, path.name})
    assert {one.name for one in spool.folder_of(tmp_path).iterdir()} == {"0-torn.unread", path.with_suffix(".unread").name}


def test_what_waits_waits_on_while_the_journal_is_away(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the journal goes away again, the rest is left for the next time."""
    runs = [ended(_started(journal, number)) for number in range(2)]
    for run in runs:
        spool.keep(tmp_path, run, [])
    inherited = journal.finish_run

    def once(run: Run, results: object) -> None:
        if run.id == runs[1].id:
            raise ServiceAway("the journal's database does not answer")
        inherited(run, ())

    monkeypatch.setattr(journal, "finish_run", once)
    with pytest.raises(ServiceAway):
        spool.flush(journal, tmp_path, LATER)
    assert len(spool.waiting(tmp_path)) == 1
    monkeypatch.undo()
    assert spool.flush(journal, tmp_path, LATER).written == (runs[1].id,)
    assert replace(runs[0]) == journal.run(runs[0].id)
