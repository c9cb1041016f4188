"""Patterns of ``matches /…/`` and of probes, searched for in time that grows with the text only, never exponentially.

Python's own ``re`` backtracks and cannot be interrupted: ``(a+)+$`` can hold a kernel for years. RE2 reads nearly the same
patterns, follows all possibilities at once, and refuses what cannot be searched for like that (back references, look-around).
Its ``\\d``, ``\\w``, ``\\s`` and ``\\b`` know ASCII only (https://github.com/google/re2/wiki/Syntax).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from checks.errors import DataError

LONGEST_PATTERN = 500
LONGEST_TEXT = 2000


class Pattern:
    """A pattern that can be searched for; see `compile_pattern`.

    Attributes:
        groups: how many groups it has.

    """

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self.groups = int(compiled.groups)

    def found_in(self, text: str) -> bool:
        """Whether the pattern is found anywhere in a text; of a longer one, in its first `LONGEST_TEXT` characters."""
        return self._compiled.search(text[:LONGEST_TEXT]) is not None

    def search(self, text: str) -> list[str | None] | None:
        """What was found and its groups, as ``re.Match`` numbers them; ``None`` where it is not there."""
        found = self._compiled.search(text)
        return None if found is None else [found.group(), *found.groups()]


@lru_cache(maxsize=256)
def compile_pattern(text: str, *, lines: bool = False) -> Pattern:
    """Read a pattern in the syntax of RE2.

    Args:
        text: the pattern.
        lines: whether ``^`` and ``$`` are the ends of lines rather than of the whole text.

    Raises:
        DataError: it is empty, too long, or not of this syntax.

    """
    import re2

    if not 0 < len(text) <= LONGEST_PATTERN:
        raise _refused(text, f"has {len(text)} characters, and may have 1 to {LONGEST_PATTERN}")
    options = re2.Options()
    options.log_errors = False
    try:
        return Pattern(re2.compile(f"(?m){text}" if lines else text, options))
    except re2.error as error:
        told = error.args[0]
        raise _refused(text, f"cannot be read: {told.decode() if isinstance(told, bytes) else told}") from error


def _refused(text: str, why: str) -> DataError:
    return DataError(
        f"the pattern /{text[:60]}/ {why}",
        expected="a regular expression of RE2: no back references, no look-around",
        found=text[:200],
        remedy=r"put a backslash before each of .^$*+?{}[]()| that is meant as itself",
        example=r"matches /version 2\.0\.\d+/",
    )
