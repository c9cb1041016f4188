"""Reads golden cases: one YAML file a case, with a name, an input and what is expected of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

_HERE = Path(__file__).parent


def cases(behaviour: str) -> list[Any]:
    """The cases of a behaviour as parameters for ``pytest.mark.parametrize``; there must be at least one."""
    paths = sorted((_HERE / behaviour).glob("*.yml"))
    assert paths, f"no golden case in {_HERE / behaviour}"
    return [pytest.param(YAML(typ="safe").load(path.read_text(encoding="utf-8")), id=path.stem) for path in paths]
