"""The published site in a real browser, as a reader has it: from the file system and served, with and without scripts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.site.people import NAME

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ARCHIVE = f"systems/shop/reports/quarterly-{datetime.now(UTC).year - 1}.html"
PAGES = [
    "index.html",
    "calendar.html",
    "coverage.html",
    "incidents/index.html",
    f"incidents/{NAME}.html",
    "reports/weekly.html",
    "systems/shop/index.html",
    "systems/shop/after.html",
    "systems/shop/all/metrics-1.html",
    "systems/shop/checklist.html",
    "systems/shop/coverage.html",
    "systems/shop/faq.html",
    "systems/shop/report.html",
    ARCHIVE,
    "systems/shop/runbooks/morning.html",
    "systems/shop/runbooks/clear-cache.html",
    "systems/shop/runbooks/clear-cache/runs-1.html",
    "systems/shop/metrics/error-rate.html",
    "systems/shop/metrics/latency.html",
]
MISSING = "no-such-page.html"
"""What a server answers with its own page."""
SCREENSHOTS = Path(os.environ.get("PROOFBOOK_SCREENSHOTS") or Path(__file__).parents[2] / "screenshots")
"""Where pictures of every page are left for people to look at; continuous integration keeps them."""
Scheme = Literal["light", "dark"]
_BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 24, 30)"}
_BACKGROUND = "getComputedStyle(document.body).backgroundColor"
_DRAWN = "new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
_UNREACHED = """() => [...document.querySelectorAll('a[href], summary, button, input, [tabindex="0"]')]
    .filter(one => !one.hidden && one.checkVisibility({checkVisibilityCSS: true}))
    .filter(one => !one.closest('details:not([open]) > :not(summary)'))
    .filter(one => {
        one.focus()
        return document.activeElement !== one || (one.closest('main, article') && getComputedStyle(one).outlineStyle === 'none')
    })
    .map(one => one.outerHTML.slice(0, 200))"""
"""What the keyboard does not come to, or where it is not seen to be."""
_SPOKEN = r"""() => {
    const said = one => (one.getAttribute('aria-label') || one.textContent).replace(/[\s→]+/g, ' ').trim()
    const useless = /^(|ok|warning|critical|unknown|stale|here|more|[0-9a-f]{8}|just now|\d+ (s|min|h|d) ago|[\d: ]+UTC)$/i
    const links = [...document.querySelectorAll(':is(article, .pb-plain main) a[href]')].filter(one => useless.test(said(one)))
    const tables = [...document.querySelectorAll('main table:not([role])')].filter(one => !one.querySelector('th'))
    const twice = [...document.querySelectorAll('.pb-status')].filter(one => /\b(\w+)\b[^\w]+\1\b/i.test(said(one)))
    const skip = document.querySelector('.md-skip')
    const lost = skip && !document.querySelector(`h1${skip.hash}`) ? [skip] : []
    return [...links, ...tables, ...twice, ...lost].map(one => one.outerHTML.slice(0, 200))
}"""
"""What says nothing to who listens: links without a name of their own, tables without heads, a status that is said twice, a way
past the navigation that does not end at the page's heading."""
_VIOLATIONS = "axe.run({resultTypes: ['violations']}).then(found => found.violations)"


@dataclass
class Reading:
    """A page in a browser, with everything that it complained of and asked of others."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def reading(browser: Browser, *, width: int = 1440, scheme: Scheme = "light", scripts: bool = True) -> Iterator[Reading]:
    """A fresh reader with a window of this width."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts)
    context.set_default_timeout(10_000)
    one = Reading(context.new_page())
    one.page.on("console", lambda said: one.complaints.append(said.text) if said.type in ("error", "warning") else None)
    one.page.on("pageerror", lambda error: one.complaints.append(str(error)))
    one.page.on("request", lambda request: one.asked.append(request.url))
    yield one
    context.close()


