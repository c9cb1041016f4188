"""The catalogue: every system and runbook of a project, read, validated and frozen."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from checks.catalogue import _front_matter
from checks.catalogue._kept import Kept, Mended
from checks.catalogue.settings import Settings, read_settings
from checks.errors import CatalogueErrors, DataError, Place, UsageError
from checks.judge.lifetimes import Lifetimes
from checks.model import ChecklistItem, Incident, Metric, Runbook, System

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a project declares.

    Attributes:
        systems: by name, in the order of their names.
        runbooks: by slug (``system/name``), in that order.
        incidents: by name, in that order.
        checklists: the items of each system's checklists, in the order of the pages.

    """

    root: Path
    systems: Mapping[str, System]
    runbooks: Mapping[str, Runbook]
    settings: Settings
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    checklists: Mapping[str, tuple[ChecklistItem, ...]] = field(default_factory=dict)
    _lifetimes: dict[str, Lifetimes] = field(default_factory=dict, init=False, repr=False, compare=False)
    _digest: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def runbooks_of(self, system: str) -> tuple[Runbook, ...]:
        """The runbooks of one system, in the order of their slugs."""
        return tuple(runbook for runbook in self.runbooks.values() if runbook.system == system)

    def systems_in(self, environment: str) -> tuple[System, ...]:
        """The systems that live in an environment, in the order of their names."""
        return tuple(system for system in self.systems.values() if environment in system.environments)

    def runbooks_in(self, environment: str) -> tuple[Runbook, ...]:
        """The runbooks that may run in an environment: their system lives there, and they are declared for it."""
        return tuple(
            book
            for book in self.runbooks.values()
            if environment in self.systems[book.system].environments
            and (not book.environments or environment in book.environments)
        )

    def digest(self) -> str:
        """What tells whether anything is declared otherwise, settings aside: an SHA-256; worked out once."""
        if not self._digest:
            declared = (self.systems, self.runbooks, self.incidents, self.checklists)
            self._digest.append(hashlib.sha256(repr(declared).encode()).hexdigest())
        return self._digest[0]

    def lifetimes(self, environment: str) -> Lifetimes:
        """How long what is measured in an environment speaks for now; worked out once."""
        if environment not in self._lifetimes:
            self._lifetimes[environment] = Lifetimes(self.runbooks.values(), environment)
        return self._lifetimes[environment]

    def require_inhabited(self, environment: str) -> None:
        """Refuse an environment in which no system lives: after a slip of the pen nothing would ever be due, and all seem well.

        Raises:
            UsageError: there are systems, and none of them lives there.

        """
        if self.systems and not self.systems_in(environment):
            known = sorted({name for system in self.systems.values() for name in system.environments})
            raise UsageError("no system lives in this environment", where=environment, expected="one of " + ", ".join(known))

    def system(self, name: str) -> System:
        """The system of this name.

        Raises:
            DataError: there is none; the message lists those there are.

        """
        return _pick(self.systems, name, "system")

    def runbook(self, slug: str) -> Runbook:
        """The runbook of this slug.

        Raises:
            DataError: there is none; the message lists those there are.

        """
        return _pick(self.runbooks, slug, "runbook")

    def incident(self, name: str) -> Incident:
        """The incident of this name.

        Raises:
            DataError: there is none; the message lists those there are.

        """
        return _pick(self.incidents, name, "incident")

    def item(self, slug: str) -> ChecklistItem:
        """The item of a checklist of this slug (``system/item``).

        Raises:
            DataError: there is none; the message lists those of its system.

        """
        system, _, name = slug.partition("/")
        return _pick({item.slug: item for item in self.checklists.get(self.system(system).name, ())}, f"{system}/{name}", "item")

    def metric(self, slug: str) -> Metric:
        """The metric of this slug (``system/metric``).

        Raises:
            DataError: there is none; the message lists those of its system.

        """
        system, _, name = slug.partition("/")
        metrics = self.system(system).metrics
        if name in metrics:
            return metrics[name]
        return _pick({metric.slug: metric for metric in metrics.values()}, f"{system}/{name}", "metric")


def load(root: Path) -> Catalogue:
    """Read ``docs/systems/*/system.yml`` and the front matter of ``notebooks/*/*.md``.

    What was read before and has not changed is taken from beside the journal; see `checks.catalogue._kept`.

    Args:
        root: the project's folder, the one with ``mkdocs.yml``.

    Raises:
        CatalogueErrors: every fault found, each with file, line and column.

    """
    errors: list[DataError] = []
    kept = Kept(root)
    systems = _systems(root, kept, errors)
    runbooks = _runbooks(root, kept, errors, systems)
    for settings in _attempt(errors, partial(read_settings, root, kept)):
        errors += _dangling(root, systems, runbooks)
        incidents = _incidents(root, kept, errors, systems, runbooks)
        lists = _checklists(root, kept, errors, systems.values())
        if not errors:
            kept.write()
            return Catalogue(
                root,
                MappingProxyType(systems),
                MappingProxyType(runbooks),
                settings,
                MappingProxyType(incidents),
                MappingProxyType(lists),
            )
    raise CatalogueErrors(errors)


def read_runbook(path: Path, root: Path, systems: Mapping[str, System]) -> Runbook:
    """Read one runbook's file.

    Args:
        path: the file, in a folder named for its system.
        root: the project's folder; messages name the file from there.
        systems: the systems that it may belong to, by name.

    Raises:
        DataError: it is not valid.

    """
    from checks.catalogue import _files

    return _files.read_runbook(path, root, systems)


