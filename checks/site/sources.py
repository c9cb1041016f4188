"""What a site's skeleton is built from, as one digest: text, theme, settings and the programs that build it.

Where an author's own code takes part in the build, nobody can know what it reads. Then there is no digest, and nothing is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.catalogue.installed import versions

if TYPE_CHECKING:
    from checks.catalogue import Catalogue

_BUILDERS = (
    "mkdocs",
    "mkdocs-material",
    "mkdocs-macros-plugin",
    "mkdocs-redirects",
    "markdown",
    "pymdown-extensions",
    "pygments",
    "jinja2",
    "jupytext",
    "nbformat",
    "nh3",
)
_PROGRAMS = (".py", ".html", ".css", ".js", ".yml", ".json", ".md")
_PLUGINS = frozenset({"search", "offline", "macros", "proofbook", "tags", "meta", "redirects", "minify"})
"""Plugins whose pages follow from the project's files alone."""
_READS_ELSEWHERE = ("pymdownx.snippets", "pymdownx.b64", "pymdownx.blocks.html", "markdown_include")
_STANDARD = (
    "abbr",
    "admonition",
    "attr_list",
    "codehilite",
    "def_list",
    "extra",
    "fenced_code",
    "footnotes",
    "legacy_attrs",
    "legacy_em",
    "md_in_html",
    "meta",
    "nl2br",
    "sane_lists",
    "smarty",
    "tables",
    "toc",
    "wikilinks",
)
_VARIABLE = re.compile(r"!ENV\s+\[?\s*([A-Za-z_][\w, ]*)")
_SETTLED_NS = 2_000_000_000
"""A file that was touched so shortly before it was read may have been touched again within its clock's tick."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a skeleton is built from.

    Attributes:
        key: a digest of all of it; ``None`` where it cannot be known.
        around: a digest of all but the text: settings, theme and programs; empty where pages are never the same again.
        texts: a digest of each file of the text, by its path from the project's folder.
        why: why it cannot be known; empty where it can.
        newest: when the newest of the files was changed, seconds since 1970.

    """

    key: str | None
    around: str
    why: str
    newest: int
    texts: Mapping[str, str] = field(default_factory=dict)


def read(catalogue: Catalogue, memory: Path) -> Sources:
    """Look at everything that a skeleton is built from.

    Args:
        catalogue: the project.
        memory: a file that remembers digests by size and times, so that only changed files are read again.

    """
    root = catalogue.root
    settings, configuration = _settings(root)
    files = sorted({*map(str, configuration), *_files(root, settings)})
    digests, newest = _digests(files, memory)
    why = _unknowable(settings, root)
    if why:
        return Sources(None, "", why, newest)
    named = {name for path in configuration for name in _variables(path)}
    text = (os.path.normpath(str(settings.get("docs_dir", "docs"))) + os.sep, "notebooks" + os.sep)
    by_name = {os.path.relpath(path, root): digest for path, digest in digests.items()}
    around = {
        "files": {name: digest for name, digest in by_name.items() if not name.startswith(text)},
        "variables": {name: os.environ.get(name) for name in sorted(named)},
        "settings": [catalogue.settings.environment, catalogue.settings.timezone],
        "programs": programs(),
    }
    pages = "" if _dated(root, settings) else _digest(around)
    texts = {name: digest for name, digest in by_name.items() if name.startswith(text)}
    return Sources(_digest({**around, "files": by_name}), pages, "", newest, texts)


@cache
def programs() -> str:
    """A digest of the programs that make pages: ours, and those that we build upon."""
    package = str(Path(__file__).parents[1])
    ours = {
        os.path.relpath(path, package): hashlib.sha256(Path(path).read_bytes()).hexdigest()
        for path in _below(Path(package))
        if path.endswith(_PROGRAMS) and f"{os.sep}sandbox{os.sep}" not in path
    }
    return _digest({"ours": ours, "python": sys.version, "versions": versions(_BUILDERS)})


