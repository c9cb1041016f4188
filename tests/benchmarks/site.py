"""What publishing costs: against MkDocs that builds the same pages, and at the sizes of a large house.

A thousand pages: MkDocs from nothing, a publication of which the figures of all pages or of twenty-five have changed, and one
of which the text of twenty-five pages has. MkDocs gets the same project with the same plugins, and is the same process from
outside: a command. Ours is timed from inside, as a scheduler that stays calls it; what the command adds is told beside it.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from checks.catalogue import Catalogue, load
from checks.journal import Journal, open_journal
from checks.site import kept
from checks.site.publish import Published, publish
from tests.benchmarks import sites
from tests.benchmarks.measuring import PROGRAMS, interleaved, show, summary

THOUSAND = sites.Size(systems=40, metrics=12, runbooks=8, texts=4)
_MOST_HTML = 300_000
_EDITED = 25


@dataclass(slots=True)
class _House:
    """A project that is measured and published again and again."""

    root: Path
    journal: Journal
    catalogue: Catalogue
    now: datetime
    turn: int = 0

    def publish(self) -> Published:
        return publish(self.catalogue, self.journal, self.root / "public", self.now)

    def measured(self, systems: int) -> float:
        """Seconds of a publication after one runbook of so many systems has measured all of its system's metrics."""
        self.turn += 1
        self.now += timedelta(seconds=30)
        for name in list(self.catalogue.systems)[:systems]:
            sites.run_once(self.catalogue, self.journal, f"{name}/check-000", self.now, 100.0 + self.turn)
        return _seconds(self.publish)

    def edited(self) -> float:
        """Seconds of a publication after the text of some pages has changed."""
        self.turn += 1
        self.now += timedelta(seconds=30)
        pages = sorted((self.root / "docs").glob("systems/*/note-*.md"))[:_EDITED]
        for page in pages:
            page.write_text(page.read_text() + f"\nEdited for the {self.turn}th time.\n")
        self.catalogue = load(self.root)
        return _seconds(self.publish)

    def built(self) -> float:
        """Seconds of MkDocs that builds all pages."""
        with tempfile.TemporaryDirectory() as to:
            return _seconds(lambda: kept.build_skeleton(self.root, Path(to)))

    def commanded(self) -> float:
        """Seconds of the command with nothing to do but to look."""
        call = [str(PROGRAMS / "proofbook"), "publish", "--no-run", "--root", str(self.root)]
        return _seconds(lambda: subprocess.run(call, check=True, capture_output=True))


def measure(options: Any) -> dict[str, Any]:
    """Measure and print; the figures."""
    return {"thousand_pages": _thousand(options.rounds), "scale": _scale(options), "results_on_a_page": _one_page(options)}


def _thousand(rounds: int) -> dict[str, Any]:
    with _house(THOUSAND, runs=960, results=9_600) as house:
        first = _seconds(house.publish)
        ways: dict[str, Callable[[], float]] = {
            "mkdocs build": house.built,
            "publish, figures of all pages changed": lambda: house.measured(THOUSAND.systems),
            "publish, figures of 25 pages changed": lambda: house.measured(1),
            "publish, text of 25 pages changed": house.edited,
            "the command, nothing changed": house.commanded,
        }
        figures = summary(interleaved(ways, rounds))
        show(f"{THOUSAND.pages:,} pages", figures)
        return {"pages": THOUSAND.pages, "first_publication_s": first, "ways": figures}


def _scale(options: Any) -> dict[str, Any]:
    size = sites.Size(options.systems, metrics=5, runbooks=options.runbooks // options.systems, texts=1)
    runs = options.results // 10
    with _house(size, runs, options.results, evidence=False) as house:
        built = house.built()
        first = _seconds(house.publish)
        again = house.measured(1)
        site = (house.root / "public" / "current").resolve()
        pages = sorted(((path.stat().st_size, path.relative_to(site).as_posix()) for path in site.rglob("*.html")), reverse=True)
        index = (site / "search" / "search_index.json").stat().st_size
        found = {
            "pages": len(pages),
            "runs": runs,
            "results": options.results,
            "mkdocs_build_s": built,
            "first_publication_s": first,
            "publication_after_one_run_s": again,
            "largest_page": {"address": pages[0][1], "bytes": pages[0][0]},
            "pages_over_300_kB": sum(1 for bytes_, _ in pages if bytes_ > _MOST_HTML),
            "search_index_bytes": index,
            "browser": _in_a_browser(site, "index.html", "Check 7 of System 3"),
        }
        print(f"{size.systems} systems, {len(house.catalogue.runbooks):,} runbooks, {options.results:,} results: {found}")
        return found


def _one_page(options: Any) -> dict[str, Any]:
    """One system whose page shows so many results, in a journal of ten thousand runs."""
    size = sites.Size(systems=1, metrics=options.on_a_page, runbooks=20, texts=1)
    with _house(size, runs=options.runs, results=options.on_a_page * 4) as house:
        first = _seconds(house.publish)
        again = house.measured(1)
        site = (house.root / "public" / "current").resolve()
        page = site / "systems" / "system-000" / "index.html"
        found = {
            "results": options.on_a_page,
            "runs": options.runs,
            "first_publication_s": first,
            "publication_after_one_run_s": again,
            "page_bytes": page.stat().st_size,
            "browser": _in_a_browser(site, "systems/system-000/index.html", "Metric 1234"),
        }
        print(f"{options.on_a_page:,} results on one page: {found}")
        return found


def _in_a_browser(site: Path, address: str, wanted: str) -> dict[str, float] | str:
    """Seconds until a page can be used, and until what is searched for is found; why not, where there is no browser."""
    from threading import Thread

    from checks.site.server import server

    chromium = shutil.which("chromium")
    if chromium is None:
        return "Chromium is not installed"
    from playwright.sync_api import sync_playwright

    with server(site) as serving, sync_playwright() as play:
        Thread(target=serving.serve_forever, daemon=True).start()
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        usable, searched = [], []
        for _ in range(3):
            begun = time.perf_counter()
            page.goto(f"http://127.0.0.1:{serving.server_address[1]}/{address}", wait_until="load")
            page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))")
            usable.append(time.perf_counter() - begun)
        page.keyboard.press("/")
        # The index is read once, when the first thing is searched for.
        page.keyboard.type("zz")
        page.wait_for_timeout(3000)
        for _ in range(5):
            page.locator(".md-search__input").fill("")
            page.wait_for_timeout(300)
            begun = time.perf_counter()
            page.locator(".md-search__input").fill(wanted)
            page.locator(".md-search-result__item").first.wait_for(timeout=20_000)
            searched.append(time.perf_counter() - begun)
        browser.close()
        serving.shutdown()
    return {"usable_s": statistics.median(usable), "found_s": statistics.median(searched)}


@contextmanager
def _house(size: sites.Size, runs: int, results: int, *, evidence: bool = True) -> Iterator[_House]:
    with tempfile.TemporaryDirectory() as folder:
        root = sites.write(Path(folder) / "project", size)
        catalogue = load(root)
        print(f"{size.pages:,} pages, {runs:,} runs, {results:,} results", file=sys.stderr)
        with open_journal(catalogue.settings.journal) as journal:
            sites.remember(catalogue, journal, runs, results, evidence=evidence)
            yield _House(root, journal, catalogue, sites.NOW)


def _seconds(work: Callable[[], object]) -> float:
    # What was written before is on the disk, so that nobody pays for it who comes later.
    os.sync()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
