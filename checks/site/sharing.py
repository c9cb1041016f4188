"""Work that is shared among the processors: each process of a few does a part of it, and tells what came of it."""

from __future__ import annotations

import gc
import json
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from signal import SIGKILL
from typing import Any, TypeVar

_T = TypeVar("_T")
_EACH = 40
"""So much must be left to each process that having it costs less than it brings."""


def shared(items: Sequence[_T], do: Callable[[_T], Any], *, alone: bool = False) -> list[Any]:
    """What `do` gives for each item, in their order, as JSON holds it.

    A process that is one of several is a copy of this one: it has everything that was read, opens what it needs anew, and what it
    does to memory is lost. Where this one has several threads, which a copy would not have, it does all of the work.

    Args:
        items: what there is to do; the parts are about alike where neighbours are.
        do: does one; in the copies what it raises is lost, and its part is done again here.
        alone: whether no copies may be made.

    """
    processes = 1 if alone or threading.active_count() > 1 else min(_processors(), len(items) // _EACH)
    if processes < 2:
        return [do(item) for item in items]
    # What is not looked at by the collector is not copied.
    gc.freeze()
    helpers = [_helper(items[part::processes], do) for part in range(1, processes)]
    gc.unfreeze()
    found: list[Any] = [None] * len(items)
    try:
        found[::processes] = [do(item) for item in items[::processes]]
        for part, (_, told) in enumerate(helpers, 1):
            some = items[part::processes]
            with suppress(ValueError):
                found[part::processes] = json.loads(told.read())
                continue
            found[part::processes] = [do(item) for item in some]
    finally:
        for process, told in helpers:
            told.close()
            with suppress(ProcessLookupError):
                os.kill(process, SIGKILL)
            os.waitpid(process, 0)
    return found


def _helper(items: Sequence[_T], do: Callable[[_T], Any]) -> tuple[int, Any]:
    receive, send = os.pipe()
    process = os.fork()
    if process:
        os.close(send)
        return process, os.fdopen(receive, "rb")
    try:
        # No lock, file or connection of the one that was copied is held any longer than by itself.
        os.closerange(3, send)
        os.closerange(send + 1, min(os.sysconf("SC_OPEN_MAX"), 65_536))
        told = json.dumps([do(item) for item in items]).encode()
        with os.fdopen(send, "wb") as out:
            out.write(told)
    finally:
        # Whatever was raised, nothing of the one that was copied is run here.
        os._exit(0)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "fork") and hasattr(os, "sched_getaffinity") else 1
