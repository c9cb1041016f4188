from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checks.errors import DataError
from checks.model import Observation
from tests.probes.conftest import measured, reason_of, settings
from tests.probes.programs import StandIn, stand_ins

# As systemd 252 and Docker 24 wrote them.
UNITS = """\
NRestarts=2
Id=nginx.service
Names=nginx.service
LoadState=loaded
ActiveState=active
SubState=running

NRestarts=5
Id=worker.service
Names=worker.service
LoadState=loaded
ActiveState=failed
SubState=failed
"""
STRANGE = """\
NRestarts=0
Id=nothing.service
Names=nothing.service
LoadState=not-found
ActiveState=inactive
SubState=dead
"""
TIMER = "Id=backup.timer\nNames=backup.timer\nLoadState=loaded\nActiveState=active\nSubState=waiting\n"


def service(manager: str, *names: str, **options: Any) -> dict[str, Any]:
    """A declared service probe."""
    return {"kind": "service", "manager": manager, "names": list(names), **options}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StandIn]:
    return stand_ins(tmp_path, monkeypatch)


def test_units_that_are_not_active_are_down(program: Callable[..., StandIn]) -> None:
    """A failed unit counts, and the detail names it with systemd's own word."""
    told = program("systemctl", UNITS)
    seen = measured(service("systemd", "nginx", "{worker}"), settled=settings({"worker": "worker"}))
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.detail, seen.source) == (1, "worker is failed (failed)", "systemd: nginx, worker")
    assert told.told[0][-3:] == ["--", "nginx", "worker"]


def test_restarts_of_units_are_added_up(program: Callable[..., StandIn]) -> None:
    """The value is the sum, the detail says whose they are."""
    program("systemctl", UNITS)
    seen = measured(service("systemd", "nginx", "worker", measure="restarts"), "restarts")
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.detail) == (7, "nginx: 2; worker: 5")


@pytest.mark.parametrize(
    ("probe", "output", "errors", "status", "reason"),
    [
        (service("systemd", "nothing"), STRANGE, "", 0, "systemd does not know nothing"),
        (service("systemd", "nginx"), UNITS, "", 0, "systemctl told of 2 units, and was asked for 1"),
        (service("systemd", "nginx"), "", "", 0, "systemctl told of 0 units"),
        (service("systemd", "backup.timer", measure="restarts"), TIMER, "", 0, "does not count restarts of backup.timer"),
        (
            service("systemd", "nginx"), "", "System has not been booted with systemd as init system (PID 1).\nHost is down", 1,
            "systemd does not answer on this host: System has not been booted with systemd",
        ),
    ],
)  # fmt: skip
def test_what_systemd_cannot_tell_is_unknown(
    program: Callable[..., StandIn], probe: dict[str, Any], output: str, errors: str, status: int, reason: str
) -> None:
    """A unit that is not there, an odd answer and a host without systemd are unknown, never up."""
    program("systemctl", output, errors, status)
    assert reason in reason_of(probe)


def test_a_host_without_systemd_says_so(program: Callable[..., StandIn]) -> None:
    """Where the program is missing, it is unknown with that reason."""
    assert reason_of(service("systemd", "web")) == "the program systemctl is not found"


def test_a_manager_that_hangs_is_unknown_at_the_deadline(program: Callable[..., StandIn]) -> None:
    """The deadline ends the wait."""
    program("systemctl", slow=30)
    assert reason_of(service("systemd", "web", timeout="300ms")).endswith("did not end within 300 ms")


def test_only_docker_has_a_socket() -> None:
    """A declaration that means nothing is refused."""
    with pytest.raises(DataError, match="goes with `manager: docker`"):
        measured(service("systemd", "web", socket="/run/x.sock"))


@pytest.mark.service
def test_the_real_systemd_of_this_host_is_asked() -> None:
    """A unit that no host has is unknown, whether systemd runs here, is stopped or is not installed."""
    said = reason_of(service("systemd", "proofbook-has-no-such-service"))
    installed = shutil.which("systemctl") is not None
    runs = installed and subprocess.run(["systemctl", "show"], capture_output=True, timeout=30, check=False).returncode == 0
    if runs:
        assert said == "systemd does not know proofbook-has-no-such-service"
    else:
        assert ("does not answer on this host" in said) if installed else ("is not found" in said)
