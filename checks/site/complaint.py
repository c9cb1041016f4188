"""What MkDocs and mkdocs-macros say when they refuse a page, as page, line and reason."""

from __future__ import annotations

import re
from pathlib import Path

_CHATTER = re.compile(r"^(?:INFO|DEBUG)\b.*\n?", re.MULTILINE)
_MACRO_FAILED = re.compile(
    r"^.*_Macro Rendering Error_\s+_File_: `(?P<page>[^`]+)`\s+_\w+_: (?P<what>.*?)\n\s*```\n(?P<trace>.*?)\n\s*```",
    re.DOTALL | re.MULTILINE,
)
_MACRO_MALFORMED = re.compile(
    r"^.*_Macro Syntax Error_\s+_File_: `(?P<page>[^`]+)`\s+_Line (?P<line>\d+) in Markdown file:_ \*\*(?P<what>.*?)\*\*\s+"
    r"```markdown\n(?P<written>.*?)\n\s*```",
    re.DOTALL | re.MULTILINE,
)
_TRACE = "Traceback (most recent call last):\n"
_LINE_OF_PAGE = re.compile(r'File "<template>", line (\d+)')


def complaint(said: str, root: Path) -> str:
    """The reason why MkDocs refused, without its chatter and without Python.

    Args:
        said: everything that it printed.
        root: the project's folder; lines are counted as its pages have them.

    """
    failed = _MACRO_FAILED.search(said)
    if failed:
        lines = _LINE_OF_PAGE.findall(failed["trace"])
        return f"{_place(root, failed['page'], lines[0] if lines else None)}: {_indented(failed['what'])}"
    malformed = _MACRO_MALFORMED.search(said)
    if malformed:
        return (
            f"{_place(root, malformed['page'], malformed['line'])}: {malformed['what']}\n  found: {malformed['written'].strip()}"
        )
    before, trace, within = _CHATTER.sub("", said).strip().partition(_TRACE)
    # Where the builder itself failed (a full disk), the last line says why.
    return f"{before}{within.splitlines()[-1]}" if trace and within else before


def _place(root: Path, page: str, line: str | None) -> str:
    path = root / "docs" / page
    if line is None or not path.is_file():
        return f"docs/{page}"
    text = path.read_text(encoding="utf-8")
    # Macros see the page without its front matter, and count lines from there.
    head = re.match(r"---\n.*?\n---[^\n]*\n\s*", text, re.DOTALL)
    return f"docs/{page}:{int(line) + (head.group().count(chr(10)) if head else 0)}"


def _indented(text: str) -> str:
    first, *rest = (line.strip() for line in text.strip().splitlines())
    return "\n".join([first, *(f"  {line}" for line in rest)])
