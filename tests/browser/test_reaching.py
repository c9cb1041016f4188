"""Every reader gets there: by keyboard, enlarged, without motion, on paper, and in two steps to what is broken."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_reading import PAGES, reading

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_LINKS = """() => [...document.querySelectorAll('article :is(a[href], summary, button, [tabindex="0"])')]
    .filter(one => one.checkVisibility({checkVisibilityCSS: true}) && !one.closest('details:not([open]) > :not(summary)'))"""


def test_what_is_broken_is_two_clicks_from_home(browser: Browser, everything: Path) -> None:
    """From Home, one click leads to the broken metric and one to its runbook; so do the system, and then its metric."""
    with reading(browser) as reader:
        reader.page.goto((everything / "index.html").as_uri())
        reader.page.locator(".pb-need", has_text="12.4 %").get_by_role("link", name="Error rate").click()
        assert reader.page.locator("h1").inner_text() == "Error rate of Corner shop"
        assert "Critical" in reader.page.locator(".pb-now").inner_text()
        reader.page.goto((everything / "index.html").as_uri())
        reader.page.locator(".pb-systems a").first.click()
        reader.page.locator(".pb-metrics a", has_text="Error rate").first.click()
        assert reader.page.locator("h1").inner_text() == "Error rate of Corner shop"


def test_what_is_broken_is_one_search_from_home(browser: Browser, everything: Path) -> None:
    """A search for its title, its name or its limit finds the broken metric before all else, and says what its limit is."""
    with reading(browser) as reader:
        for words in ("error rate", "error-rate", "shop/error-rate", "> 10 %", "critical above 10"):
            reader.page.goto((everything / "index.html").as_uri())
            reader.page.keyboard.press("/")
            reader.page.keyboard.type(words)
            first = reader.page.locator(".md-search-result__item").first
            first.locator("[href*='metrics/error-rate.html']").first.wait_for(state="attached")
            said = " ".join((first.text_content() or "").split())
            assert "Error rate" in said, words
            assert "critical when it is above 10 %" in said, words


def test_of_hundreds_the_best_is_found_first(browser: Browser, well: Path, served: Callable[[Path], str]) -> None:
    """A page titled as was typed comes before hundreds of such steps; the search says that it lists only so many."""
    books = [(_entry(f"{number}.html", "Runbook"), _entry(f"{number}.html#step-1", "Cold oven")) for number in range(300)]
    docs = [*chain.from_iterable(books), _entry("last.html", "Cold oven")]
    with reading(browser) as reader:
        _search(reader.page, served(well), docs, "cold oven")
        first = reader.page.locator(".md-search-result__link").first
        assert (first.get_attribute("href") or "").endswith("/last.html")
        assert reader.page.locator(".md-search-result__meta").inner_text().startswith("100+ ")


def test_what_says_just_that_is_found_first(browser: Browser, well: Path, served: Callable[[Path], str]) -> None:
    """Of hundreds of pages that have all words, or begin like them, those come first that say what was typed."""
    docs = [_entry(f"{one}.html", f"Metric {one} of System 1", f"<code>shop/metric-{one:04}</code>") for one in range(400, 0, -1)]
    with reading(browser) as reader:
        for words in ("metric 17", "metric-0017", "Metric 17 of System 1"):
            _search(reader.page, served(well), docs, words)
            first = reader.page.locator(".md-search-result__item").first
            first.locator("[href*='/17.html']").wait_for(state="attached")
            assert first.locator("h1").inner_text() == "Metric 17 of System 1", words


def test_numbers_do_not_break_the_search(browser: Browser, well: Path, served: Callable[[Path], str]) -> None:
    """Whatever digits stand in a house's words, the search finds what begins with what was typed."""
    docs = [_entry(f"{number}.html", title) for number, title in enumerate(["ab", f"b{'0' * 400}c", "x0", "x1"])]
    with reading(browser) as reader:
        _search(reader.page, served(well), docs, "x")
        assert reader.page.locator(".md-search-result__link").count() == 2
        assert reader.complaints == []


def _entry(location: str, title: str, text: str = "") -> dict[str, str]:
    return {"location": location, "title": title, "text": text}


def _search(page: Page, base: str, docs: list[dict[str, str]], words: str) -> None:
    """Search a site as if these were its pages and sections."""
    page.route("**/search_index.json", lambda route: route.fulfill(json={**route.fetch().json(), "docs": docs}))
    page.goto(base + "index.html")
    page.keyboard.press("/")
    page.keyboard.type(words)
    page.locator(".md-search-result__link").first.wait_for(state="attached")


@pytest.mark.parametrize("address", ["index.html", "systems/shop/report.html", "systems/shop/runbooks/morning.html"])
def test_the_keyboard_reaches_everything(browser: Browser, everything: Path, address: str) -> None:
    """With the tab key alone a reader comes to each link, fold and scrolling part of a page, and sees where they are."""
    with reading(browser) as reader:
        page = reader.page
        page.goto((everything / address).as_uri())
        page.wait_for_load_state("networkidle")
        count = page.evaluate(f"({_LINKS})().map((one, index) => one.dataset.reach = index).length")
        assert count > 5
        reached: set[str] = set()
        for _ in range(count + 80):
            page.keyboard.press("Tab")
            here = page.evaluate("[document.activeElement.dataset.reach, getComputedStyle(document.activeElement).outlineStyle]")
            if here[0] is not None:
                reached.add(here[0])
                assert here[1] != "none", f"number {here[0]} is not seen to be focused"
            if len(reached) == count:
                break
        left = page.evaluate(
            f"({_LINKS})().filter(one => !{sorted(reached)!r}.includes(one.dataset.reach)).map(one => one.outerHTML)"
        )
        assert left == []


def test_nothing_is_lost_at_200_percent(browser: Browser, everything: Path) -> None:
    """A window of 1280 pixels enlarged to 200 % shows every page without scrolling sideways."""
    context = browser.new_context(viewport={"width": 640, "height": 450}, device_scale_factor=2)
    page = context.new_page()
    for address in PAGES:
        page.goto((everything / address).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
    context.close()


def test_who_wants_no_motion_gets_none(browser: Browser, everything: Path) -> None:
    """Where the reader's system asks for less motion, nothing moves for longer than a blink."""
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto((everything / "index.html").as_uri())
    longest = page.evaluate(
        """Math.max(...[...document.querySelectorAll('*')].flatMap(one => {
            const style = getComputedStyle(one)
            return [...style.transitionDuration.split(', '), ...style.animationDuration.split(', ')].map(parseFloat)
        }))"""
    )
    assert longest <= 0.001
    context.close()


@pytest.mark.parametrize("address", ["systems/shop/checklist.html", "systems/shop/runbooks/morning.html"])
def test_paper_holds_what_is_worked_with(browser: Browser, everything: Path, address: str) -> None:
    """Printed, a checklist and a runbook have their boxes and steps without the site around them, and a line for the pen."""
    with reading(browser) as reader:
        page = reader.page
        page.goto((everything / address).as_uri())
        page.emulate_media(media="print")
        hidden = ".md-header, .md-tabs, .md-sidebar, .headerlink"
        assert page.locator(hidden).evaluate_all("all => all.filter(one => one.checkVisibility()).length") == 0
        if "checklist" in address:
            line = page.locator("li", has_text="The oven").locator(".pb-tick-why")
            assert "signed ____" in line.evaluate("one => getComputedStyle(one, '::after').content")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert " ago" not in page.locator("article").inner_text()
        assert page.pdf(format="A4").startswith(b"%PDF")
