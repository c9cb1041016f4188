"""The inputs of runs, kept once each by their digest, so that a run can be repeated when the files have changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from checks.run import basis, evidence
from checks.run.context import plain

if TYPE_CHECKING:
    from checks.run.ends import Prepared


def path_of(state: Path, digest: str) -> Path:
    """Where an input of a digest is kept below the project's state folder."""
    return state / "inputs" / digest[:2] / digest


def keep(prepared: Prepared, source: bytes) -> None:
    """Keep what a run rests on: its runbook's file, and its system as the catalogue has it.

    Raises:
        CannotWrite: the disk is full or may not be written to.

    """
    state, run = prepared.catalogue.settings.state, prepared.run
    put(state, run.source, source)
    digest = run.basis.get(basis.SYSTEM)
    if digest and not path_of(state, digest).exists():
        system = prepared.catalogue.systems[prepared.runbook.system]
        put(state, digest, json.dumps(system, default=plain, sort_keys=True).encode())


def find(state: Path, digest: str) -> bytes | None:
    """An input; ``None`` where it is not here, or is not what it was."""
    try:
        data = path_of(state, digest).read_bytes() if digest else b""
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == digest else None


def put(state: Path, digest: str, data: bytes) -> None:
    """Keep an input, unless it is there or has no digest.

    Raises:
        CannotWrite: the disk is full or may not be written to.

    """
    path = path_of(state, digest)
    if digest and not path.exists():
        evidence.write(state, path, data)
