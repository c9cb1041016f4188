"""A person at a real pseudo-terminal: waits for a text, then types."""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from fcntl import ioctl
from pathlib import Path
from types import TracebackType

_REPOSITORY = Path(__file__).parents[2]
_STYLING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command that runs in a pseudo-terminal of its own, 100 columns wide."""

    def __init__(self, *arguments: str, variables: Mapping[str, str]) -> None:
        self.own, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PROOFBOOK_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.run.command", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=_REPOSITORY,
            env={**surroundings, **variables, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""
        self._looked_at = 0

    def expect(self, text: str, seconds: float = 20.0) -> str:
        """Wait until a text appears after what was expected before; what stood before it."""
        ends = time.monotonic() + seconds
        while (found := self.seen.find(text, self._looked_at)) < 0:
            assert time.monotonic() < ends, f"{text!r} did not appear; seen was:\n{self.seen}"
            assert self._read(), f"the command ended without {text!r}; seen was:\n{self.seen}"
        before = self.seen[self._looked_at : found]
        self._looked_at = found + len(text)
        return before

    def press(self, text: str) -> None:
        """Type a line, or a control character."""
        os.write(self.own, text.encode() if text == "\x03" else f"{text}\n".encode())

    def answer(self, question: str, text: str) -> None:
        """Wait for a question and answer it."""
        self.expect(question)
        self.press(text)

    def close(self) -> None:
        """Close the terminal's window."""
        os.close(self.own)
        self.own = -1

    def end(self, seconds: float = 20.0) -> int:
        """Read to the end; the command's exit status."""
        ends = time.monotonic() + seconds
        while self.own >= 0 and self._read():
            assert time.monotonic() < ends, f"it does not end; seen was:\n{self.seen}"
        return self.process.wait(timeout=seconds)

    def _read(self) -> bool:
        if not select.select([self.own], [], [], 0.5)[0]:
            return True
        try:
            data = os.read(self.own, 65536)
        except OSError:
            return False
        self.seen += _STYLING.sub("", data.decode("utf-8", "replace")).replace("\r\n", "\n")
        return bool(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)
        if self.own >= 0:
            os.close(self.own)
