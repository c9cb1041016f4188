"""Values over time and the limits that judge them, drawn in lines of characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from checks.judge.comparing import drawn_bounds
from checks.judge.paper import Rejudged
from checks.judge.windows import Broken, Sample
from checks.model import Metric

_BLOCKS = " ▁▂▃▄▅▆▇█"
_EIGHTHS = len(_BLOCKS) - 1
_NOTHING = "·"
_NARROW = 0.5
"""Values that all lie above this share of the highest one are drawn from the lowest one on, not from zero."""
_MARGIN = 0.1
_SPANS = (
    *(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 7, 14, 28, 56, 112)),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A plot of blocks: stretches of time from left to right, values from bottom to top.

    Attributes:
        rows: the lines from the top down, one character a stretch; in the lowest a dot where nothing was measured.
        marks: for each limit, one character a stretch: ``!`` where it breaks, ``?`` where nobody knows, else a blank.
        low, high: the values at the lower edge of the lowest row and the upper edge of the highest, in the metric's unit.
        bounds: for each limit, its bounds with the row that each lies in; none where they are not on the scale.
        ticks: the columns at which a round time begins, with that time.

    """

    rows: tuple[str, ...]
    marks: tuple[str, ...]
    low: float
    high: float
    bounds: tuple[tuple[tuple[int, float], ...], ...]
    ticks: tuple[tuple[int, datetime], ...]


def draw(
    metric: Metric,
    samples: Sequence[Sample],
    judged: Sequence[Rejudged],
    since: datetime,
    now: datetime,
    width: int,
    height: int = 8,
) -> Drawn | None:
    """Draw values and what limits say of them, in stretches of time of one width; ``None`` where there is nothing to draw.

    A stretch shows its highest value, and is marked when any of its samples is.

    Args:
        metric: the metric.
        samples: its values in its unit, oldest first.
        judged: what each limit says of them.
        since: where the time begins.
        now: where it ends.
        width: how many stretches.
        height: how many rows.

    Raises:
        ValueError: there is no time between `since` and `now`, no width or no height.

    """
    span = (now - since).total_seconds()
    if span <= 0 or width < 1 or height < 1:
        raise ValueError(f"expected a time, a width and a height to draw in, found {span} s, {width} and {height}")

    def column(moment: datetime) -> int:
        return min(int((moment - since).total_seconds() / span * width), width - 1)

    highest: dict[int, float] = {}
    for moment, value in samples:
        if since <= moment <= now:
            highest[column(moment)] = max(value, highest.get(column(moment), value))
    if not highest:
        return None
    bounds = [drawn_bounds(one.limit, metric.unit) for one in judged]
    low, high = _scale([*highest.values(), *(bound for some in bounds for bound in some)])
    filled = [_filled(highest[at], low, high, height) if at in highest else None for at in range(width)]
    marks = []
    for one in judged:
        row = [" "] * width
        for moment, verdict in zip(one.moments, one.verdicts, strict=True):
            at = column(moment)
            if verdict is Broken.YES or (verdict is Broken.UNKNOWN and row[at] == " "):
                row[at] = "!" if verdict is Broken.YES else "?"
        marks.append("".join(row))
    return Drawn(
        rows=tuple("".join(_cell(eighths, row, height) for eighths in filled) for row in range(height)),
        marks=tuple(marks),
        low=low,
        high=high,
        bounds=tuple(tuple((_row(bound, low, high, height), bound) for bound in some) for some in bounds),
        ticks=tuple((column(moment), moment) for moment in _round_times(since, now, max(width // 14, 1))),
    )


def _scale(values: Sequence[float]) -> tuple[float, float]:
    least, most = min(values), max(values)
    if least > _NARROW * most > 0 and least < most:
        return least - _MARGIN * (most - least), most
    return min(0.0, least), most


def _share(value: float, low: float, high: float) -> float:
    # Halves, because the difference of two huge numbers may be no number.
    return (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.0


def _filled(value: float, low: float, high: float, height: int) -> int:
    """How many eighths of a row are filled, at least one: what was measured can be seen."""
    return max(1, min(round(_share(value, low, high) * height * _EIGHTHS), height * _EIGHTHS))


def _row(value: float, low: float, high: float, height: int) -> int:
    """The row that a value lies in, counted from the top."""
    return height - 1 - min(int(_share(value, low, high) * height), height - 1)


def _cell(eighths: int | None, row: int, height: int) -> str:
    above = height - 1 - row
    if eighths is None:
        return _NOTHING if above == 0 else " "
    return _BLOCKS[max(0, min(eighths - above * _EIGHTHS, _EIGHTHS))]


def _round_times(since: datetime, now: datetime, most: int) -> list[datetime]:
    """Round times, such as midnights in UTC, of which no more than so many lie in a span."""
    step = next((step for step in _SPANS if (now - since) / step <= most), _SPANS[-1])
    first = since + (_EPOCH - since) % step
    many = max(int((now - first) / step) + 1, 0) if first <= now else 0
    return [first + number * step for number in range(many)]
