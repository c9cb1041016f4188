from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from checks.model import Observation
from tests.probes.conftest import measured, reason_of, settings, somebody_else, value_of


def host(measure: str, **options: Any) -> dict[str, Any]:
    """A declared host probe."""
    return {"kind": "host", "measure": measure, **options}


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Path]:
    """The pid file of a process that keeps one core busy and holds 50 MB."""
    work = "held = bytearray(b'x' * 50_000_000)\nprint('busy', flush=True)\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", work], stdout=subprocess.PIPE)
    path = tmp_path / "service.pid"
    path.write_text(f"{process.pid}\n")
    assert process.stdout is not None
    process.stdout.readline()
    yield path
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("measure", ["disk", "inodes", "memory"])
def test_a_share_of_this_machine_lies_between_none_and_all(measure: str) -> None:
    """Disk, inodes and memory are used to some extent, in percent."""
    assert 0 < value_of(host(measure), "%") <= 100


def test_disk_is_what_df_says(tmp_path: Path) -> None:
    """The used share of a path's filesystem agrees with df's within a point or two."""
    output = subprocess.run(["df", "--output=pcent", str(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert abs(value_of(host("disk", path=str(tmp_path)), "%") - float(output.split()[1].rstrip("%"))) <= 2


def test_load_is_per_core() -> None:
    """The load average is divided by the number of cores."""
    assert value_of(host("load")) == pytest.approx(os.getloadavg()[0] / (os.cpu_count() or 1), abs=0.3)


def test_cpu_is_measured_over_a_real_second(busy: Path) -> None:
    """While a process keeps one core busy, the machine's share is at least part of that, after a second."""
    assert busy.exists()
    seen = measured(host("cpu"), "%")
    assert isinstance(seen, Observation), seen
    assert seen.took >= 1
    assert 10 / (os.cpu_count() or 1) < seen.value <= 100


def test_a_processs_figures_are_its_own(busy: Path) -> None:
    """Memory, cpu share and uptime of the process in the pid file are measured."""
    now = datetime.now(UTC)
    assert 50 < value_of(host("process-memory", pid_file=str(busy)), "MB") < 500
    # One that does nothing has a share of 0; of a machine with much to do a busy one gets little.
    assert 1 < value_of(host("process-cpu", pid_file="{pid}"), "%", settings({"pid": str(busy)})) < 150
    assert 0 < value_of(host("process-uptime", pid_file=str(busy)), "s", now=now) < 30


@pytest.mark.parametrize("content", ["", "no pid", "-1", "12 13", "99999999999999999999"])
def test_a_pid_file_without_a_running_process_is_unknown(tmp_path: Path, content: str) -> None:
    """Whatever stands in the file instead of a process's id is a reason."""
    path = tmp_path / "service.pid"
    path.write_text(content)
    said = reason_of(host("process-memory", pid_file=str(path)), "MB")
    assert "holds no process id" in said or "does not run" in said


def test_a_process_that_has_ended_is_unknown(tmp_path: Path) -> None:
    """Neither an ended process nor one that only waits to be collected is measured."""
    path = tmp_path / "service.pid"
    process = subprocess.Popen([sys.executable, "-c", ""])
    path.write_text(str(process.pid))
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert "has ended" in reason_of(host("process-uptime", pid_file=str(path)), "s")
    process.wait()
    assert "does not run" in reason_of(host("process-uptime", pid_file=str(path)), "s")


def test_a_missing_pid_file_is_unknown(tmp_path: Path) -> None:
    """No file means that the process was not started, and says so."""
    assert "does not exist, so the process does not run" in reason_of(host("process-cpu", pid_file=str(tmp_path / "no")), "%")


def test_a_process_that_inherited_the_id_is_not_mistaken(busy: Path) -> None:
    """A process younger than the pid file is another one."""
    os.utime(busy, (time.time() - 3600, time.time() - 3600))
    assert "it is another one" in reason_of(host("process-memory", pid_file=str(busy)), "MB")


def test_a_path_that_is_not_there_is_unknown() -> None:
    """Where the path is missing, this is not the machine that is meant, and its memory proves nothing."""
    for measure in ("disk", "inodes", "memory", "cpu", "load"):
        assert "not the machine that is meant" in reason_of(host(measure, path="/no/such/path"), "%")


def test_open_files_are_counted(busy: Path, tmp_path: Path) -> None:
    """Each file that a process opens counts, and their share is of what it may hold; the machine holds more than that."""
    holder = "import sys\nheld = [open('/dev/null') for _ in range(40)]\nprint('ready', flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        pid_file = tmp_path / "holder.pid"
        pid_file.write_text(str(process.pid))
        few = value_of(host("process-files", pid_file=str(busy)))
        many = value_of(host("process-files", pid_file=str(pid_file)))
        most = psutil.Process(process.pid).rlimit(psutil.RLIMIT_NOFILE)[0]
        share = value_of(host("process-files-share", pid_file=str(pid_file)), "%")
        assert process.stdin is not None
        process.stdin.close()
    assert many == pytest.approx(few + 40, abs=5)
    assert share == pytest.approx(100 * many / most, rel=0.2)
    assert value_of(host("open-files")) > 0


def test_a_process_of_somebody_else_keeps_its_files_to_itself() -> None:
    """Who may not look says so; nothing is counted as none."""
    # Somebody else may not be able to load what measures, so that it is loaded before.
    assert value_of(host("load")) >= 0
    with tempfile.NamedTemporaryFile(suffix=".pid") as pid_file:
        pid_file.write(b"1")
        pid_file.flush()
        Path(pid_file.name).chmod(0o644)
        with somebody_else():
            said = reason_of(host("process-files", pid_file=pid_file.name))
    assert said.endswith("may not be looked at")
