"""What publishing costs, against MkDocs that builds the same pages.

A thousand pages: a publication of which the figures of all pages or of twenty-five have changed, and one of which the text of
twenty-five pages has. The peer is ``mkdocs build`` of the same pages as plain Markdown, with the theme Material, its search and
sections in the navigation, as most sites of teams have them; beside it the same with the navigation pruned, and MkDocs with our
own plugin. Ours is timed within a process that stays, and as a command that is started for it beside that.
"""

from __future__ import annotations

import os
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
from checks.site.shelf import KEPT
from tests.benchmarks import sites
from tests.benchmarks.measuring import PROGRAMS, interleaved, show, summary

THOUSAND = sites.Size(systems=40, metrics=12, runbooks=8, texts=4)
SECTIONS = "mkdocs build, sections"
_PRUNED = "mkdocs build, navigation pruned"
_OURS = "mkdocs build, with our plugin"
_PEERS = (SECTIONS, _PRUNED, _OURS)
_PEERS_AT_MOST = 2
_EDITED = 25


@dataclass(slots=True)
class House:
    """A project that is measured and published again and again."""

    root: Path
    catalogue: Catalogue
    journal: Journal
    now: datetime
    turn: int = 0

    def publish(self) -> Published:
        """The next publication."""
        return publish(self.catalogue, self.journal, self.root / "public", self.now)

    def ran(self, systems: int) -> None:
        """Let every runbook of so many systems run once, and measure all of its system's metrics."""
        self.turn += 1
        self.now += timedelta(seconds=20)
        # As what runs is another process than what publishes.
        with open_journal(self.catalogue.settings.journal) as journal:
            for name in list(self.catalogue.systems)[:systems]:
                for book in self.catalogue.runbooks_of(name):
                    sites.run_once(self.catalogue, journal, book.slug, self.now, 100.0 + self.turn)

    def measured(self, systems: int) -> float:
        """Seconds of a publication after that; of one system's pages there are twenty-five.

        Some publications like it come first, as a schedule makes them: the files of an older one are used again, and those that
        were written for another way would have to be cleared away before.
        """
        for _ in range(KEPT):
            self.ran(systems)
            self.publish()
        self.ran(systems)
        return seconds(self.publish)

    def edited(self) -> float:
        """Seconds of reading the catalogue and of a publication after the text of some pages has changed."""
        self.turn += 1
        self.now += timedelta(seconds=20)
        for page in sorted((self.root / "docs").glob("systems/*/note-*.md"))[:_EDITED]:
            page.write_text(page.read_text() + f"\nEdited for the {self.turn}th time.\n")
        return seconds(self._read_and_publish)

    def built(self) -> float:
        """Seconds of MkDocs that builds all pages of the project itself."""
        with tempfile.TemporaryDirectory() as to:
            return seconds(lambda: kept.build_skeleton(self.root, Path(to)))

    def commanded(self) -> float:
        """Seconds of the command, from its start to its end, shortly after the same one."""
        call = [str(PROGRAMS / "proofbook"), "publish", "--no-run", "--root", str(self.root)]
        # The first finds another time than that of the publications before, which changes every page.
        subprocess.run(call, check=True, capture_output=True)
        return seconds(lambda: subprocess.run(call, check=True, capture_output=True))

    def _read_and_publish(self) -> None:
        self.catalogue = load(self.root)
        self.publish()


def measure(options: Any) -> dict[str, Any]:
    """Measure and print; the figures."""
    with house(THOUSAND, runs=960, results=9_600) as at, tempfile.TemporaryDirectory() as folder:
        first = seconds(at.publish)
        plain = {features: sites.plain(at.catalogue, Path(folder) / features, features) for features in ("sections", "prune")}
        ways: dict[str, Callable[[], float]] = {
            SECTIONS: lambda: _mkdocs(plain["sections"]),
            _PRUNED: lambda: _mkdocs(plain["prune"]),
            _OURS: at.built,
            "publish, figures of all pages changed": lambda: at.measured(THOUSAND.systems),
            "publish, figures of 25 pages changed": lambda: at.measured(1),
            "publish, text of 25 pages changed": at.edited,
            "proofbook publish --no-run, nothing changed": at.commanded,
        }
        at_most = dict.fromkeys(_PEERS, _PEERS_AT_MOST)
        figures = summary(interleaved(ways, options.rounds, at_most))
        show(f"{THOUSAND.pages:,} pages", figures)
        for name, about in figures.items():
            if name not in _PEERS:
                told = ", ".join(f"{about['faster_than'][peer]:.1f} times as fast as {peer}" for peer in _PEERS)
                print(f"  {name}: {told}")
        return {"pages": THOUSAND.pages, "first_publication_s": first, "thousand_pages": {"ways": figures}}


@contextmanager
def house(size: sites.Size, runs: int, results: int, *, evidence: bool = True) -> Iterator[House]:
    """A project of a size, with a journal; see `tests.benchmarks.sites`."""
    with tempfile.TemporaryDirectory() as folder:
        root = sites.write(Path(folder) / "project", size)
        catalogue = load(root)
        print(f"{size.pages:,} pages, {runs:,} runs, {results:,} results", file=sys.stderr)
        with open_journal(catalogue.settings.journal) as journal:
            sites.remember(catalogue, journal, runs, results, evidence=evidence)
        # What was read of files that were just written is looked at by its digest; of settled ones the times do.
        time.sleep(2.1)
        with open_journal(catalogue.settings.journal) as journal:
            yield House(root, load(root), journal, sites.NOW)


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    # What was written before is on the disk, so that nobody pays for it who comes later.
    os.sync()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _mkdocs(project: Path) -> float:
    with tempfile.TemporaryDirectory() as to:
        call = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", to]
        environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        return seconds(lambda: subprocess.run(call, cwd=project, env=environment, check=True, capture_output=True))
