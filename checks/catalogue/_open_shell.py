"""Shell lines that throw a failure away."""

from __future__ import annotations

import re
from collections.abc import Iterator

Fault = tuple[int, int, str, str]
"""Line and column, counted from 0; what is wrong; and the remedy."""

_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
_FORGIVEN = re.compile(
    r"\|\|\s*(true|:|echo|printf|/bin/true|exit 0|return 0)(?![\w-])(?P<rest>(?:>&|[^;&|])*(;\s*(exit|return|false)[^;]*)?)"
)
_LOOSENED = re.compile(r"\bset\s+(?:\+[a-z]*e[a-z]*|\+o\s+(?:errexit|pipefail))")
_SILENCED = re.compile(r"(?:2|&)>>?\s*/dev/null|>\s*/dev/null\s+2>&1")
_ALWAYS_WELL = re.compile(r"(?:^|[;&]|\n)\s*(true|:|exit 0)\s*;?\s*$")
_COUNTED = re.compile(r"\bgrep\s+(?:-\S+\s+)*-\w*c\w*\b|\bgrep\b[^|;&]*\s--count\b")
_PIPED = re.compile(r"(?<![|>])\|(?![|&])")


def read(script: str, *, strict: bool = True, kept: bool = False) -> Iterator[Fault]:
    """What in a script can fail unseen.

    Args:
        script: lines for a shell.
        strict: whether it runs with ``pipefail``, so that a pipe's status is its worst command's.
        kept: whether somebody else judges what it prints (``%%bash --out``, an assignment).

    """
    lines = script.splitlines()
    plain = list(_plain(lines))
    for number, line in enumerate(plain):
        for found in _FORGIVEN.finditer(line):
            if not re.search(r"\b(exit|return)\s+[1-9]|\bfalse\b", found.group("rest")):
                shown = f"|| {found.group(1)}"
                yield number, found.start(), f"a failure is thrown away by `{shown}`", "let it fail, or test for what is expected"
        if loosened := _LOOSENED.search(line):
            yield number, loosened.start(), f"`{loosened.group()}` lets the lines after it fail unseen", "take it out"
        if silenced := _SILENCED.search(line):
            what = f"`{silenced.group()}` hides why the command fails"
            yield number, silenced.start(), what, "let it say what is wrong; the evidence keeps it"
        if not strict and (piped := _PIPED.search(line)):
            what = "of this pipe only the last command's failure is seen"
            yield number, piped.start(), what, "begin with `set -o pipefail` under bash, or take the pipe apart"
        if (counted := _COUNTED.search(line)) and not kept and not _is_taken(line, counted.start()):
            what = "`grep -c` prints a number that nothing judges"
            yield number, counted.start(), what, "give the number to check(), or compare it"
    last = next((number for number in range(len(plain) - 1, -1, -1) if plain[number].strip()), None)
    if last is not None and (well := _ALWAYS_WELL.search(plain[last])) and (last or well.start()):
        what = f"it ends with `{well.group(1)}`, so that it always ends well"
        yield last, well.start(1), what, "let the last command's status stand"


def _is_taken(line: str, at: int) -> bool:
    """Whether what a command prints goes into a variable, a test or another command."""
    before, after = line[:at], line[at:]
    return "$(" in before or "`" in before or bool(_PIPED.search(after)) or "> " in after


def _plain(lines: list[str]) -> Iterator[str]:
    """The lines with quoted text, comments and here-documents blanked, so that columns stay."""
    until = ""
    for line in lines:
        if until:
            until = "" if line.strip() == until else until
            yield ""
            continue
        if found := _HEREDOC.search(line):
            until = found.group(2)
        blanked = _QUOTED.sub(lambda match: match.group()[0] + "x" * (len(match.group()) - 2) + match.group()[-1], line)
        yield _COMMENT.sub("", blanked)
