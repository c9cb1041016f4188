"""Our own style and scripts. Their addresses carry a digest of what is in them.

So a page never meets the style or script of another generation in a browser's cache, or in the publication that follows its own.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files as package_files

FOLDER = "assets/proofbook"
_NAMES = ("proofbook.css", "proofbook.js", "iframe-worker.js")


@cache
def contents() -> dict[str, str]:
    """What each of our files holds, by the address that it has on the site."""
    return {address(name): _text(name) for name in _NAMES}


@cache
def address(name: str) -> str:
    """Where one of our files lies on the site: ``assets/proofbook/proofbook.1a2b3c4d.css``."""
    stem, _, ending = name.rpartition(".")
    return f"{FOLDER}/{stem}.{hashlib.sha256(_text(name).encode()).hexdigest()[:8]}.{ending}"


def search() -> str:
    """Our part of the search, which stands behind the theme's in the script that searches."""
    return _text("search.js")


@cache
def _text(name: str) -> str:
    return (package_files("checks.site") / "assets" / name).read_text(encoding="utf-8")
