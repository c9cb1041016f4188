"""Two hundred texts that try to act, in a real browser: no page of any type obeys one of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_reading import reading
from tests.threats.hostile import publish_shop, texts

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop in which everything says every text, published."""
    return publish_shop(tmp_path_factory.mktemp("hostile"), texts())[1].index.parent.resolve()


def _noted(dialog: Dialog, opened: list[str]) -> None:
    opened.append(dialog.message)
    dialog.dismiss()


def _one_of_each_type(site: Path) -> list[str]:
    found: dict[str, str] = {}
    for path in sorted(site.rglob("*.html")):
        address = path.relative_to(site).as_posix()
        found.setdefault(re.sub(r"[\w-]+-n?\d+\.html|[0-9a-f]{64}\.html", "*", address), address)
    return list(found.values())


def test_no_page_obeys(browser: Browser, hostile: Path, served: Callable[[Path], str]) -> None:
    """Served with its policy, no page opens a dialog, breaks the policy, complains, leaves, or asks another machine anything."""
    base = served(hostile)
    pages = _one_of_each_type(hostile)
    assert len(pages) >= 12
    with reading(browser) as reader:
        opened: list[str] = []
        reader.page.on("dialog", lambda dialog: _noted(dialog, opened))
        for address in pages:
            reader.page.goto(base + address)
            reader.page.wait_for_load_state("networkidle")
            assert reader.page.url == base + address
            # The page of what is not found says so, too.
            assert [said for said in reader.complaints if "404" not in said] == [], address
        assert opened == []
        assert [url for url in reader.asked if not url.startswith((base, "data:", "blob:"))] == []


def test_what_is_searched_is_not_obeyed(browser: Browser, hostile: Path) -> None:
    """What the search finds of hostile titles and texts is shown as letters."""
    with reading(browser) as reader:
        opened: list[str] = []
        reader.page.on("dialog", lambda dialog: _noted(dialog, opened))
        reader.page.goto((hostile / "index.html").as_uri())
        reader.page.locator(".md-search__input").click()
        for word in ("mark0z", "alert", "script", "look"):
            reader.page.locator(".md-search__input").fill("")
            reader.page.locator(".md-search__input").press_sequentially(word)
            reader.page.wait_for_timeout(500)
            assert reader.page.locator(".md-search-result :is(script, img, iframe, [onload], [onerror])").count() == 0
        reader.page.locator(".md-search-result__link").first.wait_for(state="attached")
        assert opened == []
        assert reader.complaints == []
