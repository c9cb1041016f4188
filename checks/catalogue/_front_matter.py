"""Where a runbook's front matter ends and its text begins."""

from __future__ import annotations

from pathlib import Path

from checks.errors import DataError, Place

_FENCE = "---"


def split(text: str, path: Path) -> tuple[str, str]:
    """The front matter's YAML and the text below it.

    Raises:
        DataError: there is no front matter, or it does not end.

    """
    lines = text.splitlines(keepends=True)
    if not lines or lines[0].rstrip() != _FENCE:
        bom = text.startswith("\ufeff")
        raise DataError(
            "a byte order mark stands before the front matter" if bom else "this runbook has no front matter",
            where=Place(path, 1, 1),
            expected="a line of three dashes first",
            found=lines[0].strip()[:60] if lines else "an empty file",
            remedy="save the file as UTF-8 without a byte order mark"
            if bom
            else "begin the file with its title, system and kind",
            example="---\ntitle: Morning check\nsystem: shop\nkind: check\nsummary: What it is for.\n---",
        )
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == _FENCE:
            return "".join(lines[1:number]), "".join(lines[number + 1 :])
    raise DataError("the front matter does not end", where=Place(path, 1, 1), expected="a second line of three dashes")


def body_of(text: str) -> str:
    """What stands below the front matter; the whole text where there is none."""
    try:
        return split(text, Path())[1]
    except DataError:
        return text
