"""The folder that a publication is written into: empty, or with the files of an older publication, which are of use again.

A file that would be the same is left, and one that nobody else has is written into. On a file system with a journal that costs
a tenth of clearing one away and making another.
"""

from __future__ import annotations

import fcntl
import os
import posixpath
import shutil
import signal
import stat
from contextlib import suppress
from pathlib import Path

from checks.site.kept import Stamp
from checks.site.linking import link

_ANEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_AGAIN = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """A folder, what an older publication left in it, and what the new one wants there.

    Args:
        to: an existing folder.

    Attributes:
        wanted: the addresses of the files that the new publication has.

    """

    def __init__(self, to: Path) -> None:
        self._to = str(to)
        self._device = to.stat().st_dev
        self._left: dict[str, int] = {}
        self._folders = {""}
        self._look(self._to, "")
        self.wanted: set[str] = set()

    def _look(self, here: str, below: str) -> None:
        """Note the number of each file, which tells one from every other on the same device."""
        with os.scandir(here) as entries:
            for entry in entries:
                address = f"{below}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    self._folders.add(address)
                    self._look(entry.path, f"{address}/")
                else:
                    self._left[address] = entry.inode()

    def link(self, source: str, address: str) -> None:
        """Let a file be here, too.

        Raises:
            OSError: it is not there, or its copy cannot be written.

        """
        self._link(source, address, os.lstat(source))

    def take_over(self, source: str, address: str, stamp: Stamp) -> bool:
        """The same, and whether it was done: only where the file is as it was written."""
        try:
            seen = os.lstat(source)
        except OSError:
            return False
        if (seen.st_size, seen.st_mtime_ns) != (stamp.size, stamp.changed_ns):
            return False
        self._link(source, address, seen)
        return True

    def _link(self, source: str, address: str, seen: os.stat_result) -> None:
        if self._left.get(address) == seen.st_ino and seen.st_dev == self._device:
            self.wanted.add(address)
            return
        path = self._ready(address)
        if self._left.pop(address, None) is not None:
            _unlink(path)
        try:
            link(source, path)
        except FileExistsError:
            # Another process began a part and did not end it.
            _unlink(path)
            link(source, path)

    def put(self, address: str, content: bytes) -> Stamp:
        """Write a file; what stands there may be another publication's, too, and is written into only where it is not."""
        path = self._ready(address)
        opened = _alone(path) if self._left.pop(address, None) is not None else None
        if opened is None:
            opened = _anew(path)
        with os.fdopen(opened, "wb", buffering=0) as out:
            left = memoryview(content)
            while left:
                left = left[out.write(left) :]
            out.truncate(len(content))
            seen = os.fstat(opened)
        return Stamp(seen.st_size, seen.st_mtime_ns)

    def stamp(self, address: str) -> Stamp | None:
        """The stamp of a file that is here; ``None`` where there is none."""
        return Stamp.of(f"{self._to}/{address}")

    def clear(self) -> None:
        """Clear away what an older publication had and this one has not."""
        emptied: set[str] = set()
        for address in self._left.keys() - self.wanted:
            path = f"{self._to}/{address}"
            try:
                os.unlink(path)  # noqa: PTH108 - there may be thousands
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
                # Another process may have put a folder of this publication in its place, or a file in that of its folder.
                if os.path.lexists(path) and not os.path.isdir(path):  # noqa: PTH112 - as texts everywhere here
                    raise
            emptied.add(posixpath.dirname(address))
        for folder in emptied:
            # Refused where anything is left.
            with suppress(OSError):
                while folder:
                    os.rmdir(f"{self._to}/{folder}")  # noqa: PTH106 - as texts everywhere here
                    folder = posixpath.dirname(folder)

    def _ready(self, address: str) -> str:
        """Where a file is written; there is a folder for it."""
        parent = posixpath.dirname(address)
        if parent not in self._folders:
            _make_way(Path(self._to), parent)
            Path(self._to, parent).mkdir(parents=True, exist_ok=True)
            self._folders.add(parent)
        self.wanted.add(address)
        return f"{self._to}/{address}"


def _alone(path: str) -> int | None:
    """Open a file for writing that no other publication has, and no reader who got it before it was put away.

    Returns:
        its descriptor; ``None`` where somebody else has it, or where the file system cannot tell.

    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    try:
        opened = os.open(path, _AGAIN)
    except OSError:
        return None
    try:
        seen = os.fstat(opened)
        if seen.st_nlink == 1 and stat.S_ISREG(seen.st_mode):
            # Linux grants this only where the file is open nowhere else (fcntl(2), "Leases"). Who opens it from now on waits
            # until it is closed here; of that a signal tells, and the usual one would end this process.
            fcntl.fcntl(opened, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(opened, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            return opened
    except OSError:
        # Refused.
        pass
    os.close(opened)
    return None


def _anew(path: str) -> int:
    """Open a new file; what stands there is cleared away."""
    try:
        return os.open(path, _ANEW, 0o666)
    except FileExistsError:
        _unlink(path)
        return os.open(path, _ANEW, 0o666)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108 - there may be thousands
    except (FileNotFoundError, NotADirectoryError):
        return
    except (IsADirectoryError, PermissionError):
        shutil.rmtree(path)


def _make_way(to: Path, parent: str) -> None:
    """Clear away a file that stands where a folder is needed."""
    for folder in (to / parent, *(to / parent).parents):
        if folder == to:
            return
        if folder.is_symlink() or folder.is_file():
            folder.unlink(missing_ok=True)
