"""What the catalogue's files were read as, kept beside the journal: a file that is as it was is not parsed again.

It is JSON of nothing but our own frozen values. A file counts as unchanged by its size and times, or by its digest where those
cannot tell. What was kept by another Proofbook, or cannot be read, is as if it were not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from threading import get_ident
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from checks import model
from checks.catalogue.installed import versions

_T = TypeVar("_T")
_FORMAT = 2
_SETTLED_NS = 2_000_000_000
"""A file that was touched so shortly before it was read may have been touched again within its clock's tick."""
_VALUES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        model.Baseline,
        model.BusinessHours,
        model.ChecklistItem,
        model.Condition,
        model.Contact,
        model.Cron,
        model.Environment,
        model.FixedBaseline,
        model.Incident,
        model.Limit,
        model.Maintenance,
        model.Metric,
        model.Parameter,
        model.Runbook,
        model.Severity,
        model.State,
        model.System,
    )
}
_ENUMS: dict[str, type[Enum]] = {
    kind.__name__: kind
    for kind in (
        model.Against,
        model.Alignment,
        model.CatchUp,
        model.Operator,
        model.Overlap,
        model.Proof,
        model.Rule,
        model.RunbookKind,
        model.Series,
        model.Span,
        model.Status,
    )
}


@dataclass(frozen=True, slots=True)
class Mended(Generic[_T]):
    """How what was read of a file is made good when only a part has changed that next to nothing depends on.

    Attributes:
        part: gives the text of the part that nearly all depends on; ``None`` where it cannot be told.
        mend: gives what would be read now of a value that was read when that part was the same.

    """

    part: Callable[[], str | None]
    mend: Callable[[_T], _T]


class Kept:
    """What was read of one project before.

    Args:
        root: the project's folder; where it keeps nothing yet, nothing is kept.

    """

    def __init__(self, root: Path) -> None:
        self._path = root / ".proofbook" / "catalogue.json"
        self._key = f"{root}\n{programs()}"
        self._known, self._at = _opened(self._path, self._key)
        self._fresh: dict[str, list[Any]] = {}
        self._changed = False

    def recall(
        self, name: str, files: Sequence[str], context: str, read: Callable[[], _T], mended: Mended[_T] | None = None
    ) -> _T:
        """What some files were read as, where neither they nor `context` have changed; else what `read` makes of them now.

        Args:
            name: what is read, unlike everything else that is.
            files: every file that it is read from.
            context: whatever else it depends on.
            read: reads them; what it raises passes through, and nothing is kept.
            mended: how a change is made good without reading all of them, where that can be.

        """
        stamps = [_stamp(path) for path in files]
        try:
            known = self._same(self._known[name], files, stamps, context)
            value: _T = _decoded(known[3])
        except (KeyError, ValueError, TypeError, IndexError):
            return self._anew(name, files, stamps, context, read, mended)
        self._fresh[name] = known
        return value

    def _same(self, known: list[Any], files: Sequence[str], stamps: list[list[int]], context: str) -> list[Any]:
        """What is known of some files, where they are as they were; else a ValueError."""
        if known[0] != context:
            raise ValueError("it was read in another context")
        if known[1] == stamps and all(max(stamp[1:3], default=0) + _SETTLED_NS < self._at for stamp in stamps):
            return known
        if known[2] != _digest(files):
            raise ValueError("its files have changed")
        self._changed = True
        return [context, stamps, *known[2:]]

    def _anew(
        self,
        name: str,
        files: Sequence[str],
        stamps: list[list[int]],
        context: str,
        read: Callable[[], _T],
        mended: Mended[_T] | None,
    ) -> _T:
        digest = _digest(files)
        part = _summed(mended.part() if mended else None)
        value: _T | None = None
        with suppress(KeyError, ValueError, TypeError, IndexError):
            known = self._known[name]
            if mended and part and known[0] == context and known[4] == part:
                value = mended.mend(_decoded(known[3]))
        value = read() if value is None else value
        self._changed = True
        encoded = _encoded(value)
        # What would come back as anything else is read from its file each time.
        if repr(_decoded(json.loads(json.dumps(encoded)))) == repr(value) and [_stamp(path) for path in files] == stamps:
            self._fresh[name] = [context, stamps, digest, encoded, part]
        return value

    def write(self) -> None:
        """Keep what was read this time, where any of it is new."""
        if not self._path.parent.is_dir() or not (self._changed or self._fresh.keys() != self._known.keys()):
            return
        aside = self._path.with_name(f".{self._path.name}-{os.getpid()}-{get_ident()}")
        try:
            # The file system's own clock, as it is the one that stamps the files.
            aside.touch(mode=0o600)
            kept = {"format": _FORMAT, "key": self._key, "at": aside.stat().st_mtime_ns, "read": self._fresh}
            aside.write_text(json.dumps(kept), encoding="utf-8")
            aside.replace(self._path)
        except OSError:
            # Nothing depends on it: where it cannot be kept, the files are read again.
            aside.unlink(missing_ok=True)


