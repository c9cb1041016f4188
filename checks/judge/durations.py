"""Spans of time in limits, in one short spelling: ``15m``, ``1h``, ``26h``."""

from __future__ import annotations

import re
from datetime import timedelta

DURATION = r"\d+ ?[a-z]+(?: \d+ ?[a-z]+)*"
"""What may be a duration, before its units are known."""

LONGEST = timedelta(days=366)
_PART = re.compile(r"(\d+) ?([a-z]+)")
_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_DAYS_FROM = 3 * 86400  # as values are shown: two days are 48 h
_OTHER_NAMES = {
    name: short
    for short, names in {
        "s": "sec second seconds",
        "m": "min minute minutes",
        "h": "hour hours",
        "d": "day days",
        "w": "week weeks",
    }.items()
    for name in names.split()
}


def parse_duration(text: str) -> timedelta:
    """Read ``90s``, ``15 min``, ``1h 30m`` or ``2 hours``.

    Raises:
        ValueError: a unit is not one of s, m, h, d and w, or the whole is not between a second and a year.

    """
    total = 0
    for number, unit in _PART.findall(text):
        short = _OTHER_NAMES.get(unit, unit)
        if short not in _UNITS:
            raise ValueError(f"`{unit}` is no unit of time; write s, m, h or d")
        total += min(int(number[:12]), 10**10) * _UNITS[short]
    if not 1 <= total <= LONGEST.total_seconds():
        raise ValueError(f"`{text}` is no window; it lasts from a second to a year")
    return timedelta(seconds=total)


def print_duration(span: timedelta) -> str:
    """The duration in the largest unit that divides it: ``15m``, ``90s``, ``48h``; days from three on."""
    seconds = round(span.total_seconds())
    unit = next(unit for unit in ("dhms" if seconds >= _DAYS_FROM else "hms") if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"
