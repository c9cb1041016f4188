"""Programs on PATH that stand in for those that a host may lack."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_PYTHON = sys.executable
_SCRIPT = """#!{python} -ISB
import json, sys, time
with open({told!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
time.sleep({slow})
sys.stdout.write({output!r})
sys.stderr.write({errors!r})
sys.exit({status})
"""


class StandIn:
    """A program that says what was recorded of the real one, and writes down what it was told."""

    def __init__(self, folder: Path, name: str, output: str, errors: str, status: int, slow: float) -> None:
        self._told = folder / f"{name}.told"
        path = folder / name
        text = _SCRIPT.format(python=_PYTHON, told=str(self._told), output=output, errors=errors, status=status, slow=slow)
        path.write_text(text)
        path.chmod(0o755)

    @property
    def told(self) -> list[list[str]]:
        """The arguments of each call."""
        return [json.loads(line) for line in self._told.read_text().splitlines()] if self._told.exists() else []


def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StandIn]:
    """What makes stand-ins, in a folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(
        name: str, output: str | list[Any] | dict[str, Any] = "", errors: str = "", status: int = 0, slow: float = 0
    ) -> StandIn:
        text = output if isinstance(output, str) else json.dumps(output)
        return StandIn(folder, name, text, errors, status, slow)

    return make
