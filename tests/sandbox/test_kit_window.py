"""The rolling window of what was served."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from checks.sandbox.kit_window import Window, percentile

CASES = [
    case
    for path in sorted((Path(__file__).parents[1] / "golden" / "served_window").glob("*.yml"))
    for case in YAML(typ="safe").load(path)
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_figures_are_computed_of_what_is_in_the_window(case: dict[str, object]) -> None:
    """Each figure is that of the requests of the last minute and of no others."""
    now = [0.0]
    window = Window(60, clock=lambda: now[0])
    for at, status, took_ms in case["served"]:  # type: ignore[attr-defined]
        now[0] = at
        window.add(status, took_ms)
    now[0] = float(case["now"])  # type: ignore[arg-type]

    found = window.figures().as_json()

    assert {key: found[key] for key in case["expected"]} == case["expected"]  # type: ignore[attr-defined]


def test_routes_are_told_apart_and_totals_never_fall() -> None:
    """Figures of one route hold that route's requests only, and the totals count what has left the window too."""
    now = [0.0]
    window = Window(60, clock=lambda: now[0])
    window.add(500, 1.0, "/a")
    window.add(200, 1.0, "/b")
    now[0] = 100.0

    assert window.figures("/a").count == 0
    assert (window.total, window.total_errors) == (2, 1)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.001, 100))
def test_a_percentile_is_one_of_the_numbers_and_bounds_its_share(numbers: list[float], rank: float) -> None:
    """The nearest-rank percentile is a number that occurred, and at least its share of them is not above it."""
    ordered = sorted(numbers)
    found = percentile(ordered, rank)

    assert found in ordered
    assert sum(number <= found for number in ordered) >= rank / 100 * len(ordered) * (1 - 1e-9)
