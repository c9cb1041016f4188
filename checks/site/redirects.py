"""Pages that have moved: what stands where they were leads to where they are, so that addresses stay good."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping
from html import escape

from checks.errors import DataError

_EXAMPLE = 'plugins:\n  - proofbook:\n      redirects:\n        "systems/shop/old.md": systems/shop/new.md'


def pages(moved: Mapping[object, object], there: Collection[str]) -> dict[str, str]:
    """A page for each address that was left.

    Args:
        moved: where a page was, and where it is now; as source paths (``a/b.md``) or addresses (``a/b.html``).
        there: the addresses of all pages of the site.

    Returns:
        HTML by address.

    Raises:
        DataError: a page is said to have moved to where none is, or is still where it was.

    """
    found = {}
    for before, after in moved.items():
        old, new = _address(before), _address(after)
        if new not in there:
            raise DataError(
                f"`{before}` is said to have moved to `{after}`, and no page is there", where="mkdocs.yml", example=_EXAMPLE
            )
        if old in there:
            raise DataError(f"`{before}` is said to have moved, and is still there", where="mkdocs.yml", example=_EXAMPLE)
        found[old] = _page(posixpath.relpath(new, posixpath.dirname(old) or "."))
    return found


def _address(written: object) -> str:
    plain = posixpath.normpath(str(written))
    if plain.startswith(("..", "/")) or not plain.endswith((".md", ".html")):
        raise DataError(
            f"`{written}` is no page of this site",
            where="mkdocs.yml",
            expected="a path below docs that ends in .md or .html",
            example=_EXAMPLE,
        )
    return plain.removesuffix(".md") + ".html" if plain.endswith(".md") else plain


def _page(to: str) -> str:
    link = escape(to)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>This page has moved</title>\n'
        f'<meta name="robots" content="noindex"><link rel="canonical" href="{link}">\n'
        f'<meta http-equiv="refresh" content="0; url={link}"></head>\n'
        f'<body><p>This page has moved: <a href="{link}">{link}</a></p></body></html>\n'
    )
