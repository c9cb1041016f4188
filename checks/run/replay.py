"""Executes a run once more from what it rested on then, and tells what differs.

Source, system (metrics, probes and limits), parameters and earlier values are those of the run; settings, secrets, packages
and the machine are today's. A replay is no measurement of record: nothing that pages or alerts read is written by it, as it
judges by limits that may be long gone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from checks.catalogue import read_runbook
from checks.errors import DataError
from checks.model import Run, System, Trigger
from checks.run import basis, checkpoint, differences, evidence, files, inputs, record
from checks.run._decoding import decode
from checks.run.ends import Outcome, Prepared
from checks.run.execution import execute, prepare
from checks.run.redact import MASK

if TYPE_CHECKING:
    from checks.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Replay:
    """A run and its repetition.

    Attributes:
        then: the run as it was recorded.
        now: what executing it again came to; its evidence is kept.
        differs: what is not the same, in the order of context, ending, results and outputs.

    """

    then: Run
    now: Outcome
    differs: tuple[differences.Difference, ...]


def replay(run: Run, catalogue: Catalogue, variables: Mapping[str, str], clock: Callable[[], datetime]) -> Replay:
    """Execute a run's read steps once more.

    Args:
        run: a run that has ended.
        catalogue: the project; of it only the settings are used.
        variables: what ``${NAME}`` in the system's environment is filled from.
        clock: gives the time, aware, in UTC.

    Raises:
        DataError: what the run rested on is not here any more, or was never whole.

    """
    state = catalogue.settings.state
    told = _evidence_of(run, state)
    with _as_it_was(run, catalogue, variables, told, clock()) as prepared:
        try:
            outcome = execute(prepared, clock=clock)
        finally:
            checkpoint.forget(state, prepared.run.id)
    return Replay(run, outcome, differences.between(run, told, outcome))


@contextmanager
def _as_it_was(
    run: Run, catalogue: Catalogue, variables: Mapping[str, str], told: Mapping[str, Any], now: datetime
) -> Iterator[Prepared]:
    """The run made ready once more; its source lies in a folder of its own meanwhile."""
    state = catalogue.settings.state
    system = _system_of(run, state)
    source = _kept(state, run.source, "source", run)
    if any(MASK in value for value in run.parameters.values() if isinstance(value, str)):
        raise DataError("a parameter held a secret, which was not recorded", where=run.id, remedy="run it with `--param` instead")
    declared = files.recorded(state, run.basis.get(basis.FILES, ""))
    if declared is None:
        raise DataError("the run's files are not kept here", where=run.id, remedy="run it anew")
    with TemporaryDirectory(prefix="proofbook-replay-") as folder:
        path = Path(folder, run.system, f"{run.runbook.partition('/')[2]}.md")
        path.parent.mkdir()
        path.write_bytes(source)
        files.lay_out(declared, state, path.parent)
        runbook = read_runbook(path, path.parent, {system.name: system})
        then = replace(catalogue, systems={system.name: system}, runbooks={runbook.slug: runbook})
        prepared = prepare(
            runbook,
            then,
            environment=run.environment,
            variables=variables,
            parameters=run.parameters,
            trigger=Trigger.COMMAND,
            now=now,
        )
        earlier = told.get("metadata", {}).get("proofbook", {}).get("history", {})
        history = {name: tuple((datetime.fromisoformat(at), value) for at, value in values) for name, values in earlier.items()}
        prepared = replace(prepared, history=history)
        made_with = {**record.made_with(prepared), "replays": run.id}
        yield replace(prepared, run=replace(prepared.run, made_with=made_with))


def _system_of(run: Run, state: Path) -> System:
    try:
        return decode(System, json.loads(_kept(state, run.basis.get(basis.SYSTEM, ""), "system.yml", run)))
    except ValueError as error:
        raise DataError(
            "the system was recorded by another version of Proofbook", where=run.id, found=str(error), remedy="run it anew"
        ) from error


def _kept(state: Path, digest: str, what: str, run: Run) -> bytes:
    found = inputs.find(state, digest)
    if found is None:
        raise DataError(
            f"the run's {what} is not kept here",
            where=run.id,
            expected=str(inputs.path_of(state, digest)) if digest else "a run that recorded what it rested on",
            remedy=f"replay it on {run.host}, or where its state folder is" if run.host else None,
        )
    return found


def _evidence_of(run: Run, state: Path) -> Mapping[str, Any]:
    """The notebook that was kept of a run; empty where none was, or it is not what it was."""
    try:
        data = evidence.path_of(state, run.evidence).read_bytes() if run.evidence else b""
    except OSError:
        return {}
    if hashlib.sha256(data).hexdigest() != run.evidence:
        return {}
    found: Mapping[str, Any] = json.loads(data)
    return found
