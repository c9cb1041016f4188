"""Regular expressions in a process of their own: one that backtracks for ever is killed at the deadline.

Python's ``re`` cannot be interrupted and holds every thread while it searches, so no thread could end it.
"""

from __future__ import annotations

import json
import subprocess
import sys

_SEARCH = """
import json, re, sys
pattern, text = json.load(sys.stdin)
found = re.search(pattern, text, re.MULTILINE)
json.dump(None if found is None else [found.group(), *found.groups()], sys.stdout)
"""


def searched(pattern: str, text: str, seconds: float) -> list[str | None] | None:
    """Search for a pattern; ``^`` and ``$`` are the ends of lines.

    Args:
        pattern: a valid regular expression of Python's.
        text: where to look.
        seconds: the deadline.

    Returns:
        What was found and its groups, as ``re.Match`` numbers them; ``None`` where it is not there.

    Raises:
        TimeoutError: the deadline passed.
        OSError: the search broke off, for want of memory or depth.

    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _SEARCH],
            input=json.dumps([pattern, text]).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"no answer within {seconds} s") from error
    if done.returncode != 0:
        raise OSError(f"the search for {pattern} broke off")
    groups: list[str | None] | None = json.loads(done.stdout)
    return groups
