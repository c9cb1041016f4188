"""One file at two addresses, where the file system has that; a copy where it has not."""

from __future__ import annotations

import errno
import os
import shutil

_WITHOUT = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP)


def link(source: str, to: str) -> None:
    """Let a file be at another address, too, where nothing is yet.

    Raises:
        OSError: it is not there, or its copy cannot be written.

    """
    try:
        os.link(source, to)
    except OSError as error:
        # Some file systems have no links, none has them to another one, and a file may have only so many.
        if error.errno not in _WITHOUT:
            raise
        shutil.copy2(source, to)
