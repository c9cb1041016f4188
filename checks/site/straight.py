"""Jinja for templates that are filled thousands of times a publication: what it compiles asks no more than ours need.

Of each value that is written, Jinja asks whether to escape it, of each function, whether it wants the context, and of each name
behind a dot, whether it is an attribute or a key. In our templates a name behind a dot is an attribute, no function wants the
context, and every value that is written is made harmless and escaped, unless it is markup already.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from markupsafe import Markup, escape

from checks.site import words

_SHORT = 80
"""Texts up to so many characters are said again and again: names, limits, units."""


def written(value: object) -> str:
    """A value as it stands in HTML: nothing for ``None``, markup as it is, all else harmless and escaped."""
    if type(value) is Markup:
        return value
    if type(value) is str:
        return _short(value) if len(value) <= _SHORT else escape(words.harmless(value))
    if value is None:
        return ""
    return escape(value) if hasattr(value, "__html__") else escape(words.harmless(str(value)))


@lru_cache(maxsize=16_384)
def _short(text: str) -> str:
    return escape(words.harmless(text))


class _Context(Context):
    def call(__self, __obj: Any, *args: Any, _loop_vars: object = None, _block_vars: object = None, **kwargs: Any) -> Any:  # noqa: N805
        return __obj(*args, **kwargs)


class _Straight(CodeGenerator):
    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 - as Jinja names it
        self.write("(")
        self.visit(node.node, frame)
        self.write(f").{node.attr}")

    # As Jinja's own generator of native values does it: what is written passes through `finalize` alone.
    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:  # noqa: ARG002 - as given
        self.write(finalize.src)

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:  # noqa: ARG002 - as given
        self.write(")")


class StraightEnvironment(Environment):
    """An environment whose templates are compiled so; values are escaped always."""

    context_class = _Context
    code_generator_class = _Straight

    def __init__(self, **options: Any) -> None:
        super().__init__(autoescape=True, finalize=written, **options)
