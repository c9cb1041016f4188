"""A limit tried on paper, on values that were measured before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.errors import DataError
from checks.judge import breaks, judge, parse_limit
from checks.judge.paper import lookback, rejudge
from checks.judge.plot import draw
from checks.judge.windows import Broken
from checks.model import FixedBaseline, Metric, Observation, Series, Status

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
VALUES = st.lists(st.floats(-1e6, 1e6), max_size=60)


def metric(unit: str = "ms") -> Metric:
    return Metric("shop", "wait", "Wait", unit, {"kind": "notebook"}, every=MINUTE)


def samples(*values: float) -> list[tuple[datetime, float]]:
    return [(BEGIN + number * MINUTE, value) for number, value in enumerate(values)]


def end(values: list[float]) -> datetime:
    return BEGIN + len(values) * MINUTE


def verdicts(text: str, *values: float, judged: Metric | None = None, since: datetime = BEGIN) -> str:
    """One letter a sample: y(es), n(o), u(nknown)."""
    found = rejudge(judged or metric(), parse_limit(text), samples(*values), since, BEGIN + timedelta(days=1))
    return "".join(one.value[0] for one in found.verdicts)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("> 300 ms", (100, 300, 301, 400, 100), "nnyyn"),
        ("> 0.3 s", (300, 301), "ny"),
        ("any", (0, 1, 0), "nyn"),
        ("> 300 ms for 2m", (400, 400, 400, 400, 100, 400), "uuyynn"),
        ("> 300 ms for 2m", (100, 400, 400, 400), "nnny"),
        ("changes", (1, 1, 2, 2), "unyn"),
        ("> 120 % of baseline", (100, 120, 121), "nny"),
    ],
)
def test_each_sample_is_judged_with_what_was_known_then(text: str, values: tuple[float, ...], expected: str) -> None:
    """A sample is judged by the history up to it: a window is unknown before it is covered, and never looks ahead."""
    judged = replace(metric(), baseline=FixedBaseline(100.0, BEGIN.date(), "ada"))
    assert verdicts(text, *values, judged=judged) == expected


def test_counts_are_judged_in_their_window() -> None:
    """`in` counts what happened up to each sample."""
    assert verdicts("> 2 in 3m", 1, 1, 1, 0, 0, 0, judged=replace(metric(""), series=Series.EVENTS)) == "uuynnn"


def test_samples_before_the_beginning_are_history_only() -> None:
    """What lies before `since` covers windows and is not judged itself."""
    assert verdicts("> 300 ms for 2m", 400, 400, 400, 400, since=BEGIN + 2 * MINUTE) == "yy"
    assert lookback(metric(), parse_limit("> 300 ms for 2m"), BEGIN) == BEGIN - 5 * MINUTE
    assert lookback(metric(), parse_limit("> 300 ms"), BEGIN) == BEGIN


def test_episodes_are_rows_of_breaks() -> None:
    """An episode lasts from its first to its last sample that broke; the longest, first and last are told."""
    found = rejudge(metric(), parse_limit("> 300 ms"), samples(400, 1, 400, 400, 400, 1, 400), BEGIN, BEGIN + 9 * MINUTE)
    assert [(episode.begin, episode.length, episode.samples) for episode in found.episodes] == [
        (BEGIN, timedelta(0), 1),
        (BEGIN + 2 * MINUTE, 2 * MINUTE, 3),
        (BEGIN + 6 * MINUTE, timedelta(0), 1),
    ]
    assert found.longest == found.episodes[1]
    assert (found.samples, found.breaks, found.unknown) == (7, 5, 0)
    assert found.share == pytest.approx(500 / 7)


def test_of_no_sample_there_is_no_share() -> None:
    """Without history nothing is said: no share of 0 %, no episode, no plot."""
    found = rejudge(metric(), parse_limit("> 300 ms"), [], BEGIN, BEGIN + MINUTE)
    assert (found.samples, found.share, found.episodes, found.longest) == (0, None, (), None)
    assert draw(metric(), [], [found], BEGIN, BEGIN + MINUTE, 10) is None


def test_only_unknown_samples_have_no_share() -> None:
    """A window longer than the history is unknown with its reason, and its share is not 0 %."""
    found = rejudge(metric(), parse_limit("> 300 ms for 15m"), samples(400, 400), BEGIN, BEGIN + 2 * MINUTE)
    assert (found.unknown, found.share) == (2, None)
    assert found.why_unknown == "> 300 ms for 15m: needs 15 min of samples, has 1 min"


@pytest.mark.parametrize("text", ["> 300 MB", "matches /x/", "> 3 %"])
def test_a_limit_that_cannot_judge_the_metric_is_refused(text: str) -> None:
    """A limit of another kind is refused, with a remedy."""
    with pytest.raises(DataError) as refused:
        verdicts(text, 1)
    assert refused.value.remedy


def test_a_pattern_is_refused_for_texts() -> None:
    """Of texts the journal keeps no more than whether they changed."""
    with pytest.raises(DataError, match="cannot be tried on paper"):
        verdicts("matches /x/", 1, judged=metric("text"))
    assert verdicts("changes", 1, 1, 2, judged=metric("text")) == "uny"


def test_the_plot_shows_values_bounds_and_breaks() -> None:
    """Each stretch shows its highest value, a dot is where nothing was measured, and marks stand below what broke."""
    values = samples(0, 100, 200, 400)
    found = rejudge(metric(), parse_limit("> 100 ms"), values, BEGIN, BEGIN + 8 * MINUTE)
    drawn = draw(metric(), values, [found], BEGIN, BEGIN + 8 * MINUTE, 8, 4)
    assert drawn is not None
    assert drawn.rows == ("   █    ", "   █    ", "  ██    ", "▁███····")
    assert drawn.marks == ("  !!    ",)
    assert (drawn.low, drawn.high) == (0, 400)
    assert drawn.bounds == (((2, 100.0),),)
    assert drawn.ticks == ((0, BEGIN),)


def test_a_plot_of_narrow_values_does_not_begin_at_zero() -> None:
    """99.9 % and 99.95 % look different, and the scale says where it begins."""
    values = samples(99.9, 99.95, 100)
    found = rejudge(metric("%"), parse_limit("< 99.9 %"), values, BEGIN, BEGIN + 3 * MINUTE)
    drawn = draw(metric("%"), values, [found], BEGIN, BEGIN + 3 * MINUTE, 3, 2)
    assert drawn is not None
    assert (round(drawn.low, 3), drawn.high) == (99.89, 100)
    assert drawn.rows == (" ▁█", "▁██") or drawn.rows[1][0] != "█"


def test_round_times_are_marked() -> None:
    """Midnights stand at their columns, no more of them than there is room for."""
    begin, end_ = BEGIN + timedelta(hours=18), BEGIN + timedelta(days=4, hours=18)
    values = [(begin, 1.0)]
    found = rejudge(metric(), parse_limit("> 100 ms"), values, begin, end_)
    drawn = draw(metric(), values, [found], begin, end_, 64)
    assert drawn is not None
    assert [(at, f"{moment:%d %H:%M}") for at, moment in drawn.ticks] == [
        (4, "02 00:00"),
        (20, "03 00:00"),
        (36, "04 00:00"),
        (52, "05 00:00"),
    ]


KEPT = [
    ("> 50 ms", None, timedelta(minutes=5)),
    ("> 50 ms", "< 20 ms", None),
    ("> 50 ms", "< 20 ms", timedelta(minutes=3)),
    ("> 50 ms for 3m", "< 20 ms for 2m", timedelta(minutes=4)),
    ("> 120 % of baseline", "< 90 % of baseline", None),
    ("changes", None, timedelta(minutes=4)),
]


@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from([0.0, 19.0, 20.0, 30.0, 50.0, 51.0, 80.0])), max_size=40),
    st.sampled_from(KEPT),
)
def test_paper_says_what_was_said_then(steps: list[tuple[int, float]], rule: tuple[str, str | None, timedelta | None]) -> None:
    """With leave: and stay:, each verdict is what the engine says of that sample with the samples up to it."""
    text, left, stay = rule
    leave = parse_limit(left) if left else None
    judged = replace(
        metric(), critical=parse_limit(text), leave_critical=leave, stay=stay, baseline=FixedBaseline(40.0, BEGIN.date(), "ada")
    )
    past, moment = [], BEGIN
    for minutes, value in steps:
        moment += minutes * MINUTE
        past.append((moment, value))
    said = []
    for number, (at, value) in enumerate(past):
        status = judge(judged, Observation(value, "ms", at, 0.0, "a test"), at, past[:number]).status
        said.append({Status.CRITICAL: Broken.YES, Status.OK: Broken.NO}.get(status, Broken.UNKNOWN))
    assert list(rejudge(judged, parse_limit(text), past, BEGIN, moment, leave).verdicts) == said


def test_a_status_that_is_kept_is_one_episode() -> None:
    """Values that go up and down across a limit fire once where the metric says when it is left."""
    values = (10, 60, 40, 60, 40, 60, 10, 10)
    plain = rejudge(metric(), parse_limit("> 50 ms"), samples(*values), BEGIN, BEGIN + 9 * MINUTE)
    kept = rejudge(metric(), parse_limit("> 50 ms"), samples(*values), BEGIN, BEGIN + 9 * MINUTE, parse_limit("< 20 ms"))
    assert (len(plain.episodes), len(kept.episodes), kept.breaks) == (3, 1, 5)
    staying = replace(metric(), stay=5 * MINUTE)
    assert len(rejudge(staying, parse_limit("> 50 ms"), samples(*values), BEGIN, BEGIN + 9 * MINUTE).episodes) == 1


def test_a_month_of_minutes_that_are_kept_is_judged_in_seconds() -> None:
    """Following a status costs the same for each sample, however many there were before it."""
    values = [(BEGIN + number * MINUTE, float(number % 97)) for number in range(43_000)]
    found = rejudge(
        replace(metric(), stay=5 * MINUTE), parse_limit("> 90 ms"), values, BEGIN, BEGIN + 43_000 * MINUTE, parse_limit("< 9 ms")
    )
    assert (found.samples, found.unknown > 100) == (43_000, False)


@given(VALUES)
def test_a_limit_above_all_values_has_no_episode(values: list[float]) -> None:
    """A limit that nothing reaches never fires."""
    found = rejudge(metric(), parse_limit("> 2000000 ms"), samples(*values), BEGIN, end(values))
    assert (found.breaks, found.episodes, found.longest) == (0, (), None)


@given(VALUES, st.sampled_from(["> 10 ms", "< 0 ms", "> 10 ms for 3m", "changes", "not between 0 ms and 9 ms", "changes in 5m"]))
def test_counts_add_up(values: list[float], text: str) -> None:
    """Breaks are those of the episodes; each sample is a break, fine or unknown; marks are as many as columns."""
    found = rejudge(metric(), parse_limit(text), samples(*values), BEGIN, end(values))
    assert found.samples == len(values)
    assert sum(episode.samples for episode in found.episodes) == found.breaks
    assert found.breaks + found.unknown + found.verdicts.count(Broken.NO) == found.samples
    assert all(one.end < other.begin for one, other in zip(found.episodes, found.episodes[1:], strict=False))
    if values:
        drawn = draw(metric(), samples(*values), [found], BEGIN, end(values), 40)
        assert drawn is not None
        assert {len(row) for row in (*drawn.rows, *drawn.marks)} == {40}
        assert ("!" in drawn.marks[0]) == bool(found.breaks)


@given(VALUES, st.floats(-1e6, 1e6))
def test_without_a_window_it_is_the_plain_comparison(values: list[float], bound: float) -> None:
    """Each verdict is what the limit says of that value."""
    limit = parse_limit(f"> {bound!r} ms")
    found = rejudge(metric(), limit, samples(*values), BEGIN, end(values))
    assert [one is Broken.YES for one in found.verdicts] == [breaks(limit, value, "ms") for value in values]


@given(VALUES, st.integers(0, 60))
def test_what_comes_later_changes_no_verdict(values: list[float], cut: int) -> None:
    """The verdicts of a shorter history are the beginning of those of a longer one."""
    limit = parse_limit("> 0 ms for 3m")
    whole = rejudge(metric(), limit, samples(*values), BEGIN, end(values))
    part = rejudge(metric(), limit, samples(*values[:cut]), BEGIN, end(values))
    assert whole.verdicts[: len(part.verdicts)] == part.verdicts
