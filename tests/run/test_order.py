"""Which run is next: by priority, and of that each system in its turn."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.model import Metric, System
from checks.run.order import LAST, Waiting, rank, rank_of


@dataclass(frozen=True)
class _Prepared:
    """As much of a prepared run as a queue looks at."""

    name: str
    runbook: Any


def _run(system: str, name: str = "") -> Any:
    return _Prepared(name or system, SimpleNamespace(system=system))


@pytest.mark.parametrize(
    ("priority", "expected"),
    [
        ("P0", 0),
        ("p1", 1),
        ("P4", 4),
        ("Critical", 0),
        ("High", 1),
        ("Medium", 2),
        ("low", 3),
        ("P9", LAST),
        ("soon", LAST),
        (None, LAST),
    ],
)
def test_a_priority_has_a_rank(priority: str | None, expected: int) -> None:
    """Numbers and words both rank; what is neither, or missing, is last."""
    assert rank(priority) == expected


def test_a_runbook_is_as_grave_as_the_gravest_metric_it_names() -> None:
    """Names count in calls and in lists that a loop goes through; a name that is no metric does not."""
    metrics = {
        name: Metric("shop", name, name, "", {}, priority=priority)
        for name, priority in (("till", "P2"), ("ovens", "P0"), ("door", None))
    }
    shop = System("shop", "Shop", "", {}, metrics, Path("system.yml"))
    assert rank_of('check("till")', shop) == 2
    assert rank_of("for name in ('door', 'shop/ovens'):\n    check(name)", shop) == 0
    assert rank_of('check("door")\nprint("P0")', shop) == LAST
    assert rank_of("", shop) == LAST


def _order(runs: Sequence[tuple[int, Any]], at_once: int, ends: Any = None) -> list[Any]:
    """The runs in the order in which they begin when so many are under way at once; `ends` picks which ends first."""
    waiting = Waiting(runs)
    under_way: list[Any] = []
    begun = []
    while waiting or under_way:
        while waiting and len(under_way) < at_once:
            _, prepared = waiting.take()
            begun.append(prepared)
            under_way.append(prepared)
        ended = (ends or (lambda runs: runs[0]))(under_way)
        under_way.remove(ended)
        waiting.ended(ended)
    return begun


def test_systems_take_turns() -> None:
    """A system with many runbooks does not keep one with few waiting."""
    runs = [(2, _run("big", f"big{number}")) for number in range(6)] + [
        (2, _run("small", "small0")),
        (2, _run("small", "small1")),
    ]
    names = [one.name for one in _order(runs, 1)]
    assert names == ["big0", "small0", "big1", "small1", "big2", "big3", "big4", "big5"]


def test_a_slow_system_does_not_hold_every_place() -> None:
    """While a system's run is slow, the other place goes to the other systems as long as they have any."""
    runs = [(2, _run("slow", f"slow{number}")) for number in range(3)] + [
        (2, _run("quick", f"quick{number}")) for number in range(3)
    ]

    def quick_first(under_way: list[Any]) -> Any:
        return next((one for one in under_way if one.runbook.system == "quick"), under_way[0])

    names = [one.name for one in _order(runs, 2, quick_first)]
    assert names == ["slow0", "quick0", "quick1", "quick2", "slow1", "slow2"]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc")), max_size=40),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_every_run_begins_once_and_in_order_of_rank(drawn: list[tuple[int, str]], at_once: int, chance: random.Random) -> None:
    """Whatever ends when: all begin once, no run begins before one of a higher rank, and each system keeps its own order."""
    runs = [(its_rank, cast("Any", _run(system, str(number)))) for number, (its_rank, system) in enumerate(drawn)]
    begun = _order(runs, at_once, chance.choice)
    ranks = {one.name: its_rank for its_rank, one in runs}
    assert Counter(one.name for one in begun) == Counter(ranks.keys())
    assert [ranks[one.name] for one in begun] == sorted(ranks.values())
    for system in "abc":
        own = [(ranks[one.name], int(one.name)) for one in begun if one.runbook.system == system]
        assert own == sorted(own)
