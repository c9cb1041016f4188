from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.errors import DataError
from checks.judge.pattern import LONGEST_TEXT, compile_pattern

atoms = st.sampled_from(["a", "b", ".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\.", "[ab]", "[^a]", "[a-c1]", r"[\d-]", "[]a]"])
anchors = st.sampled_from(["^", "$", r"\b"])
times = st.sampled_from(["", "*", "+", "?", "{2}", "{0,2}", "{1,}", "{0}", "*?"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, times).map(lambda pair: f"({pair[0]}){pair[1]}"),
        st.tuples(inner, times).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    )


patterns = st.recursive(st.one_of(st.tuples(atoms, times).map("".join), anchors), _grown, max_leaves=8)


@given(patterns, st.text(alphabet="abc1. -]", max_size=8))
def test_a_pattern_finds_what_re_finds(pattern: str, text: str) -> None:
    """Of ASCII text without line ends, whatever is read has the meaning that it has in Python's own regular expressions."""
    assert compile_pattern(pattern).found_in(text) == (re.search(pattern, text) is not None)


@pytest.mark.parametrize("pattern", ["", "(", "[", "x" * 501, "*a", r"(a)\1", "(?=a)b", "(((a{99}){99}){99}){99}"])
def test_what_cannot_be_searched_for_is_refused_with_a_remedy(pattern: str) -> None:
    """A text that is no pattern, or one that would need more than linear time, is refused when it is read."""
    with pytest.raises(DataError) as caught:
        compile_pattern(pattern)
    assert caught.value.remedy


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*a){12}b", "(a|aa)+$", "(x+x+)+y", r"(\w+\s?)*\d$"])
def test_no_pattern_can_hold_the_judge(pattern: str) -> None:
    """A pattern that would keep a backtracking search busy for years is answered at once, on the longest text."""
    began = time.perf_counter()
    assert not compile_pattern(pattern).found_in("a" * LONGEST_TEXT + "!") or pattern.endswith("$")
    assert time.perf_counter() - began < 2
