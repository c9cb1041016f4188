"""Rooms whose engine was killed together with everything that would have taken them away."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from checks.run import _stale, kernels

HOLDS = """\
import sys, time
from pathlib import Path
from checks.run import _stale
held = _stale.hold(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def _room(folder: Path, name: str) -> Path:
    room = folder / f"proofbook-{name}"
    (room / "work").mkdir(parents=True)
    (room / "work" / "left").write_text("behind")
    return room


def test_a_room_of_a_killed_engine_is_taken_away_and_one_in_use_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next engine clears what a killed one left; a room that somebody holds, or that is no room of ours, stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, used, strange = (_room(tmp_path, name) for name in ("killed00", "running0", "stranger"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "held").touch()
    (tmp_path / "proofbook-alink000").symlink_to(tmp_path / "elsewhere")
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(left)], stdout=subprocess.PIPE) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == b"held\n"
        held = _stale.hold(used)
        with kernels.swept_behind():
            pass
        assert left.exists()
        engine.kill()
        engine.wait(10)
    with kernels.swept_behind():
        pass
    assert [path.exists() for path in (left, used, strange, tmp_path / "elsewhere" / "held")] == [False, True, True, True]
    os.close(held)
