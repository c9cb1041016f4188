"""The ends of runs that the journal could not take: kept in files until it answers again, then written once, in their order.

A run that ends while the journal's database is away is whole in one file: its end and every result. The next command that
opens the journal writes it as the run itself would have. Whether the database had taken it after all, in the moment in which
it went away, is seen by the end that stands there; and a run that was given up as lost meanwhile stays lost.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from checks.errors import CannotWrite, Refused
from checks.model import Result, Run

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Told = tuple[Run, tuple[Result, ...]]

LATE = "run-came-late"
"""The kind of event that notes what was brought after its run had been given up as lost."""


@runtime_checkable
class Keeper(Protocol):
    """Where the end of a run may be written later; the journal is one."""

    def finish_run(self, run: Run, results: Iterable[Result]) -> None:
        """Note a run's end with all it found, in one transaction."""

    def run(self, id: str) -> Run | None:  # noqa: A002  the word everywhere else, too
        """The run with an id, or ``None``."""

    def record_event(self, kind: str, at: datetime, subject: str, actor: str, detail: Mapping[str, object]) -> None:
        """Note something that happened."""


@dataclass(frozen=True, slots=True)
class Flushed:
    """What became of the files.

    Attributes:
        written: runs whose end the journal has now.
        refused: runs that were given up as lost before.
        unread: files that are no ends of runs, or of runs that this journal does not know; they are left, renamed.

    """

    written: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def folder_of(state: Path) -> Path:
    """Where the files are, below the project's state folder."""
    return state / "spool"


def keep(state: Path, run: Run, results: Iterable[Result]) -> Path:
    """Keep a run's end for later; the file is there as a whole, or not at all.

    Raises:
        CannotWrite: the disk takes nothing more.

    """
    ended_at = run.ended_at or run.started_at
    path = folder_of(state) / f"{ended_at:%Y%m%dT%H%M%S.%f}-{run.id}.json"
    data = json.dumps(_adapter().dump_python((run, tuple(results)), mode="json"), ensure_ascii=False).encode()
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise CannotWrite("a run's end can be kept nowhere", where=str(path), found=str(error.strerror)) from error
    return path


def waiting(state: Path) -> list[Path]:
    """The files that wait, in the order in which their runs ended."""
    return sorted(folder_of(state).glob("*.json"))


def flush(journal: Keeper, state: Path, now: datetime) -> Flushed:
    """Write what waits; where the journal is away again, the rest waits on.

    Raises:
        ServiceAway: the journal is away again.
        Busy: another process holds it for too long.

    """
    written, refused, unread = [], [], []
    for path in waiting(state):
        try:
            told = _read(path)
        except FileNotFoundError:
            continue  # another command has written it meanwhile
        if told is None:
            _put_aside(path)
            unread.append(path.name)
            continue
        run, results = told
        try:
            journal.finish_run(run, results)
            written.append(run.id)
        except Refused as error:
            there = journal.run(run.id)
            if there is None:  # another journal than the one that its run began in
                _put_aside(path)
                unread.append(path.name)
                continue
            if (there.state, there.ended_at, there.evidence) == (run.state, run.ended_at, run.evidence):
                written.append(run.id)  # it had been taken; only the answer was lost
            else:
                detail = {"runbook": run.runbook, "state": run.state.value, "status": run.status.value, "why": error.what}
                journal.record_event(LATE, now, run.id, run.actor, detail)
                refused.append(run.id)
        path.unlink(missing_ok=True)
    return Flushed(tuple(written), tuple(refused), tuple(unread))


def _read(path: Path) -> Told | None:
    try:
        told: Told = _adapter().validate_python(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        return None
    return told


def _put_aside(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.replace(path.with_suffix(".unread"))


@cache
def _adapter() -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(Told)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
