"""What a measurement did on its way, step by step, for whoever asks to see it; where nobody does, nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from checks.catalogue.environment import Settled
from checks.probes._texts import clipped, masked

_MOST = 200
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done or seen; `at` is in seconds since the measurement began, and secrets are left out."""

    at: float
    text: str


@dataclass(slots=True)
class _Trail:
    """The steps of one measurement under way."""

    settled: Settled
    steps: list[Step]
    began: float = field(default_factory=time.perf_counter)


_trail: ContextVar[_Trail | None] = ContextVar("trail", default=None)


@contextmanager
def kept_in(steps: list[Step] | None, settled: Settled) -> Iterator[None]:
    """Keep what is noted in a list; ``None``: keep nothing.

    Args:
        steps: the list; it gets no more than 200 of them.
        settled: knows the secrets that no step may hold.

    """
    token = _trail.set(None if steps is None else _Trail(settled, steps))
    try:
        yield
    finally:
        _trail.reset(token)


def note(text: str) -> None:
    """Note a step, if anybody wants to see them."""
    trail = _trail.get()
    if trail is None or len(trail.steps) > _MOST:
        return
    at = time.perf_counter() - trail.began
    shown = clipped(masked(trail.settled, text), _LONGEST) if len(trail.steps) < _MOST else "further steps are not shown"
    trail.steps.append(Step(at, shown))
