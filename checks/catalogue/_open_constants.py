"""Probes and patterns whose value cannot change, whatever the system does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.catalogue._findings import Finding, Severity
from checks.errors import DataError
from checks.judge.limits import PATTERNS
from checks.model import Operator

if TYPE_CHECKING:
    from checks.catalogue._open_limits import Places
    from checks.model import Metric

_SQL_ASIDE = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_SQL_ALIAS = re.compile(r"\bas\s+(?:\w+|\"[^\"]*\")", re.IGNORECASE)
_SQL_SELECTED = re.compile(
    r"\s*select\s+(?:all\s+|distinct\s+)?(?P<list>.*?)(?:\b(?:from|where|limit|order)\b.*|;\s*)?", re.I | re.S
)
_SQL_WORDS = frozenset(
    {"null", "true", "false", "and", "or", "not", "is", "cast", "case", "when", "then", "else", "end"}
    | {"integer", "int", "real", "numeric", "text", "float"}
)
_PROMQL_ASIDE = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|#[^\n]*")
_PROMQL_WORDS = frozenset(["vector", "scalar", "bool", "and", "or", "unless", "abs", "ceil", "floor", "round", "inf", "nan"])
_WORD = re.compile(r"[A-Za-z_\"`\[{]\w*")
_FIELDS = frozenset({"field", "identity", "current", "index", "slice"})
_PRINTERS = frozenset({"echo", "printf", "seq"})
_ENDINGS = {"true": 0, ":": 0, "false": 1}
_TEXTS = ("", "\N{MIDDLE DOT}", "a b", "0", "-\n-", "Error: 5 of 12 failed!", "/x/y.z?q=1")


def probes(metric: Metric, places: Places) -> Iterator[Finding]:
    """Probes that give the same value whatever there is to measure."""
    for key, shown, why in _constant(metric.probe):
        yield Finding(
            places.of(metric.name, "probe", key),
            f"{metric.name}: `{shown}` {why}, so its status cannot turn",
            "measure something that differs when the system is sick",
            Severity.ERROR,
        )


def patterns(metric: Metric, places: Places) -> Iterator[Finding]:
    """Patterns that are found in every text, so that their limit is broken always or never."""
    for key, limit in (("warning", metric.warning), ("critical", metric.critical)):
        if limit is None or limit.operator not in PATTERNS or not _found_everywhere(limit.pattern):
            continue
        never = limit.operator is Operator.NOT_MATCHES
        what = "no text can break it" if never else "every text breaks it"
        yield Finding(
            places.of(metric.name, key),
            f"{metric.name}: `{limit.text}`: the pattern is found in every text, so {what}",
            "write what the text must hold, such as ^v\\d+",
            Severity.ERROR,
        )


def _constant(probe: Any) -> Iterator[tuple[str, str, str]]:
    """The key, what stands there, and why it is constant."""
    kind = probe.get("kind")
    if kind == "sql" and isinstance(query := probe.get("query"), str) and _is_constant_sql(query):
        yield "query", _short(query), "selects nothing but what is typed in"
    if kind == "prometheus" and isinstance(query := probe.get("query"), str) and _is_constant_promql(query):
        yield "query", _short(query), "names no series"
    if isinstance(select := probe.get("select"), str) and _is_constant_jmespath(select):
        yield "select", select, "looks at nothing in the answer"
    if kind == "http" and probe.get("measure") == "text" and isinstance(match := probe.get("match"), str):
        try:
            everywhere = "(" not in match and _found_everywhere(match)
        except DataError:
            everywhere = False
        if everywhere:
            yield "match", match, "is found in every text"
    if kind == "command" and isinstance(argv := probe.get("argv"), list):
        name = Path(str(argv[0])).name
        if name in _PRINTERS:
            yield "argv", " ".join(map(str, argv)), "prints what is typed in"
        elif name in _ENDINGS:
            yield "argv", name, f"always ends with {_ENDINGS[name]}"


def _is_constant_sql(query: str) -> bool:
    bare = _SQL_ALIAS.sub("", _SQL_ASIDE.sub("0", query))
    selected = _SQL_SELECTED.fullmatch(bare)
    return selected is not None and not _words(selected["list"]) - _SQL_WORDS


def _is_constant_promql(query: str) -> bool:
    return not _words(_PROMQL_ASIDE.sub("0", query)) - _PROMQL_WORDS


def _words(text: str) -> set[str]:
    """Every name in an expression, and every bracket that may hold one."""
    return {word.lower() for word in _WORD.findall(re.sub(r"(?<![\w.])[+-]?\d[\w.]*", "0", text))}


def _is_constant_jmespath(expression: str) -> bool:
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        tree = jmespath.compile(expression).parsed
    except (JMESPathError, ValueError):
        return False  # told as no JMESPath
    return not _looks(tree)


def _looks(tree: Any) -> bool:
    return tree.get("type") in _FIELDS or any(isinstance(child, dict) and _looks(child) for child in tree.get("children", ()))


def _found_everywhere(pattern: str) -> bool:
    from checks.judge.pattern import compile_pattern

    compiled = compile_pattern(pattern)
    return all(compiled.found_in(text) for text in _TEXTS)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"
