"""Which metrics a runbook's cells check, as far as its text shows; read without Jupytext, as every runbook is read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

_PYTHON = re.compile(
    r"^```(?P<more>`*)[ \t]*(?:python3?|ipython3?)(?=[ \t]|$)(?![^\n]*\.noeval)[^\n]*\n(?P<code>.*?)^```(?P=more)",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_CALL = re.compile(r"\bcheck\s*\(")
# A line that is nothing but a call by name, perhaps with a result that is kept, needs no parser to be understood.
_PLAIN = re.compile(r"^[ \t]*(?:\w+[ \t]*=[ \t]*)?check\([ \t]*([\"'])([a-z0-9/-]+)\1[ \t]*[,)]", re.MULTILINE)
_NAMED = re.compile(r"\bcheck\s*\(\s*[\"']([a-z0-9/-]+)[\"']")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def checked_by(body: str, system: str) -> tuple[str, ...]:
    """The names that a runbook's cells may check, of steps of every class; some may be no metrics.

    Args:
        body: the runbook's text below its front matter.
        system: the runbook's system, which a name may begin with.

    """
    names = (name.removeprefix(f"{system}/") for cell in _PYTHON.finditer(body) for name in names_in(cell["code"]))
    return tuple(sorted({name for name in names if _NAME.fullmatch(name)}))


def names_in(source: str) -> Iterator[str]:
    """The names that a cell's code gives to ``check``, as they are written."""
    if "check" not in source:
        return
    plain = [match[2] for match in _PLAIN.finditer(source)]
    if len(plain) == len(_CALL.findall(source)):
        yield from plain
        return
    try:
        tree = ast.parse("\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("!", "%"))))
    except SyntaxError:
        yield from _NAMED.findall(source)  # such as `files = !ls`, which only IPython reads
        return
    literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name_of(node.func) == "check"):
        if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
            yield call.args[0].value
        else:
            # check(name) in a loop: any text in the cell may be the name.
            yield from literals


def _name_of(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
