"""The warden outlives nothing and lets nothing outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from checks.run import bounds
from checks.run._control_group import places

WARDEN = Path(__file__).parents[2] / "checks" / "run" / "_warden.py"


def _start(*program: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-I", "-S", str(WARDEN), str(os.getpid()), *program]
    return subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE, env=env)


def _running(marker: str) -> bool:
    return any(
        marker in (process.info["cmdline"] or []) and process.status() != psutil.STATUS_ZOMBIE
        for process in psutil.process_iter(["cmdline"])
    )


def _wait_until_gone(marker: str) -> bool:
    ends = time.monotonic() + 10
    while _running(marker) and time.monotonic() < ends:
        time.sleep(0.05)
    return not _running(marker)


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)])
def test_it_passes_the_exit_status_on(script: str, status: int) -> None:
    """Its exit status is the program's; 128 and the number where a signal ended it."""
    assert _start("bash", "-c", script).wait(timeout=10) == status


def test_it_takes_orphans_with_it() -> None:
    """A process that left its session and lost its parent ends when the program does."""
    marker = f"41{time.time_ns() % 10**9}"
    assert _start("bash", "-c", f"setsid env -i sleep {marker} & sleep 0.3").wait(timeout=10) == 0
    assert not _running(marker)


def test_it_ends_everything_when_told_to() -> None:
    """SIGTERM ends the program and all of its descendants, whatever they ignore."""
    marker = f"42{time.time_ns() % 10**9}"
    warden = _start("bash", "-c", f"trap '' TERM INT; setsid sleep {marker} & echo up; sleep {marker}")
    assert warden.stdout is not None
    assert warden.stdout.readline() == b"up\n"
    warden.terminate()
    assert warden.wait(timeout=10) == 143
    assert not _running(marker)


def test_who_is_ended_may_put_away_what_it_holds(tmp_path: Path) -> None:
    """Before anything is killed all of it is asked, the program and a grandchild in a session of its own, and given a moment."""
    polite = "trap 'sleep 0.2; touch {0}; exit' TERM; touch {0}-up; while :; do sleep 0.02; done"
    first, second = tmp_path / "first", tmp_path / "second"
    (tmp_path / "second.sh").write_text(polite.format(second))
    warden = _start("bash", "-c", f"setsid bash {tmp_path}/second.sh & {polite.format(first)}")
    ends = time.monotonic() + 10
    while not all(Path(f"{path}-up").exists() for path in (first, second)) and time.monotonic() < ends:
        time.sleep(0.01)
    warden.terminate()
    assert warden.wait(timeout=10) == 0
    assert (first.exists(), second.exists()) == (True, True)


def test_it_notices_that_its_parent_was_killed() -> None:
    """When the process that started it is killed without a chance to tell, everything ends within moments."""
    marker = f"43{time.time_ns() % 10**9}"
    code = (
        "import os, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-I', '-S', {str(WARDEN)!r}, str(os.getpid()), 'bash', '-c',"
        f" 'setsid sleep {marker} & echo up; sleep {marker}'])\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    ends = time.monotonic() + 10
    while not _running(marker):  # the shell says that it is up before it has become what it starts
        assert time.monotonic() < ends
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait(timeout=10)
    assert _wait_until_gone(marker)


def test_what_a_killed_warden_left_is_ended_by_the_next(tmp_path: Path) -> None:
    """A process that outlived its warden, because that was killed, ends when the next warden makes its group."""
    if not any((Path(place) / "cgroup.controllers").exists() and os.access(place, os.W_OK) for place in places()):
        pytest.skip("no control group of version 2 may be made here")
    marker = f"44{time.time_ns() % 10**9}"
    bounded = {**os.environ, bounds.VARIABLE: bounds.to_text(bounds.defaults()), "PROOFBOOK_CONTEXT": str(tmp_path / "context")}
    warden = _start("bash", "-c", f"sleep 1; setsid sleep {marker} & sleep 0.5; echo up; sleep {marker}", env=bounded)
    assert warden.stdout is not None
    assert warden.stdout.readline() == b"up\n"
    assert _running(marker)
    warden.kill()
    warden.wait(timeout=10)
    # Whoever runs something else meanwhile may be the next, too: from here on it may be gone at any time.
    assert _start("true", env=bounded).wait(timeout=10) == 0
    assert _wait_until_gone(marker)
