"""Facts that note what a page reads of them, so that the next publication knows whether the page would be the same again.

What is noted is a path: ``item|shop/latency`` or ``stretches|day|shop/latency``. `Tokens` says of each path what stands there
now; a page whose tokens are all as they were need not be filled. Whatever is read and not foreseen here is noted as a whole: a
page may be filled without need, and is never left as it was when it would differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

from checks.journal.report import Item
from checks.model import Metric, Run, Runbook, System
from checks.site.evidence import Archive, Evidence

if TYPE_CHECKING:
    from checks.site.facts import Facts
    from checks.site.lazily import Lazily

Path = tuple[str, ...]
_BETWEEN = "\x1f"
"""What stands between the parts of a path when it is written."""

_STANDING = frozenset({"catalogue", "environment", "steps", "zone"})
"""What a publication's key holds for all of its pages."""
_SIMPLE = frozenset({str, int, float, bool, type(None), date, datetime, timedelta})
"""What tells itself from every other one."""
_SEEN_THROUGH = frozenset({"evidence_of"})
"""Methods of which not the answer is noted, but what they read: that is cheaper to look at again."""


def watched(facts: Facts) -> tuple[Facts, set[Path]]:
    """Facts for filling one page, and the set that what it reads is noted in."""
    noted: set[Path] = set()
    return cast("Facts", _Watched(facts, noted)), noted


def written(paths: Iterable[Path]) -> tuple[str, ...]:
    """Paths as texts, in a fixed order."""
    return tuple(sorted(_BETWEEN.join(path) for path in paths))


class Tokens:
    """What stands at each path of some facts, as a short text; equal texts, equal values."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._known: dict[str, str] = {}

    def digest(self, paths: Iterable[str]) -> str:
        """A digest of what stands at some paths, as `written` gives them."""
        return hashlib.sha256("\n".join(map(self._line, paths)).encode()).hexdigest()

    def _line(self, path: str) -> str:
        line = self._known.get(path)
        if line is None:
            line = self._known[path] = f"{path} {_at(self._facts, tuple(path.split(_BETWEEN)))}"
        return line


class _Watched:
    """Facts of which is noted what a page reads; what need not be noted each time is kept as an attribute of its own."""

    def __init__(self, facts: Facts, noted: set[Path]) -> None:
        self._facts = facts
        self._noted = noted
        for name in _STANDING:
            setattr(self, name, getattr(facts, name))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._facts, name)
        watching: Any
        if name == "by_id":
            watching = _ByRun((name,), value, self._noted)
        elif isinstance(value, Archive):
            watching = _WatchedArchive(name, value, self._noted)
        elif _by_name(value):
            watching = _WatchedMapping((name,), value, self._noted)
        elif callable(value):
            watching = self._asked(name, value)
        else:
            self._noted.add((name,))
            watching = value
        setattr(self, name, watching)
        return watching

    def _asked(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        through = getattr(type(self._facts), name)
        if name in _SEEN_THROUGH:
            return partial(through, self)

        def ask(*arguments: Any) -> Any:
            written = [argument if type(argument) is str else _written(argument) for argument in arguments]
            if None in written:
                return through(self, *arguments)
            self._noted.add((name, *cast("list[str]", written)))
            return method(*arguments)

        return ask


class _WatchedMapping(Mapping[str, Any]):
    """A mapping in which each key that is looked at is noted, and all of it where it is gone through."""

    def __init__(self, path: Path, inner: Mapping[str, Any], noted: set[Path]) -> None:
        self._path = path
        self._inner = inner
        self._noted = noted

    def __getitem__(self, key: str) -> Any:
        path = (*self._path, key)
        if key not in self._inner:
            self._noted.add(path)
            raise KeyError(key)
        return _noting(path, self._inner[key], self._noted)

    def get(self, key: str, default: Any = None) -> Any:
        """What stands there; asked thousands of times, so not by way of an error."""
        if key in self._inner:
            return self[key]
        self._noted.add((*self._path, key))
        return default

    def __contains__(self, key: object) -> bool:
        self._noted.add((*self._path, key) if isinstance(key, str) else self._path)
        return key in self._inner

    def __iter__(self) -> Iterator[str]:
        self._noted.add(self._path)
        return iter(self._inner)

    def __len__(self) -> int:
        self._noted.add(self._path)
        return len(self._inner)

    def need(self, names: Iterable[str]) -> None:
        """Loading says nothing of what is looked at afterwards."""
        cast("Lazily[Any]", self._inner).need(names)


class _ByRun(_WatchedMapping):
    """Runs by ids that were read elsewhere: one that has ended never changes, and one that has not is among `runs`."""

    def __getitem__(self, key: str) -> Any:
        return self._inner[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self._inner.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._inner


class _WatchedArchive:
    """The archive of evidence: whether it holds a file, and the file's stamp, are noted; its content is named by its digest."""

    def __init__(self, name: str, archive: Archive, noted: set[Path]) -> None:
        self._name = name
        self._archive = archive
        self._noted = noted

    def holds(self, digest: str) -> bool:
        self._noted.add((self._name, digest))
        return self._archive.holds(digest)

    def once(self, digest: str) -> Evidence | None:
        self._noted.add((self._name, digest))
        return self._archive.once(digest)

    def get(self, digest: str | None) -> Evidence | None:
        if digest:
            self._noted.add((self._name, digest))
        return self._archive.get(digest)


