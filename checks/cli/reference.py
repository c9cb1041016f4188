"""The reference pages, rendered from the code: ``python -m checks.cli.reference`` writes them into ``docs/reference``.

A test compares the committed pages with what is rendered here, so nothing that exists goes undocumented.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from checks import errors
from checks.model import Status

_ROLES = re.compile(r"``([^`]+)``")

FILES = (
    (
        "mkdocs.yml",
        "you",
        "The site and its settings; the block of the plugin `proofbook` names environment, time zone, journal.",
    ),
    ("docs/", "you", "The pages that people write, and `systems/<system>/system.yml` with what is measured and its limits."),
    ("docs/systems/<system>/requirements.yml", "you", "The rows of the system's plan that metrics and runbooks fulfil."),
    ("docs/systems/<system>/incident-report.txt", "you", "The plan's own template for `proofbook incident draft`, if any."),
    ("docs/incidents/<incident>.md", "`proofbook incident`, and you", "What went wrong: its times, and what people learned."),
    ("docs/reference/*.schema.json", "`python -m checks.cli.reference`", "JSON Schemas, for editors."),
    ("notebooks/<system>/<runbook>.md", "you", "The runbooks, as Jupytext Markdown."),
    ("notebooks/jupytext.toml", "you", "How a runbook and the notebook beside it are kept the same for JupyterLab."),
    (
        ".proofbook/journal.db",
        "every run",
        "The journal on SQLite; elsewhere where `journal` in mkdocs.yml says so. Only ever added to.",
    ),
    (
        ".proofbook/spool/<time>-<run>.json",
        "a run whose journal is away",
        "The end of a run and all it found, until the next command writes it into the journal.",
    ),
    (".proofbook/evidence/<aa>/<sha256>.ipynb", "every run", "Executed notebooks, each named by the SHA-256 of its bytes."),
    (".proofbook/key", "the first run", "What the digest of a run's settings is keyed with; it tells nothing of secrets."),
    (
        ".proofbook/catalogue.json, .proofbook/steps.json",
        "every command",
        "What system.yml and runbooks were read as, so that only changed ones are parsed; safe to remove.",
    ),
    (
        ".proofbook/skeleton/",
        "`proofbook publish`",
        "The pages without their figures, as MkDocs built them last; safe to remove, and built again then.",
    ),
    (".proofbook/sandbox/", "`proofbook sandbox up`", "State of the stand-ins; safe to remove while they are down."),
    ("public/publications/<n>/", "`proofbook publish`", "The last three publications, each of them whole."),
    (
        "public/.notes/",
        "`proofbook publish`",
        "What each page was made of, so that the next publication writes only what differs.",
    ),
    (
        "public/.spare-<n>/",
        "`proofbook publish`",
        "The publication that left last; the next one is made of its files. Readers never see it; safe to remove.",
    ),
    ("public/current", "`proofbook publish`", "A link to the publication that readers see; swapped in one step."),
    ("public/current/status.json", "`proofbook publish`", "Every system and metric, as `application/health+json`."),
    ("public/current/status/<system>.json", "`proofbook publish`", "The same of one system."),
    ("public/current/metrics.txt", "`proofbook publish`", "Statuses and values as OpenMetrics text."),
    ("public/current/junit.xml", "`proofbook publish`", "One test case a metric, as JUnit XML."),
    ("public/current/feed.xml", "`proofbook publish`", "Changes of status and failed runs, as an Atom feed."),
    ("public/current/calendar.ics", "`proofbook publish`", "What runs when, as iCalendar."),
    ("public/current/badges/<system>.svg", "`proofbook publish`", "A picture of a system's status."),
    ("public/current/sitemap.xml", "`proofbook publish`", "Every page, where `site_url` in mkdocs.yml says where the site lies."),
    ("public/current/evidence/<sha256>.html", "`proofbook publish`", "Evidence that the pages link to, for reading."),
    ("public/current/evidence/images/<sha256>.png", "`proofbook publish`", "What cells drew."),
)
"""Folders and files, who writes each, and what it holds; a test compares those of a publication with a real one."""


def pages() -> dict[str, str]:
    """Every reference page and schema by its file name in ``docs/reference``."""
    from checks.catalogue import json_schema

    schemas = {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in json_schema.schemas().items()}
    return {
        "cli.md": cli(),
        "exit-codes.md": exit_codes(),
        "files.md": files(),
        "macros.md": macros(),
        "probes.md": probes(),
        "schemas.md": schemas_page(),
        **schemas,
    }


def write(folder: Path) -> list[Path]:
    """Write every page into a folder; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written


