"""Shows of a metric's limits that they can turn its status: values on both sides of each go through the judge."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from fractions import Fraction

from checks.judge.comparing import bounds_in
from checks.judge.judgement import judge
from checks.judge.levels import Level, levels_of
from checks.judge.limits import PATTERNS, plain_number
from checks.judge.reachable import Domain
from checks.judge.text import fingerprint
from checks.judge.units import Dimension, parse_unit
from checks.judge.windows import Sample
from checks.model import Against, Baseline, FixedBaseline, Metric, Observation, Operator, Series, Span, Status

_STEP = Fraction(1, 1000)
_MOST_SAMPLES = 20_000
_RISEN = {Status.WARNING: (Status.WARNING, Status.CRITICAL), Status.CRITICAL: (Status.CRITICAL,)}
_BELOW = {Status.WARNING: (Status.OK,), Status.CRITICAL: (Status.OK, Status.WARNING)}


class Turn(Enum):
    """Whether a limit was seen to turn the status: of a pattern, no text may have been found that does."""

    YES = "turns"
    NO = "cannot turn"
    OPEN = "no text was found that turns it"


@dataclass(frozen=True, slots=True)
class Case:
    """One value that was judged.

    Attributes:
        text: the value as it is shown (``10.01 %``), or what it stands for (``another value``).
        status: what the judge said.
        reason: why.

    """

    text: str
    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What the judge said on both sides of one limit.

    Attributes:
        status: the status that the limit enters.
        limit: its text.
        of_text: whether it judges texts by a pattern.
        cases: the values, from the lowest to the highest.

    """

    metric: str
    status: Status
    limit: str
    of_text: bool
    cases: tuple[Case, ...]

    @property
    def turn(self) -> Turn:
        """Whether one of the values enters the status or a graver one, and another one does not."""
        seen = {case.status for case in self.cases}
        if seen & set(_RISEN[self.status]) and seen & set(_BELOW[self.status]):
            return Turn.YES
        return Turn.OPEN if self.of_text else Turn.NO


def prove(metric: Metric, domain: Domain, now: datetime) -> tuple[Proof, ...]:
    """Judge values just below, at and just above each bound of each limit of a metric.

    Windows and baselines are given samples that cover them. `leave:` and `stay:` are left aside, and so are the times at
    which a baseline begins or ends: it is the limits that are shown to turn.

    Args:
        metric: the metric.
        domain: the values that it can have; where they are certain, no other is tried.
        now: the time at which the values are judged.

    """
    plain = replace(metric, leave_warning=None, leave_critical=None, stay=None)
    if isinstance(plain.baseline, Baseline):
        plain = replace(plain, baseline=replace(plain.baseline, since="", until=""))
    base = plain.baseline.value if isinstance(plain.baseline, FixedBaseline) else 50.0 if domain.high == 100 else 100.0
    trial = _Trial(plain, replace(domain, whole=domain.whole or _counts_things(plain)), now, base)
    return tuple(
        Proof(metric.slug, level.status, level.limit.text, level.limit.operator in PATTERNS, tuple(trial.of(level)))
        for level in levels_of(plain)
    )


