from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from checks.site import live


def replace(page: str, fragment: Callable[[live.Place], str]) -> str:
    """A page with its live elements filled."""
    content = page.encode()
    return live.fill(content, *live.spots(content), "", fragment).decode()


@given(kind=st.from_regex(r"[a-z-]{1,12}", fullmatch=True), argument=st.text(max_size=40))
def test_what_was_asked_for_arrives(kind: str, argument: str) -> None:
    """Whatever a live element is about comes back unchanged from the page."""
    seen: list[live.Place] = []

    def fragment(place: live.Place) -> str:
        seen.append(place)
        return ""

    replace(live.inline(kind, argument), fragment)
    assert seen == [live.Place(kind, argument)]


def test_a_filled_page_is_not_filled_again() -> None:
    """What was put into a live element is never looked at again, even where it looks like one."""
    hostile = live.block("metrics", "shop")
    once = replace(live.block("needs"), lambda _: hostile)
    assert once.count('data-live="metrics:shop"') == 1
    assert once == f'<div data-live="needs" class="pb-live">{hostile}</div>'


def test_only_empty_elements_are_places() -> None:
    """An element that holds something, or closes with another tag, is left as it is."""
    page = '<div data-live="needs">kept</div><div data-live="needs"></span><p data-live="needs"></p>'
    assert replace(page, lambda _: "x") == page
    assert live.spots(page.encode()) == ((), 0)
