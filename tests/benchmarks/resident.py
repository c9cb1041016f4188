"""Proofbook as a resident scheduler has it: everything loaded, one round not counted.

``python -m tests.benchmarks.resident SITE JOBS`` prints the seconds that the second round took.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from checks.catalogue import load
from checks.journal import open_journal
from checks.model import RunState, Trigger
from checks.run import selection
from checks.run.ends import Prepared
from checks.run.many import run_many


def main(root: Path, jobs: int) -> None:
    """Run all runbooks twice."""
    catalogue = load(root)

    def prepared() -> list[Prepared]:
        books = selection.here(catalogue, "production")
        return selection.prepare_all(
            books,
            catalogue,
            environment="production",
            variables={},
            parameters={},
            trigger=Trigger.SCHEDULE,
            now=datetime.now(UTC),
        )

    def run(runs: Iterable[Prepared]) -> None:
        outcomes = run_many(runs, journal, clock=lambda: datetime.now(UTC), jobs=jobs)
        if any(outcome.run.state is not RunState.FINISHED for outcome in outcomes):
            raise SystemExit("a runbook did not finish")

    with open_journal(catalogue.settings.journal) as journal:
        run(prepared()[: 2 * jobs])
        started = time.perf_counter()
        run(prepared())
        print(time.perf_counter() - started)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