@dataclass(frozen=True, slots=True)
class _Trial:
    metric: Metric
    domain: Domain
    now: datetime
    base: float

    @property
    def every(self) -> timedelta:
        return self.metric.every or timedelta(minutes=1)

    def of(self, level: Level) -> Iterator[Case]:
        """The cases of a level."""
        limit = level.limit
        if limit.operator in PATTERNS:
            for text in _texts(limit.pattern):
                yield self.judged(f'"{text}"', fingerprint(text), (), text)
        elif limit.operator is Operator.CHANGES:
            for text, value in (("the same value", 1.0), ("another value", 2.0)):
                yield self.judged(text, value, self.row(1.0), "1" if value == 1.0 else "2")
        elif limit.span is Span.COUNTED:
            bounds = bounds_in(limit, self.metric.unit)
            for count in self.values(bounds, Domain(0.0, whole=self.domain.whole, certain=True)):
                start = 1000.0 if self.metric.series is Series.COUNTER else 0.0
                yield self.judged(f"{self.shown(count)} in the window", start + count, self.row(start))
        else:
            relative = limit.against is Against.BASELINE
            window = limit.window if limit.span is Span.HELD else timedelta(0)
            for value in self.values(bounds_in(limit, self.metric.unit, self.base if relative else None), self.domain):
                of_base = f" of a usual {self.shown(self.base)}" if relative else ""
                yield self.judged(self.shown(value) + of_base, value, self.row(self.base, value, window))

    def judged(self, shown: str, value: float, history: Sequence[Sample], detail: str = "") -> Case:
        """What the judge says of one value."""
        samples = max(self.metric.needs, 1)
        observation = Observation(value, self.metric.unit, self.now, 0.0, "lint --prove", detail, samples)
        result = judge(self.metric, observation, self.now, history)
        return Case(shown, result.status, result.reason)

    def values(self, bounds: tuple[float, ...], domain: Domain) -> list[float]:
        """Values just below, at and just above each bound; for ``any`` of zero."""
        found = {value for bound in bounds or (0.0,) for value in self.around(bound, domain)}
        return sorted(value for value in found if not domain.certain or domain.low <= value <= domain.high)

    def around(self, bound: float, domain: Domain) -> tuple[float, ...]:
        """A bound with its two neighbours."""
        if domain.whole:
            return (math.ceil(bound) - 1.0, *{float(math.floor(bound)), float(math.ceil(bound))}, math.floor(bound) + 1.0)
        exact = Fraction(repr(bound))
        step = abs(exact) * _STEP or _STEP
        return float(exact - step), bound, float(exact + step)

    def shown(self, value: float) -> str:
        """A value in full, so that two sides of a bound never look the same."""
        return f"{plain_number(value)} {self.metric.unit}".rstrip()

    def row(self, usual: float, latest: float | None = None, window: timedelta = timedelta(0)) -> list[Sample]:
        """Samples that cover every window and baseline: the usual value, and in the window of the limit the latest one."""
        limits = [level.limit for level in levels_of(self.metric)]
        spans = [limit.window for limit in limits if limit.span is not None]
        if isinstance(self.metric.baseline, Baseline):
            spans.append(self.metric.baseline.window + max(spans, default=timedelta(0)))
        # A little more than the windows, so that they are covered to their very beginning.
        length = max(spans, default=timedelta(0)) + 2 * self.every
        step = self.every if length / self.every <= _MOST_SAMPLES else 2 * self.every
        number = math.ceil(length / step)
        held = window + step
        return [
            (self.now - back * step, latest if latest is not None and window and back * step <= held else usual)
            for back in range(number, 0, -1)
        ]


def _counts_things(metric: Metric) -> bool:
    """Whether values are whole numbers of things, as bands are read that have no edge in common (see `bands.join`)."""
    kind = parse_unit(metric.unit)
    limits = [limit for limit in (metric.warning, metric.critical, metric.green) if limit is not None]
    figures = all(limit.against is Against.FIGURE for limit in limits)
    whole = all(bound == int(bound) for limit in limits for bound in limit.bounds)
    return metric.green is not None and figures and whole and kind.dimension is Dimension.COUNT and not kind.per


def _texts(pattern: str) -> list[str]:
    """A text that a pattern may be found in, made of its own letters, and one that it hardly is."""
    made = pattern
    for expression, by in (
        (r"\\d", "1"),
        (r"\\w", "a"),
        (r"\\s", " "),
        (r"\\[bBAzZ]", ""),
        (r"\[\^[^\]]*\]", "~"),
        (r"\[(?:\\?(.))[^\]]*\]", r"\1"),
        (r"\(\?[a-zA-Z:]*", "("),
        (r"\(([^|()]*)(?:\|[^()]*)?\)", r"\1"),
        (r"\(([^|()]*)(?:\|[^()]*)?\)", r"\1"),
        (r"(?<!\\)\{(\d+)[^}]*\}", ""),
        (r"(?<!\\)[\^$*+?]", ""),
        (r"\|.*", ""),
        (r"(?<!\\)\.", "x"),
        (r"\\(.)", r"\1"),
    ):
        made = re.sub(expression, by, made)
    return [made, "\N{MIDDLE DOT}"]
