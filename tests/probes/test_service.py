from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checks.model import Observation
from tests.probes.conftest import measured, reason_of, settings, value_of
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


def container(name: str, status: str = "running", restarts: int = 0, **state: Any) -> dict[str, Any]:
    """What docker inspect tells of one container."""
    told = {"Status": status, "Running": status in ("running", "paused", "restarting"), "Paused": status == "paused",
            "Restarting": status == "restarting", **state}  # fmt: skip
    return {"Id": "4f66ad9a0b2e" + "0" * 52, "Name": f"/{name}", "RestartCount": restarts, "State": told}


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


@pytest.mark.parametrize(
    ("one", "down"),
    [
        (container("web"), 0),
        (container("web", Health={"Status": "healthy"}), 0),
        (container("web", Health={"Status": "starting"}), 0),
        (container("web", Health={"Status": "unhealthy"}), 1),
        (container("web", "exited"), 1),
        (container("web", "restarting"), 1),
        (container("web", "paused"), 1),
        (container("web", "dead"), 1),
    ],
)
def test_a_container_is_up_while_it_runs_and_is_well(program: Callable[..., StandIn], one: dict[str, Any], down: int) -> None:
    """Exited, restarting, paused and unhealthy containers are down."""
    program("docker", [one])
    assert value_of(service("docker", "web")) == down
    assert value_of(service("docker", "4f66ad9a0b2e")) == down


def test_restarts_of_containers_are_added_up(program: Callable[..., StandIn]) -> None:
    """Each container's restarts count."""
    program("docker", [container("web", restarts=3), container("db", restarts=1)])
    assert value_of(service("docker", "web", "db", measure="restarts")) == 4


@pytest.mark.parametrize(
    ("output", "errors", "status", "reason"),
    [
        ([container("web")], "Error response from daemon: No such container: db", 1, "docker does not know db"),
        (
            "[]",
            "Cannot connect to the Docker daemon at unix:///docker.sock.",
            1,
            "docker does not answer on this host: Can",
        ),
        ("", "", 1, "docker does not answer on this host: exit status 1"),
        ("<html>", "", 0, "the answer of docker inspect cannot be read"),
        ("[1]", "", 0, "the answer of docker inspect cannot be read"),
        ("[]", "", 0, "docker does not know web, db"),
    ],
)
def test_what_docker_cannot_tell_is_unknown(
    program: Callable[..., StandIn], output: Any, errors: str, status: int, reason: str
) -> None:
    """A container that is not there, a daemon that is away and an odd answer are unknown, never up."""
    program("docker", output, errors, status)
    assert reason in reason_of(service("docker", "web", "db"))


@pytest.mark.parametrize(("manager", "name"), [("systemd", "systemctl"), ("docker", "docker")])
def test_a_host_without_the_manager_says_so(program: Callable[..., StandIn], manager: str, name: str) -> None:
    """Where the program is missing, it is unknown with that reason."""
    assert reason_of(service(manager, "web")) == f"the program {name} is not found"


def test_a_manager_that_hangs_is_unknown_at_the_deadline(program: Callable[..., StandIn]) -> None:
    """The deadline ends the wait."""
    program("docker", slow=30)
    assert reason_of(service("docker", "web", timeout="300ms")).endswith("did not end within 300 ms")


@pytest.mark.service
@pytest.mark.parametrize(("manager", "argv"), [("systemd", ["systemctl", "show"]), ("docker", ["docker", "version"])])
def test_the_real_manager_of_this_host_is_asked(manager: str, argv: list[str]) -> None:
    """A service that no host has is unknown, whether the manager runs here, is stopped or is not installed."""
    said = reason_of(service(manager, "proofbook-has-no-such-service"))
    installed = shutil.which(argv[0]) is not None
    runs = installed and subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode == 0
    if runs:
        assert said == f"{manager} does not know proofbook-has-no-such-service"
    else:
        assert ("does not answer on this host" in said) if installed else ("is not found" in said)
