"""Units, limits and judgement: pure functions from observations, limits and `now` to a status."""

from __future__ import annotations

from checks.judge.bands import BandFault, join, parse_band
from checks.judge.comparing import breaks, drawn_bounds
from checks.judge.decisions import Decision, decide
from checks.judge.figures import Figure, mean, percentile, percentile_of_buckets, rate, ratio
from checks.judge.history import LONGEST, needed_since
from checks.judge.judgement import judge
from checks.judge.limits import TEXT_UNIT, forms, parse_limit, print_limit, require_same_dimension
from checks.judge.text import fingerprint, format_value
from checks.judge.units import convert
from checks.judge.windows import Broken, Sample

__all__ = [
    "LONGEST",
    "TEXT_UNIT",
    "BandFault",
    "Broken",
    "Decision",
    "Figure",
    "Sample",
    "breaks",
    "convert",
    "decide",
    "drawn_bounds",
    "fingerprint",
    "format_value",
    "forms",
    "join",
    "judge",
    "mean",
    "needed_since",
    "parse_band",
    "parse_limit",
    "percentile",
    "percentile_of_buckets",
    "print_limit",
    "rate",
    "ratio",
    "require_same_dimension",
]
