from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.judge import Broken, decide
from checks.model import Condition, Result, Rule, State, Status
from tests.golden import cases

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def _result(metric: str, status: Status) -> Result:
    return Result("shop", metric, metric, status, f"{metric} is {status.value}", NOW)


@pytest.mark.parametrize("case", cases("judge-decisions"))
def test_a_condition_is_decided_as_the_table_says(case: dict[str, Any]) -> None:
    """All, any and at least so many: unknown where what is known does not settle it, with the evidence of each state."""
    given = case["input"]
    states = tuple(State(name, Status(at)) for name, at in given["states"].items())
    condition = Condition("roll-back", "Roll back", Rule(given["rule"]), states, given.get("count", 1))
    for row in case["expected"]:
        known = [_result(name, Status(status)) for name, status in row["results"].items()]
        decision = decide(condition, known)
        assert (decision.met.value, decision.reason) == (row["met"], row["reason"])
        assert [one.state.metric for one in decision.evidence] == list(given["states"])
        for one in decision.evidence:
            assert (f"{one.state.metric} is" in str(decision)) is (one.result is not None)


def test_the_latest_result_counts_in_whatever_order() -> None:
    """Of several results for one metric, the one judged last is the evidence."""
    condition = Condition("roll-back", "Roll back", Rule.ANY, (State("errors"),))
    early = _result("errors", Status.CRITICAL)
    late = replace(_result("errors", Status.OK), judged_at=NOW + timedelta(minutes=1))
    for known in permutations([early, late]):
        assert decide(condition, known).met is Broken.NO


statuses = st.lists(st.sampled_from(Status), min_size=1, max_size=6)


@given(statuses, st.sampled_from(Rule), st.integers(1, 6), st.data())
def test_what_is_decided_stays_so_whatever_the_unknown_turns_out_to_be(
    seen: list[Status], rule: Rule, count: int, data: st.DataObject
) -> None:
    """A decision other than unknown rests on what is known alone; forgetting a result never turns a yes into a no."""
    names = [str(number) for number in range(len(seen))]
    condition = Condition("c", "C", rule, tuple(State(name) for name in names), min(count, len(names)))
    known = [_result(name, status) for name, status in zip(names, seen, strict=True)]
    decided = decide(condition, known).met
    settled = [
        replace(one, status=data.draw(st.sampled_from([Status.OK, Status.CRITICAL]))) if one.status is Status.UNKNOWN else one
        for one in known
    ]
    if decided is not Broken.UNKNOWN:
        assert decide(condition, settled).met is decided
    fewer = decide(condition, known[1:]).met
    assert fewer in (decided, Broken.UNKNOWN)
