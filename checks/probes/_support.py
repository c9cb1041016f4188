"""What every kind of probe needs: one way to answer, bounds on time and size, statistics, and text that is safe to show."""

from __future__ import annotations

import contextvars
import json
import math
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from checks.catalogue.environment import Settled
from checks.judge import TEXT_UNIT, fingerprint, format_value
from checks.model import Observation, Unmeasured
from checks.probes._steps import note
from checks.probes._texts import clipped as clipped
from checks.probes._texts import masked as masked

BYTE_CAP = 10_000_000
"""The most bytes that an answer or an output may have; more is no observation."""

T = TypeVar("T")
_UNNAMED = "the value"
_LONGEST = 500
_LONGEST_TEXT = 2000  # what a pattern looks at
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
        self, value: object, unit: str, detail: str = "", *, name: str = _UNNAMED, samples: int | None = None
    ) -> Observation | Unmeasured:
        """The observation, if the value is a finite number or a boolean; otherwise what it is instead.

        Of a metric whose unit is ``text`` it is a text, a number or a boolean as JSON writes it.

        Args:
            value: what was found.
            unit: the unit it is in.
            detail: what else was seen, one short line.
            name: what the value is called where it was found, for the reason.
            samples: how many requests, lines or rows the value rests on, where they were counted.

        """
        if unit == TEXT_UNIT:
            return self._text(value, name, samples)
        if not isinstance(value, bool | int | float):
            return self.failed(f"{name} is {_kind_of(value)}, not a number, in {self.source}")
        try:
            number = float(value)
        except OverflowError:
            return self.failed(f"{name} is too large for a number in {self.source}")
        if not math.isfinite(number):
            return self.failed(f"{name} is {'not a number' if math.isnan(number) else 'infinite'} in {self.source}")
        if name != _UNNAMED:
            note(f"{name} is {format_value(number, unit)}")
        return Observation(number, unit, self.now, self._took(), self._told(self.source), self._told(detail), samples)

    def _text(self, value: object, name: str, samples: int | None) -> Observation | Unmeasured:
        if not isinstance(value, str | bool | int | float):
            return self.failed(f"{name} is {_kind_of(value)}, not a text, in {self.source}")
        text = masked(self.settled, value if isinstance(value, str) else json.dumps(value))
        note(f"{name} is the text {clipped(text, 80)!r}")
        shown = clipped(text, _LONGEST_TEXT)
        return Observation(fingerprint(text), TEXT_UNIT, self.now, self._took(), self._told(self.source), shown, samples)

    def failed(self, reason: str) -> Unmeasured:
        """That there is no observation, and why."""
        return Unmeasured(self._told(reason), self.now, self._took(), self._told(self.source))

    def late(self, seconds: float) -> Unmeasured:
        """That the deadline passed."""
        return self.failed(f"{self.source} did not end within {format_value(seconds, 's')}")

    def _took(self) -> float:
        return time.perf_counter() - self.started

    def _told(self, text: str) -> str:
        return clipped(masked(self.settled, text), _LONGEST)


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

    # What is noted on the way belongs to the measurement that waits.
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: context.run(do), name="probe", daemon=True)
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
        if isinstance(document, dict):
            note(f"the document's members are {', '.join(list(map(str, document))[:20])}")
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
