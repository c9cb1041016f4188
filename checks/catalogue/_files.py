"""Reading the catalogue's files: each is parsed, validated and frozen; every fault has file, line and column."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from checks.catalogue import _examples, _front_matter, _judging, _yaml, checked
from checks.catalogue._schema import BusinessHoursEntry, FrontMatter, MetricEntry, ParameterEntry, SeverityEntry, SystemFile
from checks.errors import CatalogueErrors, DataError, Place
from checks.model import (
    BusinessHours,
    Contact,
    Environment,
    Maintenance,
    Metric,
    Parameter,
    Runbook,
    RunbookKind,
    Severity,
    System,
)

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_M = TypeVar("_M", bound=BaseModel)


def read_system(path: Path, root: Path) -> System:
    """Read one system's file.

    Args:
        path: the file, in a folder named for the system.
        root: the project's folder; messages name the file from there.

    Raises:
        CatalogueErrors: every fault found.
        DataError: it is not YAML, or is named for another system.

    """
    shown = shown_as(path, root)
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
        severities=MappingProxyType({name: _severity(name, one, file.business_hours) for name, one in file.severities.items()}),
        maintenance=tuple(
            Maintenance(one.title, one.for_, one.starts, one.cron or "", one.timezone, one.note) for one in file.maintenance
        ),
    )


def _severity(name: str, entry: SeverityEntry, hours: BusinessHoursEntry | None) -> Severity:
    business = None
    if entry.clock == "business-hours" and hours is not None:
        days = tuple(sorted({_WEEK.index(day) for day in hours.days}))
        business = BusinessHours(days, hours.from_, hours.until, hours.timezone)
    return Severity(name, entry.title, entry.acknowledge, entry.resolve, entry.hours or str(business or ""), business)


def read_runbook(path: Path, root: Path, systems: Mapping[str, System]) -> Runbook:
    """Read one runbook's file.

    Args:
        path: the file, in a folder named for its system.
        root: the project's folder; messages name the file from there.
        systems: the systems that it may belong to, by name.

    Raises:
        DataError: it is not valid.

    """
    shown = shown_as(path, root)
    text = _text(path, shown)
    head, body = _front_matter.split(text, shown)
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
        checks=checked.checked_by(body, front.system),
        files=tuple(front.files),
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


def dangling(system: System, root: Path, runbooks: Mapping[str, Runbook]) -> Iterator[DataError]:
    """The faults of metrics that name a runbook which is not there."""
    shown = shown_as(system.path, root)
    data = _yaml.read_mapping(_text(system.path, shown), shown)
    known = ", ".join(slug for slug in runbooks if slug.startswith(f"{system.name}/")) or "your runbooks"
    for metric in system.metrics.values():
        if metric.runbook and metric.runbook not in runbooks:
            yield DataError(
                f"the metric {metric.name} names a runbook that does not exist",
                where=_yaml.place_of(data, ["metrics", metric.name, "runbook"], shown, 1),
                expected=f"one of {known}",
                found=metric.runbook,
            )


def _validated(model: type[_M], data: Any, path: Path, first_line: int, examples: Mapping[str | int, str]) -> _M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise CatalogueErrors(_yaml.faults(error, data, path, first_line, examples)) from error


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


def shown_as(path: Path, root: Path) -> Path:
    """A file as messages name it: from the project's folder."""
    return path.relative_to(root) if path.is_relative_to(root) else path
