"""What a command will surely need, begun before the command line has been understood.

Loading what kernels need takes longer than all else that ``proofbook run`` does before the first one, and can be done beside
it. What is guessed here costs some processor time where it is wrong, and is never more than a guess: whatever the command
really means is read, checked and refused where it always is.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from checks.run import zygote
from checks.run.origin import DEFAULT_ORIGIN, ORIGIN_VARIABLE, Origin, passed_on

_COMMANDS = ("run",)
# With one of these it is not known whether anything will be executed, or what.
_UNSURE = frozenset(("--due", "--replay", "--help", "-h"))
_FRESH = "--fresh-enough"
_MOST_SOURCES = 1000
_NAME = re.compile(r"[a-z0-9-]+")
_SLUG = re.compile(r"[a-z0-9-]+/[A-Za-z0-9._-]+")


def begin(arguments: Sequence[str]) -> None:
    """Let the fork server start and load what the runbooks that a command line seems to mean import.

    Args:
        arguments: the command line, without the program's name.

    """
    if not arguments or arguments[0] not in _COMMANDS or _UNSURE.intersection(arguments):
        return
    if os.environ.get(ORIGIN_VARIABLE, DEFAULT_ORIGIN.value) != Origin.FORK.value:
        return
    # What is wrong with a folder or a file is for the command to tell.
    with suppress(OSError):
        root = _root(arguments)
        sources = list(_sources(root, arguments[1:])) if root is not None else []
        if sources:
            zygote.warm_up(passed_on(), zygote.heavy_imports(sources))


def _root(arguments: Sequence[str]) -> Path | None:
    start = Path(_value_of(arguments, "--root") or ".").absolute()
    return next((folder for folder in (start, *start.parents) if (folder / "mkdocs.yml").is_file()), None)


def _value_of(arguments: Sequence[str], option: str) -> str | None:
    for position, argument in enumerate(arguments):
        if argument == option:
            return arguments[position + 1] if position + 1 < len(arguments) else None
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
    return None


def _sources(root: Path, arguments: Sequence[str]) -> Iterator[str]:
    """The texts of the runbooks that may be executed; with ``--fresh-enough``, of those that nobody has executed as they are."""
    folder = root / "notebooks"
    system = _value_of(arguments, "--system")
    if system and not _NAME.fullmatch(system):
        return
    if "--all" in arguments or system:
        paths = sorted(folder.glob(f"{system or '*'}/*.md"))[:_MOST_SOURCES]
    else:
        paths = [folder / f"{argument}.md" for argument in arguments if _SLUG.fullmatch(argument)]
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if _FRESH not in arguments or not _was_executed(root, data):
            yield data.decode(errors="replace")


def _was_executed(root: Path, source: bytes) -> bool:
    # Whatever is executed is kept under its digest; see `checks.run.inputs`.
    digest = hashlib.sha256(source).hexdigest()
    return (root / ".proofbook" / "inputs" / digest[:2] / digest).exists()
