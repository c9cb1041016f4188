"""Limits are shown to turn the status, by values on both sides of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.judge import parse_limit
from checks.judge.proof import Turn, prove
from checks.judge.reachable import Domain, Reach, hides, reach, usual_domain
from checks.model import Alignment, Baseline, FixedBaseline, Metric, Series

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MONTH = Baseline("median", timedelta(days=28), timedelta(days=7))


def metric(text: str, unit: str = "ms", **options: Any) -> Metric:
    return Metric("shop", "a", "A", unit, {"kind": "notebook"}, critical=parse_limit(text), every=timedelta(minutes=1), **options)


def judged(one: Metric, domain: Domain | None = None) -> tuple[Turn, dict[str, str]]:
    """The verdict, and the status of each value."""
    (proof,) = prove(one, domain or usual_domain(one.unit), NOW)
    return proof.turn, {case.text: case.status.value for case in proof.cases}


def test_a_limit_is_tried_below_at_and_above() -> None:
    """Just inside, at the edge and just outside, in the metric's unit."""
    assert judged(metric("> 0.5 s")) == (Turn.YES, {"499.5 ms": "ok", "500 ms": "ok", "500.5 ms": "critical"})
    assert judged(metric(">= 500 ms"))[1]["500 ms"] == "critical"
    assert judged(metric("any", ""), Domain(0, whole=True, certain=True)) == (Turn.YES, {"0": "ok", "1": "critical"})


@pytest.mark.parametrize(
    "one",
    [
        metric("> 70 % for 15m", "%"),
        metric("> 70 % for 2d", "%"),
        metric("> 5 in 1h", "", series=Series.EVENTS),
        metric("> 5 in 1h", "", series=Series.COUNTER),
        metric("any in 5m", "", series=Series.EVENTS),
        metric("changes"),
        metric("changes in 24h", "text"),
        metric("> 120 % of baseline for 10m", baseline=MONTH),
        metric(
            "< 80 % of baseline", baseline=Baseline("p95", timedelta(days=28), timedelta(days=7), aligned=Alignment.HOUR_OF_WEEK)
        ),
        metric("+25 %", baseline=FixedBaseline(24, date(2026, 3, 1), "ada")),
        metric("not within 10 % of baseline", "%", baseline=Baseline("mean", timedelta(days=7), timedelta(days=1), since="{x}")),
        metric("older than 26 h", "h"),
        metric("between 0.5 % and 2 %", "%"),
        metric("!= 0", ""),
        metric(r"not matches /^v\d+\.\d+$/", "text"),
        metric("matches /(error|fatal): [a-z]+/", "text"),
        metric("> 1 %", "%", needs=50),
        metric("> 10 % for 5m", "%", leave_critical=parse_limit("< 8 %"), stay=timedelta(hours=1)),
    ],
    ids=lambda one: one.critical.text if isinstance(one, Metric) and one.critical else "",
)
def test_every_kind_of_limit_turns(one: Metric) -> None:
    """Windows and baselines get samples that cover them, so that no case is unknown."""
    turn, cases = judged(one)
    assert turn is Turn.YES, cases
    assert set(cases.values()) == {"ok", "critical"}


def test_bands_of_things_are_tried_by_whole_numbers() -> None:
    """Between 1 and 2 complaints there is no value, and so no hole; what is not whole is tried in small steps."""
    bands = replace(metric("> 5", "complaints"), green=parse_limit("between 0 and 1"), warning=parse_limit("between 2 and 5"))
    critical, warning = prove(bands, usual_domain("complaints"), NOW)
    assert {case.text: case.status.value for case in warning.cases} == {
        "1 complaints": "ok",
        "2 complaints": "warning",
        "3 complaints": "warning",
        "4 complaints": "warning",
        "5 complaints": "warning",
        "6 complaints": "critical",
    }
    assert {critical.turn, warning.turn} == {Turn.YES}
    assert "4.4955" in judged(metric("< 4.5", ""))[1]


def test_a_limit_that_nothing_breaks_does_not_turn() -> None:
    """Where no value of the probe breaks it, that is what is shown; a text that was not found leaves it open."""
    assert judged(metric("> 100 %", "%"), Domain(0, 100, certain=True))[0] is Turn.NO
    assert judged(metric(">= 0 %", "%"), Domain(0, 100, certain=True))[0] is Turn.NO
    assert judged(metric("matches /^$|a/", "text"))[0] is not Turn.NO
    assert judged(metric("> 80 % of baseline"))[0] is Turn.NO  # no baseline: unknown on both sides


NUMBERS = st.integers(-50, 150)
LIMITS = st.one_of(
    st.builds(lambda operator, bound: f"{operator} {bound} %", st.sampled_from([">", ">=", "<", "<=", "==", "!="]), NUMBERS),
    st.builds(lambda one, other: f"between {min(one, other)} % and {max(one, other)} %", NUMBERS, NUMBERS),
)


@given(LIMITS)
def test_reach_and_proof_agree(text: str) -> None:
    """A limit turns the status exactly where some values break it and some do not."""
    domain = Domain(0, 100, certain=True)
    one = metric(text, "%")
    assert (judged(one, domain)[0] is Turn.YES) == (reach(parse_limit(text), domain, "%") is Reach.SOME)


@given(LIMITS, LIMITS, st.floats(0, 100))
def test_a_hidden_warning_is_never_alone(grave: str, light: str, value: float) -> None:
    """Where a warning is said to be hidden, no value breaks it without breaking the graver limit too."""
    from checks.judge import breaks

    domain = Domain(0, 100, certain=True)
    if hides(parse_limit(grave), parse_limit(light), domain, "%") and breaks(parse_limit(light), value, "%"):
        assert breaks(parse_limit(grave), value, "%")