def _settings(root: Path) -> tuple[dict[str, Any], list[Path]]:
    """What ``mkdocs.yml`` says, with what it inherits beneath; and the files that say it."""
    from ruamel.yaml import YAML

    merged: dict[str, Any] = {}
    read_: list[Path] = []
    path: Path | None = root / "mkdocs.yml"
    while path is not None and path.is_file() and path not in read_:
        read_.append(path)
        said: dict[str, Any] = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8")) or {}
        merged = {**said, **merged}
        above = said.get("INHERIT")
        path = (path.parent / str(above)).resolve() if above else None
    return merged, read_


def _files(root: Path, settings: Mapping[str, Any]) -> Iterator[str]:
    yield from _below(root / str(settings.get("docs_dir", "docs")))
    yield from (path for path in _below(root / "notebooks") if not path.endswith(".ipynb"))
    theme = settings.get("theme")
    if isinstance(theme, dict) and theme.get("custom_dir"):
        yield from _below(root / str(theme["custom_dir"]))


def _dated(root: Path, settings: Mapping[str, Any]) -> bool:
    """Whether an author's own templates tell when the site was built, which is another time for each build."""
    theme = settings.get("theme")
    if not (isinstance(theme, dict) and theme.get("custom_dir")):
        return False
    return any(b"build_date" in Path(path).read_bytes() for path in _below(root / str(theme["custom_dir"])))


def _below(folder: Path) -> Iterator[str]:
    for here, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (f"{here}/{name}" for name in names if not name.startswith("."))


def _unknowable(settings: Mapping[str, Any], root: Path) -> str:
    if settings.get("hooks"):
        return "mkdocs.yml names hooks"
    for name, options in _entries(settings.get("plugins")):
        plain = name.removeprefix("material/")
        if plain not in _PLUGINS:
            return f"the plugin {name} may read what is not known"
        if plain == "macros" and (options or (root / "main.py").exists() or (root / "main").is_dir()):
            return "the project has macros of its own"
    for name, _ in _entries(settings.get("markdown_extensions")):
        plain = name.removeprefix("markdown.extensions.")
        if name.startswith(_READS_ELSEWHERE) or not (plain in _STANDARD or name.startswith("pymdownx.")):
            return f"the extension {name} may read what is not known"
    return ""


def _entries(listed: Any) -> Iterator[tuple[str, Any]]:
    for entry in listed.items() if isinstance(listed, dict) else listed or ():
        if isinstance(entry, dict):
            yield from ((str(name), options) for name, options in entry.items())
        elif isinstance(entry, tuple):
            yield str(entry[0]), entry[1]
        else:
            yield str(entry), None


def _variables(path: Path) -> Iterator[str]:
    for found in _VARIABLE.findall(path.read_text(encoding="utf-8")):
        yield from (name.strip() for name in found.split(",") if name.strip())


def _digests(files: Iterable[str], memory: Path) -> tuple[dict[str, str], int]:
    known = _remembered(memory)
    fresh: dict[str, list[Any]] = {}
    digests: dict[str, str] = {}
    newest = 0
    for path in files:
        try:
            seen = os.stat(path)  # noqa: PTH116 - there are thousands, and making a path of each takes longer than looking at it
        except FileNotFoundError:
            continue
        newest = max(newest, int(seen.st_mtime))
        stamp = [seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino]
        before = known.get(path)
        digest = str(before[1]) if before and before[0] == stamp else hashlib.sha256(Path(path).read_bytes()).hexdigest()
        digests[path] = digest
        fresh[path] = [stamp, digest]
    _remember(memory, fresh)
    return digests, newest


def _remembered(memory: Path) -> dict[str, Any]:
    try:
        said = json.loads(memory.read_text(encoding="utf-8"))
        return {path: entry for path, entry in said["files"].items() if max(entry[0][1:3]) + _SETTLED_NS < said["at"]}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return {}


def _remember(memory: Path, files: Mapping[str, Any]) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    aside = memory.with_name(f".{memory.name}-{os.getpid()}")
    # The file system's own clock, as it is the one that stamps the files.
    aside.touch()
    aside.write_text(json.dumps({"at": aside.stat().st_mtime_ns, "files": files}), encoding="utf-8")
    aside.replace(memory)


def _digest(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
