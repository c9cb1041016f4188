"""Publishing: a complete site is built aside, numbered, and swapped in by one rename.

Whoever reads `<to>/current` sees one publication or the next, whole; if anything fails, they go on reading the last.
Only what differs from the last is made anew: MkDocs builds when text has changed, a page is filled when its figures have.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from checks.errors import CannotWrite
from checks.site import kept, manifest, sitemap
from checks.site.facts import Publication, Reader, gather
from checks.site.shelf import Shelf
from checks.site.staying import staying
from checks.site.writing import Before, Writer

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.journal.report import SiteReport
    from checks.site.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Published:
    """A publication that readers see.

    Attributes:
        folder: where it lies.
        index: the file to open; it stays the same from one publication to the next.
        pages: how many pages have figures; `evidence`: how many pages of evidence there are.
        rewritten: how many of both differ from the publication before.
        gone: the pages that the publication before had, and this one neither has nor redirects.
        report: what it says.

    """

    number: int
    folder: Path
    index: Path
    pages: int
    evidence: int
    rewritten: int
    gone: tuple[str, ...]
    report: SiteReport


def publish(catalogue: Catalogue, journal: Reader, to: Path, now: datetime, *, environment: str | None = None) -> Published:
    """Build the site, fill it from the journal, and swap it in.

    Args:
        catalogue: what is published; its root holds ``mkdocs.yml``.
        journal: what the pages are filled from.
        to: the folder of publications; made where it is missing.
        now: aware; what age is counted from, and the time of the publication.
        environment: the one whose runs are shown; by default the one of the settings.

    Raises:
        Busy: another publisher is at work there.
        Refused: a newer publication was shown by another machine meanwhile.
        DataError: MkDocs refuses the pages; what is published stays.
        CannotWrite: the folder cannot be written; what is published stays.

    """
    shelf = Shelf(to)
    try:
        with shelf.only_publisher(), kept.skeleton(catalogue) as skeleton:
            with staying():
                before = _before(shelf)
            with shelf.building() as (number, aside):
                shelf.reuse(aside)
                about = Publication(number, _commit(catalogue.root))
                with staying():
                    facts = gather(catalogue, journal, environment or catalogue.settings.environment, now, about)
                    writer = Writer(aside, facts, before)
                made = writer.write(skeleton)
                writer.keep_assets(_others(shelf))
                writer.folder.clear()
                sitemap.date(aside, now)
                writer.manifest.write(shelf.manifest(number))
                facts.steps.keep(frozenset(book.digest for book in catalogue.runbooks.values()))
                gone = tuple(sorted(address for address in _pages(before.manifest) if address not in writer.folder.wanted))
            shelf.swap(number)
    except OSError as error:
        raise CannotWrite(f"the site cannot be written: {error.strerror or error}", where=str(to)) from error
    return Published(number, shelf.folder(number), shelf.index, made.pages, made.evidence, made.rewritten, gone, facts.report)


def roll_back(to: Path) -> tuple[int, Path]:
    """Show the publication before the one that readers see.

    Returns:
        its number, and the file to open.

    Raises:
        Busy: a publisher is at work there.
        Refused: there is none before it.
        CannotWrite: the folder cannot be written.

    """
    shelf = Shelf(to)
    try:
        with shelf.only_publisher():
            return shelf.roll_back(), shelf.index
    except OSError as error:
        raise CannotWrite(f"the site cannot be taken back: {error.strerror or error}", where=str(to)) from error


def current(to: Path) -> Path | None:
    """The folder of the publication that readers see; ``None`` where there is none."""
    number = Shelf(to).current()
    return None if number is None else Shelf(to).folder(number).resolve()


def _before(shelf: Shelf) -> Before:
    number = shelf.current()
    return Before() if number is None else Before(shelf.folder(number), manifest.read(shelf.manifest(number)))


def _others(shelf: Shelf) -> Iterator[tuple[Path, list[str]]]:
    for number in shelf.numbers():
        yield shelf.folder(number), manifest.assets(shelf.manifest(number))


def _pages(before: Manifest) -> Iterator[str]:
    return (address for address in before.files if address.endswith(".html") and not address.startswith("evidence/"))


def _commit(root: Path) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
