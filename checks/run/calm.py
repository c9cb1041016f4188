"""Moments that must not be broken off: ending kernels and writing down what was done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def calm() -> Iterator[None]:
    """Ignore Ctrl-C, being asked to end and a closed terminal; only for what ends by itself within moments."""
    if threading.current_thread() is not threading.main_thread():
        # Signals reach the main thread only.
        yield
        return
    before = {signum: signal.signal(signum, signal.SIG_IGN) for signum in _ENDING}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
