"""Live elements: the empty places in a page that a publication fills."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

_ELEMENT = re.compile(rb'<(div|span) data-live="([^"<>]*)"></\1>')
_BODY = re.compile(rb"<body[^>]*>")


@dataclass(frozen=True, slots=True)
class Place:
    """What one live element asks for: a kind of fragment and what it is about (``metrics``, ``web-shop/Errors``)."""

    kind: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an empty live element stands in a page: from byte `start` to before `end`, and what is written in it."""

    start: int
    end: int
    tag: str
    written: str

    @property
    def place(self) -> Place:
        """What it asks for."""
        return _place(self.written)


@lru_cache(maxsize=16_384)
def _place(written: str) -> Place:
    kind, _, argument = html.unescape(written).partition(":")
    return Place(kind, argument)


def block(kind: str, argument: str = "") -> str:
    """An empty live element that stands on its own lines."""
    return _element("div", Place(kind, argument))


def inline(kind: str, argument: str = "") -> str:
    """An empty live element within a sentence."""
    return _element("span", Place(kind, argument))


def spots(page: bytes) -> tuple[tuple[Spot, ...], int]:
    """The empty live elements of a built page, in their order, and where what stands in ``<body>`` begins."""
    body = _BODY.search(page)
    begin = body.end() if body else 0
    found = (
        Spot(match.start(), match.end(), match.group(1).decode(), match.group(2).decode())
        for match in _ELEMENT.finditer(page, begin)
    )
    return tuple(found), begin


def fill(page: bytes, at: tuple[Spot, ...], begin: int, first: str, fragment: Callable[[Place], str]) -> bytes:
    """Put a fragment into each empty live element of a page: what was put in is not looked at again.

    Args:
        page: built HTML.
        at: its empty live elements, in their order.
        begin: where `first` is put, which every page needs that has any of them.
        first: HTML.
        fragment: gives the inner HTML of a place, already escaped.

    """
    parts, done = [page[:begin], first.encode()], begin
    for spot in at:
        opening = f'<{spot.tag} data-live="{spot.written}" class="pb-live">'
        parts += [page[done : spot.start], f"{opening}{fragment(spot.place)}</{spot.tag}>".encode()]
        done = spot.end
    return b"".join([*parts, page[done:]])


def _element(tag: str, place: Place) -> str:
    written = f"{place.kind}:{place.argument}" if place.argument else place.kind
    return f'<{tag} data-live="{html.escape(written)}"></{tag}>'
