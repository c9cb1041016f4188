"""What ``proofbook run --replay`` does: a recorded run once more, and a table of what differs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from checks.cli._shared import say, variables, workspace

if TYPE_CHECKING:
    from checks.model import Status
    from checks.run.replay import Replay


def replay(run_id: str, root: Path | None, environment: str | None, *, as_json: bool) -> Status:
    """Execute a recorded run again, print what differs, and note in the journal that this was done; the status that it has now.

    Raises:
        DataError: there is no such run, or what it rested on is not here.

    """
    from datetime import UTC, datetime

    from checks.cli._ending import ending_cleanly
    from checks.errors import DataError
    from checks.journal import open_journal
    from checks.run.replay import replay as execute_again

    place = workspace(root, environment)
    settings = place.catalogue.settings
    with open_journal(settings.journal) as journal:
        run = journal.run(run_id)
        if run is None or not run.state.ended or environment not in (None, run.environment):
            raise DataError(
                "there is no such run to replay",
                where=run_id,
                expected=f"the id of a run in {environment} that has ended" if environment else "the id of a run that has ended",
                found=f"a run in {run.environment} that is {run.state.value}" if run else "none in the journal",
                remedy="see `runs` in proofbook run --format json, or the runbook's page",
            )
        with ending_cleanly():
            found = execute_again(run, place.catalogue, variables(settings.state, run.environment), lambda: datetime.now(UTC))
        again = found.now.run
        detail = {
            "runbook": run.runbook,
            "environment": run.environment,
            "status": again.status.value,
            "differences": len(found.differs),
            "evidence": again.evidence,
        }
        journal.record_event("run-replayed", datetime.now(UTC), run.id, again.actor, detail)
    _print_json(found) if as_json else _print(found)
    return again.status


def _print(found: Replay) -> None:
    from checks.cli._tables import print_table
    from checks.journal.formats import inert

    then, now = found.then, found.now.run
    if found.differs:
        rows = [(inert(one.what), inert(one.then), inert(one.now)) for one in found.differs]
        print_table(("what differs", "then", "now"), rows, {})
    else:
        print("nothing differs")
    took = (now.ended_at - now.started_at).total_seconds() if now.ended_at else 0.0
    say(
        f"{then.runbook} of {then.started_at:%Y-%m-%d %H:%M} UTC was {then.status.value} and is {now.status.value} ({took:.1f} s)"
    )
    say(f"evidence of the replay: {now.evidence or 'none could be kept'}")


def _print_json(found: Replay) -> None:
    import json

    then, now = found.then, found.now.run
    told = {
        "version": 1,
        "run": then.id,
        "runbook": then.runbook,
        "environment": then.environment,
        "then": {"state": then.state.value, "status": then.status.value, "evidence": then.evidence},
        "now": {"state": now.state.value, "status": now.status.value, "evidence": now.evidence},
        "differs": [{"what": one.what, "then": one.then, "now": one.now} for one in found.differs],
    }
    print(json.dumps(told, indent=2, ensure_ascii=False))
