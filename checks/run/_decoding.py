"""Frozen values out of plain JSON, by their type hints alone: a kernel's first check is not kept waiting for pydantic."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_Decoder = Callable[[Any], Any]


def decode(kind: type[T], value: object) -> T:
    """The value that its JSON stands for; durations are seconds, times and days ISO 8601, enums their values.

    Args:
        kind: a dataclass of dataclasses, enums, tuples, mappings by name, times, paths and plain values.
        value: what ``json.loads`` gave.

    Raises:
        ValueError: it is none, has a field too many or too few, or holds something else than the type hints say.

    """
    hashable: Any = kind
    try:
        decoded: T = _decoder(hashable)(value)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not the JSON of a {kind.__name__}: {error}") from error
    return decoded


@cache
def _decoder(kind: Any) -> _Decoder:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if origin in (typing.Union, types.UnionType):
        return _of_union(arguments)
    if origin is tuple:
        return _of_tuple(arguments)
    if origin is not None and issubclass(origin, Mapping):
        return _of_mapping(_decoder(arguments[1]))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if is_dataclass(kind):
        return _of_dataclass(kind)
    raise TypeError(f"{kind} is not told to kernels")


def _of_dataclass(kind: Any) -> _Decoder:
    hints = typing.get_type_hints(kind)
    decoders = {field.name: _decoder(hints[field.name]) for field in fields(kind)}
    due = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}

    def decoded(value: Any) -> Any:
        if missing := due - value.keys():
            raise ValueError(f"{kind.__name__} lacks {', '.join(sorted(missing))}")
        return kind(**{name: decoders[name](part) for name, part in value.items()})

    return decoded


def _of_union(arguments: tuple[Any, ...]) -> _Decoder:
    """One of several: ``null``, a plain value as it is, or the dataclass whose fields are there."""
    kinds = [argument for argument in arguments if argument is not type(None)]
    decoders = [(_decoder(kind), {field.name for field in fields(kind)} if is_dataclass(kind) else set()) for kind in kinds]
    optional = len(kinds) < len(arguments)
    plain = tuple(kind for kind in kinds if kind in (str, int, float, bool))

    def decoded(value: Any) -> Any:
        if value is None and optional:
            return None
        if plain:
            if not isinstance(value, plain):
                raise ValueError(f"{value!r} is none of {', '.join(kind.__name__ for kind in plain)}")
            return value
        if len(decoders) == 1:
            return decoders[0][0](value)
        for decoder, names in decoders:
            if value.keys() <= names:
                return decoder(value)
        raise ValueError(f"no type has the fields {', '.join(sorted(value))}")

    return decoded


def _of_tuple(arguments: tuple[Any, ...]) -> _Decoder:
    if arguments[-1] is Ellipsis:
        each = _decoder(arguments[0])
        return lambda value: tuple([each(part) for part in _listed(value)])
    first, second = (_decoder(argument) for argument in arguments)

    def decoded(value: Any) -> Any:
        one, other = _listed(value)
        return (first(one), second(other))

    return decoded


def _of_mapping(each: _Decoder) -> _Decoder:
    return lambda value: {str(name): each(part) for name, part in value.items()}


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")
    return value


def _exactly(*kinds: type) -> _Decoder:
    def decoded(value: Any) -> Any:
        if type(value) not in kinds:
            raise ValueError(f"{value!r} is no {kinds[0].__name__}")
        return value

    return decoded


def _number(value: Any) -> float:
    if type(value) is float:
        return value
    return float(_exactly(float, int)(value))


_PLAIN: dict[Any, _Decoder] = {
    str: _exactly(str),
    int: _exactly(int),
    bool: _exactly(bool),
    float: _number,
    object: lambda value: value,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    timedelta: lambda value: timedelta(seconds=value),
    Path: Path,
}
