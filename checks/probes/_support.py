"""What every kind of probe needs: one way to answer, bounds on time and size, statistics, and text that is safe to show."""

from __future__ import annotations

import json
import math
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

from checks.catalogue.environment import Settled
from checks.judge import format_value
from checks.model import Observation, Unmeasured

BYTE_CAP = 10_000_000
"""The most bytes that an answer or an output may have; more is no observation."""

T = TypeVar("T")
_PERCENTILES = {"p50": 50, "p95": 95, "p99": 99}


@dataclass(frozen=True, slots=True)
class Measuring:
    """One measurement under way: it knows when it began, from what, and which secrets must not be told.

    Attributes:
        now: the time that the observation is recorded at.
        source: from what is measured; secrets may still stand in it.

    """

    now: datetime
    source: str
    settled: Settled
    started: float = field(default_factory=time.perf_counter)

    def gave(
        self, value: object, unit: str, detail: str = "", *, name: str = "the value", samples: int | None = None
    ) -> Observation | Unmeasured:
        """The observation, if the value is a finite number or a boolean; otherwise what it is instead.

        Args:
            value: what was found.
            unit: the unit it is in.
            detail: what else was seen, one short line.
            name: what the value is called where it was found, for the reason.
            samples: how many requests, lines or rows the value rests on, where they were counted.

        """
        if not isinstance(value, bool | int | float):
            return self.failed(f"{name} is {_kind_of(value)}, not a number, in {self.source}")
        try:
            number = float(value)
        except OverflowError:
            return self.failed(f"{name} is too large for a number in {self.source}")
        if not math.isfinite(number):
            return self.failed(f"{name} is {'not a number' if math.isnan(number) else 'infinite'} in {self.source}")
        return Observation(number, unit, self.now, self._took(), self._told(self.source), self._told(detail), samples)

    def failed(self, reason: str) -> Unmeasured:
        """That there is no observation, and why."""
        return Unmeasured(self._told(reason), self.now, self._took(), self._told(self.source))

    def late(self, seconds: float) -> Unmeasured:
        """That the deadline passed."""
        return self.failed(f"{self.source} did not end within {format_value(seconds, 's')}")

    def _took(self) -> float:
        return time.perf_counter() - self.started

    def _told(self, text: str) -> str:
        return clipped(masked(self.settled, text), 500)


def masked(settled: Settled, text: str) -> str:
    """The text without any secret, also where one stands URL-encoded or JSON-escaped."""
    forms = {
        form
        for secret in settled.secrets
        for form in (quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1])
    }
    text = settled.mask(text)
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "•••")
    return text


def clipped(text: str, length: int = 120) -> str:
    """The text on one line of at most `length` characters, without control characters or lone surrogates."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return line if len(line) <= length else line[: length - 1] + "…"


def within(seconds: float, work: Callable[[], T]) -> T:
    """Do some work, but wait for it no longer than a deadline, whatever it hangs in (name resolution, a dead mount).

    Args:
        seconds: the deadline.
        work: what to do; after the deadline it is left to itself in a daemon thread.

    Raises:
        TimeoutError: the deadline passed.

    """
    answers: list[T] = []
    errors: list[BaseException] = []

    def do() -> None:
        try:
            answers.append(work())
        except BaseException as error:
            # It is raised again below, in the thread that asked.
            errors.append(error)

    thread = threading.Thread(target=do, name="probe", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError(f"no answer within {seconds} s")
    return answers[0]


def statistic(values: Sequence[float], name: str) -> float:
    """A statistic of at least one value; percentiles interpolate linearly between ranks, as NumPy does by default.

    Args:
        values: the sample, in any order.
        name: ``median``, ``mean``, ``min``, ``max``, ``p50``, ``p95`` or ``p99``.

    """
    if name in _PERCENTILES:
        ordered = sorted(values)
        rank = (len(ordered) - 1) * _PERCENTILES[name] / 100
        low = math.floor(rank)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)
    functions: dict[str, Callable[[Sequence[float]], float]] = {
        "median": statistics.median,
        "mean": statistics.fmean,
        "min": min,
        "max": max,
    }
    return float(functions[name](values))


def select(expression: str, document: Any, measuring: Measuring, unit: str) -> Observation | Unmeasured:
    """Take the number that a JMESPath expression finds in a JSON document."""
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        found = jmespath.search(expression, document)
    except (JMESPathError, ValueError, TypeError, RecursionError) as error:
        return measuring.failed(f"`{expression}` cannot be looked up in {measuring.source}: {clipped(str(error))}")
    if found is None:
        return measuring.failed(f"{expression} is missing in the answer of {measuring.source.rsplit(' → ', 1)[0]}")
    return measuring.gave(found, unit, name=expression)


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"the text {clipped(value, 40)!r}"
    return {"list": "a list", "tuple": "a list", "dict": "an object", "bytes": "binary"}.get(
        type(value).__name__, type(value).__name__
    )
