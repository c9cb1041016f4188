"""The catalogue: every system and runbook of a project, read, validated and frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from checks.catalogue import _checklists, _examples, _front_matter, _incidents, _judging, _yaml
from checks.catalogue._schema import FrontMatter, MetricEntry, ParameterEntry, SystemFile
from checks.catalogue.settings import Settings, read_settings
from checks.errors import CatalogueErrors, DataError, Place
from checks.model import (
    ChecklistItem,
    Contact,
    Environment,
    Incident,
    Maintenance,
    Metric,
    Parameter,
    Runbook,
    RunbookKind,
    Severity,
    System,
)

_M = TypeVar("_M", bound=BaseModel)
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
        return _pick({metric.slug: metric for metric in self.system(system).metrics.values()}, f"{system}/{name}", "metric")


def load(root: Path) -> Catalogue:
    """Read ``docs/systems/*/system.yml`` and the front matter of ``notebooks/*/*.md``.

    Args:
        root: the project's folder, the one with ``mkdocs.yml``.

    Raises:
        CatalogueErrors: every fault found, each with file, line and column.

    """
    errors: list[DataError] = []
    systems: dict[str, System] = {}
    for path in sorted((root / "docs" / "systems").glob("*/system.yml")):
        for system in _attempt(errors, partial(_read_system, path, root)):
            systems[system.name] = system
    runbooks: dict[str, Runbook] = {}
    for path in sorted((root / "notebooks").glob("*/*.md")):
        for runbook in _attempt(errors, partial(read_runbook, path, root, systems)):
            runbooks[runbook.slug] = runbook
    for settings in _attempt(errors, partial(read_settings, root)):
        errors += _dangling(root, systems, runbooks)
        incidents: dict[str, Incident] = {}
        lists: dict[str, tuple[ChecklistItem, ...]] = {}
        for path in sorted((root / "docs" / "incidents").glob("*.md")):
            for incident in _attempt(errors, partial(_incidents.read, path, _shown(path, root), systems, runbooks)):
                incidents |= {one.name: one for one in incident}
        for system in systems.values():
            for items in _attempt(errors, partial(_checklists.read, system, root)):
                lists[system.name] = items
        if not errors:
            return Catalogue(
                root,
                MappingProxyType(systems),
                MappingProxyType(runbooks),
                settings,
                MappingProxyType(incidents),
                MappingProxyType(lists),
            )
    raise CatalogueErrors(errors)


def _read_system(path: Path, root: Path) -> System:
    shown = _shown(path, root)
    data = _yaml.read_mapping(_text(path, shown), shown)
    file = _validated(SystemFile, data, shown, 1, _examples.OF_A_SYSTEM)
    wrong = [*_misjudged(file, data, shown), *_unknown_states(file, data, shown)]
    if wrong:
        raise CatalogueErrors(wrong)
    if file.system != path.parent.name:
        raise DataError(
            "the system's name is not that of its folder",
            where=_yaml.place_of(data, ["system"], shown, 1),
            expected=path.parent.name,
            found=file.system,
            remedy="rename the folder or the system",
        )
    return System(
        name=file.system,
        title=file.title,
        summary=file.summary,
        environments=MappingProxyType(
            {name: Environment(name, MappingProxyType(dict(s))) for name, s in file.environments.items()}
        ),
        metrics=MappingProxyType({name: _metric(file.system, name, entry, data) for name, entry in file.metrics.items()}),
        path=path,
        owner=file.owner,
        contacts=tuple(Contact(contact.role, contact.reach) for contact in file.contacts),
        source=tuple(file.source),
        conditions=MappingProxyType({name: _judging.condition(name, entry) for name, entry in file.conditions.items()}),
        severities=MappingProxyType(
            {name: Severity(name, one.title, one.acknowledge, one.resolve, one.hours) for name, one in file.severities.items()}
        ),
        maintenance=tuple(
            Maintenance(one.title, one.for_, one.starts, one.cron or "", one.timezone, one.note) for one in file.maintenance
        ),
    )


def read_runbook(path: Path, root: Path, systems: Mapping[str, System]) -> Runbook:
    """Read one runbook's file.

    Args:
        path: the file, in a folder named for its system.
        root: the project's folder; messages name the file from there.
        systems: the systems that it may belong to, by name.

    Raises:
        DataError: it is not valid.

    """
    shown = _shown(path, root)
    text = _text(path, shown)
    head, _ = _front_matter.split(text, shown)
    data = _yaml.read_mapping(head, shown, first_line=2)
    front = _validated(FrontMatter, data, shown, 2, _examples.OF_A_RUNBOOK)
    if front.system != path.parent.name:
        raise DataError(
            "the runbook lies in another system's folder",
            where=_yaml.place_of(data, ["system"], shown, 2),
            expected=path.parent.name,
            found=front.system,
            remedy=f"move the file to notebooks/{front.system}/, or name the system {path.parent.name}",
        )
    if front.system not in systems and not (root / "docs" / "systems" / front.system / "system.yml").is_file():
        raise DataError(
            f"there is no system `{front.system}`",
            where=_yaml.place_of(data, ["system"], shown, 2),
            expected="one of " + ", ".join(systems) if systems else "a system",
            remedy=f"write docs/systems/{front.system}/system.yml (proofbook new system {front.system})",
        )
    known = systems[front.system].environments if front.system in systems else {}
    for position, name in enumerate(front.environments):
        if known and name not in known:
            raise DataError(
                f"{front.system} has no environment `{name}`",
                where=_yaml.place_of(data, ["environments", position], shown, 2),
                expected="one of " + ", ".join(known),
            )
    return Runbook(
        system=front.system,
        name=path.stem,
        title=front.title,
        kind=RunbookKind(front.kind),
        summary=front.summary,
        path=path,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        schedule=front.schedule.read() if front.schedule else None,
        deadline=front.deadline,
        cell_deadline=front.cell_deadline,
        fresh_for=front.fresh_for,
        time_budget=front.time_budget,
        parameters=MappingProxyType({name: _parameter(name, entry) for name, entry in front.parameters.items()}),
        environments=tuple(front.environments),
        owner=front.owner,
        source=tuple(front.source),
    )


def _misjudged(file: SystemFile, data: Any, shown: Path) -> Iterator[DataError]:
    settings = {name for environment in file.environments.values() for name in environment}
    for name, entry in file.metrics.items():
        for key, error in _judging.faults(entry, settings):
            error.where = _yaml.place_of(data, ["metrics", name, *key], shown, 1)
            yield error


def _unknown_states(file: SystemFile, data: Any, shown: Path) -> Iterator[DataError]:
    for name, entry in file.conditions.items():
        for state in entry.states:
            metric, at = (state, "critical") if isinstance(state, str) else (state.metric, state.at)
            place = _yaml.place_of(data, ["conditions", name], shown, 1)
            if metric not in file.metrics:
                yield DataError(
                    f"the condition {name} rests on a metric that does not exist",
                    where=place,
                    expected="one of " + ", ".join(file.metrics),
                    found=metric,
                )
            elif at == "critical" and file.metrics[metric].critical is None and file.metrics[metric].red is None:
                yield DataError(
                    f"the condition {name} waits for {metric} to be critical, which it can never be",
                    where=place,
                    expected="a metric with a critical limit",
                    found=metric,
                    remedy=f"declare `critical:` for it, or write {{metric: {metric}, at: warning}}",
                )


def _metric(system: str, name: str, entry: MetricEntry, data: Any) -> Metric:
    return Metric(
        system=system,
        name=name,
        title=entry.title,
        unit=entry.unit,
        probe=MappingProxyType(_plain(data["metrics"][name]["probe"])),
        **_judging.judged_by(entry),
        group=entry.group,
        meaning=entry.meaning,
        priority=entry.priority,
        runbook=entry.runbook,
        fresh_for=entry.fresh_for,
        source=tuple(entry.source),
    )


def _plain(node: Any) -> Any:
    # ruamel's own types keep positions; a metric is carried to kernels as plain data.
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return node if isinstance(node, bool | int | float) else str(node)


def _parameter(name: str, entry: ParameterEntry) -> Parameter:
    return Parameter(name, entry.type, entry.default, entry.minimum, entry.maximum, tuple(entry.choices), entry.help)


def _dangling(root: Path, systems: Mapping[str, System], runbooks: Mapping[str, Runbook]) -> Iterator[DataError]:
    for system in systems.values():
        shown = _shown(system.path, root)
        data: Any = None
        for metric in system.metrics.values():
            if metric.runbook and metric.runbook not in runbooks:
                data = data if data is not None else _yaml.read_mapping(_text(system.path, shown), shown)
                yield DataError(
                    f"the metric {metric.name} names a runbook that does not exist",
                    where=_yaml.place_of(data, ["metrics", metric.name, "runbook"], shown, 1),
                    expected="one of "
                    + (", ".join(slug for slug in runbooks if slug.startswith(f"{system.name}/")) or "your runbooks"),
                    found=metric.runbook,
                )


def _validated(model: type[_M], data: Any, path: Path, first_line: int, examples: Mapping[str | int, str]) -> _M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise CatalogueErrors(_yaml.faults(error, data, path, first_line, examples)) from error


def _pick(of: Mapping[str, _T], name: str, kind: str) -> _T:
    if name in of:
        return of[name]
    from difflib import get_close_matches

    near = get_close_matches(name, list(of), n=3, cutoff=0.4)
    raise DataError(
        f"there is no {kind} `{name}`",
        expected="one of " + ", ".join(of) if len(of) <= 12 else f"one of {len(of)}; proofbook lint lists them",
        remedy="did you mean " + " or ".join(near) + "?" if near else None,
    )


def _text(path: Path, shown: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError("this is not UTF-8", where=Place(shown, line), remedy="save the file as UTF-8") from error
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise DataError("a NUL character stands here", where=Place(shown, line), remedy="remove it; save the file as UTF-8 text")
    return text.replace("\r\n", "\n")


def _shown(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def _attempt(errors: list[DataError], read: Callable[[], _T]) -> Iterator[_T]:
    try:
        yield read()
    except CatalogueErrors as error:
        errors.extend(error.errors)
    except DataError as error:
        errors.append(error)
