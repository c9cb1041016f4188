from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.errors import DataError
from checks.judge.pattern import LONGEST_TEXT, compile_pattern

atoms = st.sampled_from(
    ["a", "b", "é", ".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\.", "[ab]", "[^a]", "[a-c1]", r"[\d-]", "[]a]"]
)
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


@given(patterns, st.text(alphabet="abcé1. \n-]", max_size=8))
def test_a_pattern_finds_what_re_finds(pattern: str, text: str) -> None:
    """Whatever is read has the meaning that it has in Python's own regular expressions."""
    assert compile_pattern(pattern).found_in(text) == (re.search(pattern, text) is not None)


@given(st.text(alphabet=r"ab1.*+?{}[]()|\^$-,d", max_size=12))
def test_any_pattern_is_read_as_re_reads_it_or_refused(pattern: str) -> None:
    """No text makes the reader fail in another way than a refusal, and what it reads, `re` reads too."""
    try:
        compile_pattern(pattern)
    except DataError as error:
        assert error.remedy  # noqa: PT017  either way is right
    else:
        re.compile(pattern)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(.*a){12}b", "a?" * 30 + "a" * 30, "(a*)*c", "(x+x+)+y", r"(\w+\s?)*\d$"]
)
def test_no_pattern_can_hold_the_judge(pattern: str) -> None:
    """A pattern that would keep a backtracking search busy for years is answered within seconds, on the longest text."""
    began = time.perf_counter()
    compile_pattern(pattern).found_in("a" * LONGEST_TEXT + "!")
    assert time.perf_counter() - began < 10
