"""Live elements: the empty places in a page that a publication fills."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

_ELEMENT = re.compile(r'<(div|span) data-live="([^"<>]*)"></\1>')


@dataclass(frozen=True, slots=True)
class Place:
    """What one live element asks for: a kind of fragment and what it is about (``metrics``, ``wellbeing/Errors``)."""

    kind: str
    argument: str = ""


def block(kind: str, argument: str = "") -> str:
    """An empty live element that stands on its own lines."""
    return _element("div", Place(kind, argument))


def inline(kind: str, argument: str = "") -> str:
    """An empty live element within a sentence."""
    return _element("span", Place(kind, argument))


def replace(page: str, fragment: Callable[[Place], str]) -> str:
    """Put a fragment into each empty live element of a page, in one pass: what was put in is not looked at again.

    Args:
        page: built HTML.
        fragment: gives the inner HTML of a place, already escaped.

    """

    def filled(match: re.Match[str]) -> str:
        tag, written = match.groups()
        kind, _, argument = html.unescape(written).partition(":")
        return f'<{tag} data-live="{written}" class="pb-live">{fragment(Place(kind, argument))}</{tag}>'

    return _ELEMENT.sub(filled, page)


def holds_any(page: str) -> bool:
    """Whether a page has a place to fill."""
    return _ELEMENT.search(page) is not None


def _element(tag: str, place: Place) -> str:
    written = f"{place.kind}:{place.argument}" if place.argument else place.kind
    return f'<{tag} data-live="{html.escape(written)}"></{tag}>'
