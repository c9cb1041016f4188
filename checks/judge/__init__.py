"""Units, limits and judgement: pure functions from observations, limits and `now` to a status."""

from __future__ import annotations

from checks.judge.comparing import breaks, drawn_bounds
from checks.judge.figures import Figure, mean, percentile, percentile_of_buckets, rate, ratio
from checks.judge.judgement import judge
from checks.judge.limits import TEXT_UNIT, forms, parse_limit, print_limit, require_same_dimension
from checks.judge.text import format_value
from checks.judge.units import convert

__all__ = [
    "TEXT_UNIT",
    "Figure",
    "breaks",
    "convert",
    "drawn_bounds",
    "format_value",
    "forms",
    "judge",
    "mean",
    "parse_limit",
    "percentile",
    "percentile_of_buckets",
    "print_limit",
    "rate",
    "ratio",
    "require_same_dimension",
]
