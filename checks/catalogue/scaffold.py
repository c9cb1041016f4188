"""New sites, systems and runbooks that ``publish`` accepts at once."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from string import Template

from checks.catalogue._load import Catalogue
from checks.errors import CannotWrite, DataError, Refused, UsageError

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def new_site(folder: Path) -> list[Path]:
    """Lay out a site of its own in a new or empty folder: one system, this host, and one runbook that checks it.

    Returns:
        The files written.

    Raises:
        Refused: the folder already holds something.
        CannotWrite: a file cannot be written.

    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused("this place is taken", where=str(folder), expected="a new or empty folder", remedy="name another folder")
    title = _title(folder.resolve().name)
    written = [
        _write(folder / "mkdocs.yml", "mkdocs.yml", {"title": title}),
        _write(folder / ".gitignore", "gitignore", {}),
        _write(folder / "notebooks" / "jupytext.toml", "jupytext.toml", {}),
        _write(folder / "docs" / "index.md", "index.md", {}),
    ]
    written += _system_files(folder, "this-host", "This host", "The machine that Proofbook runs on.")
    return written


def new_system(root: Path, name: str) -> list[Path]:
    """Add a system with two host metrics, a page and a morning check to the project at `root`.

    Raises:
        UsageError: the name is not a slug.
        Refused: a system of this name is there already.

    """
    _require_slug(name, "system")
    if (root / "docs" / "systems" / name).exists():
        raise Refused(
            f"there is a system {name} already", where=str(root / "docs" / "systems" / name), remedy="choose another name"
        )
    return _system_files(root, name, _title(name), f"What {_title(name)} does, in one sentence.")


def new_runbook(catalogue: Catalogue, slug: str) -> list[Path]:
    """Add a runbook that checks each metric of its system which has a probe of its own.

    Raises:
        UsageError: the name is not ``system/runbook``.
        DataError: there is no such system.
        Refused: a runbook of this name is there already.

    """
    system_name, _, name = slug.partition("/")
    _require_slug(name, "runbook", example="new runbook shop/evening")
    system = catalogue.system(system_name)
    path = catalogue.root / "notebooks" / system_name / f"{name}.md"
    if path.exists():
        raise Refused(f"there is a runbook {slug} already", where=str(path), remedy="choose another name")
    metrics = [metric.name for metric in system.metrics.values() if metric.probe["kind"] != "notebook"]
    return [_runbook(path, system_name, _title(name), f"What {_title(name).lower()} looks at.", metrics)]


@dataclass(frozen=True, slots=True)
class IncidentWords:
    """What the page of a new incident begins with."""

    title: str
    system: str
    severity: str
    opened: datetime
    runbook: str | None = None
    environment: str = ""


def new_incident(catalogue: Catalogue, words: IncidentWords) -> list[Path]:
    """Write the page of an incident, named by its day and title, and the page that lists them where there is none.

    Returns:
        The files written; the incident's page is the last.

    Raises:
        UsageError: the title has no letter to name it by.
        DataError: there is no such system, severity or runbook.
        Refused: an incident of this name is there already.
        CannotWrite: a file cannot be written.

    """
    system = catalogue.system(words.system)
    if system.severities and words.severity not in system.severities:
        raise DataError(f"{system.name} has no severity `{words.severity}`", expected="one of " + ", ".join(system.severities))
    if words.runbook:
        catalogue.runbook(words.runbook)
    day = words.opened.astimezone(UTC)
    slug = "-".join(re.findall(r"[a-z0-9]+", words.title.lower())[:8])
    _require_slug(slug, "incident", example='incident open "The shop answers nobody" --system shop --severity P1')
    name = f"{day:%Y-%m-%d}-{slug}"
    folder = catalogue.root / "docs" / "incidents"
    path = folder / f"{name}.md"
    if path.exists():
        raise Refused(f"there is an incident {name} already", where=str(path), remedy="add a note to it, or name it otherwise")
    front = {"title": words.title, "system": words.system, "severity": words.severity, "opened": f"{day:%Y-%m-%dT%H:%M:%SZ}"}
    front |= {"runbook": words.runbook} if words.runbook else {}
    front |= {"environment": words.environment} if words.environment else {}
    lines = [f"{key}: {value if key == 'opened' else json.dumps(value, ensure_ascii=False)}" for key, value in front.items()]
    index = [] if (folder / "index.md").is_file() else [_write(folder / "index.md", "incidents.md", {})]
    named = {"name": name, "front": "\n".join(lines), "title": html.escape(words.title, quote=False).replace("{", "&#123;")}
    return [*index, _write(path, "incident.md", named)]


def _system_files(root: Path, name: str, title: str, summary: str) -> list[Path]:
    words = {"name": name, "title": title, "summary": summary}
    folder = root / "docs" / "systems" / name
    return [
        *_schemas(root / "docs" / "reference"),
        _write(folder / "system.yml", "system.yml", words),
        _write(folder / "index.md", "system.md", words),
        _runbook(
            root / "notebooks" / name / "morning.md", name, "Morning check", f"Is {title} well this morning?", ["disk", "memory"]
        ),
    ]


def _schemas(folder: Path) -> list[Path]:
    """What the first line of a system.yml points its editor to; left as it is where it is there."""
    from checks.catalogue import json_schema

    if (folder / "system.schema.json").is_file():
        return []
    try:
        return json_schema.write(folder)
    except OSError as error:
        raise CannotWrite(f"cannot write: {error.strerror}", where=str(folder)) from error


def _runbook(path: Path, system: str, title: str, summary: str, metrics: list[str]) -> Path:
    words = {
        "title": title,
        "system": system,
        "summary": summary,
        "step": "Every metric is within its limits",
        "prose": "Each line measures now and judges by the limits in system.yml. Follow its meaning where one is broken.",
        "checks": "\n".join(f'check("{metric}")' for metric in metrics),
    }
    return _write(path, "runbook.md", words)


def _write(path: Path, template: str, words: Mapping[str, str]) -> Path:
    text = (files("checks.catalogue") / "templates" / template).read_text(encoding="utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"cannot write: {error.strerror}", where=str(path)) from error
    return path


def _title(slug: str) -> str:
    return slug.replace("-", " ").replace("_", " ").strip().capitalize() or "Proofbook"


def _require_slug(name: str, what: str, example: str = "new system web-shop") -> None:
    if not _SLUG.fullmatch(name):
        raise UsageError(
            f"`{name}` is no name for a {what}",
            expected="lower-case letters, digits and single hyphens",
            found=name or "nothing",
            example=f"proofbook {example}",
        )
