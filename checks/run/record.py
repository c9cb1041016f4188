"""Writes a run's beginning and its end where runs are recorded, once each, whatever happened meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from checks.errors import Busy, Refused, ServiceAway
from checks.journal import spool
from checks.model import Result, Run, RunState, Status
from checks.run import bounds, checkpoint
from checks.run.context import plain
from checks.run.ends import Outcome, Prepared
from checks.run.execution import failed
from checks.run.history import Historian, with_history
from checks.run.lost import Register, recover


class Recorder(Protocol):
    """Where runs are written; the journal is one."""

    def start_run(self, run: Run) -> None:
        """Note that a run has started."""

    def finish_run(self, run: Run, results: Iterable[Result]) -> None:
        """Note a run's end with all it found, in one transaction."""


def recover_lost(recorder: Recorder, prepared: Prepared, now: datetime) -> list[Run]:
    """End the runs that dead engines left, where the recorder knows of any; see `checks.run.lost`.

    What ended while the recorder was away is written first: it is not lost.
    """
    if isinstance(recorder, spool.Keeper):
        spool.flush(recorder, prepared.catalogue.settings.state, now)
    return recover(recorder, prepared.catalogue.settings.state, now) if isinstance(recorder, Register) else []


def begin(prepared: Prepared, recorder: Recorder, now: datetime) -> Prepared:
    """Note that a run begins now; the run as it was noted, with the history that it will judge by.

    Raises:
        Refused: its slot was taken from this process, or the run was started before.

    """
    begun = replace(prepared, run=replace(prepared.run, started_at=now))
    if isinstance(recorder, Historian):
        begun = with_history(begun, recorder, now)
    begun = replace(begun, run=replace(begun.run, made_with=made_with(begun)))
    recorder.start_run(begun.run)
    return begun


def not_begun(prepared: Prepared, refused: Refused, now: datetime) -> Outcome:
    """The outcome of a run that was not allowed to begin; nothing of it is recorded."""
    return failed(prepared, f"{refused.what}: {refused.found}", now, RunState.CANCELLED)


def finish(outcome: Outcome, recorder: Recorder, prepared: Prepared) -> Outcome:
    """Note a run's end; the outcome, lost where the run was given up meanwhile, and then nothing of it is recorded.

    Where the recorder is away, the end is kept in a file, and written by the next command that finds the recorder again.
    """
    state = prepared.catalogue.settings.state
    try:
        recorder.finish_run(outcome.run, outcome.results)
    except Refused as error:
        why = f"{error.what}: {error.found}" if error.found else error.what
        outcome = Outcome(replace(outcome.run, state=RunState.LOST, status=Status.UNKNOWN, reason=why), (), None)
    except (ServiceAway, Busy) as error:
        path = spool.keep(state, outcome.run, outcome.results)
        print(f"{error.what}; the end of {outcome.run.runbook} is kept in {path} until it does", file=sys.stderr)
    checkpoint.forget(state, outcome.run.id)
    return outcome


def made_with(prepared: Prepared) -> dict[str, object]:
    """How a run is executed, for whoever repeats it; what it rests on beside that is in `checks.run.basis`."""
    run, system = prepared.run, os.uname()
    told = {
        "environment": run.environment,
        "parameters": dict(run.parameters),
        "system": run.basis.get("system", ""),
        "history": prepared.history,
        **({"files": dict(prepared.files)} if prepared.files else {}),
    }
    return {
        "python": platform.python_version(),
        "platform": f"{system.sysname} {system.release} {system.machine}",
        "context": hashlib.sha256(json.dumps(told, default=plain, sort_keys=True).encode()).hexdigest(),
        "limits": limits_of(prepared),
    }


def limits_of(prepared: Prepared) -> dict[str, int]:
    """What the run may use: bytes, numbers and seconds by the names of `checks.run.bounds`."""
    return {**bounds.defaults(), **prepared.catalogue.settings.limits}
