"""Reading checklists: the items that people sign and evidence ticks, out of the pages that they are written on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from checks.catalogue._declaration import parse_duration
from checks.errors import CatalogueErrors, DataError, Place
from checks.model import ChecklistItem, Proof, System

LASTS = timedelta(days=31)
"""How long a person's word holds at most where the item does not say."""

_CALL = re.compile(r"\{\{\s*(by_hand|tick|tick_run)\(\s*(.*?)\s*\)\s*\}\}")
_ARGUMENT = re.compile(r"""(?:lasts\s*=\s*)?(["'])(.*?)\1\s*(?:,\s*|$)""")
_MACRO = re.compile(r"\{\{.*?\}\}")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*(?:\{.*\})?$")
_ITEM = re.compile(r"^(\s*)[-*+]\s+")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PROOFS = {"by_hand": Proof.HAND, "tick": Proof.METRIC, "tick_run": Proof.RUN}


def read(system: System, root: Path) -> tuple[ChecklistItem, ...]:
    """The items on the pages of one system, in their order; of what is ticked twice, the first.

    Raises:
        CatalogueErrors: two items that people sign have one name, or an item is no name of this system.

    """
    found: dict[str, ChecklistItem] = {}
    wrong: list[DataError] = []
    for path in sorted(system.path.parent.glob("*.md")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if "by_hand(" not in text and "tick" not in text:
            continue
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        for item in _items(system.name, text, shown, wrong):
            known = found.get(item.name)
            if known is not None and Proof.HAND in (known.proof, item.proof):
                wrong.append(_twice(known, item))
            found.setdefault(item.name, item)
    if wrong:
        raise CatalogueErrors(wrong)
    return tuple(found.values())


def _items(system: str, text: str, page: Path, wrong: list[DataError]) -> Iterator[ChecklistItem]:
    section, lines = "", text.splitlines()
    for number, line in enumerate(lines, start=1):
        if heading := _HEADING.match(line):
            section = _plain(heading.group(1))
        for call in _CALL.finditer(line):
            slug, lasts = ([match.group(2) for match in _ARGUMENT.finditer(call.group(2))] + ["", ""])[:2]
            if not slug:
                continue
            written = _written(lines, number - 1, call.end())
            owner, _, name = slug.partition("/")
            place = Place(page, number, call.start() + 1)
            if _PROOFS[call.group(1)] is Proof.HAND and (owner != system or not _SLUG.fullmatch(name)):
                wrong.append(_misnamed(system, slug, place))
            elif owner == system:
                try:
                    most = parse_duration(lasts) if lasts and _PROOFS[call.group(1)] is Proof.HAND else LASTS
                except ValueError as error:
                    wrong.append(DataError(str(error).partition(";")[0], where=place, found=lasts, example=_EXAMPLE))
                    continue
                digest = hashlib.sha256(" ".join(written.split()).encode()).hexdigest()[:16]
                proof = _PROOFS[call.group(1)]
                yield ChecklistItem(system, name, proof, _plain(written), section, page, number, most, digest)


_EXAMPLE = '- {{ by_hand("shop/shelves", lasts="7d") }} The shelves are full.'


def _written(lines: list[str], at: int, after: int) -> str:
    """What an item says: the rest of its line, and the lines that go on with it."""
    said = [lines[at][after:]]
    if bullet := _ITEM.match(lines[at]):
        depth = len(bullet.group(1))
        for line in lines[at + 1 :]:
            if not line.strip() or len(line) - len(line.lstrip()) <= depth:
                break
            said.append(line.strip())
    return " ".join(said).strip()


def _plain(text: str) -> str:
    text = _LINK.sub(r"\1", _MACRO.sub("…", text))
    return " ".join(text.replace("**", "").replace("`", "").split()).strip()


def _twice(first: ChecklistItem, second: ChecklistItem) -> DataError:
    return DataError(
        f"the item `{second.slug}` stands twice",
        where=Place(second.page, second.line, 1),
        expected="a name of its own for each item that people sign",
        found=f"the same at {first.page}:{first.line}",
        remedy="rename one of the two",
    )


def _misnamed(system: str, slug: str, place: Place) -> DataError:
    return DataError(
        "this item has no name of its own",
        where=place,
        expected=f"{system}/ and lower-case letters, digits and single hyphens",
        found=slug,
        example=_EXAMPLE,
    )
