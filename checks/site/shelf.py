"""The shelf of publications: numbered folders of which readers see one, and how they come, go and are taken back.

``<to>/publications/0007`` is a whole site that is never changed again; ``<to>/current`` links to the one that readers see.
A number is claimed by creating its folder, which of all machines that share `to` a single one can do.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import time

from checks.errors import Busy, Refused

KEPT = 3
"""How many publications stay beside each other."""

_FOLDER = "publications"
_CURRENT = "current"
_BUILDING = ".building-"
_NOTES = ".notes"
_SPARE = ".spare-"
_OTHERS = timedelta(days=1)
"""How long a folder that a publisher of another machine builds in may lie before it is taken for dead."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where publications lie; `to` is the folder that was asked for."""

    to: Path

    @property
    def home(self) -> Path:
        """The folder of the numbered folders."""
        return self.to / _FOLDER

    @property
    def index(self) -> Path:
        """The file to open; it stays the same from one publication to the next."""
        return self.to / _CURRENT / "index.html"

    def folder(self, number: int) -> Path:
        """Where a publication lies."""
        return self.home / f"{number:04d}"

    def manifest(self, number: int) -> Path:
        """What the publisher noted about a publication, for the next one; readers never see it."""
        return self.to / _NOTES / f"{number:04d}.json"

    def numbers(self) -> list[int]:
        """The publications that are whole, the oldest first; a claimed number whose folder is empty is none yet."""
        return sorted(int(path.name) for path in self._numbered() if _holds_something(path))

    def current(self) -> int | None:
        """The publication that readers see; ``None`` where there is none."""
        link = self.to / _CURRENT
        try:
            name = link.readlink().name
        except OSError:
            return None
        return int(name) if name.isdecimal() and link.is_dir() else None

    @contextmanager
    def only_publisher(self) -> Iterator[None]:
        """Keep other publishers of this machine away.

        Raises:
            Busy: one is at work.

        """
        for folder in (self.home, self.to / _NOTES):
            folder.mkdir(parents=True, exist_ok=True)
        with (self.to / ".publishing").open("a", encoding="utf-8") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Busy(
                    "another publisher is at work", where=str(self.to), remedy="wait for it to end, and publish again"
                ) from error
            yield

    @contextmanager
    def building(self) -> Iterator[tuple[int, Path]]:
        """Claim the next number, and give it with an empty folder aside; what is in it at the end is put on the shelf, whole.

        Readers do not see it before `swap`. If the block fails, nothing is left.
        """
        self._clear()
        number = self._claim()
        aside = self.home / f"{_BUILDING}{number:04d}-{os.getpid()}-{_machine()}"
        try:
            aside.mkdir()
            yield number, aside
            # A claimed folder is empty, and only an empty folder can be replaced: nothing whole is ever lost.
            aside.rename(self.folder(number))
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            self.manifest(number).unlink(missing_ok=True)
            self._unclaim(number)
            raise

    def reuse(self, aside: Path) -> None:
        """Put the files of the publication that left the shelf last into an empty folder, where there is one.

        Nearly all of them are those of the next publication, too: leaving them costs less than linking every one anew and
        clearing away as many.
        """
        for spare in self.to.glob(f"{_SPARE}*"):
            try:
                spare.rename(aside)
            except OSError:
                # A publisher of another machine was faster.
                continue
            return

    def swap(self, number: int) -> None:
        """Show a publication to readers, and put away what is too old.

        Raises:
            Refused: a newer one is shown already; this one came too late.

        """
        shown = self.current()
        if shown is not None and shown > number:
            self._remove(number)
            raise Refused(
                f"publication {number} is late: readers see {shown}, which was begun after it",
                where=str(self.to),
                remedy="publish again, if what you see is older than what the journal holds",
            )
        self._show(number)
        for old in self.numbers()[:-KEPT]:
            if old < number:
                self._put_away(old)

    def roll_back(self) -> int:
        """Show the publication before the one that readers see, and withdraw that one; the next publication is a new number.

        Returns:
            the number that readers see now.

        Raises:
            Refused: there is none before it.

        """
        shown = self.current()
        before = [
            number for number in self.numbers() if shown is not None and number < shown and not self._withdrawal(number).exists()
        ]
        if shown is None or not before:
            raise Refused(
                "there is no publication to go back to" if shown else "nothing is published here",
                where=str(self.to),
                found=f"only publication {shown}" if shown else None,
                remedy="publish: proofbook publish",
            )
        self._withdrawal(shown).touch()
        self._show(before[-1])
        return before[-1]

    def _withdrawal(self, number: int) -> Path:
        return self.to / _NOTES / f"{number:04d}.withdrawn"

    def _show(self, number: int) -> None:
        fresh = self.to / f".{_CURRENT}-{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self.folder(number).relative_to(self.to))
        fresh.replace(self.to / _CURRENT)

    def _claim(self) -> int:
        while True:
            number = max((int(path.name) for path in self._numbered()), default=0) + 1
            try:
                self.folder(number).mkdir()
            except FileExistsError:
                continue
            return number

    def _unclaim(self, number: int) -> None:
        try:
            self.folder(number).rmdir()
        except OSError:
            return

    def _put_away(self, number: int) -> None:
        for left in self.to.glob(f"{_SPARE}*"):
            shutil.rmtree(left, ignore_errors=True)
        with suppress(OSError):
            self.folder(number).rename(self.to / f"{_SPARE}{number:04d}")
        self._remove(number)

    def _remove(self, number: int) -> None:
        shutil.rmtree(self.folder(number), ignore_errors=True)
        self.manifest(number).unlink(missing_ok=True)
        self._withdrawal(number).unlink(missing_ok=True)

    def _clear(self) -> None:
        """Clear away what publishers left that were killed."""
        for left in self.home.glob(f"{_BUILDING}*"):
            _, _, host = left.name.removeprefix(_BUILDING).partition("-")[2].partition("-")
            # No other publisher of this machine is at work; one of another machine may be.
            if host in ("", _machine()) or _age(left) > _OTHERS:
                shutil.rmtree(left, ignore_errors=True)
        for left in self.to.glob(f".{_CURRENT}-*"):
            left.unlink(missing_ok=True)
        shown = self.current() or 0
        for folder in self._numbered():
            if int(folder.name) < shown:
                self._unclaim(int(folder.name))

    def _numbered(self) -> list[Path]:
        return [path for path in self.home.iterdir() if path.name.isdecimal()]


def _holds_something(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except FileNotFoundError:  # another machine's publisher has just cleared it away
        return False


def _age(folder: Path) -> timedelta:
    """How long nothing was put into a folder; none at all where it has just been put on the shelf."""
    try:
        return timedelta(seconds=time() - folder.stat().st_mtime)
    except FileNotFoundError:
        return timedelta()


def _machine() -> str:
    return os.uname().nodename
