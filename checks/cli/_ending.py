"""How commands that execute runbooks end when they are asked to."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Treat being asked to end, and a terminal that is closed, as Ctrl-C: what runs is ended and journaled."""

    def interrupt(*_: object) -> None:
        # Once is enough; a second signal must not break off the writing of what was done.
        for signum in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {signum: signal.signal(signum, interrupt) for signum in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
