"""A hundred runs in a row; a thousand are a benchmark (``nox -s bench -- soak``)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.soak import soak

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")]

MB = 1 << 20


def test_a_hundred_runs_leave_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    """After the first runs, no process, thread, descriptor, socket, file or memory is added by more of them, failing ones too."""
    folder: Path = tmp_path_factory.mktemp("s")
    _, warm, *_, last = soak(folder, 100)
    for name in ("processes", "threads", "files", "sockets", "left"):
        assert getattr(last, name) <= getattr(warm, name) + (name != "left"), (name, warm, last)
    assert last.left == 0
    assert last.memory < warm.memory + 5 * MB, (warm, last)
    assert last.server < warm.server + 5 * MB, (warm, last)