def cli() -> str:
    """Every command with its help, arguments, options and example."""
    import typer

    from checks.cli._main import app

    lines = _head("Command line", "Look up here what a command does and takes. `proofbook COMMAND --help` says the same.")
    for name, command in sorted(_commands(typer.main.get_command(app), "proofbook")):
        said, *examples = (command.help or "").split("Example: ")
        lines += [f"## {name}", "", _flow(said), ""]
        for example in examples:
            lines += ["```bash", example.strip().strip("`"), "```", ""]
        lines += _parameters(command)
    return _page(lines)


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child, below in children.items():
        yield from _commands(below, f"{name} {child}")


def _parameters(command: Any) -> list[str]:
    rows = []
    for parameter in command.params:
        options = [name for name in parameter.opts if name.startswith("-")]
        written = ", ".join(f"`{name}`" for name in options) or f"`{parameter.name.upper()}`"
        taken = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
        said = parameter.help or ""
        # Typer has told choices in one way and in another, from version to version.
        choices = [one.value for one in taken] if inspect.isclass(taken) and issubclass(taken, Enum) else ()
        choices = choices or getattr(getattr(parameter, "type", None), "choices", None) or ()
        if choices:
            said += f" One of {', '.join(choices)}."
        rows.append((written, _cell(said)))
    return _table(("Argument or option", "What it is"), rows) if rows else []


def probes() -> str:
    """Every kind of probe with its options."""
    from checks.site.declared import probe_classes

    lines = _head("Probes", "Look up here how a metric can be measured: the kinds of probe that `probe:` in system.yml may name.")
    for kind, declaration in sorted(probe_classes().items()):
        lines += [f"## {kind}", "", _docstring(declaration), "", *_fields(declaration)]
    return _page(lines)


def schemas_page() -> str:
    """Every key of ``system.yml``, of a runbook's front matter and of an incident's."""
    from checks.catalogue._schema import FrontMatter, IncidentFrontMatter, SystemFile

    lines = _head(
        "Keys",
        "Look up here what `system.yml` and the front matter of runbooks and incidents may hold. "
        "A key that is not here is refused.",
    )
    lines += ["Editors complete and check `system.yml` by its JSON Schema. Begin the file with this line:", ""]
    lines += ["```yaml", "# yaml-language-server: $schema=../../reference/system.schema.json", "```", ""]
    lines += [
        "The schemas: "
        + ", ".join(f"[{name}]({name})" for name in ("system.schema.json", "runbook.schema.json", "incident.schema.json"))
        + ".",
        "",
    ]
    seen: set[type[BaseModel]] = set()
    files_of_people = (
        ("system.yml", SystemFile),
        ("A runbook's front matter", FrontMatter),
        ("An incident's front matter", IncidentFrontMatter),
    )
    for title, model in files_of_people:
        lines += [f"## {title}", "", _docstring(model), "", *_fields(model)]
        for below in _models(model, seen):
            name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", below.__name__).removesuffix(" Entry").capitalize()
            lines += [f"### {name}", "", _docstring(below), "", *_fields(below)]
    return _page(lines)


