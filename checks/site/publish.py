"""Publishing: a complete site is built aside, numbered, and swapped in by one rename.

Whoever reads `<to>/current` sees one publication or the next, whole; if anything fails, they go on reading the last.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from checks.errors import Busy, CannotWrite, DataError
from checks.site import evidence, exports, fill
from checks.site.complaint import complaint
from checks.site.facts import Publication, Reader, gather

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.journal.report import SiteReport

KEPT = 3
"""How many publications stay beside each other."""

_FOLDER = "publications"
_CURRENT = "current"
_BUILDING = ".building-"


@dataclass(frozen=True, slots=True)
class Published:
    """A publication that readers see.

    Attributes:
        folder: where it lies.
        index: the file to open; it stays the same from one publication to the next.
        pages: how many pages were filled; `evidence`: how many pages of evidence were written.
        report: what it says.

    """

    number: int
    folder: Path
    index: Path
    pages: int
    evidence: int
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
        DataError: MkDocs refuses the pages; what is published stays.
        CannotWrite: the folder cannot be written; what is published stays.

    """
    try:
        with _only_publisher(to):
            return _publish(catalogue, journal, to, now, environment or catalogue.settings.environment)
    except OSError as error:
        raise CannotWrite(f"the site cannot be written: {error.strerror or error}", where=str(to)) from error


def current(to: Path) -> Path | None:
    """The folder of the publication that readers see; ``None`` where there is none."""
    link = to / _CURRENT
    return link.resolve() if link.is_dir() else None


def _publish(catalogue: Catalogue, journal: Reader, to: Path, now: datetime, environment: str) -> Published:
    home = to / _FOLDER
    home.mkdir(parents=True, exist_ok=True)
    for left in home.glob(f"{_BUILDING}*"):
        shutil.rmtree(left, ignore_errors=True)
    number = max(_numbers(home), default=0) + 1
    aside = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=home))
    try:
        aside.chmod(0o755)
        build_skeleton(catalogue.root, aside)
        facts = gather(catalogue, journal, environment, now, Publication(number, _commit(catalogue.root)))
        pages = fill.fill_tree(aside, facts)
        figures = evidence.write_pages(facts, aside)
        exports.write(facts, aside)
        folder = home / f"{number:04d}"
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _swap(to, folder)
    for old in sorted(_numbers(home))[:-KEPT]:
        shutil.rmtree(home / f"{old:04d}", ignore_errors=True)
    return Published(number, folder, to / _CURRENT / "index.html", pages, figures, facts.report)


def build_skeleton(root: Path, to: Path) -> None:
    """Build the project's pages with MkDocs, strictly, their live elements left empty.

    Args:
        root: the project's folder.
        to: an existing folder; what it holds is replaced.

    Raises:
        DataError: MkDocs refuses; the message is what it says.

    """
    # A process of its own: mkdocs-macros ends the interpreter when a macro fails, and MkDocs keeps global state.
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--config-file",
            str(root / "mkdocs.yml"),
            "--site-dir",
            str(to),
        ],
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise DataError(
            f"the site cannot be built; what is published stays\n{complaint(done.stderr + done.stdout, root)}",
            remedy="mend what is named, and publish again",
        )


@contextmanager
def _only_publisher(to: Path) -> Iterator[None]:
    to.mkdir(parents=True, exist_ok=True)
    with (to / ".publishing").open("a", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy("another publisher is at work", where=str(to), remedy="wait for it to end, and publish again") from error
        yield


def _swap(to: Path, folder: Path) -> None:
    fresh = to / f".{_CURRENT}-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.relative_to(to))
    fresh.replace(to / _CURRENT)


def _numbers(home: Path) -> list[int]:
    return [int(path.name) for path in home.iterdir() if path.name.isdecimal()]


def _commit(root: Path) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
