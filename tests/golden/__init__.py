"""Reads golden cases: one YAML file a case, with a name, an input and what is expected of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

_HERE = Path(__file__).parent


class Case(Mapping[str, Any]):
    """A case, read when it is first looked at: of the hundreds that are collected a process may run only some."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = YAML(typ="safe").load(self._path.read_text(encoding="utf-8"))
        return told

    def __getitem__(self, name: str) -> Any:
        return self._told[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._told)

    def __len__(self) -> int:
        return len(self._told)


def cases(behaviour: str) -> list[Any]:
    """The cases of a behaviour as parameters for ``pytest.mark.parametrize``; there must be at least one."""
    paths = sorted((_HERE / behaviour).glob("*.yml"))
    assert paths, f"no golden case in {_HERE / behaviour}"
    return [pytest.param(Case(path), id=path.stem) for path in paths]
