"""Green, yellow and red bands: together they say something of every value, and of none twice."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from checks.errors import DataError
from checks.judge.comparing import bounds_in, compare
from checks.judge.limits import parse_limit, plain_number, print_limit, require_same_dimension
from checks.judge.units import Dimension, parse_unit
from checks.model import Against, Limit, Operator

BANDS = ("green", "yellow", "red")
_RANGE = re.compile(r"(\d+(?:\.\d+)?) ?[-\u2013] ?(\d+(?:\.\d+)?)(.*)")
_BASELINE = "baseline"
_AT_BASELINE = "within 0 % of baseline"
_LADDERS = {Operator.RISEN: (Operator.BELOW, 1), Operator.FALLEN: (Operator.ABOVE, -1)}


@dataclass(frozen=True, slots=True)
class _Stretch:
    """One value, or the open stretch between two neighbouring edges; `sample` stands for it."""

    sample: float
    low: float
    high: float

    @property
    def is_point(self) -> bool:
        return self.low == self.high


class BandFault(DataError):
    """A band does not fit the others; `band` is the one to look at."""

    def __init__(self, band: str, what: str, **more: str) -> None:
        self.band = band
        super().__init__(what, **more)


def parse_band(text: str) -> Limit:
    """Read a band: any limit without a window, ``0.5-2 %`` for both ends included, or ``baseline``.

    Raises:
        DataError: the text is no band.

    """
    plain = " ".join(text.split())
    if plain == _BASELINE:
        return parse_limit(_AT_BASELINE)
    if match := _RANGE.fullmatch(plain):
        low, high, unit = match.groups()
        return parse_limit(f"between {low} and {high}{unit}")
    return parse_limit(plain)


def join(bands: Mapping[str, Limit], unit: str) -> dict[str, Limit]:
    """The bands of a metric as they are judged, after making sure that they cover every value exactly once.

    ``baseline``, ``+10 %`` and ``+25 %`` are steps: each reaches as far as the next one begins.

    Args:
        bands: ``green``, ``yellow`` and ``red`` as `parse_band` read them.
        unit: the metric's unit.

    Raises:
        BandFault: two of them overlap, a hole is left between them, or they are of different kinds.
        DataError: one is written in a unit of another kind.

    """
    for band, limit in bands.items():
        require_same_dimension(limit, unit)
        if limit.span is not None or limit.operator in (Operator.CHANGES, Operator.MATCHES, Operator.NOT_MATCHES):
            raise BandFault(band, f"`{limit.text}` is no band", expected="a range of values", remedy="use warning: and critical:")
    if bands["green"].text == _AT_BASELINE:
        return _steps(bands)
    kinds = {limit.against for limit in bands.values()}
    if len(kinds) > 1:
        raise BandFault("red", "some bands are figures and some are of the baseline", remedy="write all three in the same way")
    for found in _faults(bands, unit, kinds.pop()):
        raise found
    return dict(bands)


def _steps(bands: Mapping[str, Limit]) -> dict[str, Limit]:
    yellow, red = bands["yellow"], bands["red"]
    if yellow.operator is not red.operator or yellow.operator not in _LADDERS:
        raise BandFault("yellow", "green is the baseline, so yellow and red are steps from it", expected="+10 % and +25 %, or -…")
    if yellow.bounds[0] >= red.bounds[0]:
        raise BandFault("red", "red begins before yellow does", expected=f"more than {yellow.text}", found=red.text)
    operator, sign = _LADDERS[yellow.operator]
    green = Limit("", operator, (100 + sign * yellow.bounds[0],), "%", Against.BASELINE)
    return {"green": replace(green, text=print_limit(green)), "yellow": yellow, "red": red}


def _faults(bands: Mapping[str, Limit], unit: str, against: Against) -> Iterator[BandFault]:
    shown = unit if against is Against.FIGURE else "% of baseline"
    bounds = {band: bounds_in(limit, unit, 100.0) for band, limit in bands.items()}
    stretches = list(_stretches({bound for some in bounds.values() for bound in some}, unit, against))
    owners = [
        tuple(band for band in BANDS if compare(bands[band].operator, stretch.sample, bounds[band])) for stretch in stretches
    ]
    at = 0
    while at < len(stretches):
        end = at
        while end + 1 < len(stretches) and owners[end + 1] == owners[at]:
            end += 1
        values = _said(stretches[at], stretches[end], shown)
        if len(owners[at]) > 1:
            one, other = owners[at][0], owners[at][-1]
            yield BandFault(
                other,
                f"the bands {one} and {other} overlap: both hold {values}",
                expected="each value in one band",
                found=f"{one} {bands[one].text}, {other} {bands[other].text}",
                remedy="move the edge of one of them",
            )
        elif not owners[at]:
            beside = owners[end + 1] if end + 1 < len(stretches) else owners[at - 1] if at else BANDS[-1:]
            yield BandFault(
                beside[0] if beside else BANDS[-1],
                f"the bands leave a hole: nothing is said of {values}",
                expected="a band for each value",
                found=", ".join(f"{band} {bands[band].text}" for band in BANDS),
                remedy="move an edge until they meet",
            )
        at = end + 1


def _stretches(edges: set[float], unit: str, against: Against) -> Iterator[_Stretch]:
    """The scale from its lowest to its highest value, cut at each edge."""
    kind = parse_unit(unit)
    figure = against is Against.FIGURE
    low = 0.0 if min(edges, default=0.0) >= 0 else -math.inf
    share = figure and kind.dimension is Dimension.SHARE and not kind.per and max(edges, default=0.0) <= 100
    high = 100.0 if share else math.inf
    if figure and kind.dimension is Dimension.COUNT and not kind.per and all(edge == int(edge) for edge in edges):
        whole = sorted({edge + step for edge in edges for step in (-1.0, 0.0, 1.0)} | ({0.0} if low == 0 else set()))
        yield from (_Stretch(number, number, number) for number in whole if low <= number)
        return
    points = sorted({edge for edge in (*edges, low, high) if math.isfinite(edge)})
    if low == -math.inf:
        yield _Stretch(points[0] - 1 if points else 0.0, -math.inf, points[0] if points else math.inf)
    for number, point in enumerate(points):
        yield _Stretch(point, point, point)
        above = points[number + 1] if number + 1 < len(points) else math.inf
        if point < high:
            yield _Stretch((point + above) / 2 if math.isfinite(above) else point * 2 + 1, point, above)


def _said(first: _Stretch, last: _Stretch, unit: str) -> str:
    if first == last and first.is_point:
        return _quantity(first.low, unit)
    lowest, highest = (_quantity(end, unit) if math.isfinite(end) else "" for end in (first.low, last.high))
    begin = f"{'from' if first.is_point else 'above'} {lowest}" if lowest else ""
    if not highest:
        return f"values {begin}" if begin else "any value"
    if not begin:
        return f"values {'up to' if last.is_point else 'below'} {highest}"
    stop = ("to" if first.is_point else ", up to") if last.is_point else ("to below" if first.is_point else ", below")
    return f"values {begin}{'' if stop.startswith(',') else ' '}{stop} {highest}"


def _quantity(number: float, unit: str) -> str:
    return f"{plain_number(number)} {unit}".rstrip()
