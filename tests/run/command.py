"""The command ``proofbook`` with the terminal it is started in as its own: ``python -m tests.run.command run …``."""

from __future__ import annotations

import fcntl
import sys
import termios
from contextlib import suppress

from checks.cli import command

if __name__ != "__main__":
    from checks.cli._main import app as app

if __name__ == "__main__":
    with suppress(OSError, ValueError):
        # Ctrl-C and a closed terminal reach only those whose controlling terminal it is.
        fcntl.ioctl(sys.stdin.fileno(), termios.TIOCSCTTY, 0)
    command()