def evidence_of(site: Path) -> str:
    """The address of a page of evidence; of one that shows a picture, where there is any."""
    pages = sorted((site / "evidence").glob("*.html"))
    return f"evidence/{max(pages, key=lambda page: '<img' in page.read_text(encoding='utf-8')).name}"


def published_at(site: Path) -> datetime:
    """When a site was published; other tests may have taken their time since."""
    return datetime.fromisoformat(json.loads((site / "status.json").read_text(encoding="utf-8"))["published_at"])


@dataclass(frozen=True, slots=True)
class Sight:
    """A page as it stood in a window of some width and scheme."""

    address: str
    width: int
    scheme: Scheme
    wider: int
    title: str
    background: str
    violations: list[Any]
    unreached: list[str]
    spoken: list[str]


@dataclass(frozen=True, slots=True)
class Visit:
    """All that was seen of a site by a reader who opened every page of it once."""

    base: str
    sights: list[Sight]
    complaints: list[str]
    asked: list[str]


def _settled(page: Page, scheme: Scheme, address: str) -> str:
    """What a page's background is once its script has followed a change of scheme; asked from here, as its policy bids."""
    background = page.evaluate(_BACKGROUND)
    for _ in range(100):
        # The page of what is not found has the browser's own colours.
        if address == MISSING or background == _BACKGROUNDS[scheme]:
            break
        page.wait_for_timeout(50)
        background = page.evaluate(_BACKGROUND)
    return str(background)


def _visit(browser: Browser, base: str, addresses: list[str], windows: list[tuple[int, Scheme]], axe: str = "") -> Visit:
    """Open each page in the first window, then make it the others: loading it again for each would show nothing else."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    sights, unreached, spoken = [], list[str](), list[str]()
    with reading(browser, width=windows[0][0], scheme=windows[0][1]) as reader:
        page = reader.page
        for address in addresses:
            for number, (width, scheme) in enumerate(windows):
                page.set_viewport_size({"width": width, "height": 900})
                # Who looks while colours change sees those of neither scheme.
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce" if number else "no-preference")
                if number == 0:
                    page.goto(base + address)
                    page.wait_for_load_state("networkidle")
                    page.evaluate(axe)
                    spoken = page.evaluate(_SPOKEN)
                    # From now on, what has the focus is shown to have it, as to whoever uses the keyboard.
                    page.keyboard.press("Tab")
                    unreached = page.evaluate(_UNREACHED)
                    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
                page.evaluate(_DRAWN)
                background = _settled(page, scheme, address)
                if not axe:
                    name = "evidence" if address.startswith("evidence/") else address.removesuffix(".html").replace("/", "-")
                    page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
                wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                found = page.evaluate(_VIOLATIONS) if axe else []
                sights.append(Sight(address, width, scheme, wider, page.title(), background, found, unreached, spoken))
    # The page of what is not found says so, too.
    return Visit(base, sights, [said for said in reader.complaints if "404" not in said], reader.asked)


@pytest.fixture(scope="module")
def on_disk(browser: Browser, everything: Path) -> Visit:
    """The site as it is read from the file system."""
    addresses = [*PAGES, evidence_of(everything)]
    return _visit(browser, everything.as_uri() + "/", addresses, [(1440, "light"), (360, "dark")])


@pytest.fixture(scope="module")
def online(browser: Browser, everything: Path, served: Callable[[Path], str]) -> Visit:
    """The site as it is served, looked at by axe, too."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    addresses = [*PAGES, evidence_of(everything), MISSING]
    return _visit(browser, served(everything), addresses, [(360, "light"), (1440, "dark")], axe.axe_script)


@pytest.mark.parametrize("way", ["on_disk", "online"])
def test_pages_are_quiet_and_keep_to_themselves(request: pytest.FixtureRequest, way: str) -> None:
    """No page complains, asks anything of another machine, or is wider than its window, whatever was observed."""
    visit: Visit = request.getfixturevalue(way)
    assert len(visit.sights) >= 2 * len(PAGES)
    for sight in visit.sights:
        assert sight.wider <= 0, sight.address
        assert sight.title != "taken"
        assert sight.background == _BACKGROUNDS[sight.scheme] or sight.address == MISSING, sight.address
    assert visit.complaints == []
    assert [url for url in visit.asked if not url.startswith((visit.base, "data:"))] == []


