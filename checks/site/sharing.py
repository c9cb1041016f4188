"""Work that is shared among the processors: each process of a few does a part of it, and tells what came of it."""

from __future__ import annotations

import gc
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from signal import SIGKILL
from typing import Any, TypeVar

_T = TypeVar("_T")
_EACH = 40
"""So much must be left to each process that having it costs less than it brings."""
_LEAST = 20
"""Items of the smallest part."""
_NUMBER = 4
"""Bytes of a part's number in the pipe that all of them take from."""


def _nothing(*_: object) -> None:
    return None


def shared(
    items: Sequence[_T],
    do: Callable[[_T], Any],
    *,
    first: Callable[[Sequence[_T]], object] = _nothing,
    meanwhile: Callable[[], object] = _nothing,
    alone: bool = False,
) -> list[Any]:
    """What `do` gives for each item, in their order, as JSON holds it.

    A process that is one of several is a copy of this one: it has everything that was read, opens what it needs anew, and what it
    does to memory is lost. Where this one has several threads, which a copy would not have, it does all of the work.

    Args:
        items: what there is to do; neighbours are done by the same process.
        do: does one; in the copies what it raises is lost, and their parts are done again here.
        first: called with the items of a part before they are done, by whoever does them.
        meanwhile: what this process does before it takes part.
        alone: whether no copies may be made.

    """
    processes = 1 if alone or threading.active_count() > 1 else min(_processors(), len(items) // _EACH)
    # What is not looked at by the collector is not copied, and what was read before stays anyway.
    gc.freeze()
    try:
        if processes < 2:
            meanwhile()
            return _done(items, do, first)
        return _shared(items, do, first, meanwhile, processes)
    finally:
        gc.unfreeze()


def _shared(
    items: Sequence[_T],
    do: Callable[[_T], Any],
    first: Callable[[Sequence[_T]], object],
    meanwhile: Callable[[], object],
    processes: int,
) -> list[Any]:
    parts = list(_parts(items, processes))
    numbers = _numbers(len(parts))
    helpers = [_helper(numbers, parts, do, first) for _ in range(processes - 1)]
    try:
        meanwhile()
        found = {number: _done(parts[number], do, first) for number in _taken(numbers)}
        for _, told in helpers:
            with suppress(ValueError):
                found |= {int(number): done for number, done in json.loads(told.read()).items()}
        for number in set(range(len(parts))) - found.keys():
            found[number] = _done(parts[number], do, first)
    finally:
        os.close(numbers)
        for process, told in helpers:
            told.close()
            with suppress(ProcessLookupError):
                os.kill(process, SIGKILL)
            os.waitpid(process, 0)
    return [one for number in range(len(parts)) for one in found[number]]


def _parts(items: Sequence[_T], processes: int) -> Iterator[Sequence[_T]]:
    """Parts that grow smaller, so that all processes are done at about the same time.

    Each is half of what would be one process's share of the rest: guided self-scheduling (Polychronopoulos and Kuck, 1987).
    """
    begin = 0
    while begin < len(items):
        size = max(_LEAST, (len(items) - begin) // (2 * processes))
        yield items[begin : begin + size]
        begin += size


def _done(part: Sequence[_T], do: Callable[[_T], Any], first: Callable[[Sequence[_T]], object]) -> list[Any]:
    first(part)
    return [do(item) for item in part]


def _numbers(count: int) -> int:
    """A pipe that holds the numbers of all parts: whoever reads one of them, has it alone."""
    receive, send = os.pipe()
    os.write(send, b"".join(number.to_bytes(_NUMBER, "little") for number in range(count)))
    os.close(send)
    return receive


def _taken(numbers: int) -> Iterator[int]:
    while number := os.read(numbers, _NUMBER):
        yield int.from_bytes(number, "little")


def _helper(
    numbers: int, parts: Sequence[Sequence[_T]], do: Callable[[_T], Any], first: Callable[[Sequence[_T]], object]
) -> tuple[int, Any]:
    receive, send = os.pipe()
    process = os.fork()
    if process:
        os.close(send)
        return process, os.fdopen(receive, "rb")
    try:
        # No lock, file or connection of the one that was copied is held any longer than by itself.
        begin = 3
        for kept in sorted((numbers, send)):
            os.closerange(begin, kept)
            begin = kept + 1
        os.closerange(begin, min(os.sysconf("SC_OPEN_MAX"), 65_536))
        told = json.dumps({number: _done(parts[number], do, first) for number in _taken(numbers)}).encode()
        with os.fdopen(send, "wb") as out:
            out.write(told)
    finally:
        # Whatever was raised, nothing of the one that was copied is run here.
        os._exit(0)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "fork") and hasattr(os, "sched_getaffinity") else 1
