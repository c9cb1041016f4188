"""The executed notebook as it is kept: masked, bounded, content-addressed and never half-written.

A file of evidence is a valid notebook (nbformat 4). Its metadata hold a ``proofbook`` block: ``version`` 1, ``run``,
``runbook``, ``system``, ``environment``, ``trigger``, ``state``, ``status``, ``reason``, ``started_at``, ``ended_at``,
``parameters``, ``source`` (the digest of the runbook's file) and ``steps`` (``number``, ``title``, ``class``). Each cell's
metadata hold another: ``step``, ``class``, for code ``outcome`` (see `checks.run.drive.CellOutcome`), ``started_at`` and
``took`` (seconds), and ``injected`` where the cell is not the author's.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.errors import CannotWrite
from checks.run.payload import MIME
from checks.run.redact import Also, Redactor
from checks.run.redact import masker as masker

if TYPE_CHECKING:
    from nbformat import NotebookNode

# A cell's outputs beyond this are cut; what is kept stays readable on a page and a run's evidence stays small.
KEPT_CHARACTERS = 1_000_000
_KEPT_OF_AN_ERROR = 10_000


def clean(notebook: NotebookNode, secrets: Collection[str], dropped: Mapping[int, int]) -> int:
    """Make an executed notebook fit to be kept, in place: first masked, then cut.

    Args:
        notebook: what the engine left.
        secrets: the values that may be nowhere in it.
        dropped: position of a cell → characters of its outputs that were not even taken in.

    Returns:
        How many secrets were found and blotted out.

    """
    known, guessed = Redactor(secrets), Redactor(secrets, Also.PATTERNS)
    for position, cell in enumerate(notebook.cells):
        for key, value in list(cell.items()):
            if key not in ("cell_type", "id", "outputs"):
                cell[key] = masked(value, known)
        if cell.cell_type == "code":
            cell.outputs = clean_outputs(cell.outputs, guessed, dropped.get(position, 0))
    return known.found + guessed.found


def clean_outputs(outputs: list[Any], redactor: Redactor, dropped: int) -> list[Any]:
    """One cell's outputs as they are kept; see `clean`. What is given is changed."""
    # Joined before masking: a secret may lie across two pieces of a stream.
    pieces = joined(outputs)
    if dropped:
        for output in pieces:
            # Where taking in ended, a secret may be cut in two, and half of it would not be known again.
            if output.output_type == "stream":
                output.text = redactor.without_a_beginning(output.text)
    return _cut([masked(output, redactor) for output in pieces], dropped)


def to_bytes(notebook: NotebookNode) -> bytes:
    """The notebook as the bytes that are kept; the same notebook always gives the same bytes."""
    import nbformat

    nbformat.validate(notebook)
    text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    return (text + "\n").encode("utf-8")


def path_of(state: Path, digest: str) -> Path:
    """Where the evidence of a digest is kept below the project's state folder."""
    return state / "evidence" / digest[:2] / f"{digest}.ipynb"


def store(state: Path, data: bytes) -> str:
    """Keep evidence; whoever reads it meets all of it or nothing.

    Returns:
        The SHA-256 of the data in hex, by which it is found again.

    Raises:
        CannotWrite: the disk is full or may not be written to.

    """
    digest = hashlib.sha256(data).hexdigest()
    write(state, path_of(state, digest), data)
    return digest


def write(state: Path, path: Path, data: bytes) -> None:
    """Write a file two folders below the state folder; whoever reads it meets all of it or nothing.

    Raises:
        CannotWrite: the disk is full or may not be written to.

    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise CannotWrite(
            f"the {path.parents[1].name} cannot be kept: {error.strerror}",
            where=str(path),
            remedy="make room, or let this user write there",
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, which a file's own fsync does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def joined(outputs: list[Any]) -> list[Any]:
    """The outputs with the pieces of a stream that follow one another in one, as a reader sees them."""
    found: list[Any] = []
    for output in outputs:
        last = found[-1] if found else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            found.append(output)
    return found


def masked(value: Any, mask: Callable[[str], str]) -> Any:
    """A JSON value with every text in it, names of keys included, masked and free of halves of characters; in place."""
    if isinstance(value, str):
        return mask(value.encode("utf-8", "replace").decode("utf-8"))
    if isinstance(value, list):
        return [masked(item, mask) for item in value]
    if isinstance(value, dict):
        for key in list(value):
            new = masked(value.pop(key), mask)
            value[masked(key, mask)] = new
        return value
    # JSON knows no NaN and no infinity; evidence with one could not be read again.
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _cut(outputs: list[Any], dropped: int) -> list[Any]:
    """The outputs up to the bound; results and the gist of errors are always kept."""
    from nbformat.v4 import new_output

    kept: list[Any] = []
    room = KEPT_CHARACTERS
    for output in outputs:
        if output.output_type == "error":
            output.evalue = output.evalue[:_KEPT_OF_AN_ERROR]
            output.traceback = [line[:_KEPT_OF_AN_ERROR] for line in output.traceback[-100:]]
            kept.append(output)
            continue
        size = _size(output)
        if MIME in output.get("data", {}) or size <= room:
            kept.append(output)
            room -= min(size, room)
            continue
        dropped += size
        if output.output_type == "stream" and room:
            kept.append(new_output("stream", name=output.name, text=output.text[:room]))
            dropped -= room
            room = 0
    if dropped:
        kept.append(new_output("stream", name="stderr", text=f"\n[proofbook: {dropped:,} characters more were cut here]\n"))
    return kept


def _size(output: Any) -> int:
    if output.output_type == "stream":
        return len(output.text)
    return sum(len(value) if isinstance(value, str) else len(json.dumps(value)) for value in output.get("data", {}).values())
