"""The skeleton of a site, kept from one publication to the next: MkDocs builds again only when what it builds from has changed.

Beside the pages lies an index of them: a digest of each file, and where in it the empty live elements are.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import posixpath
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.errors import DataError
from checks.site import live, sources
from checks.site.complaint import complaint
from checks.site.linking import link
from checks.site.staying import staying

if TYPE_CHECKING:
    from checks.catalogue import Catalogue

FOLDER_VARIABLE = "PROOFBOOK_PAGES"
KEY_VARIABLE = "PROOFBOOK_PAGES_KEY"
BASE_VARIABLE = "PROOFBOOK_BUILT_BEFORE"
NOTES_VARIABLE = "PROOFBOOK_BUILT_NOW"
"""How a builder is told where pages are that were rendered before, and notes of what was built; see `page_cache`, `touched`."""
NOTES = "pages.json"
_KEPT = 2
_INDEX = "index.json"
_TEXTS = "texts.json"
_SITE = "site"
_FORMAT = 1
_CATALOGUE = ("/system.yml", "/requirements.yml")
"""Files among the text that are not copied into the site; what follows from them is text of pages."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file is as it was written: its size, and when it was changed."""

    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path | str) -> Stamp | None:
        """The stamp of a file; ``None`` where there is none."""
        try:
            seen = os.lstat(path)
        except OSError:
            return None
        return cls(seen.st_size, seen.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One file of a skeleton.

    Attributes:
        spots: its empty live elements.
        body: where, in bytes, what stands in ``<body>`` begins; 0 where nothing is filled.

    """

    digest: str
    stamp: Stamp
    spots: tuple[live.Spot, ...] = ()
    body: int = 0


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A built skeleton; `files` by their address on the site."""

    site: Path
    files: Mapping[str, KeptFile]

    def whole(self, address: str) -> bool:
        """Whether a file is still as it was built."""
        return Stamp.of(f"{self.site}/{address}") == self.files[address].stamp


@contextmanager
def skeleton(catalogue: Catalogue) -> Iterator[Skeleton]:
    """The project's skeleton: the one that is kept, where nothing that it is built from has changed; else built now.

    Raises:
        DataError: MkDocs refuses; the message is what it says.

    """
    home = catalogue.settings.state / "skeleton"
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("a", encoding="utf-8") as held:
        # Another publication of this project, to another folder, waits for its turn.
        fcntl.flock(held, fcntl.LOCK_EX)
        seen = sources.read(catalogue, home / "sources.json")
        folder = home / (seen.key or "unknown")[:32]
        found = _open(folder) if seen.key else None
        if found is None:
            found = _mend(catalogue, folder, seen) or _build(catalogue, folder, seen)
        os.utime(folder)
        _forget(home)
        yield found
        if seen.key is None:
            shutil.rmtree(folder, ignore_errors=True)


def text_key(catalogue: Catalogue) -> str | None:
    """What tells whether anything has changed that the pages are built from; ``None`` where nobody can know."""
    home = catalogue.settings.state / "skeleton"
    home.mkdir(parents=True, exist_ok=True)
    return sources.read(catalogue, home / "sources.json").key


def build_skeleton(root: Path, to: Path, newest: int = 0, pages: Mapping[str, str] | None = None) -> None:
    """Build the project's pages with MkDocs, strictly, their live elements left empty.

    Args:
        root: the project's folder.
        to: an existing folder; what it holds is replaced.
        newest: when its text was last changed, seconds since 1970; the time that pages are told to be of.
        pages: how the builder finds pages that it has rendered before; see `checks.site.page_cache` and `checks.site.touched`.

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
        env={
            "SOURCE_DATE_EPOCH": str(newest),
            **os.environ,
            **(pages or {}),
            "NO_MKDOCS_2_WARNING": "1",
        },
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


def _build(catalogue: Catalogue, folder: Path, seen: sources.Sources) -> Skeleton:
    with _aside(folder) as aside:
        site = aside / _SITE
        with _pages(folder.parent / "pages", seen) as pages:
            build_skeleton(catalogue.root, site, seen.newest, {**pages, NOTES_VARIABLE: str(aside / NOTES)})
        files = {address: _looked_at(site, address) for address in _addresses(site)}
        _note(catalogue, aside, seen, files)
    return Skeleton(folder / _SITE, files)


def _mend(catalogue: Catalogue, folder: Path, seen: sources.Sources) -> Skeleton | None:
    """Build only the pages that differ from a skeleton that is kept; ``None`` where all must be built."""
    found = next(filter(None, (_goes_on_from(old, seen) for old in _kept(folder.parent))), None)
    if found is None:
        return None
    base, notes = found
    pages = folder.parent / "pages"
    try:
        with _aside(folder) as aside:
            site = aside / _SITE
            shutil.rmtree(pages / "fresh", ignore_errors=True)
            (pages / "known").mkdir(parents=True, exist_ok=True)
            known = {FOLDER_VARIABLE: str(pages), KEY_VARIABLE: seen.around}
            now = {BASE_VARIABLE: str(notes), NOTES_VARIABLE: str(aside / NOTES)}
            build_skeleton(catalogue.root, site, seen.newest, {**known, **now})
            gone = json.loads((aside / NOTES).open(encoding="utf-8").readline())["gone"]
            files = dict(base.files)
            files |= {address: _looked_at(site, address) for address in _addresses(site)}
            _fill_up(site, base, files)
            _note(catalogue, aside, seen, files)
    except (DataError, OSError, ValueError, KeyError):
        # The navigation has changed, a page is refused, or a kept file is gone: what it is, building all of it will tell.
        return None
    for path in (pages / "fresh").iterdir():
        path.replace(pages / "known" / path.name)
    for name in gone:
        (pages / "known" / name).unlink(missing_ok=True)
    return Skeleton(folder / _SITE, files)


def _goes_on_from(old: Path, seen: sources.Sources) -> tuple[Skeleton, Path] | None:
    """A skeleton that differs from what is to be built in nothing but the text of pages that it has, with its notes."""
    try:
        texts = json.loads((old / _TEXTS).read_bytes())
    except (OSError, ValueError):
        return None
    if not seen.around or texts["around"] != seen.around or texts["files"].keys() != seen.texts.keys():
        return None
    changed = (name for name, digest in seen.texts.items() if texts["files"][name] != digest)
    if not all(name.endswith(".md") or name.endswith(_CATALOGUE) for name in changed):
        return None
    base = _open(old)
    return (base, old / NOTES) if base is not None and (old / NOTES).is_file() else None


def _fill_up(site: Path, base: Skeleton, files: Mapping[str, KeptFile]) -> None:
    """Give a site every file that was not written anew."""
    made: set[str] = set()
    for address, file in files.items():
        if file is not base.files.get(address):
            continue
        parent = posixpath.dirname(address)
        if parent not in made:
            (site / parent).mkdir(parents=True, exist_ok=True)
            made.add(parent)
        link(f"{base.site}/{address}", f"{site}/{address}")


def _note(catalogue: Catalogue, aside: Path, seen: sources.Sources, files: Mapping[str, KeptFile]) -> None:
    same = sources.read(catalogue, aside.parent / "sources.json").key == seen.key
    # What was changed while it was built may or may not be in it, so this one is not found again.
    index = {"format": _FORMAT if same else 0, "files": {address: _noted(file) for address, file in files.items()}}
    (aside / _INDEX).write_text(json.dumps(index), encoding="utf-8")
    if same:
        (aside / _TEXTS).write_text(json.dumps({"around": seen.around, "files": dict(seen.texts)}), encoding="utf-8")


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder that becomes `folder` once the block has succeeded; if it fails, nothing is left."""
    aside = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    (aside / _SITE).mkdir(parents=True)
    try:
        yield aside
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


@contextmanager
def _pages(folder: Path, seen: sources.Sources) -> Iterator[dict[str, str]]:
    """The pages of the build before, for a builder; those of this one take their place where it succeeds."""
    fresh = folder / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    if not seen.around:
        yield {}
        return
    yield {FOLDER_VARIABLE: str(folder), KEY_VARIABLE: seen.around}
    if fresh.is_dir():
        shutil.rmtree(folder / "known", ignore_errors=True)
        fresh.rename(folder / "known")


def _addresses(site: Path) -> list[str]:
    found = ((os.path.relpath(here, site), names) for here, _, names in os.walk(site))
    return sorted(name if below == "." else f"{below}/{name}" for below, names in found for name in names)


def _open(folder: Path) -> Skeleton | None:
    stamp = Stamp.of(folder / _INDEX)
    found = _indexed(folder, stamp) if stamp else None
    return found if found is not None and all(found.whole(address) for address in found.files) else None


@lru_cache(maxsize=_KEPT)
@staying()
def _indexed(folder: Path, _stamp: Stamp) -> Skeleton | None:
    """What an index says, for as long as it is the one that it was."""
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        if index["format"] != _FORMAT:
            return None
        return Skeleton(folder / _SITE, {address: _recalled(noted) for address, noted in index["files"].items()})
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _looked_at(site: Path, address: str) -> KeptFile:
    path = site / address
    content = path.read_bytes()
    stamp = Stamp.of(path)
    if stamp is None:
        raise FileNotFoundError(str(path))
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix != ".html":
        return KeptFile(digest, stamp)
    spots, body = live.spots(content)
    return KeptFile(digest, stamp, spots, body)


def _noted(file: KeptFile) -> list[Any]:
    spots = [[spot.start, spot.end, spot.tag, spot.written] for spot in file.spots]
    return [file.digest, file.stamp.size, file.stamp.changed_ns, file.body, spots]


def _recalled(noted: list[Any]) -> KeptFile:
    digest, size, changed_ns, body, spots = noted
    return KeptFile(digest, Stamp(size, changed_ns), tuple(live.Spot(*spot) for spot in spots), body)


def _kept(home: Path) -> list[Path]:
    """The skeletons that are kept, the one that was used last first."""
    found = (path for path in home.iterdir() if (path / _INDEX).is_file() and not path.name.startswith("."))
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _forget(home: Path) -> None:
    for old in _kept(home)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
