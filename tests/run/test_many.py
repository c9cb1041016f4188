"""Several runs at once, and what the journal hears of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from checks.errors import CannotWrite
from checks.journal import open_journal
from checks.model import Result, Run, RunState, Status
from checks.run.ends import Outcome, Prepared
from checks.run.execution import failed
from checks.run.many import Watcher, run_many, worst_first
from tests.run.project import CHECK, Project, now

FLOUR = '```python\nfrom checks import check\ncheck("flour")\n```\n'
WAIT = "```python\nimport time\ntime.sleep(60)\n```\n"


class Recorder:
    """A journal that only remembers what it was told, and by which thread."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Run, int]] = []
        self.threads: set[str] = set()

    def start_run(self, run: Run) -> None:
        self.told.append(("start", run, 0))
        self.threads.add(threading.current_thread().name)

    def finish_run(self, run: Run, results: Iterable[Result]) -> None:
        self.told.append(("finish", run, len(tuple(results))))
        self.threads.add(threading.current_thread().name)


@pytest.mark.usefixtures("origin")
def test_each_run_is_journaled_as_it_begins_and_as_it_ends(project: Project) -> None:
    """The recorder hears a start before and an end after each run, from the caller's thread only."""
    slugs = [project.write(CHECK, "one"), project.write("```python\n1 / 0\n```\n", "two"), project.write(FLOUR, "three")]
    recorder = Recorder()
    outcomes = run_many(project.prepared(*slugs), recorder, clock=now, jobs=2)
    assert [outcome.run.runbook for outcome in outcomes] == slugs
    assert [outcome.run.state.value for outcome in outcomes] == ["finished", "failed", "finished"]
    for slug, results in zip(slugs, (1, 0, 1), strict=True):
        heard = [(kind, run.state.ended, count) for kind, run, count in recorder.told if run.runbook == slug]
        assert heard == [("start", False, 0), ("finish", True, results)]
    assert recorder.threads == {threading.current_thread().name}
    assert [outcome.run.runbook for outcome in worst_first(outcomes)] == ["shop/two", "shop/one", "shop/three"]


def test_the_real_journal_holds_what_was_found(project: Project) -> None:
    """Runs, results with their places, and observations are found again in the journal."""
    slug = project.write(CHECK + "\n## Flour\n\n" + FLOUR)
    with open_journal(project.catalogue.settings.journal) as journal:
        (outcome,) = run_many(project.prepared(slug), journal, clock=now)
        assert journal.run(outcome.run.id) == outcome.run
        assert journal.results(outcome.run.id) == list(outcome.results)
        ((_, value),) = journal.observations("shop/flour", "test", outcome.run.started_at)
        assert value == 20.0


def test_runs_share_the_time(project: Project) -> None:
    """Two runs that each wait end together when two may run at once."""
    body = "```python\nimport time\ntime.sleep(3)\n```\n" + CHECK
    slugs = [project.write(body, "one"), project.write(body, "two")]
    began = time.monotonic()
    outcomes = run_many(project.prepared(*slugs), Recorder(), clock=now, jobs=2)
    assert {outcome.run.status for outcome in outcomes} == {Status.OK}
    first, second = (outcome.run for outcome in outcomes)
    assert first.ended_at is not None
    assert second.started_at < first.ended_at
    assert time.monotonic() - began >= 3


def test_a_deadline_counts_from_the_beginning_of_its_own_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that waits for a place has neither begun nor lost any of its time: its start is noted when its turn comes."""
    under_way, most, late = set[str](), [], []

    def execute(prepared: Prepared, **_: object) -> Outcome:
        late.append((now() - prepared.run.started_at).total_seconds())
        under_way.add(prepared.run.id)
        most.append(len(under_way))
        time.sleep(0.1)
        under_way.remove(prepared.run.id)
        return failed(prepared, "it was only pretended", now())

    monkeypatch.setattr("checks.run.many.execute", execute)
    slugs = [project.write(CHECK, f"b{number}") for number in range(20)]
    outcomes = run_many(project.prepared(*slugs), Recorder(), clock=now, jobs=2)
    assert max(most) == 2
    starts = sorted(outcome.run.started_at for outcome in outcomes)
    assert (starts[-1] - starts[0]).total_seconds() >= 0.8
    assert max(late) < 0.8


def test_a_journal_that_fails_ends_what_is_running(project: Project) -> None:
    """When the journal cannot be written the error is raised at once, and no run goes on unrecorded."""

    class Full(Recorder):
        def start_run(self, run: Run) -> None:
            if self.told:
                raise CannotWrite("the disk is full")
            super().start_run(run)

    began = time.monotonic()
    recorder = Full()
    with pytest.raises(CannotWrite):
        run_many(project.prepared(project.write(WAIT, "one"), project.write(WAIT, "two")), recorder, clock=now, jobs=2)
    assert time.monotonic() - began < 20
    assert [(kind, run.state) for kind, run, _ in recorder.told][-1] == ("finish", RunState.CANCELLED)


def test_a_bug_of_ours_is_an_outcome(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """An exception in our own code fails its run, is shown, and leaves the other runs alone."""

    class Broken(Watcher):
        def reached(self, run: Run, _step: object) -> None:
            if run.runbook == "shop/one":
                raise ZeroDivisionError("ours")

    slugs = [project.write(CHECK, "one"), project.write(CHECK, "two")]
    outcomes = run_many(project.prepared(*slugs), Recorder(), clock=now, jobs=2, watcher=Broken())
    assert [outcome.run.status.value for outcome in outcomes] == ["unknown", "ok"]
    assert outcomes[0].run.reason == "a bug in Proofbook: ZeroDivisionError: ours"
    assert "ZeroDivisionError: ours" in capsys.readouterr().err


@pytest.mark.usefixtures("origin")
def test_ctrl_c_is_journaled_as_cancelled(project: Project) -> None:
    """An interrupt ends the kernels, journals what ran as cancelled, and leaves no trace of what had not begun."""
    slugs = [project.write(WAIT, name) for name in ("one", "two", "three")]
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\nfrom pathlib import Path\n"
        "from checks.catalogue import load\nfrom checks.journal import open_journal\nfrom checks.model import Trigger\n"
        "from checks.run.execution import prepare\nfrom checks.run.many import run_many, Watcher\n"
        "from tests.run.project import now\n"
        "class Loud(Watcher):\n    def reached(self, run, step): print('reached', flush=True)\n"
        "c = load(Path(sys.argv[2]))\n"
        "p = [prepare(c.runbooks[s], c, environment='test', variables={}, parameters={}, trigger=Trigger.COMMAND, now=now())"
        " for s in sys.argv[3:]]\n"
        "run_many(p, open_journal(c.settings.journal), clock=now, jobs=2, watcher=Loud())\n"
    )
    repository = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", code, repository, str(project.root), *slugs],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"reached\n"
        assert process.stdout.readline() == b"reached\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in said
    with open_journal(project.catalogue.settings.journal) as journal:
        states = {run.runbook: run.state for run in journal.runs()}
    assert states == {"shop/one": RunState.CANCELLED, "shop/two": RunState.CANCELLED}
