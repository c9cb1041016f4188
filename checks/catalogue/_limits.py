"""The `limits` of the ``proofbook`` block: what one run may use of the machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from checks.catalogue._declaration import parse_duration
from checks.errors import DataError, Place

_SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(" + "|".join(_SIZES) + r")\s*")


def _size(value: Any) -> int:
    found = _SIZE.fullmatch(str(value))
    if found is None:
        raise ValueError("a size, such as `4 GB`")
    return int(float(found.group(1)) * _SIZES[found.group(2)])


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError("a whole number above 0")
    return value


def _seconds(value: Any) -> int:
    try:
        return max(1, int(parse_duration(value).total_seconds()))
    except (ValueError, DataError) as error:
        raise ValueError("a duration, such as `30m`") from error


# The names are those of `checks.run.bounds`.
_KINDS: Mapping[str, Callable[[Any], int]] = {
    "memory": _size,
    "processes": _count,
    "cpu": _seconds,
    "file-size": _size,
    "files": _count,
}


def read_limits(block: Any, path: Path) -> dict[str, int]:
    """The declared limits: bytes, numbers and seconds by name.

    Raises:
        DataError: one is not known, or says nothing that can be meant.

    """
    declared = block.get("limits") or {}
    place = Place(path, block.lc.key("limits")[0] + 1) if declared else Place(path)
    if not isinstance(declared, dict):
        raise DataError("`limits` is no table", where=place, example="limits: {memory: 4 GB, processes: 500}")
    limits = {}
    for name, value in declared.items():
        if name not in _KINDS:
            raise DataError(f"`{name}` is no limit of a run", where=place, expected="one of " + ", ".join(_KINDS))
        try:
            limits[str(name)] = _KINDS[name](value)
        except ValueError as error:
            raise DataError(f"`{name}` is not understood", where=place, expected=str(error), found=str(value)) from error
    return limits