def test_everyone_can_use_it(online: Visit) -> None:
    """Axe finds nothing on any page, narrow or wide, light or dark: contrast, names, structure, landmarks, keyboard."""
    for sight in online.sights:
        told = [
            (
                violation["id"],
                violation["impact"],
                [(node["target"], node["failureSummary"]) for node in violation["nodes"]][:3],
            )
            for violation in sight.violations
        ]
        assert told == [], (sight.address, sight.width, sight.scheme)


@pytest.mark.parametrize("way", ["on_disk", "online"])
def test_the_keyboard_comes_to_everything(request: pytest.FixtureRequest, way: str) -> None:
    """On every type of page each link, fold, button and scrolling part takes the focus, and is seen to have it."""
    visit: Visit = request.getfixturevalue(way)
    assert {sight.address: sight.unreached for sight in visit.sights if sight.unreached} == {}


def test_who_listens_is_told_enough(on_disk: Visit) -> None:
    """On every type of page links say where they lead, tables have heads, and no status is said twice in a breath."""
    assert {sight.address: sight.spoken for sight in on_disk.sights if sight.spoken} == {}


def test_every_page_is_whole_without_scripts(browser: Browser, everything: Path) -> None:
    """With scripts off every type of page has its heading, its figures and its times in words, and nothing waits to be filled."""
    with reading(browser, scripts=False) as reader:
        for address in [*PAGES, evidence_of(everything)]:
            reader.page.goto((everything / address).as_uri())
            said = reader.page.locator("main").inner_text()
            assert reader.page.locator("h1").first.inner_text().strip(), address
            assert "not filled" not in said, address
            assert not re.search(r"\b\d+ (?:s|min|h|d) ago", said), address
            assert [time for time in reader.page.locator("main time").all_text_contents() if not time.strip()] == [], address


def test_home_answers_first(browser: Browser, troubled: Path) -> None:
    """Home says how many things need someone and how old that is, then what they are beside their limits, then the systems."""
    with reading(browser) as reader:
        reader.page.goto((troubled / "index.html").as_uri())
        assert reader.page.locator("h1").inner_text() == "2 things need someone"
        assert re.search(r"\b[2-9] min ago", reader.page.locator(".pb-answer").inner_text())
        first = reader.page.locator(".pb-need").first.inner_text()
        assert "Critical" in first
        assert "12.4 %, limit > 10 %" in first
        row = reader.page.locator(".pb-systems tbody tr").inner_text()
        assert "Critical" in row
        assert "1 / 3" in row


def test_a_figure_leads_to_its_cell(browser: Browser, troubled: Path) -> None:
    """A reader who follows a figure stands at the cell that measured it, with the run's facts on the same page."""
    with reading(browser) as reader:
        reader.page.goto((troubled / "systems/shop/index.html").as_uri())
        reader.page.locator(".pb-metrics a", has_text="12.4 %").first.click()
        reader.page.wait_for_url("**/evidence/*.html#cell-2")
        assert 'check("error-rate")' in reader.page.locator("#cell-2").inner_text()
        assert "01B" in reader.page.locator(".pb-facts").inner_text()


