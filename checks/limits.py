"""The words of limits and baselines as frozen values; `checks.model` gives them out with all the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum


class Operator(Enum):
    """How a limit compares an observed value with its bounds; each says when the limit is broken."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="
    EQUAL = "=="
    DIFFERENT = "!="
    BETWEEN = "between"
    NOT_BETWEEN = "not between"
    ANY = "any"
    OLDER = "older than"
    WITHIN = "within"
    NOT_WITHIN = "not within"
    RISEN = "+"
    FALLEN = "-"
    CHANGES = "changes"
    MATCHES = "matches"
    NOT_MATCHES = "not matches"

    __hash__ = object.__hash__  # each is one object; an Enum's own hash is Python code, and judging asks for it all the time


class Against(Enum):
    """What the bounds of a limit are figures of."""

    FIGURE = "figure"
    BASELINE = "baseline"


class Span(Enum):
    """What a limit's window means: its condition held at every sample, or what happened in it is counted."""

    HELD = "for"
    COUNTED = "in"


@dataclass(frozen=True, slots=True)
class Limit:
    """A condition that an observed value breaks.

    Attributes:
        text: the condition as its author wrote it, in its canonical spacing (``> 500 ms``).
        operator: how it compares.
        bounds: two numbers (low, high; both inclusive) for ``between``, none for ``any``, ``changes`` and patterns,
            else one; in `unit`.
        unit: the unit the bounds are written in; empty where they are bare numbers.
        against: whether the bounds are figures themselves, or percentages of the metric's baseline.
        span: what `window` means; ``None`` where the limit judges one value by itself.
        window: how long the condition holds, or is counted over.
        pattern: the regular expression of ``matches``.

    """

    text: str
    operator: Operator
    bounds: tuple[float, ...] = ()
    unit: str = ""
    against: Against = Against.FIGURE
    span: Span | None = None
    window: timedelta = timedelta(0)
    pattern: str = ""

    def __hash__(self) -> int:
        """What the whole condition is known by; hashing every part took longer than judging a value by it."""
        return hash((self.text, self.bounds))


class Series(Enum):
    """What the samples of a metric are, one after the other.

    A gauge is a state; a counter is a total that rises until it starts again at zero; events are what happened since the
    sample before.
    """

    GAUGE = "gauge"
    COUNTER = "counter"
    EVENTS = "events"


class Alignment(Enum):
    """Which samples a baseline is taken of: all, or those of the same hour (UTC) of the day or of the week."""

    NONE = "none"
    HOUR_OF_DAY = "hour-of-day"
    HOUR_OF_WEEK = "hour-of-week"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is usual for a metric, taken of its own past.

    Attributes:
        statistic: ``median``, ``mean``, ``min``, ``max`` or a percentile such as ``p95``.
        window: how far back samples count.
        needs: how much time the samples must cover before there is a baseline.
        samples: how many there must be.
        aligned: which of them count.
        since, until: a time (ISO 8601) before or after which samples don't count, mostly a setting (``{released_at}``);
            empty: none.

    """

    statistic: str
    window: timedelta
    needs: timedelta
    samples: int = 5
    aligned: Alignment = Alignment.NONE
    since: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class FixedBaseline:
    """What is usual for a metric, as somebody stated it: a value in the metric's unit, the day and who."""

    value: float
    on: date
    by: str


@dataclass(frozen=True, slots=True)
class BaselineUsed:
    """The baseline that a result was judged by.

    Attributes:
        value: the figure in `unit`.
        samples: how many samples it was taken of; 0 where it was stated.
        about: how it came about (``median of 28 d, same hour of the week``).

    """

    value: float
    unit: str
    samples: int
    about: str