def _systems(root: Path, kept: Kept, errors: list[DataError]) -> dict[str, System]:
    def read(path: str) -> System:
        from checks.catalogue import _files

        return _files.read_system(Path(path), root)

    found: dict[str, System] = {}
    for folder in _listed(f"{root}/docs/systems"):
        path = f"{folder}/system.yml"
        if os.path.exists(path):  # noqa: PTH110 - as below
            for system in _attempt(errors, partial(kept.recall, path, [path], "", partial(read, path))):
                found[system.name] = system
    return found


def _runbooks(root: Path, kept: Kept, errors: list[DataError], systems: Mapping[str, System]) -> dict[str, Runbook]:
    found: dict[str, Runbook] = {}
    for folder in _listed(f"{root}/notebooks"):
        system = systems.get(folder.rpartition("/")[2])
        # Where its system cannot be read, a runbook is judged by less, and that is not kept.
        known = repr(tuple(system.environments)) if system else ""
        for path in _listed(folder, ".md"):
            read = partial(read_runbook, Path(path), root, systems)
            recall = partial(kept.recall, path, [path], known, read, _below_front_matter(path)) if system else read
            for runbook in _attempt(errors, recall):
                found[runbook.slug] = runbook
                errors += [_missing_file(runbook, name, root) for name in runbook.files if not Path(folder, name).is_file()]
    return found


def _missing_file(runbook: Runbook, name: str, root: Path) -> DataError:
    # Looked for each time: what was read of the runbook is kept, and its files may go without it.
    lines = runbook.path.read_text(encoding="utf-8").splitlines()
    line = next((number for number, text in enumerate(lines, start=1) if name in text), 1)
    return DataError(
        f"`files` names {name}, which is not there",
        where=Place(runbook.path.relative_to(root), line),
        expected=f"a file below {runbook.path.parent.relative_to(root)}/",
        remedy="put it there, or leave it out",
    )


def _below_front_matter(path: str) -> Mended[Runbook]:
    """Of the text below its front matter, a runbook keeps nothing but the digest and the names that it checks."""
    # Read once, so that both speak of the same text.
    texts: list[str] = []

    def part() -> str | None:
        with suppress(OSError, ValueError, DataError):
            texts.append(_text_of(path))
            return _front_matter.split(texts[-1], Path(path))[0]
        return None

    def mend(runbook: Runbook) -> Runbook:
        from checks.catalogue import checked

        checks = checked.checked_by(_front_matter.split(texts[-1], Path(path))[1], runbook.system)
        return replace(runbook, digest=hashlib.sha256(texts[-1].encode()).hexdigest(), checks=checks)

    return Mended(part, mend)


def _text_of(path: str) -> str:
    """A runbook's text, where nothing is wrong with it; else a ValueError or a DataError, and reading it all will tell."""
    text = Path(path).read_bytes().decode("utf-8")
    if "\x00" in text:
        raise ValueError("a NUL character")
    return text.replace("\r\n", "\n")


def _dangling(root: Path, systems: Mapping[str, System], runbooks: Mapping[str, Runbook]) -> Iterator[DataError]:
    for system in systems.values():
        if any(metric.runbook and metric.runbook not in runbooks for metric in system.metrics.values()):
            from checks.catalogue import _files

            yield from _files.dangling(system, root, runbooks)


def _incidents(
    root: Path, kept: Kept, errors: list[DataError], systems: Mapping[str, System], runbooks: Mapping[str, Runbook]
) -> dict[str, Incident]:
    def read(path: str) -> tuple[Incident, ...]:
        from checks.catalogue import _files, _incidents

        return _incidents.read(Path(path), _files.shown_as(Path(path), root), systems, runbooks)

    about = [(system.name, tuple(system.environments), tuple(system.severities)) for system in systems.values()]
    known = repr((about, tuple(runbooks)))
    found: dict[str, Incident] = {}
    for path in _listed(f"{root}/docs/incidents", ".md"):
        for incident in _attempt(errors, partial(kept.recall, path, [path], known, partial(read, path))):
            found |= {one.name: one for one in incident}
    return found


def _checklists(
    root: Path, kept: Kept, errors: list[DataError], systems: Iterable[System]
) -> dict[str, tuple[ChecklistItem, ...]]:
    def read(system: System) -> tuple[ChecklistItem, ...]:
        from checks.catalogue import _checklists

        return _checklists.read(system, root)

    found: dict[str, tuple[ChecklistItem, ...]] = {}
    for system in systems:
        folder = str(system.path.parent)
        recall = partial(kept.recall, folder, list(_listed(folder, ".md")), system.name, partial(read, system))
        for items in _attempt(errors, recall):
            found[system.name] = items
    return found


def _listed(folder: str, ending: str = "") -> Iterator[str]:
    """What lies in a folder, in the order of the names; nothing where there is no folder."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - there are thousands, and making a path of each takes longer
    except OSError:
        return
    yield from (f"{folder}/{name}" for name in names if name.endswith(ending))


def _pick(of: Mapping[str, _T], name: str, kind: str) -> _T:
    if name in of:
        return of[name]
    from difflib import get_close_matches

    known = "one of " + ", ".join(of) if len(of) <= 12 else f"one of {len(of)}; proofbook lint lists them"
    near = get_close_matches(name, list(of), n=3, cutoff=0.4)
    raise DataError(
        f"there is no {kind} `{name}`" + ("" if of else ", nor any other"),
        expected=known if of else None,
        remedy="did you mean " + " or ".join(near) + "?" if near else None,
    )


def _attempt(errors: list[DataError], read: Callable[[], _T]) -> Iterator[_T]:
    try:
        yield read()
    except CatalogueErrors as error:
        errors.extend(error.errors)
    except DataError as error:
        errors.append(error)
