"""Units, limits and judgement: pure functions from an observation, its limits and `now` to a status."""

from __future__ import annotations

from checks.judge.judgement import breaks, judge
from checks.judge.limits import parse_limit, require_same_dimension
from checks.judge.text import format_value
from checks.judge.units import convert

__all__ = ["breaks", "convert", "format_value", "judge", "parse_limit", "require_same_dimension"]
