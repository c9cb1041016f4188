"""What a large house costs to publish and to read: thousands of runbooks, a million results, thousands of them on one page."""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

from tests.benchmarks import sites
from tests.benchmarks.site import house, seconds

_MOST_HTML = 300_000
_RESULTS_OF_A_RUN = 10
_READY = """() => !/initializ/i.test(document.querySelector(".md-search-result__meta").textContent)"""
_SEARCH = """async text => {
  const input = document.querySelector(".md-search__input"), list = document.querySelector(".md-search-result__list")
  const typed = value => { input.value = value; input.dispatchEvent(new KeyboardEvent("keyup")) }
  typed("")
  await new Promise(done => setTimeout(done, 500))
  const begun = performance.now()
  const found = new Promise((done, gone) => {
    new MutationObserver(() => { if (list.textContent.includes(text)) done(performance.now() - begun) })
      .observe(list, { childList: true, subtree: true })
    setTimeout(() => gone(new Error(`${text} is not found`)), 20000)
  })
  typed(text)
  return found
}"""


def measure(options: Any) -> dict[str, Any]:
    """Measure and print; the figures."""
    return {"large_house": _large(options), "results_on_a_page": _one_page(options)}


def _large(options: Any) -> dict[str, Any]:
    size = sites.Size(options.systems, metrics=5, runbooks=options.runbooks // options.systems, texts=1)
    runs = options.results // _RESULTS_OF_A_RUN
    with house(size, runs, options.results, evidence=False) as at:
        found = {"systems": size.systems, "runbooks": len(at.catalogue.runbooks), "results": options.results, "runs": runs}
        found["first_publication_s"] = seconds(at.publish)
        found["publication_after_new_results_s"] = at.measured(1)
        site = (at.root / "public" / "current").resolve()
        last = f"Check {len(at.catalogue.runbooks) // size.systems - 1} of System {size.systems - 1}"
        found |= _sizes(site) | _in_a_browser(site, "index.html", last)
        return _told("a large house", found)


def _one_page(options: Any) -> dict[str, Any]:
    """One system whose page shows so many results, in a journal of ten thousand runs."""
    size = sites.Size(systems=1, metrics=options.on_a_page, runbooks=20, texts=1)
    with house(size, options.runs, options.on_a_page * 4) as at:
        found = {"results": options.on_a_page, "runs": options.runs}
        found["first_publication_s"] = seconds(at.publish)
        found["publication_after_new_results_s"] = at.measured(1)
        site = (at.root / "public" / "current").resolve()
        page = "systems/system-000/index.html"
        found |= {"page_bytes": (site / page).stat().st_size, **_sizes(site)}
        found |= _in_a_browser(site, page, "Check 7 of System 0")
        return _told("one page", found)


def _sizes(site: Path) -> dict[str, Any]:
    pages = sorted(((path.stat().st_size, path.relative_to(site).as_posix()) for path in site.rglob("*.html")), reverse=True)
    return {
        "pages": len(pages),
        "largest_page": pages[0][1],
        "largest_page_bytes": pages[0][0],
        "pages_over_300_kB": sum(1 for size, _ in pages if size > _MOST_HTML),
        "search_index_bytes": (site / "search" / "search_index.json").stat().st_size,
    }


def _told(what: str, found: dict[str, Any]) -> dict[str, Any]:
    print(what)
    for name, value in found.items():
        print(f"  {name.replace('_', ' '):<36} {f'{value:,.3f}' if isinstance(value, float) else value}")
    return found


def _in_a_browser(site: Path, address: str, wanted: str) -> dict[str, Any]:
    """Seconds until a page can be used, until its search is ready, and until what is searched for is found."""
    from checks.site.server import server

    chromium = shutil.which("chromium")
    if chromium is None:
        print("Chromium is not installed, so no page is opened", file=sys.stderr)
        return {}
    from playwright.sync_api import sync_playwright

    with server(site) as serving, sync_playwright() as play:
        Thread(target=serving.serve_forever, daemon=True).start()
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(180_000)
        usable = []
        for _ in range(3):
            begun = time.perf_counter()
            page.goto(f"http://127.0.0.1:{serving.server_address[1]}/{address}", wait_until="load")
            page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))")
            usable.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        page.keyboard.press("/")
        page.wait_for_function(_READY)
        ready = time.perf_counter() - begun
        searched = [page.evaluate(_SEARCH, wanted) / 1000 for _ in range(5)]
        browser.close()
        serving.shutdown()
    return {"usable_s": statistics.median(usable), "search_ready_s": ready, "found_s": statistics.median(searched)}
