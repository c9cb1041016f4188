"""The settings that stand in the ``proofbook`` block of ``mkdocs.yml``, read without starting MkDocs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.errors import DataError, Place, UsageError

if TYPE_CHECKING:
    from checks.catalogue._kept import Kept

_KNOWN = {"environment", "timezone", "journal", "limits", "redirects", "alive"}


@dataclass(frozen=True, slots=True)
class Settings:
    """How this project is run.

    Attributes:
        environment: the environment used where a command names none.
        timezone: the readers' time zone, an IANA name.
        journal: the journal's SQLAlchemy URL.
        state: the folder of what Proofbook keeps: journal, evidence, sandbox.
        site_name: the site's title.
        limits: what one run may use, by the names of `checks.run.bounds`; what is not declared is bounded generously.
        alive: a file that the scheduler touches, or an address that it asks, at each sign of life; empty for none.

    """

    environment: str
    timezone: str
    journal: str
    state: Path
    site_name: str
    limits: Mapping[str, int] = field(default_factory=dict)
    alive: str = ""


def find_root(start: Path) -> Path:
    """The nearest folder from `start` upwards that holds an ``mkdocs.yml``.

    Raises:
        UsageError: there is none.

    """
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / "mkdocs.yml").is_file():
            return folder
    raise UsageError(
        "this is no Proofbook project",
        where=str(start.resolve()),
        expected="an mkdocs.yml here or in a folder above",
        remedy="change into your project, name it by --root, or make one: proofbook new site DIR",
    )


def read_settings(root: Path, kept: Kept | None = None) -> Settings:
    """Read the settings of the project at `root`; PROOFBOOK_ENVIRONMENT, PROOFBOOK_JOURNAL and PROOFBOOK_ALIVE go before it.

    Args:
        root: the project's folder.
        kept: what was read of the project before, if anybody keeps it.

    Raises:
        DataError: mkdocs.yml is not YAML, or its ``proofbook`` block holds a key that is not known.

    """
    path = root / "mkdocs.yml"
    read = partial(_declared, path)
    said: dict[str, Any] = kept.recall("settings", [str(path)], "", read) if kept else read()
    state = root / ".proofbook"
    return Settings(
        environment=os.environ.get("PROOFBOOK_ENVIRONMENT") or said["environment"],
        timezone=said["timezone"],
        journal=os.environ.get("PROOFBOOK_JOURNAL") or said["journal"] or f"sqlite:///{state / 'journal.db'}",
        state=state,
        site_name=said["site_name"],
        limits=said["limits"],
        alive=os.environ.get("PROOFBOOK_ALIVE") or said["alive"],
    )


def _declared(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    from checks.catalogue._limits import read_limits

    try:
        document: Any = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8")) or {}
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)
        raise DataError(f"this is not YAML: {error.problem}", where=place) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"this is not YAML: {error}", where=Place(path), remedy="save the file as UTF-8 text") from error
    block: Any = {}
    for plugin in document.get("plugins") or []:
        if isinstance(plugin, dict) and "proofbook" in plugin:
            block = plugin["proofbook"] or {}
    unknown = sorted(set(block) - _KNOWN)
    if unknown:
        raise DataError(
            f"`{unknown[0]}` is not known in the proofbook block",
            where=Place(path, block.lc.key(unknown[0])[0] + 1),
            expected="one of " + ", ".join(sorted(_KNOWN)),
        )
    defaults = {"environment": "production", "timezone": "UTC", "journal": "", "alive": ""}
    said: dict[str, Any] = {name: str(block.get(name, default)) for name, default in defaults.items()}
    return {**said, "site_name": str(document.get("site_name", "Proofbook")), "limits": read_limits(block, path)}
