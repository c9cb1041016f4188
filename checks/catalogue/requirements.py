"""What a system's plan asks for, row by row, and which parts of the project say that they fulfil it.

The rows lie in ``docs/systems/<system>/requirements.yml``; a metric, a runbook or a page names those it fulfils under
``source:``.
They are read when coverage is asked for, and not whenever a catalogue is loaded: a plan has hundreds.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from checks.catalogue import _front_matter, _yaml
from checks.errors import CatalogueErrors, DataError, Place
from checks.model import RunbookKind

if TYPE_CHECKING:
    from checks.catalogue._load import Catalogue
    from checks.model import System

FILE = "requirements.yml"
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)+")
_EXAMPLE = (
    "system: shop\nrows:\n  shop.daily.error-rate: {kind: metric, proof: measured, "
    'asks: "Every day the error rate is looked at."}'
)


class Proven(StrEnum):
    """What it takes to prove that a requirement is met."""

    MEASURED = "measured"
    TOLD = "told"
    BY_HAND = "by-hand"


class Cover(StrEnum):
    """How far a requirement is met by what the project holds."""

    MEASURED = "measured"
    OPERATED = "operated"
    TOLD = "told"
    BY_HAND = "by hand"
    ONLY_TOLD = "only told"
    GAP = "gap"


class HomeKind(StrEnum):
    """What can fulfil a requirement."""

    METRIC = "metric"
    CONDITION = "condition"
    RUNBOOK = "runbook"
    PROCEDURE = "procedure"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that a plan asks for.

    Attributes:
        name: dotted, beginning with its system (``shop.daily.error-rate``).
        gap: what is still missing, although something says that it fulfils this; empty where nothing is.
        note: where the plan contradicts itself or cannot be followed, and what holds here.

    """

    name: str
    kind: str
    proof: Proven
    asks: str
    gap: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Home:
    """Something of the project that fulfils requirements; `path` is a page's source path below ``docs/``, else empty."""

    kind: HomeKind
    slug: str
    title: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Covered:
    """A requirement, and everything that says it fulfils it."""

    requirement: Requirement
    homes: tuple[Home, ...]

    @property
    def cover(self) -> Cover:
        """How far it is met: what has to be measured and is only told counts as not met."""
        if self.requirement.gap or not self.homes:
            return Cover.GAP
        if self.requirement.proof is not Proven.MEASURED:
            return Cover.TOLD if self.requirement.proof is Proven.TOLD else Cover.BY_HAND
        kinds = {home.kind for home in self.homes}
        if kinds & {HomeKind.METRIC, HomeKind.CONDITION, HomeKind.RUNBOOK}:
            return Cover.MEASURED
        return Cover.OPERATED if HomeKind.PROCEDURE in kinds else Cover.ONLY_TOLD


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: str = Field(min_length=1)
    proof: Proven
    asks: str = Field(min_length=1)
    gap: str = ""
    note: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    system: str
    rows: dict[str, _Row] = Field(min_length=1)


def coverage(catalogue: Catalogue) -> dict[str, tuple[Covered, ...]]:
    """Each row of each system that has a `FILE`, with what fulfils it, by the system's name and in the file's order.

    Raises:
        CatalogueErrors: a file is not valid, or something names a row that its plan doesn't have.

    """
    found: dict[str, tuple[Covered, ...]] = {}
    wrong: list[DataError] = []
    for system in catalogue.systems.values():
        path = system.path.parent / FILE
        if not path.is_file():
            continue
        try:
            rows = read(path, catalogue.root, system.name)
        except CatalogueErrors as errors:
            wrong += errors.errors
            continue
        fulfil: dict[str, list[Home]] = {row.name: [] for row in rows}
        for home, patterns in _homes(system, catalogue):
            for pattern in patterns:
                meant = [pattern] if pattern in fulfil else fnmatch.filter(fulfil, pattern)
                wrong += [] if meant else [_stray(home, pattern, system, catalogue.root)]
                for name in meant:
                    fulfil[name] += [] if home in fulfil[name] else [home]
        found[system.name] = tuple(Covered(row, tuple(fulfil[row.name])) for row in rows)
    if wrong:
        raise CatalogueErrors(wrong)
    return found


