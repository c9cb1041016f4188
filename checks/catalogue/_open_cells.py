"""Cells of runbooks that fail open."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from checks.catalogue import _open_shell, notebook
from checks.catalogue._findings import Finding
from checks.errors import Place

if TYPE_CHECKING:
    from checks.model import Runbook

_STRICT_MAGIC = re.compile(r"%%(bash|sh)\b(?P<options>.*)")
_SHELL_MAGIC = re.compile(r"%%script\b.*\b(bash|sh|dash|zsh)\b(?P<options>.*)")
_COMMAND = re.compile(r"(?P<head>\s*(?:(?P<name>\w+)\s*=\s*)?!)(?P<command>.*)")
_BROAD = frozenset({"Exception", "BaseException"})
_COMPOUND = (ast.If, ast.Try, ast.For, ast.While, ast.With, ast.Match, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def cells(runbook: Runbook, root: Path) -> Iterator[Finding]:
    """What in a runbook's cells can fail unseen, and what is typed in where it should be measured."""
    path = runbook.path.relative_to(root) if runbook.path.is_relative_to(root) else runbook.path
    text = runbook.path.read_text(encoding="utf-8")
    sources = [cell.source for cell in notebook.read(runbook).cells if cell.cell_type == "code"]
    whole = "\n".join(sources)
    at = 0
    for source in sources:
        magic, body = _split(source)
        begin = text.find(body, at) if body.strip() else -1
        first = text.count("\n", 0, begin) + 1 if begin >= 0 else None
        at = begin + len(body) if begin >= 0 else at
        faults = _shell(magic, body) if magic else _python(body, whole)
        for line, column, what, remedy in sorted(faults):
            yield Finding(Place(path, first + line, column + 1) if first else Place(path), what, remedy)


def _split(source: str) -> tuple[str, str]:
    """The cell's magic, empty where it has none, and what stands below it."""
    if not source.startswith("%%"):
        return "", source
    magic, _, body = source.partition("\n")
    return magic, body


def _shell(magic: str, body: str) -> Iterator[_open_shell.Fault]:
    strict, loose = _STRICT_MAGIC.match(magic), _SHELL_MAGIC.match(magic)
    if found := strict or loose:
        yield from _open_shell.read(body, strict=strict is not None, kept="--out" in found.group("options"))


def _python(body: str, whole: str) -> Iterator[_open_shell.Fault]:
    lines = body.splitlines()
    for number, line in enumerate(lines):
        if found := _COMMAND.fullmatch(line):
            shift = len(found.group("head"))
            for _, column, what, remedy in _open_shell.read(found.group("command"), kept=bool(found.group("name"))):
                yield number, shift + column, what, remedy
    plain = "\n".join("" if line.lstrip().startswith("%") else _without_command(line) for line in lines)
    try:
        tree = ast.parse(plain)
    except SyntaxError:
        return  # the kernel says so, and the run fails
    yield from _swallowed(tree)
    yield from _typed_in(tree)
    yield from _unwatched(tree, whole)


def _without_command(line: str) -> str:
    if not _COMMAND.fullmatch(line):
        return line
    return line[: len(line) - len(line.lstrip())] + "pass"


def _swallowed(tree: ast.AST) -> Iterator[_open_shell.Fault]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and all(map(_is_nothing, node.body)):
            what = "every exception is swallowed here, so nothing in this block can fail"
            yield (
                node.lineno - 1,
                node.col_offset,
                what,
                "name the exception that is expected, and judge it: check(…, Unmeasured(…))",
            )
        if isinstance(node, ast.Call) and _name(node.func) == "suppress" and any(map(_is_broad, node.args)):
            what = "every exception is suppressed here, so nothing in this block can fail"
            yield node.lineno - 1, node.col_offset, what, "name the exception that is expected"


def _is_broad(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Tuple):
        return any(map(_is_broad, node.elts))
    return node is None or _name(node) in _BROAD


def _is_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass | ast.Continue) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _typed_in(tree: ast.Module) -> Iterator[_open_shell.Fault]:
    """Values that are typed in; in a branch, what was measured decides which of them it is."""
    for statement in tree.body:
        if isinstance(statement, _COMPOUND):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and _name(node.func) == "check" and len(node.args) > 1 and _is_figure(node.args[1]):
                what = f"`{ast.unparse(node)}` judges a value that is typed in, and measures nothing"
                yield node.lineno - 1, node.col_offset, what, "give it what the cell has measured"


def _is_figure(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_figure(node.operand)
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def _unwatched(tree: ast.Module, whole: str) -> Iterator[_open_shell.Fault]:
    """Programs whose exit status nobody looks at."""
    watched = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("returncode", "check_returncode")
    }
    named = [(name, node.value) for node in ast.walk(tree) if isinstance(node, ast.Assign) for name in _names(node)]
    kept = {value for name, value in named if re.search(rf"\b{name}\.({'|'.join(_LOOKS)})\b", whole)} - set(_lost(tree))
    kept |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Return) and node.value is not None}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        where = (node.lineno - 1, node.col_offset)
        if called in ("subprocess.run", "subprocess.Popen") and node not in watched | kept and not _checks(node):
            yield *where, f"nobody looks at the exit status of this `{called}`", "add check=True, or judge its returncode"
        elif called in ("os.system", "subprocess.call") and node not in kept:
            yield *where, f"`{called}` gives an exit status that is easily lost", "use subprocess.run(…, check=True)"
        if called.startswith("subprocess.") and _by_shell(node) and node.args and _PIPE.search(ast.unparse(node.args[0])):
            yield *where, "sh sees only the last command of this pipe fail", "use a bash cell, or take the pipe apart"


def _lost(tree: ast.AST) -> Iterator[ast.expr]:
    """Values whose name is given to another one in the same block before anybody looks at how they ended."""
    for node in ast.walk(tree):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            held: dict[str, ast.expr] = {}
            for statement in block if isinstance(block, list) else ():
                for looked_at in ast.walk(statement):
                    if isinstance(looked_at, ast.Attribute) and looked_at.attr in _LOOKS:
                        held.pop(ast.unparse(looked_at.value), None)
                if isinstance(statement, ast.Assign):
                    yield from (held[name] for name in _names(statement) if name in held)
                    held |= dict.fromkeys(_names(statement), statement.value)


def _names(node: ast.AST) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)] if isinstance(node, ast.Assign) else []


_LOOKS = ("returncode", "check_returncode", "wait", "poll")
_PIPE = re.compile(r"(?<!\|)\|(?!\|)")


def _checks(node: ast.Call) -> bool:
    return any(word.arg is None or (word.arg == "check" and _is_true(word.value)) for word in node.keywords)


def _by_shell(node: ast.Call) -> bool:
    return any(word.arg == "shell" and _is_true(word.value) for word in node.keywords)


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