def _noting(path: Path, value: Any, noted: set[Path]) -> Any:
    if _by_name(value):
        return _WatchedMapping(path, value, noted)
    noted.add(path)
    return value


def _by_name(value: object) -> bool:
    """Whether something is a mapping by names, which can be keys of paths; one by anything else is one value."""
    return isinstance(value, Mapping) and (hasattr(value, "versions") or (bool(value) and isinstance(next(iter(value)), str)))


def _written(argument: object) -> str | None:
    match argument:
        case str():
            return argument
        case None:
            return "\0"
        case datetime():
            return f"\0at {argument.isoformat()}"
        case timedelta():
            return f"\0span {argument.total_seconds()}"
    return None


def _read(text: str) -> Any:
    if text == "\0":
        return None
    if text.startswith("\0at "):
        return datetime.fromisoformat(text[4:])
    if text.startswith("\0span "):
        return timedelta(seconds=float(text[6:]))
    return text


def _at(facts: Facts, path: Path) -> str:
    name, *keys = path
    value: Any = getattr(facts, name, None)
    if isinstance(value, Archive):
        return value.stamp(keys[0]) or "absent"
    if callable(value):
        try:
            return token(value(*map(_read, keys)))
        except (KeyError, StopIteration, TypeError):
            return "absent"
    for key in keys:
        if hasattr(value, "version"):
            return str(value.version(key))
        if not isinstance(value, Mapping) or key not in value:
            return "absent"
        value = value[key]
    return str(value.versions()) if hasattr(value, "versions") else token(value)


def token(value: object) -> str:
    """A text that tells a value from every other one; equal values have equal texts."""
    return repr(_plain(value))


def _plain(value: Any) -> Any:
    if type(value) in _SIMPLE:
        return value
    match value:
        case Metric() | Runbook():
            return value.slug
        case System():
            return value.name
        case Run():
            # What is not named here was known when it began, and stays.
            return (value.id, value.state.value, value.status.value, value.ended_at, value.evidence, value.reason)
        case Item():
            said = (value.slug, value.status.value, value.freshness.value, value.reason, value.since, value.measured_at)
            result = value.result and (value.result.judged_at, value.result.status.value, value.result.cell, value.result.reason)
            return (*said, value.stale_at, value.run_id, value.runbook, value.recorded, result, _plain(value.run))
        case Enum():
            return value.value
        case Mapping():
            return [(_plain(key), _plain(one)) for key, one in value.items()]
        case list() | tuple():
            return [_plain(one) for one in value]
        case set() | frozenset():
            return sorted(repr(_plain(one)) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return (type(value).__name__, *(_plain(getattr(value, name)) for name in _names(type(value))))
    return value


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))
