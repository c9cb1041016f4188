"""The commands of this room as a program of their own: ``python -m tests.run.command run …``."""

from __future__ import annotations

import fcntl
import sys
import termios
from contextlib import suppress

import typer

from checks.cli import _main, check, operate, run

app = typer.Typer()
app.command("run")(run.run)
app.command("check")(check.check)
app.command("operate")(operate.operate)

if __name__ == "__main__":
    with suppress(OSError, ValueError):
        # Ctrl-C and a closed terminal reach only those whose controlling terminal it is.
        fcntl.ioctl(sys.stdin.fileno(), termios.TIOCSCTTY, 0)
    _main.app = app
    _main.main()