def read(path: Path, root: Path, system: str) -> tuple[Requirement, ...]:
    """The rows of one file.

    Raises:
        CatalogueErrors: every fault, with file, line and column.

    """
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    text = path.read_text(encoding="utf-8", errors="replace")
    file = _quickly(text)
    if file is None or any(_misnamed(file, {}, shown, system)):
        file, data = _exactly(text, shown)
        wrong = list(_misnamed(file, data, shown, system))
        if wrong:
            raise CatalogueErrors(wrong)
    return tuple(Requirement(name, row.kind, row.proof, row.asks, row.gap, row.note) for name, row in file.rows.items())


def _quickly(text: str) -> _File | None:
    """A file without a fault; None where there may be one, for the reader that knows places takes fifty times as long."""
    import yaml  # type: ignore[import-untyped]

    # libyaml reads numbers and dates where the other reader would not; no row may hold one, so such a file is read exactly.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        return None if node is None or _has_twice(node) else _File.model_validate(loader.construct_document(node))
    except (yaml.YAMLError, ValidationError):
        return None
    finally:
        loader.dispose()


def _has_twice(node: Any) -> bool:
    """Whether a mapping holds a key twice, of which libyaml would take the last without a word."""
    if node.id != "mapping":
        return False
    keys = [key.value for key, _ in node.value]
    return len(set(keys)) < len(keys) or any(_has_twice(value) for _, value in node.value)


def _exactly(text: str, shown: Path) -> tuple[_File, Any]:
    try:
        data = _yaml.read_mapping(text, shown)
    except DataError as error:
        raise CatalogueErrors([error]) from error
    try:
        return _File.model_validate(data), data
    except ValidationError as error:
        raise CatalogueErrors(_yaml.faults(error, data, shown, 1, {"": _EXAMPLE})) from error


def _misnamed(file: _File, data: Any, shown: Path, system: str) -> Iterator[DataError]:
    if file.system != system:
        place = _yaml.place_of(data, ["system"], shown, 1)
        yield DataError("these rows are another system's", where=place, expected=system, found=file.system)
    for name in file.rows:
        if not _NAME.fullmatch(name) or not name.startswith(f"{system}."):
            yield DataError(
                "this is no name of a row",
                where=_yaml.place_of(data, ["rows", name], shown, 1),
                expected=f"{system}. and words of lower-case letters, digits and hyphens, joined by points",
                found=name,
                example=_EXAMPLE,
            )


def _homes(system: System, catalogue: Catalogue) -> Iterator[tuple[Home, tuple[str, ...]]]:
    for metric in system.metrics.values():
        yield Home(HomeKind.METRIC, metric.slug, metric.title), metric.source
    for condition in system.conditions.values():
        yield Home(HomeKind.CONDITION, f"{system.name}/{condition.name}", condition.title), condition.source
    for runbook in catalogue.runbooks_of(system.name):
        kind = HomeKind.PROCEDURE if runbook.kind is RunbookKind.PROCEDURE else HomeKind.RUNBOOK
        yield Home(kind, runbook.slug, runbook.title), runbook.source
    docs = catalogue.root / "docs"
    for path in sorted(system.path.parent.glob("*.md")):
        title, named = _page(path)
        page = path.relative_to(docs).as_posix()
        own = system.source if path.name == "index.md" else ()
        yield Home(HomeKind.PAGE, page, title or path.stem, page), (*named, *own)


def _page(path: Path) -> tuple[str, tuple[str, ...]]:
    text = path.read_text(encoding="utf-8", errors="replace")
    if not text.startswith("---"):
        return "", ()
    head, _ = _front_matter.split(text, path)
    data: Mapping[str, Any] = _yaml.read_mapping(head, path, first_line=2)
    named = data.get("source") or ()
    return str(data.get("title", "")), tuple(str(one) for one in ([named] if isinstance(named, str) else named))


def _stray(home: Home, pattern: str, system: System, root: Path) -> DataError:
    return DataError(
        f"the {home.kind.value} {home.slug} says that it fulfils what its plan does not ask",
        where=Place((system.path.parent / FILE).relative_to(root)),
        expected="the name of a row there, or a pattern that fits some",
        found=pattern,
        remedy="correct `source:`, or add the row",
    )
