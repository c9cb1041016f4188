"""Evidence: the executed notebooks that results come from, read for showing and never run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from checks.catalogue import notebook
from checks.model import Step
from checks.site import pictures, words
from checks.site.pictures import Picture

_RESULT = "application/vnd.proofbook.result+json"
_MOST_CHARACTERS = 20_000
_MOST_IN_ALL = 140_000
"""Bytes that the sources and outputs of a whole notebook take on its page, escaped as HTML."""
_LEAST_OUTPUTS = 40_000
"""So many of them are for outputs, however long the sources are."""
_MOST_BESIDE = 60_000
"""Bytes that the outputs of all steps take on the page of a runbook, where other things stand, too."""
_LEAST = 80
"""Characters that are shown of an output, however much the others say."""
_MOST_OF_A_LETTER = len("&quot;")
_MOST_PICTURES = 200


@dataclass(frozen=True, slots=True)
class Output:
    """What a cell gave: harmless text, or a picture.

    Attributes:
        left_out: how many characters were too many to show.
        failed: whether it is an error's traceback.
        result: whether it is a check's result in words.

    """

    text: str = ""
    picture: Picture | None = None
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
    _beside: list[tuple[Cell, ...]] = field(default_factory=list)

    @property
    def pictures(self) -> dict[str, Picture]:
        """What its cells drew and is shown, by digest."""
        found = (output.picture for cell in self.cells for output in cell.outputs)
        return {picture.digest: picture for picture in found if picture is not None}

    @property
    def steps(self) -> tuple[Step, ...]:
        """Its steps; worked out when somebody asks, as most evidence is only read."""
        if not self._steps:
            from nbformat import from_dict

            self._steps.append(notebook.steps(from_dict(self._document)))
        return self._steps[0]

    def step(self, title: str, number: int) -> tuple[Cell, ...]:
        """The cells of the step of this title, no longer than a page bears on which other things stand.

        A step that was renamed since is found by its number.
        """
        if not self._beside:
            self._beside.append(_short(self.cells, _MOST_BESIDE))
        found = [step for step in self.steps if step.title == title] or [step for step in self.steps if step.number == number]
        return tuple(self._beside[0][position] for position in found[0].cells) if found else ()


@dataclass(slots=True)
class Archive:
    """The folder of evidence, each file named by the SHA-256 of its bytes; each is read once."""

    folder: Path
    _read: dict[str, Evidence | None] = field(default_factory=dict)
    _held: dict[str, bool] = field(default_factory=dict)
    _stamps: dict[str, str] = field(default_factory=dict)

    def path(self, digest: str) -> Path:
        """Where the evidence of a digest lies."""
        return Path(self._at(digest))

    def holds(self, digest: str) -> bool:
        """Whether the evidence is there; what was seen once is not looked at again, so that pages say the same."""
        held = self._held.get(digest)
        if held is None:
            held = self._held[digest] = digest.isalnum() and os.path.isfile(self._at(digest))  # noqa: PTH113 - there are thousands
        return held

    def _at(self, digest: str) -> str:
        # There are thousands, and making a path of each takes longer than looking at it.
        return f"{self.folder}/{digest[:2]}/{digest}.ipynb"

    def stamp(self, digest: str) -> str:
        """What tells that the file is as it was; empty where there is none. It, too, is looked at once."""
        found = self._stamps.get(digest)
        if found is None:
            try:
                seen = os.stat(self._at(digest)) if digest.isalnum() else None  # noqa: PTH116 - there are thousands
            except OSError:
                seen = None
            found = self._stamps[digest] = f"{seen.st_size} {seen.st_mtime_ns}" if seen else ""
        return found

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
        cells = tuple(_cells(executed["cells"]))
        for cell in executed["cells"]:
            # Pictures are large, and steps are found without them.
            cell.pop("outputs", None)
        room = max(_LEAST_OUTPUTS, _MOST_IN_ALL - sum(_size(cell.source) for cell in cells))
        return Evidence(digest, _short(cells, room), executed)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _size(text: str) -> int:
    """How many bytes a text takes on a page."""
    return len(escape(text).encode())


def _short(cells: tuple[Cell, ...], most: int) -> tuple[Cell, ...]:
    """Cells whose outputs together are not longer than a page may be; of the later ones less is shown, and how much is told."""
    texts = [output.text for cell in cells for output in cell.outputs]
    # A letter takes six bytes at the most; what is short beyond doubt is most of what there is.
    if _MOST_OF_A_LETTER * sum(map(len, texts)) <= most or sum(map(_size, texts)) <= most:
        return cells
    left, short = most, []
    for cell in cells:
        outputs = []
        for output in cell.outputs:
            kept = _cut(output.text, left)
            left -= _size(kept)
            outputs.append(replace(output, text=kept, left_out=output.left_out + len(output.text) - len(kept)))
        short.append(replace(cell, outputs=tuple(outputs)))
    return tuple(short)


def _cut(text: str, most: int) -> str:
    """As much of the beginning of a text as takes that many bytes on a page, and never less than a line."""
    while len(text) > _LEAST and (size := _size(text)) > most:
        text = text[: max(_LEAST, min(len(text) - 1, len(text) * most // size))]
    return text


def _cells(written: Any) -> Iterator[Cell]:
    heading, drawn = "", 0
    for position, cell in enumerate(written):
        read = _cell(position, cell)
        heading = heading if read.code else read.heading or heading
        outputs = []
        for output in read.outputs:
            drawn += output.picture is not None
            outputs.append(_told(output, position, heading) if drawn <= _MOST_PICTURES else _left_out(output))
        yield replace(read, outputs=_joined(outputs))


def _told(output: Output, position: int, heading: str) -> Output:
    """An output whose picture can be told in words to whoever does not see it."""
    if output.picture is None or output.picture.said:
        return output
    said = f"What cell {position} drew" + (f" below “{heading}”" if heading else "")
    return replace(output, picture=replace(output.picture, said=said))


def _left_out(output: Output) -> Output:
    return output if output.picture is None else Output("[an image that is not shown; the evidence file has it]")


def _joined(outputs: Sequence[Output]) -> tuple[Output, ...]:
    """Outputs, of which neighbours that are text of one kind are one: a loop that shows a line each time makes thousands."""
    found: list[Output] = []
    for kind, some in groupby(outputs, _kind):
        alike = list(some)
        whole = kind is None or len(alike) == 1
        found += alike if whole else [replace(alike[0], text="\n".join(one.text for one in alike))]
    return tuple(found)


def _kind(output: Output) -> str | None:
    if output.picture or output.failed or output.left_out:
        return None
    return "result" if output.result else "text"


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
            one = _display(output.get("data", {}), output.get("metadata", {}))
        if one.text or one.picture:
            shown.append(one)
    return shown


def _display(data: Mapping[str, Any], about: Mapping[str, Any]) -> Output:
    if "image/png" in data:
        known = about.get("image/png", {})
        found = pictures.read(_text(data["image/png"]), known if isinstance(known, Mapping) else {})
        return Output(found) if isinstance(found, str) else Output(picture=found)
    # HTML in outputs was made by what is observed, so only its plain text is shown.
    return _bounded(_text(data.get("text/plain", "")), result=_RESULT in data)


def _bounded(text: str, *, failed: bool = False, result: bool = False) -> Output:
    text = text.rstrip("\n")
    kept = words.harmless(text[:_MOST_CHARACTERS])
    return Output(text=kept, left_out=max(0, len(text) - _MOST_CHARACTERS), failed=failed, result=result)


def _text(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value)