def _models(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    for field in model.model_fields.values():
        for below in _named(field.annotation):
            if below not in seen and "kind" not in below.model_fields:
                seen.add(below)
                yield below
                yield from _models(below, seen)


def _named(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _named(part)


def exit_codes() -> str:
    """Every exit status, of judgements and of errors."""
    lines = _head("Exit codes", "Look up here what the exit status of a command means.")
    lines += ["## Commands that judge", "", "`run`, `check`, `status` and `operate` end with the status of what they found.", ""]
    lines += _table(("Status", "Meaning"), [(f"`{status.exit_code}`", status.value) for status in Status])
    lines += ["## When something is wrong with the call or with Proofbook", ""]
    kinds = sorted(
        set(_errors(errors.ProofbookError)) - {errors.ProofbookError}, key=lambda kind: (kind.exit_code, kind.__name__)
    )
    said = [(kind.exit_code, _cell(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0])) for kind in kinds]
    said += [(errors.ProofbookError.exit_code, "A bug in Proofbook; standard error says where.")]
    said += [(120, "Standard output took nothing: its disk is full."), (130, "Somebody pressed Ctrl-C.")]
    rows = [(f"`{code}`", meaning) for code, meaning in sorted(said, key=lambda row: row[0])]
    return _page([*lines, *_table(("Status", "Meaning"), rows)])


def _errors(kind: type[errors.ProofbookError]) -> Iterator[type[errors.ProofbookError]]:
    if kind.__module__ == errors.__name__:
        yield kind
        for below in kind.__subclasses__():
            yield from _errors(below)


def files() -> str:
    """The folders and files that Proofbook reads and writes."""
    lines = _head("Files", "Look up here what lies where, and who writes it.")
    return _page([*lines, *_table(("Path", "Written by", "What it holds"), [(f"`{path}`", *rest) for path, *rest in FILES])])


def macros() -> str:
    """Every macro that a page may call."""
    from checks.site.macros import Macros

    lines = _head(
        "Macros", "Look up here what a page that you write can show. A name that the catalogue does not know fails the build."
    )
    for name, macro in sorted(vars(Macros).items()):
        if name.startswith("_"):
            continue
        given = [parameter for parameter in inspect.signature(macro).parameters if parameter != "self"]
        lines += [f"## {name}", "", "```text", f"{name}({', '.join(given)})", "```", "", _docstring(macro), ""]
    return _page(lines)


def _fields(model: type[BaseModel]) -> list[str]:
    rows = [
        (f"`{field.alias or name}`", _cell(_type(field.annotation)), _default(field), _cell(field.description or ""))
        for name, field in model.model_fields.items()
    ]
    return _table(("Key", "Value", "Default", "What it is"), rows)


def _type(annotation: Any) -> str:
    if get_origin(annotation) is not None and str(get_origin(annotation)).endswith("Literal"):
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    words = {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        timedelta: "duration, such as `90s` or `26h`",
    }
    if annotation in words:
        return words[annotation]
    parts = [part for part in get_args(annotation) if part is not type(None) and (not isinstance(part, FieldInfo))]
    origin = get_origin(annotation)
    if origin is list:
        return f"list of {_type(parts[0])}"
    if origin is dict:
        return f"{_type(parts[1])}, by name"
    named = list(_named(annotation))
    if named and all("kind" in one.model_fields for one in named):
        return "a [probe](probes.md)"
    if named or origin is None:
        return getattr(annotation, "__name__", "anything").removesuffix("Entry").lower()
    if origin.__name__ == "Annotated":
        return _type(parts[0])
    return " or ".join(dict.fromkeys(_type(part) for part in parts))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default_factory() if field.default_factory else field.default  # type: ignore[call-arg]
    if value is PydanticUndefined or value in (None, "", [], {}):
        return "none"
    if isinstance(value, timedelta):
        from checks.site.words import span

        return f"`{span(value)}`"
    return f"`{value.value if isinstance(value, Enum) else str(value).lower() if isinstance(value, bool) else value}`"


def _docstring(of: Any) -> str:
    text = inspect.cleandoc(of.__doc__ or "").partition("\n\nRaises:")[0]
    if not text:
        raise AssertionError(f"{of.__name__} says nothing of itself")
    return _ROLES.sub(r"`\1`", text)


def _flow(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n")).strip()


def _cell(text: str) -> str:
    return " ".join(_ROLES.sub(r"`\1`", text).split()).replace("|", "\\|").replace("{", "&#123;").replace("<", "&lt;")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *(f"| {' | '.join(row)} |" for row in rows), ""]


def _head(title: str, lead: str) -> list[str]:
    return ["---", f"title: {title}", "render_macros: false", "---", "", f"# {title}", "", lead, ""]


def _page(lines: list[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    for path in write(Path(__file__).parents[2] / "docs" / "reference"):
        print(path)
