"""The files that a runbook declares: kept with what its run rests on, and copied into its working directory.

They lie below the runbook's own folder, so that their names are the same in JupyterLab, which works there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from checks.errors import CannotWrite, DataError
from checks.run import inputs

if TYPE_CHECKING:
    from checks.model import Runbook

_MOST_BYTES = 16 << 20


def digests(runbook: Runbook) -> dict[str, str]:
    """The SHA-256 of each declared file as it is now, in hex, by its name.

    Raises:
        DataError: one is not there, leads out of the runbook's folder, or they are too large together.

    """
    found: dict[str, str] = {}
    room = _MOST_BYTES
    for name in runbook.files:
        data = _read(runbook, name)
        room -= len(data)
        found[name] = hashlib.sha256(data).hexdigest()
    if room < 0:
        raise DataError(
            f"the files of {runbook.slug} are too large to be kept with each run",
            where=str(runbook.path),
            expected=f"{_MOST_BYTES >> 20} MB in all at most",
            remedy="let a setting in system.yml say where the large one lies",
        )
    return found


def keep(runbook: Runbook, known: Mapping[str, str], state: Path) -> None:
    """Keep the files of a run, and which they are.

    Args:
        runbook: declares them.
        known: their digests when the run was made ready, by name.
        state: the project's state folder.

    Raises:
        DataError: one of them has changed since.
        CannotWrite: the disk is full or may not be written to.

    """
    for name, digest in known.items():
        data = _read(runbook, name)
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataError(f"{name} was changed after the run was made ready", where=str(runbook.path), remedy="run it again")
        inputs.put(state, digest, data)
    if known:
        inputs.put(state, digest_of(known), _listed(known))


def lay_out(known: Mapping[str, str], state: Path, folder: Path) -> None:
    """Put the files of a run, as they were kept, below a folder.

    Raises:
        DataError: one of them is not kept any more.
        CannotWrite: the disk is full.

    """
    for name, digest in known.items():
        data = inputs.find(state, digest)
        if data is None:
            raise DataError(f"the file {name} of the run is not kept here", where=str(inputs.path_of(state, digest)))
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_bytes(data)
        except OSError as error:
            raise CannotWrite(f"no room for the file {name}: {error.strerror}", where=str(path)) from error


def digest_of(known: Mapping[str, str]) -> str:
    """One digest for all of them."""
    return hashlib.sha256(_listed(known)).hexdigest()


def recorded(state: Path, digest: str) -> dict[str, str] | None:
    """The digests of a recorded run's files, by name; none where it had none, ``None`` where they are not kept here."""
    listed = inputs.find(state, digest) if digest else b"{}"
    return None if listed is None else dict(json.loads(listed))


def _listed(known: Mapping[str, str]) -> bytes:
    return json.dumps(dict(known), sort_keys=True).encode()


def _read(runbook: Runbook, name: str) -> bytes:
    path = runbook.path.parent / name
    try:
        inside = path.resolve(strict=True).is_relative_to(runbook.path.parent.resolve())
        if inside and path.is_file():
            return path.read_bytes()
        why = "it is no file" if inside else "it leads out of the runbook's folder"
    except OSError as error:
        why = error.strerror or str(error)
    raise DataError(
        f"the file {name} of {runbook.slug} cannot be read: {why}",
        where=str(runbook.path),
        expected=f"a file below {runbook.path.parent}",
        remedy="put it there, or take it out of `files:` in the front matter",
    )
