"""Rooms that nobody took away, because their engine and their warden were killed at once; the next engine does it.

Whoever has a room holds a lock in it, which the operating system gives back when that process is gone, however it went.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_LOCK = "held"
_A_ROOM = "proofbook-????????"


def hold(folder: Path) -> int:
    """Hold a room; the descriptor that is to be closed when it has been given up.

    Raises:
        OSError: it cannot be held.

    """
    # Locked before it has its name: whoever finds the name finds it locked.
    unnamed = folder / f".{_LOCK}"
    held = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    unnamed.rename(folder / _LOCK)
    return held


def sweep() -> None:
    """Take away each of this user's rooms that nobody holds any more."""
    for folder in Path(tempfile.gettempdir()).glob(_A_ROOM):
        with suppress(OSError):
            if folder.lstat().st_uid == os.getuid() and not folder.is_symlink():
                _take_away(folder)


def _take_away(folder: Path) -> None:
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
