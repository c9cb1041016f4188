"""Evidence: the executed notebooks that results come from, read for showing and never run."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from checks.catalogue import notebook
from checks.model import Step
from checks.site import words

_RESULT = "application/vnd.proofbook.result+json"
_MOST_CHARACTERS = 20_000
_MOST_IN_ALL = 120_000
"""Characters of the outputs of a whole notebook that are shown; letters that HTML escapes take several bytes."""
_MOST_IMAGE_BYTES = 2_000_000
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Output:
    """What a cell gave: harmless text, or a PNG as a data URI.

    Attributes:
        left_out: how many characters were too many to show.
        failed: whether it is an error's traceback.
        result: whether it is a check's result in words.

    """

    text: str = ""
    image: str = ""
    left_out: int = 0
    failed: bool = False
    result: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of an executed notebook, counted from 0."""

    position: int
    code: bool
    source: str
    tags: tuple[str, ...] = ()
    executed: bool = False
    outputs: tuple[Output, ...] = ()

    @property
    def heading(self) -> str:
        """The heading that a cell of prose begins with."""
        first = self.source.strip().partition("\n")[0]
        return first.lstrip("#").strip() if first.startswith("#") else ""

    @property
    def prose(self) -> str:
        """What follows the heading."""
        return (self.source.strip().partition("\n")[2] if self.heading else self.source).strip()


@dataclass(frozen=True, slots=True)
class Evidence:
    """An executed notebook."""

    digest: str
    cells: tuple[Cell, ...]
    _document: dict[str, Any]
    _steps: list[tuple[Step, ...]] = field(default_factory=list)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Its steps; worked out when somebody asks, as most evidence is only read."""
        if not self._steps:
            from nbformat import from_dict

            self._steps.append(notebook.steps(from_dict(self._document)))
        return self._steps[0]

    def step(self, title: str, number: int) -> tuple[Cell, ...]:
        """The cells of the step of this title; a step that was renamed since is found by its number."""
        found = [step for step in self.steps if step.title == title] or [step for step in self.steps if step.number == number]
        return tuple(self.cells[position] for position in found[0].cells) if found else ()


@dataclass(slots=True)
class Archive:
    """The folder of evidence, each file named by the SHA-256 of its bytes; each is read once."""

    folder: Path
    _read: dict[str, Evidence | None] = field(default_factory=dict)

    def path(self, digest: str) -> Path:
        """Where the evidence of a digest lies."""
        return Path(f"{self.folder}/{digest[:2]}/{digest}.ipynb")

    def holds(self, digest: str) -> bool:
        """Whether the evidence is there."""
        return digest.isalnum() and self.path(digest).is_file()

    def stamp(self, digest: str) -> str:
        """What tells that the file is as it was; empty where there is none."""
        try:
            # There are thousands, and making a path of each takes longer than looking at it.
            seen = os.stat(f"{self.folder}/{digest[:2]}/{digest}.ipynb") if digest.isalnum() else None  # noqa: PTH116
        except OSError:
            return ""
        return f"{seen.st_size} {seen.st_mtime_ns}" if seen else ""

    def get(self, digest: str | None) -> Evidence | None:
        """The evidence of a digest; ``None`` where there is none, or where its bytes are not those it is named for."""
        if not digest or not self.holds(digest):
            return None
        if digest not in self._read:
            self._read[digest] = read(digest, self.path(digest).read_bytes())
        return self._read[digest]

    def once(self, digest: str) -> Evidence | None:
        """The same, of which nothing is kept in memory: there may be very many."""
        if digest in self._read or not self.holds(digest):
            return self._read.get(digest)
        return read(digest, self.path(digest).read_bytes())


def read(digest: str, content: bytes) -> Evidence | None:
    """Read an executed notebook; ``None`` where its bytes do not have that digest, or are no notebook."""
    if hashlib.sha256(content).hexdigest() != digest:
        return None
    try:
        # What was written by a run and is named by its digest needs no second look at its schema.
        executed = json.loads(content)
        if executed["nbformat"] != 4:
            return None
        for cell in executed["cells"]:
            cell["source"] = _text(cell["source"])
        cells = tuple(_cell(position, cell) for position, cell in enumerate(executed["cells"]))
        return Evidence(digest, _short(cells), executed)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _short(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Cells whose outputs together are not longer than a page may be; of the later ones less is shown, and how much is told."""
    if sum(len(output.text) for cell in cells for output in cell.outputs) <= _MOST_IN_ALL:
        return cells
    left, short = _MOST_IN_ALL, []
    for cell in cells:
        outputs = []
        for output in cell.outputs:
            kept = output.text[: max(left, 80)]
            left -= len(kept)
            outputs.append(replace(output, text=kept, left_out=output.left_out + len(output.text) - len(kept)))
        short.append(replace(cell, outputs=tuple(outputs)))
    return tuple(short)


def _cell(position: int, cell: Any) -> Cell:
    code = cell["cell_type"] == "code"
    return Cell(
        position=position,
        code=code,
        source=words.harmless(_text(cell["source"])),
        tags=tuple(str(tag) for tag in cell.get("metadata", {}).get("tags", [])),
        executed=code and cell.get("execution_count") is not None,
        outputs=tuple(_outputs(cell.get("outputs", []))) if code else (),
    )


def _outputs(written: Any) -> list[Output]:
    shown: list[Output] = []
    for output in written:
        kind = output["output_type"]
        if kind == "stream":
            one = _bounded(_text(output["text"]))
        elif kind == "error":
            lines = output.get("traceback") or [f"{output.get('ename')}: {output.get('evalue')}"]
            one = _bounded("\n".join(map(str, lines)), failed=True)
        else:
            one = _display(output.get("data", {}))
        if one.text or one.image:
            shown.append(one)
    return shown


def _display(data: Mapping[str, Any]) -> Output:
    if "image/png" in data:
        return _image(_text(data["image/png"]))
    # HTML in outputs was made by what is observed, so only its plain text is shown.
    return _bounded(_text(data.get("text/plain", "")), result=_RESULT in data)


def _image(encoded: str) -> Output:
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except binascii.Error:
        return Output(text="[an image that cannot be read]")
    if not content.startswith(_PNG) or len(content) > _MOST_IMAGE_BYTES:
        return Output(text=f"[an image of {len(content):,} bytes that is not shown]")
    return Output(image="data:image/png;base64," + base64.b64encode(content).decode())


def _bounded(text: str, *, failed: bool = False, result: bool = False) -> Output:
    text = text.rstrip("\n")
    kept = words.harmless(text[:_MOST_CHARACTERS])
    return Output(text=kept, left_out=max(0, len(text) - _MOST_CHARACTERS), failed=failed, result=result)


def _text(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value)
