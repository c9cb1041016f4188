"""Filling: the empty live elements of built pages get what the journal says; nothing else of a page changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from checks.site import live
from checks.site.fragments import Page, fragment, sprite

if TYPE_CHECKING:
    from checks.site.facts import Facts

_BODY_STARTS = "<body"


def fill_page(html: str, address: str, facts: Facts) -> str:
    """Fill the live elements of one page.

    Args:
        html: the page as MkDocs built it.
        address: its path from the site's root, which links are written from.
        facts: what the journal says.

    Raises:
        DataError: the page asks for something that is not known.

    """
    if not live.holds_any(html):
        return html
    page = Page(address)
    head, body, rest = html.partition(_BODY_STARTS)
    opening, close, content = rest.partition(">")
    filled = live.replace(content, lambda place: str(fragment(facts, page, place)))
    return head + body + opening + close + str(sprite()) + filled


def fill_tree(folder: Path, facts: Facts) -> int:
    """Fill every page below a folder in place.

    Returns:
        how many pages had something to fill.

    """
    count = 0
    for path in sorted(folder.rglob("*.html")):
        before = path.read_text(encoding="utf-8")
        after = fill_page(before, path.relative_to(folder).as_posix(), facts)
        if after != before:
            path.write_text(after, encoding="utf-8")
            count += 1
    return count
