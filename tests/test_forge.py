"""What is forked is like what is installed, and a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forge

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs are forked on Linux only")


def _told(arguments: list[str], cwd: Path) -> tuple[int, str, str]:
    env = {**os.environ, "PROOFBOOK_ENVIRONMENT": "test"}
    done = subprocess.run(
        [forge.PROOFBOOK, *arguments], cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["status"], ["run", "--nothing-like-it"]])
def test_a_forked_command_says_what_the_installed_one_says(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status, answer and errors are the same, in its own folder and environment."""
    forked = _told(arguments, tmp_path)
    monkeypatch.setattr(subprocess, "Popen", forge.Popen.__base__)
    assert forked == _told(arguments, tmp_path)


def test_a_forked_command_is_signalled_like_any(tmp_path: Path) -> None:
    """A signal reaches it and nobody else, and how it ended is known."""
    (tmp_path / "mkdocs.yml").write_text("site_name: Shop\n")
    command = [str(forge.PROOFBOOK), "schedule", "run"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL


def test_what_is_to_be_loaded_otherwise_is_not_forked() -> None:
    """With variables of the interpreter's own the program is started, as it is by the fixture that asks for it."""
    for env, forked in ((dict(os.environ), True), ({**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": "/nowhere"}, False)):
        with subprocess.Popen([forge.PROOFBOOK, "--version"], env=env, stdout=subprocess.DEVNULL) as process:
            assert isinstance(process, forge.Popen)
            assert (process._line is not None) == forked
        assert process.returncode == 0
