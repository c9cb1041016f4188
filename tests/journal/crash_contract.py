"""What is left when a writer is killed; a test class of each database inherits these."""

from __future__ import annotations

import signal
import subprocess
import sys

from checks.journal import open_journal
from checks.model import RunState, Status
from tests.journal.samples import a_result, ended, keep

_KILLED = """
import os, signal, sys
import sqlalchemy as sa
from checks.journal import _tables, open_journal
from tests.journal.samples import a_result, a_run, ended
url, moment = sys.argv[1:]
journal = open_journal(url)
run = a_run()
journal.start_run(run)
if moment == "inside":
    def die(connection, cursor, statement, *_):
        if "INSERT INTO events" in statement:  # the last statement of the transaction: everything else is written
            os.kill(os.getpid(), signal.SIGKILL)
    sa.event.listen(journal._engine, "after_cursor_execute", die)
    # More than SQLite's page cache holds, so that half of it has really reached the file.
    journal.finish_run(ended(run), [a_result(f"m-{n}", reason="x" * 4000) for n in range(2000)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def _kill(url: str, moment: str) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, url, moment], timeout=60, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr


class CrashContract:
    def test_a_run_killed_between_start_and_end_is_only_started(self, url: str) -> None:
        """A process killed between start and finish leaves a run without an end, no result, and a journal that works."""
        _kill(url, "between")
        with open_journal(url) as journal:
            (run,) = journal.runs()
            assert (run.state, run.status) == (RunState.RUNNING, Status.UNKNOWN)
            assert journal.results(run.id) == []
            assert journal.latest_runs("sandbox") == {}
            lost = ended(run, Status.UNKNOWN, state=RunState.LOST, reason="its process is gone")
            journal.finish_run(lost, [])
            assert journal.latest_runs("sandbox") == {"shop/morning": lost}

    def test_a_run_killed_inside_its_last_transaction_leaves_no_half(self, url: str) -> None:
        """A process killed while results are being written leaves none of them, and the next writer finds the journal whole."""
        _kill(url, "inside")
        with open_journal(url) as journal:
            (run,) = journal.runs()
            assert run.state is RunState.RUNNING
            assert journal.results(run.id) == []
            assert journal.latest_results("sandbox") == {}
            assert journal.events() == []
            done = keep(journal, a_result(), id="01ARZ3NDEKTSV4RRFFQ69G5FAV", runbook="shop/next")
            assert journal.latest_runs("sandbox") == {"shop/next": done}
