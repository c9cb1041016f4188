"""Named conditions that a decision rests on: all, any or at least so many of some metrics' states."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from checks.judge.windows import Broken
from checks.model import Condition, Result, Rule, State, Status

_REACHES = {Status.WARNING: (Status.WARNING, Status.CRITICAL), Status.CRITICAL: (Status.CRITICAL,)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one state of a condition rests on.

    Attributes:
        state: the metric, and the status that it must have reached.
        met: whether it has; unknown where nobody knows.
        result: the metric's result; ``None`` where there is none.

    """

    state: State
    met: Broken
    result: Result | None

    def __str__(self) -> str:
        if self.result is None:
            return f"{self.state.metric}: never judged"
        return f"{self.state.metric}: {self.result.status.value}, {self.result.reason}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a condition came to, with the evidence of each of its states.

    Attributes:
        met: whether the condition is there; unknown where what is known does not settle it.
        reason: how many of its states are, in one sentence.

    """

    condition: Condition
    met: Broken
    reason: str
    evidence: tuple[Evidence, ...]

    def __str__(self) -> str:
        heads = {Broken.YES: "yes", Broken.NO: "no", Broken.UNKNOWN: "unknown"}
        marks = {Broken.YES: "!", Broken.NO: "-", Broken.UNKNOWN: "?"}
        lines = [f"{self.condition.title}: {heads[self.met]} ({self.reason})"]
        return "\n".join([*lines, *(f"  {marks[one.met]} {one}" for one in self.evidence)])


def decide(condition: Condition, results: Iterable[Result]) -> Decision:
    """Whether a condition is there, by the results that are known.

    A metric without a result, or with an unknown one, is neither in its state nor out of it: it leaves the decision unknown
    unless the others settle it.

    Args:
        condition: the condition as the system declares it.
        results: results of the system; of several for one metric the one judged last counts.

    """
    latest: dict[str, Result] = {}
    for result in results:
        if result.metric not in latest or latest[result.metric].judged_at <= result.judged_at:
            latest[result.metric] = result
    evidence = tuple(_weighed(state, latest.get(state.metric)) for state in condition.states)
    there = sum(one.met is Broken.YES for one in evidence)
    open_ = sum(one.met is Broken.UNKNOWN for one in evidence)
    wanted = {Rule.ALL: len(evidence), Rule.ANY: 1, Rule.AT_LEAST: condition.count}[condition.rule]
    # A condition of no states would be there for no reason; the catalogue refuses it, and nobody knows here.
    met = Broken.YES if 0 < wanted <= there else Broken.NO if there + open_ < wanted else Broken.UNKNOWN
    unknown = f", {open_} unknown" if open_ else ""
    return Decision(condition, met, f"{there} of {len(evidence)} states{unknown}; {wanted} needed", evidence)


def _weighed(state: State, result: Result | None) -> Evidence:
    if result is None or result.status is Status.UNKNOWN:
        return Evidence(state, Broken.UNKNOWN, result)
    return Evidence(state, Broken.YES if result.status in _REACHES[state.at] else Broken.NO, result)
