"""How an observation is shown: its value, or its text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from checks.judge import fingerprint, format_observed
from checks.model import Observation

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("v2.1.0", "v2.1.0"),
        ("", ""),
        ("two\nlines\tand more", "two lines and more"),
        ("\x1b[31mred\u202e\ud800", "�[31mred�?"),
        ("x" * 50, "x" * 39 + "…"),
    ],
)
def test_a_text_is_shown_as_it_stands(text: str, shown: str) -> None:
    """On one line, short, and without characters that move the cursor or turn the line around."""
    assert format_observed(Observation(fingerprint(text), "text", NOW, 0.1, "a cell", text)) == shown


def test_a_value_is_shown_with_its_unit() -> None:
    """What stands beside a number is no part of it."""
    assert format_observed(Observation(0.4, "%", NOW, 0.1, "a cell", "2 of 480 requests")) == "0.4 %"
