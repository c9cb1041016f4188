"""Bars for ways that were measured side by side, as a small SVG that needs no script, no style and no font of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

_WIDTH, _ROW, _LABEL, _VALUE = 720, 26, 300, 90
# Readable on white and on dark paper: a picture cannot know which one it lies on.
_INK, _OURS, _THEIRS = "#808080", "#3f7fbf", "#9a9a9a"


def bars(ways: Mapping[str, Mapping[str, Any]], said: Mapping[str, str]) -> str:
    """A bar a way, as long as its median, a thin line from the quickest round to the slowest; ours are coloured.

    Args:
        ways: by name, as `tests.benchmarks.measuring.summary` gives them.
        said: each way's median as a text.

    """
    longest = max(max(way["seconds"]) for way in ways.values())
    scale = (_WIDTH - _LABEL - _VALUE) / longest
    height = _ROW * len(ways) + 4
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="13" role="img">'
    ]
    for number, (name, way) in enumerate(ways.items()):
        top = number * _ROW + 4
        middle = top + _ROW / 2 - 2
        length = max(1.0, way["median_s"] * scale)
        least, most = (_LABEL + second(way["seconds"]) * scale for second in (min, max))
        colour = _OURS if _is_ours(name) else _THEIRS
        behind = math.ceil(max(_LABEL + length, most)) + 6
        parts += [
            f'<text x="{_LABEL - 8}" y="{middle + 4:.1f}" text-anchor="end" fill="{_INK}">{escape(name)}</text>',
            f'<rect x="{_LABEL}" y="{top}" width="{length:.1f}" height="{_ROW - 8}" fill="{colour}"/>',
            f'<line x1="{least:.1f}" x2="{most:.1f}" y1="{middle:.1f}" y2="{middle:.1f}" stroke="{_INK}"/>',
            f'<text x="{behind}" y="{middle + 4:.1f}" fill="{_INK}">{escape(said[name])}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _is_ours(name: str) -> bool:
    return name.lower().startswith(("proofbook", "forked", "publish"))
