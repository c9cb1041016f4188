"""YAML as people write it, with line and column kept for every key and value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, MappingStartEvent, NodeEvent, SequenceStartEvent

from checks.errors import DataError, Place

_DEEPEST = 40
# Pydantic puts the chosen member of a tagged union into the location of an error.
_MEMBERS = frozenset({"http", "command", "file", "sql", "log", "host", "notebook"})


def read_mapping(text: str, path: Path, first_line: int = 1) -> CommentedMap:
    """Read one YAML mapping; aliases, tags and deep nesting are refused before anything is built from them.

    Args:
        text: the YAML.
        path: the file it stands in.
        first_line: the line of the file at which `text` begins.

    Raises:
        DataError: with file, line and column, where the text is not YAML, has a key twice or is no mapping.

    """
    try:
        _refuse_tricks(text, path, first_line)
        data = YAML(typ="rt", pure=True).load(text)
    except DuplicateKeyError as error:
        key = str(error.problem).split('"')[1] if '"' in str(error.problem) else "a key"
        raise DataError(
            f"the key `{key}` stands twice",
            where=_mark(error, path, first_line),
            expected="each key once in a mapping",
            remedy="rename or remove one of the two",
        ) from error
    except MarkedYAMLError as error:
        raise DataError(
            f"this is not YAML: {error.problem}",
            where=_mark(error, path, first_line),
            expected="YAML 1.2",
            found=_line_of(text, error),
            remedy="mind the indentation, and quote a text that holds `: `, `#`, `%` or begins with a sign",
            example='critical: "> 10 %"',
        ) from error
    except YAMLError as error:
        raise DataError(
            f"this is not YAML: {error}", where=Place(path, first_line), remedy="save the file as UTF-8 text"
        ) from error
    if not isinstance(data, CommentedMap):
        raise DataError(
            "expected a mapping of keys to values",
            where=Place(path, first_line, 1),
            expected="`key: value` lines",
            found="nothing" if data is None else type(data).__name__,
        )
    return data


def faults(
    error: ValidationError, data: CommentedMap, path: Path, first_line: int, examples: Mapping[str | int, str]
) -> list[DataError]:
    """Turn pydantic's findings into errors that point at the key or value meant.

    Args:
        error: what pydantic found in `data`.
        data: the mapping as read by `read_mapping`.
        path: the file it stands in.
        first_line: the line of the file at which the YAML begins.
        examples: valid samples by key; that of the innermost key which has one is shown, else that of ``""``.

    """
    found = []
    for entry in error.errors(include_url=False):
        whole = entry["loc"]
        named_by_type = entry["type"] == "value_error" and bool(whole) and whole[-1] in _MEMBERS
        written = range(len(whole) - named_by_type)
        location = [whole[position] for position in written if _is_written(whole, position, data)]
        place, value = _place(data, location, path, first_line)
        example = next((examples[key] for key in reversed(location) if key in examples), examples[""])
        what, expected = _words(entry)
        found.append(
            DataError(
                f"`{'.'.join(str(part) for part in location)}`: {what}" if location else what,
                where=place,
                expected=expected,
                found=_short(value) if entry["type"] != "missing" else "no such key",
                example=example,
            )
        )
    return found


def place_of(data: CommentedMap, location: Sequence[str | int], path: Path, first_line: int) -> Place:
    """The place of a key in a mapping that `read_mapping` read."""
    return _place(data, location, path, first_line)[0]


def _is_written(location: tuple[int | str, ...], position: int, data: CommentedMap) -> bool:
    """Whether a part of pydantic's location names something in the file; the names of union members and types do not."""
    node: Any = data
    for part in location[:position]:
        node = node[part] if _holds(node, part) else node
    last = position == len(location) - 1
    return _holds(node, location[position]) or (last and isinstance(node, CommentedMap))


def _holds(node: Any, part: int | str) -> bool:
    if isinstance(node, CommentedSeq):
        return isinstance(part, int) and part < len(node)
    return isinstance(node, CommentedMap) and part in node


def _place(data: CommentedMap, location: Sequence[str | int], path: Path, first_line: int) -> tuple[Place, Any]:
    node: Any = data
    line, column = 0, 0
    for part in location:
        if not _holds(node, part):
            break
        line, column = node.lc.key(part) if isinstance(node, CommentedMap) else node.lc.item(part)
        node = node[part]
    return Place(path, line + first_line, column + 1), node


def _words(entry: Any) -> tuple[str, str]:
    kind, message = entry["type"], entry["msg"]
    if kind == "missing":
        return "this key is missing", "the key with a value"
    if kind == "extra_forbidden":
        return "this key is not known here", "a key of the schema"
    if kind == "value_error":
        text = message.removeprefix("Value error, ")
        what, _, expected = text.rpartition("expected ")
        return what.rstrip("; ") or "this value is not valid", expected
    if kind == "union_tag_invalid":
        return "this kind of probe is not known", f"one of {entry['ctx']['expected_tags']}"
    if kind in ("model_type", "dataclass_type", "dict_type", "model_attributes_type"):
        return "this value is not valid", "a mapping of keys to values"
    if kind == "union_tag_not_found":
        return "the probe has no `kind:`", "`kind: http` or another kind"
    return "this value is not valid", message[:1].lower() + message[1:]


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else text[:79] + "…"


def _mark(error: MarkedYAMLError, path: Path, first_line: int) -> Place:
    mark = error.problem_mark or error.context_mark
    return Place(path, first_line) if mark is None else Place(path, mark.line + first_line, mark.column + 1)


def _line_of(text: str, error: MarkedYAMLError) -> str | None:
    lines = text.splitlines()
    mark = error.problem_mark
    return _short(lines[mark.line].strip()) if mark is not None and mark.line < len(lines) else None


def _refuse_tricks(text: str, path: Path, first_line: int) -> None:
    depth = 0
    for event in YAML(typ="rt", pure=True).parse(text):
        place = Place(path, event.start_mark.line + first_line, event.start_mark.column + 1)
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
            raise DataError("anchors and aliases are not read here", where=place, remedy="write the value out")
        tag = str(getattr(event, "ctag", None) or "")
        if tag not in ("", "None"):
            raise DataError(f"the tag `{tag}` is not read here", where=place, remedy="write a plain text, number or list")
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise DataError(f"nested deeper than {_DEEPEST} levels", where=place, remedy="flatten the structure")
        elif type(event).__name__ in ("MappingEndEvent", "SequenceEndEvent"):
            depth -= 1
