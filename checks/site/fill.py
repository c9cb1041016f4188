"""Filling: the empty live elements of built pages get what the journal says; nothing else of a page changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checks.site import live
from checks.site.fragments import Page, fragment, sprite

if TYPE_CHECKING:
    from checks.site.facts import Facts


def fill_page(html: str, address: str, facts: Facts) -> str:
    """Fill the live elements of one page.

    Args:
        html: the page as MkDocs built it.
        address: its path from the site's root, which links are written from.
        facts: what the journal says.

    Raises:
        DataError: the page asks for something that is not known.

    """
    content = html.encode()
    spots, body = live.spots(content)
    return fill_spots(content, spots, body, address, facts).decode() if spots else html


def fill_spots(content: bytes, spots: tuple[live.Spot, ...], body: int, address: str, facts: Facts) -> bytes:
    """Fill a page of which it is known where its live elements are.

    Args:
        content: the page as MkDocs built it.
        spots: its live elements.
        body: where what stands in its ``<body>`` begins.
        address: its path from the site's root.
        facts: what the journal says.

    """
    page = Page(address)
    return live.fill(content, spots, body, str(sprite()), lambda place: str(fragment(facts, page, place)))
