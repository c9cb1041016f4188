"""The units that metrics and limits are written in, and how one becomes another.

Times and sizes are in a table, because every page and every kernel needs them and importing pint takes a third of a
second; the tests hold each ratio to pint's. Other physical units (``W``, ``°C``) are asked of pint itself.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from checks.errors import DataError

if TYPE_CHECKING:
    from pint import UnitRegistry


class Dimension(Enum):
    """What a unit measures; values of two dimensions cannot be compared."""

    COUNT = "a count"
    SHARE = "a share"
    TIME = "a time"
    DATA = "an amount of data"


# Seconds in each unit of time, bytes in each unit of data. The order is from small to large; formatting relies on it.
TIMES: dict[str, Fraction] = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "min": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
    "w": Fraction(604800),
}
DECIMAL_SIZES: dict[str, Fraction] = {
    name: Fraction(1000**power) for power, name in enumerate(("B", "kB", "MB", "GB", "TB", "PB"))
}
BINARY_SIZES: dict[str, Fraction] = {
    name: Fraction(1024**power) for power, name in enumerate(("KiB", "MiB", "GiB", "TiB", "PiB"), start=1)
}
_TABLES: dict[Dimension, dict[str, Fraction]] = {Dimension.TIME: TIMES, Dimension.DATA: DECIMAL_SIZES | BINARY_SIZES}

_OTHER_NAMES = {
    "percent": "%",
    "µs": "us",
    "μs": "us",
    "millisecond": "ms",
    "milliseconds": "ms",
    "sec": "s",
    "second": "s",
    "seconds": "s",
    "m": "min",
    "minute": "min",
    "minutes": "min",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "week": "w",
    "weeks": "w",
    "byte": "B",
    "bytes": "B",
    "KB": "kB",
}
# These words belong to conditions that are not read yet; taken for a noun they would silently change a limit's meaning.
_NO_NOUNS = frozenset(
    ["for", "in", "of", "within", "ago", "and", "or", "to", "than", "baseline", "per", "not", "any", "between", "nan", "inf"]
)
_SHORTEST_PLURAL = 4  # ps, gas
_NO_PLURALS = frozenset(["series", "species", "news", "always", "alias", "canvas", "atlas"])
_PLURALS_IN_IES = frozenset(["cookies", "movies", "ties", "dies"])
_PLURALS_IN_CHES = frozenset(["caches", "aches"])
_PLURALS_IN_VES = {"loaves": "loaf", "leaves": "leaf", "halves": "half", "shelves": "shelf", "knives": "knife", "lives": "life"}
_WORD = re.compile(r"%|[^\W\d_][\w°-]*|°[A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as Proofbook reads it.

    Attributes:
        dimension: what it measures, before it is divided by a time.
        name: its canonical name; a noun for a count, or empty for a bare number.
        per: the unit of time it is divided by, for a rate; empty otherwise.

    """

    dimension: Dimension
    name: str
    per: str = ""

    def __str__(self) -> str:
        return f"{self.name}/{self.per}" if self.per else self.name


@lru_cache(maxsize=512)
def parse_unit(text: str) -> Unit:
    """Read a unit: ``%``, ``ms``, ``MB``, ``/min``, ``requests/s``, a noun, or nothing at all for a bare number.

    Raises:
        DataError: the text is no unit.

    """
    head, slash, per = re.sub(r"\s*\bper\b\s*", "/", text.strip()).partition("/")
    name = _canonical(head.strip())
    divisor = _canonical(per.strip())
    if slash and divisor not in TIMES:
        raise _no_unit(text)
    if not name:
        return Unit(Dimension.COUNT, "", divisor)
    if not _WORD.fullmatch(name) or name.lower() in _NO_NOUNS:
        raise _no_unit(text)
    if name == "%":
        return Unit(Dimension.SHARE, name, divisor)
    for dimension, table in _TABLES.items():
        if name in table:
            return Unit(dimension, name, divisor)
    return Unit(Dimension.COUNT, name, divisor)


