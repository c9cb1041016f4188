"""Units, limits and judgement: pure functions from observations, limits and `now` to a status.

Its parts load when they are first used: a kernel that judges one value needs few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checks.judge.bands import BandFault as BandFault
    from checks.judge.bands import join as join
    from checks.judge.bands import parse_band as parse_band
    from checks.judge.comparing import breaks as breaks
    from checks.judge.comparing import drawn_bounds as drawn_bounds
    from checks.judge.decisions import Decision as Decision
    from checks.judge.decisions import decide as decide
    from checks.judge.figures import Figure as Figure
    from checks.judge.figures import mean as mean
    from checks.judge.figures import percentile as percentile
    from checks.judge.figures import percentile_of_buckets as percentile_of_buckets
    from checks.judge.figures import rate as rate
    from checks.judge.figures import ratio as ratio
    from checks.judge.history import LONGEST as LONGEST
    from checks.judge.history import needed_since as needed_since
    from checks.judge.judgement import judge as judge
    from checks.judge.limits import TEXT_UNIT as TEXT_UNIT
    from checks.judge.limits import forms as forms
    from checks.judge.limits import parse_limit as parse_limit
    from checks.judge.limits import print_limit as print_limit
    from checks.judge.limits import require_same_dimension as require_same_dimension
    from checks.judge.text import fingerprint as fingerprint
    from checks.judge.text import format_observed as format_observed
    from checks.judge.text import format_value as format_value
    from checks.judge.units import convert as convert
    from checks.judge.windows import Broken as Broken
    from checks.judge.windows import Sample as Sample

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
    "format_observed",
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

_HOMES = {
    "BandFault": "bands",
    "Broken": "windows",
    "Decision": "decisions",
    "Figure": "figures",
    "LONGEST": "history",
    "Sample": "windows",
    "TEXT_UNIT": "limits",
    "breaks": "comparing",
    "convert": "units",
    "decide": "decisions",
    "drawn_bounds": "comparing",
    "fingerprint": "text",
    "format_observed": "text",
    "format_value": "text",
    "forms": "limits",
    "join": "bands",
    "judge": "judgement",
    "mean": "figures",
    "needed_since": "history",
    "parse_band": "bands",
    "parse_limit": "limits",
    "percentile": "figures",
    "percentile_of_buckets": "figures",
    "print_limit": "limits",
    "rate": "figures",
    "ratio": "figures",
    "require_same_dimension": "limits",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
