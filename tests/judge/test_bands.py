from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.errors import DataError
from checks.judge import BandFault, breaks, join, parse_band
from checks.model import Limit
from tests.golden import cases


def _read(texts: dict[str, str]) -> dict[str, Limit]:
    return {band: parse_band(texts[band]) for band in ("green", "yellow", "red")}


@pytest.mark.parametrize("case", cases("judge-bands"))
def test_bands_are_joined_or_refused_as_the_table_says(case: dict[str, Any]) -> None:
    """Bands that say something of each value once are kept; a hole or an overlap is refused at its band, and named."""
    given, expected = case["input"], case["expected"]
    if "refused" in expected:
        with pytest.raises(DataError) as refusal:
            join(_read(given), given["unit"])
        assert expected["refused"] in refusal.value.what
        assert not isinstance(refusal.value, BandFault) or refusal.value.band == expected["at"]
        return
    assert {band: limit.text for band, limit in join(_read(given), given["unit"]).items()} == expected


edges = st.floats(min_value=0, max_value=90).map(lambda value: round(value, 2))
upward = st.sampled_from(["<", "<="])


@given(edges, edges, upward, upward, st.sampled_from(["%", "ms", "/min"]), st.floats(min_value=0, max_value=100))
def test_what_is_accepted_puts_each_value_into_one_band(
    one: float, other: float, first: str, second: str, unit: str, value: float
) -> None:
    """Of bands that are accepted, exactly one holds any value; those that leave or share one are not accepted."""
    texts = {"green": f"{first} {one} {unit}", "yellow": f"{one}-{other} {unit}", "red": f"> {other} {unit}"}
    if second == "<=":
        texts["red"] = f">= {other} {unit}"
    try:
        bands = join(_read(texts), unit)
    except DataError:
        assert (first, second) != ("<", "<") or one > other
        return
    assert sum(breaks(limit, value, unit) for limit in bands.values()) == 1
