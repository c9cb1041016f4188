"""A page that is left open: it follows the site, and asks nobody where there is nobody to ask."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from checks.catalogue import load
from checks.journal import open_journal
from checks.site import tables
from checks.site.publish import publish
from tests.browser.test_reading import Reading, reading
from tests.shared import built_project
from tests.site.history import record
from tests.site.project import PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SOON = 31_000
"""Milliseconds after which an open page has asked once."""


@dataclass
class Site:
    """A site that is published again and again, each time with fresh figures."""

    root: Path
    runs: int = 0

    @property
    def current(self) -> Path:
        """What readers are served."""
        return self.root / "public" / "current"

    def publish(self, error_rate: float, now: datetime | None = None) -> None:
        """Measure, and publish."""
        now = now or datetime.now(UTC)
        loaded = load(self.root)
        loaded.settings.state.mkdir(exist_ok=True)
        self.runs += 1
        with open_journal(loaded.settings.journal) as journal:
            values: dict[str, float | str] = {"error-rate": error_rate, "latency": 90.0, "backup-age": 4.0}
            record(loaded, journal, now, values, run_id=f"01{self.runs:03d}")
            with mock.patch.object(tables, "IN_A_TABLE", 2):
                publish(loaded, journal, self.root / "public", now)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site on which everything is well, published once."""
    found = Site(tmp_path_factory.mktemp("followed") / "site")
    built_project(found.root, tmp_path_factory)
    found.publish(0.4)
    return found


@pytest.fixture
def site(published: Site, tmp_path: Path) -> Site:
    """The same site for one test to publish again."""
    shutil.copytree(published.root, tmp_path / "site", symlinks=True)
    return Site(tmp_path / "site", published.runs)


@contextmanager
def left_open(browser: Browser, address: str) -> Iterator[Reading]:
    """A page that a reader opened and looks at, with a clock that tests move."""
    with reading(browser) as reader:
        reader.page.clock.install(time=datetime.now(UTC))
        reader.page.goto(address)
        reader.page.evaluate("window.opened = true")
        yield reader


def wait(page: Page, script: str) -> None:
    """Let time pass until something holds."""
    for _ in range(40):
        page.clock.run_for(SOON)
        if page.evaluate(script):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"this never held: {script}\n{page.locator('article').inner_text()}")


def test_a_page_takes_the_next_publication(browser: Browser, site: Site, served: Callable[[Path], str]) -> None:
    """Without reloading, an open page shows the figures of the next publication; what was open and focused stays so."""
    with left_open(browser, served(site.current) + "systems/shop/index.html") as reader:
        page = reader.page
        page.locator(".pb-metric summary").nth(1).dispatch_event("click")
        page.locator(".pb-metrics a", has_text="Latency").first.focus()
        assert page.locator(".pb-voice[role=status]").text_content() == ""
        site.publish(12.4)
        wait(page, "document.body.innerText.includes('12.4 %')")
        assert page.evaluate("window.opened") is True
        assert page.locator(".pb-need").first.inner_text().startswith("Critical")
        assert page.locator(".pb-metrics .pb-critical").count() > 0
        assert page.locator(".pb-metric details").nth(1).get_attribute("open") is not None
        assert page.evaluate("document.activeElement.textContent") == "Latency"
        # Who listens hears that the answer has changed, and nothing else.
        assert page.locator(".pb-voice[role=status]").text_content() == "Corner shop: Critical"
        assert reader.complaints == []


def test_a_page_of_all_of_them_follows_too(browser: Browser, site: Site, served: Callable[[Path], str]) -> None:
    """A page that stands beside the others, with every row of a long table, shows the figures of the next publication, too."""
    with left_open(browser, served(site.current) + "systems/shop/all/metrics-1.html") as reader:
        assert reader.page.locator(".pb-metrics .pb-critical").count() == 0
        site.publish(12.4)
        wait(reader.page, "document.querySelector('.pb-metrics').innerText.includes('12.4 %')")
        assert reader.page.evaluate("window.opened") is True
        assert reader.page.locator(".pb-metrics .pb-critical").count() > 0
        assert reader.complaints == []


def test_generations_are_never_mixed(browser: Browser, site: Site, served: Callable[[Path], str]) -> None:
    """Where the text changed, too, the whole article is taken: no figure stands in a sentence of another publication."""
    with left_open(browser, served(site.current) + "systems/shop/index.html") as reader:
        text = PAGES["docs/systems/shop/index.md"].replace("The error rate is", "As of today the share of failures is")
        (site.root / "docs/systems/shop/index.md").write_text(text)
        site.publish(12.4)
        wait(reader.page, "document.body.innerText.includes('As of today the share of failures is')")
        said = reader.page.locator("article").inner_text()
        assert "As of today the share of failures is Critical 12.4 %" in " ".join(said.split())
        assert "0.4 %" not in said.replace("10.4 %", "")
        assert reader.page.evaluate("window.opened") is True


def test_a_page_under_a_sub_path_follows_its_own_site(
    browser: Browser, site: Site, served: Callable[[Path], str], tmp_path: Path
) -> None:
    """Below any path the page asks its own site's status.json, and nothing beside it."""
    home = tmp_path / "www"
    shutil.copytree(site.current, home / "deep" / "books")
    base = served(home)
    with left_open(browser, f"{base}deep/books/systems/shop/checklist.html") as reader:
        site.publish(12.4)
        shutil.rmtree(home / "deep" / "books")
        shutil.copytree(site.current, home / "deep" / "books")
        wait(reader.page, "document.querySelectorAll('.pb-box-ticked').length === 1")
        assert reader.complaints == []
        assert [url for url in reader.asked if not url.startswith((f"{base}deep/books/", "data:"))] == []


@pytest.mark.parametrize("why", ["file", "hidden", "offline"])
def test_nobody_is_asked_in_vain(browser: Browser, published: Site, served: Callable[[Path], str], why: str) -> None:
    """From the file system, behind other windows and without a network a page asks nobody, says nothing, and turns stale."""
    base = published.current.as_uri() + "/" if why == "file" else served(published.current)
    with left_open(browser, base + "index.html") as reader:
        reader.page.wait_for_load_state("networkidle")
        if why == "hidden":
            reader.page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
        if why == "offline":
            reader.page.context.set_offline(True)
        before = len(reader.asked)
        reader.page.clock.fast_forward(timedelta(minutes=61).seconds * 1000)
        reader.page.wait_for_timeout(200)
        assert reader.asked[before:] == []
        assert reader.complaints == []
        assert reader.page.locator("h1").inner_text() == "This answer is stale"