def test_a_page_left_open_turns_stale(browser: Browser, well: Path) -> None:
    """Without a server and without reloading, what was well turns stale when its time is over: answer, systems, boxes."""
    with reading(browser) as reader:
        reader.page.clock.install(time=published_at(well))
        reader.page.goto((well / "index.html").as_uri())
        assert reader.page.locator("h1").inner_text() == "Everything is well"
        assert reader.page.locator(".pb-systems .pb-status").inner_text() == "Ok"
        reader.page.clock.fast_forward(timedelta(minutes=30).seconds * 1000)
        assert reader.page.locator("h1").inner_text() == "Everything is well"
        assert reader.page.locator(".pb-systems td:last-child").inner_text() == "32 min ago"
        reader.page.clock.fast_forward(timedelta(minutes=30).seconds * 1000)
        assert reader.page.locator("h1").inner_text() == "This answer is stale"
        assert reader.page.locator(".pb-voice").text_content() == "This answer is stale"
        assert reader.page.locator(".pb-systems .pb-status").inner_text() == "Stale"
        assert reader.page.locator(".pb-systems .pb-status use").get_attribute("href") == "#pb-stale"


def test_boxes_open_again(browser: Browser, well: Path) -> None:
    """A box that a measurement ticked opens by itself when the measurement is too old; one that still speaks stays ticked."""
    with reading(browser) as reader:
        reader.page.clock.install(time=published_at(well))
        reader.page.goto((well / "systems/shop/checklist.html").as_uri())
        assert reader.page.locator(".pb-box-ticked").count() == 3
        reader.page.clock.fast_forward(timedelta(hours=2).seconds * 1000)
        ticked = reader.page.locator("li", has=reader.page.locator(".pb-box-ticked"))
        assert [text.splitlines()[-1] for text in ticked.all_inner_texts()] == [
            "The backup is there",
            "The morning check went well",
        ]
        reader.page.clock.fast_forward(timedelta(hours=23).seconds * 1000 + timedelta(hours=3).seconds * 1000)
        assert reader.page.locator(".pb-box-ticked").count() == 0


def test_a_page_opened_late_is_stale_at_once(browser: Browser, well: Path) -> None:
    """A site whose publisher died days ago shows nothing green to whoever opens it."""
    with reading(browser) as reader:
        reader.page.clock.set_fixed_time(datetime.now(UTC) + timedelta(days=3))
        for address in ("index.html", "systems/shop/index.html", "systems/shop/checklist.html"):
            reader.page.goto((well / address).as_uri())
            reader.page.locator(".pb-turned").first.wait_for()
            assert reader.page.locator('[data-status="ok"]').count() == 0, address


def test_what_is_critical_stays_critical(browser: Browser, troubled: Path) -> None:
    """Age disproves nothing: what was critical when last measured is not shown as merely stale."""
    with reading(browser) as reader:
        reader.page.clock.set_fixed_time(datetime.now(UTC) + timedelta(days=3))
        reader.page.goto((troubled / "index.html").as_uri())
        assert reader.page.locator(".pb-systems .pb-status").inner_text() == "Critical"


@pytest.mark.parametrize("width", [360, 1440])
def test_without_scripts_times_remain(browser: Browser, well: Path, width: int) -> None:
    """With scripts off every answer is there, with the time it is of and the time until which it speaks."""
    with reading(browser, width=width, scripts=False) as reader:
        reader.page.goto((well / "index.html").as_uri())
        said = reader.page.locator(".pb-answer").inner_text()
        assert "Everything is well" in said
        assert "UTC" in said
        assert "speaks until" in said
        assert "ago" not in said
        assert "UTC" in reader.page.locator(".pb-systems").inner_text()


@pytest.mark.parametrize("way", ["file", "http"])
def test_search_finds(browser: Browser, well: Path, served: Callable[[Path], str], way: str) -> None:
    """Search works from the file system as it does from a server, without asking anyone else."""
    base = well.as_uri() + "/" if way == "file" else served(well)
    with reading(browser) as reader:
        reader.page.goto(base + "index.html")
        reader.page.locator(".md-search__input").click()
        reader.page.locator(".md-search__input").press_sequentially("oven", delay=20)
        found = reader.page.locator(".md-search-result__link").first
        found.wait_for(state="attached")
        assert "clear-cache.html" in (found.get_attribute("href") or "")
        assert reader.complaints == []
        assert [url for url in reader.asked if not url.startswith((base, "data:", "blob:", "about:"))] == []
