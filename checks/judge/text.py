"""How a value is shown: the one way that pages, terminals and reasons share."""

from __future__ import annotations

import math
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from checks.judge.units import BINARY_SIZES, DECIMAL_SIZES, TIMES, Dimension, Unit, parse_unit, singular

if TYPE_CHECKING:
    from checks.model import Observation

# Up to three days a backup's age is compared with limits in hours, so it is shown in hours.
_DAYS_FROM = 72 * 3600
_SHOWN_OF_TEXT = 40
# A smaller value would become zero when it is turned into a larger unit.
_TINY = 1e-300
_HEX_DIGITS = 12  # 48 bits: a whole number that every float and every database keeps exactly
_PARTS = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))
# Every ratio of these tables is an exact decimal.
_SECONDS = {name: Decimal(ratio.numerator) / ratio.denominator for name, ratio in TIMES.items()}
_DECIMAL = {name: Decimal(int(ratio)) for name, ratio in DECIMAL_SIZES.items()}
_BINARY = {"B": Decimal(1), **{name: Decimal(int(ratio)) for name, ratio in BINARY_SIZES.items()}}
_MILLISECONDS_BELOW, _SECONDS_BELOW = Decimal("0.9995"), Decimal("59.95")


@lru_cache(maxsize=4096)
def format_value(value: float, unit: str) -> str:
    """Show a value for a reader: ``12.4 %``, ``48,211``, ``1.3 MB``, ``4 h 02 min``, ``12 requests/min``.

    Times and sizes are shown in the unit that suits their magnitude, whatever they were measured in.
    A value that is not zero is never shown as zero, and a share below 100 % never as 100 %. Of a text its fingerprint is shown.

    Args:
        value: the value in `unit`; NaN and infinities are named, never shown as a number.
        unit: a unit as a metric declares it.

    Raises:
        DataError: `unit` is no unit.

    """
    kind = parse_unit(unit)
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite" if value > 0 else "-infinite"
    sign, size = ("-", -value) if value < 0 else ("", value + 0.0)
    if 0 < size < _TINY:
        return f"{sign}{size:.3g} {kind}".rstrip()
    if kind.name == "text":
        return f"text #{int(value):012x}"
    if kind.dimension is Dimension.TIME and not kind.per:
        return sign + _duration(size, kind.name)
    if kind.dimension is Dimension.DATA:
        return sign + _data(size, kind.name) + (f"/{kind.per}" if kind.per else "")
    if kind.dimension is Dimension.SHARE:
        return f"{sign}{_share(size)} {kind}"
    return f"{sign}{_count(size)} {_noun(kind, size)}".rstrip()


def format_observed(observation: Observation) -> str:
    """Show what was observed: a value as `format_value` does, a text as it stands, on one line and short."""
    if observation.unit != "text":
        return format_value(observation.value, observation.unit)
    line = " ".join(observation.detail.encode("utf-8", "replace").decode().split())
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return line if len(line) <= _SHOWN_OF_TEXT else line[: _SHOWN_OF_TEXT - 1] + "…"


def fingerprint(text: str) -> float:
    """A number that stands for a text where only numbers are kept: another text has another one, as far as SHA-256 tells."""
    import hashlib  # costs more than the rest of this module, and few metrics are texts

    return float(int(hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_HEX_DIGITS], 16))


def _duration(size: float, unit: str) -> str:
    if size == 0:
        return f"0 {unit}"
    seconds = Decimal(repr(size)) * _SECONDS[unit]
    if seconds < _MILLISECONDS_BELOW:
        milliseconds = float(seconds * 1000)
        return f"{_significant(milliseconds)} ms" if milliseconds >= 0.01 else f"{_significant(milliseconds * 1000)} µs"
    if seconds < _SECONDS_BELOW:
        return f"{_significant(float(seconds))} s"
    for name, whole, part_name, part in _PARTS:
        rounded = round(seconds / part) * part
        if rounded >= (_DAYS_FROM if name == "d" else whole):
            many, rest = divmod(rounded, whole)
            return f"{many:,} {name}" + (f" {rest // part:02d} {part_name}" if rest else "")
    return f"{_significant(float(seconds))} s"


def _data(size: float, unit: str) -> str:
    if size == 0:
        return f"0 {unit}"
    sizes = _BINARY if unit in BINARY_SIZES else _DECIMAL
    amount = Decimal(repr(size)) * sizes[unit]
    names = list(sizes)
    at = max((number for number, name in enumerate(names) if amount >= sizes[name]), default=0)
    shown = _at_most_one_decimal(float(amount / sizes[names[at]]))
    if at + 1 < len(names) and float(shown.replace(",", "")) * float(sizes[names[at]]) >= float(sizes[names[at + 1]]):
        at, shown = at + 1, "1"
    return f"{shown} {names[at]}"


def _share(size: float) -> str:
    if not 99 <= size < 100:
        return _significant(size)
    # 99.996 % available is not 100 %: as many decimals as two digits of the gap need.
    return _stripped(f"{size:.{1 - math.floor(math.log10(100 - size))}f}")


def _count(size: float) -> str:
    return f"{int(size):,}" if size == int(size) and size < 1e15 else _significant(size)


def _at_most_one_decimal(size: float) -> str:
    return _significant(size) if size < 1 else _stripped(f"{size:,.1f}") if size < 100 else f"{size:,.0f}"


def _significant(size: float) -> str:
    """Three significant digits, and every digit before the point."""
    if size == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(size)))
    return f"{size:.3g}" if decimals > 9 or size >= 1e15 else _stripped(f"{size:,.{decimals}f}")


def _stripped(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _noun(kind: Unit, size: float) -> str:
    name = singular(kind.name) if size == 1 else kind.name
    return f"{name}/{kind.per}" if kind.per else name