def _opened(path: Path, key: str) -> tuple[dict[str, list[Any]], int]:
    try:
        kept = json.loads(path.read_bytes())
        if kept["format"] != _FORMAT or kept["key"] != key:
            return {}, 0
        return dict(kept["read"]), int(kept["at"])
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return {}, 0


def _summed(text: str | None) -> str:
    return "" if text is None else hashlib.sha256(text.encode()).hexdigest()


def _stamp(path: str) -> list[int]:
    try:
        seen = os.stat(path)  # noqa: PTH116 - there are thousands, and making a path of each takes longer than looking at it
    except OSError:
        return []
    return [seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino]


def _digest(files: Sequence[str]) -> str:
    summed = hashlib.sha256()
    for path in files:
        try:
            content = Path(path).read_bytes()
        except OSError:
            content = b""
        summed.update(f"{path}\0{len(content)}\0".encode() + content)
    return summed.hexdigest()


@cache
def programs() -> str:
    """A digest of the programs that read, validate and keep."""
    package = Path(__file__).parents[1]
    ours = [*package.glob("*.py"), *(package / "catalogue").glob("*.py"), *(package / "judge").glob("*.py")]
    return f"{_digest(sorted(map(str, ours)))} {sys.version} {versions(('jupytext', 'nbformat', 'pydantic', 'ruamel.yaml'))}"


def _encoded(value: Any) -> Any:
    if isinstance(value, Enum):
        return ["enum", type(value).__name__, value.value]
    match value:
        case None | bool() | int() | float() | str():
            return value
        case tuple():
            return ["tuple", *map(_encoded, value)]
        case list():
            return ["list", *map(_encoded, value)]
        case MappingProxyType():
            return ["frozen", *(part for key, one in value.items() for part in (key, _encoded(one)))]
        case dict():
            return ["dict", *(part for key, one in value.items() for part in (key, _encoded(one)))]
        case timedelta():
            return ["span", value.days, value.seconds, value.microseconds]
        case datetime():
            return ["moment", value.isoformat()]
        case date():
            return ["day", value.isoformat()]
        case Path():
            return ["path", str(value)]
    kind = _VALUES[type(value).__name__]
    return [kind.__name__, *(_encoded(getattr(value, one.name)) for one in fields(kind))]


def _decoded(kept: Any) -> Any:
    return _MAKERS[kept[0]](kept) if type(kept) is list else kept


def _parts(kept: list[Any]) -> Iterator[Any]:
    return (_MAKERS[part[0]](part) if type(part) is list else part for part in kept[1:])


def _mapping(kept: list[Any]) -> dict[str, Any]:
    return dict(zip(kept[1::2], map(_decoded, kept[2::2]), strict=True))


_MAKERS: dict[str, Callable[[list[Any]], Any]] = {
    "enum": lambda kept: _ENUMS[kept[1]](kept[2]),
    "tuple": lambda kept: tuple(_parts(kept)),
    "list": lambda kept: list(_parts(kept)),
    "frozen": lambda kept: MappingProxyType(_mapping(kept)),
    "dict": _mapping,
    "span": lambda kept: timedelta(*kept[1:]),
    "moment": lambda kept: datetime.fromisoformat(kept[1]),
    "day": lambda kept: date.fromisoformat(kept[1]),
    "path": lambda kept: Path(kept[1]),
    **{name: lambda kept: _VALUES[kept[0]](*_parts(kept)) for name in _VALUES},
}
