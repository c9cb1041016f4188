"""What every declaration in the catalogue is made of: a model that knows all its keys, durations, regular expressions."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from checks.errors import DataError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_duration(text: object) -> timedelta:
    """Read ``90s``, ``5m``, ``26h``, ``7d`` or ``1h 30m``.

    Raises:
        ValueError: the text is not one or more numbers with a unit of ms, s, m, min, h, d or w, or is not above zero.

    """
    if isinstance(text, timedelta):
        return text
    parts = _DURATION.findall(str(text))
    if not parts or _DURATION.sub("", str(text)).strip():
        raise ValueError("expected a duration such as 90s, 5m, 26h or 7d")
    total = timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
    if total <= timedelta(0):
        raise ValueError("expected a duration above zero, such as 5m")
    return total


def _is_regex(text: str) -> str:
    from checks.judge.pattern import compile_pattern

    try:
        compile_pattern(text)
    except DataError as error:
        raise ValueError(f"{error.what}; expected {error.expected}") from error
    return text


def _known_timezone(name: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("expected a name of the IANA time zone database, such as UTC or Europe/Berlin") from error
    return name


def _without_a_way_up(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError("expected a path below its setting, without `..`")
    return path


Duration = Annotated[timedelta, BeforeValidator(parse_duration, json_schema_input_type=str)]
Regex = Annotated[str, AfterValidator(_is_regex)]
Timezone = Annotated[str, AfterValidator(_known_timezone)]
Place = Annotated[str, AfterValidator(_without_a_way_up)]
Statistic = Literal["median", "mean", "min", "max", "p50", "p95", "p99"]


class Declaration(BaseModel):
    """What a part of the catalogue may hold; a key it does not know is an error."""

    # Each is made ready when it is first used: a kernel that measures by one kind does not wait for the others.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