def comparable(one: Unit, other: Unit) -> bool:
    """Whether a value in one unit can be turned into the other."""
    if one.dimension is not other.dimension or bool(one.per) != bool(other.per):
        return False
    if one.dimension is not Dimension.COUNT or not one.name or not other.name or singular(one.name) == singular(other.name):
        return True
    return not one.per and _physical(one.name, other.name)


def convert(value: float, from_unit: str, to_unit: str) -> float:
    """Turn a value from one unit into another; the result is the float nearest to the exact one.

    Args:
        value: the value in `from_unit`; NaN and infinities stay what they are.
        from_unit: a unit as `parse_unit` reads it.
        to_unit: the unit wanted.

    Raises:
        DataError: one of them is no unit, or they measure different things.

    """
    if from_unit == to_unit:
        return value
    source, target = parse_unit(from_unit), parse_unit(to_unit)
    if not comparable(source, target):
        raise DataError(
            f"{describe(source)} cannot be turned into {describe(target)}",
            expected=f"a unit of {target.dimension.value}",
            found=from_unit or "a bare number",
            remedy="write both in units of the same kind",
        )
    if not math.isfinite(value) or source == target:
        return value
    if source.dimension is Dimension.COUNT and source.name and target.name and singular(source.name) != singular(target.name):
        return _by_pint(value, source.name, target.name)
    ratio = _ratio(source) / _ratio(target)
    try:
        # The shortest decimal that gives this float is what its author wrote: 0.3 s is 300 ms, not 299.99999999999994.
        return float(Fraction(repr(float(value))) * ratio)
    except OverflowError:
        return math.copysign(math.inf, value)


def describe(unit: Unit) -> str:
    """The unit in words for a message: ``a time (ms)``, ``a bare number``."""
    if unit.dimension is Dimension.COUNT and not unit.name:
        return f"a rate (/{unit.per})" if unit.per else "a bare number"
    return f"{unit.dimension.value} ({unit})"


def _canonical(word: str) -> str:
    return _OTHER_NAMES.get(word, word)


def singular(noun: str) -> str:
    """One of what a noun counts: ``vulnerability`` of ``vulnerabilities``, ``request`` of ``requests``; else the noun itself."""
    if len(noun) < _SHORTEST_PLURAL or noun in _NO_PLURALS or noun.endswith(("ss", "us", "is")) or not noun.endswith("s"):
        return noun
    if noun in _PLURALS_IN_VES:
        return _PLURALS_IN_VES[noun]
    if noun.endswith("ies") and noun not in _PLURALS_IN_IES:
        return f"{noun[:-3]}y"
    if noun.endswith(("sses", "shes", "xes", "tuses")) or (noun.endswith("ches") and noun not in _PLURALS_IN_CHES):
        return noun[:-2]
    return noun[:-1]


def _ratio(unit: Unit) -> Fraction:
    whole = _TABLES[unit.dimension][unit.name] if unit.dimension in _TABLES else Fraction(1)
    return whole / TIMES[unit.per] if unit.per else whole


def _no_unit(text: str) -> DataError:
    return DataError(
        f"`{text}` is no unit",
        expected="%, ms, s, min, h, d, B, kB, MB, GB, MiB, /min, /s, one word that names what is counted, or nothing",
        found=text,
        remedy="write one unit; a window or a baseline is not part of it",
        example="requests/min",
    )


@lru_cache(maxsize=1)
def _registry() -> UnitRegistry[float]:
    import pint

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)


def _physical(one: str, other: str) -> bool:
    import pint

    registry = _registry()
    try:
        return bool(registry.Unit(one).is_compatible_with(registry.Unit(other)))
    except (pint.PintError, AttributeError, ValueError, TypeError):
        # A noun that pint does not know is no physical unit.
        return False


def _by_pint(value: float, one: str, other: str) -> float:
    registry = _registry()
    return float(registry.Quantity(value, one).to(other).magnitude)
