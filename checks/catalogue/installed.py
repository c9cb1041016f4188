"""Which versions of packages are installed, found without reading what they say of themselves: that takes ten times as long."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from functools import cache


def versions(names: Iterable[str]) -> dict[str, str]:
    """The version of each package; empty where it is not installed.

    Args:
        names: as they are installed by; case, and which of ``-``, ``_`` and ``.`` stands between words, do not matter.

    """
    known = _installed()
    return {name: known.get(_plain(name), "") for name in names}


@cache
def _installed() -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")  # noqa: PTH208 - hundreds of names, of which few are looked at
        except OSError:
            continue
        for entry in entries:
            name, mark, _ = entry.partition(".dist-info")
            if mark:
                package, _, version = name.partition("-")
                found.setdefault(_plain(package), version)
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
