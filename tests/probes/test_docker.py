"""Containers, as the engine tells of them on its socket."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checks.model import Observation
from tests.probes.conftest import measured, reason_of, settings, value_of
from tests.probes.docker import Docker, container
from tests.probes.scenes import endless, says, silent


def services(docker: Docker | str, *names: str, **options: Any) -> dict[str, Any]:
    """A declared service probe."""
    path = docker if isinstance(docker, str) else docker.path
    return {"kind": "service", "manager": "docker", "names": list(names), "socket": path, **options}


@pytest.mark.parametrize(
    ("one", "down", "detail"),
    [
        (container("web"), 0, "all 1 up"),
        (container("web", Health={"Status": "healthy"}), 0, "all 1 up"),
        (container("web", Health={"Status": "starting"}), 0, "all 1 up"),
        (container("web", Health={"Status": "unhealthy"}), 1, "web is running, unhealthy"),
        (container("web", "exited"), 1, "web is exited"),
        (container("web", "restarting"), 1, "web is restarting"),
        (container("web", "paused"), 1, "web is paused"),
        (container("web", "created"), 1, "web is created"),
        (container("web", "dead"), 1, "web is dead"),
    ],
)
def test_a_container_is_up_while_it_runs_and_is_well(one: dict[str, Any], down: int, detail: str) -> None:
    """Exited, restarting, paused and unhealthy containers are down, and the detail has docker's own word."""
    with Docker(one) as docker:
        seen = measured(services(docker, "web"))
        assert isinstance(seen, Observation), seen
        assert (seen.value, seen.detail, seen.source) == (down, detail, "docker: web")
        assert value_of(services(docker, "4f66ad9a0b2e")) == down
        assert value_of(services("{socket}", "{name}"), settled=settings({"socket": docker.path, "name": "web"})) == down


def test_restarts_of_containers_are_added_up() -> None:
    """Each container's restarts count."""
    with Docker(container("web", restarts=3), container("db", restarts=1)) as docker:
        seen = measured(services(docker, "web", "db", measure="restarts"))
        assert isinstance(seen, Observation), seen
        assert (seen.value, seen.detail) == (4, "web: 3; db: 1")


def test_nothing_but_the_question_is_sent() -> None:
    """Names that look like paths or options are names; only what a container is like is asked."""
    with Docker(container("web")) as docker:
        assert "docker does not know ../images, --help, web/stop?x=1" in reason_of(
            services(docker, "../images", "--help", "web/stop?x=1", "web")
        )
        lines = [request.split(b"\r\n", 1)[0] for request in docker.requests]
    assert lines == [
        b"GET /containers/..%2Fimages/json HTTP/1.1",
        b"GET /containers/--help/json HTTP/1.1",
        b"GET /containers/web%2Fstop%3Fx%3D1/json HTTP/1.1",
        b"GET /containers/web/json HTTP/1.1",
    ]


def test_a_short_beginning_of_an_id_is_no_name() -> None:
    """Docker itself takes it, but tomorrow it may be another container's."""
    with Docker(container("web")) as docker:
        assert reason_of(services(docker, "4f66")) == "docker does not know 4f66"


def _answer(body: bytes, status: bytes = b"200 OK") -> Callable[[socket.socket], None]:
    return says(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (silent, "docker: web did not end within 400 ms"),
        (_answer(b"<html>"), "is no JSON"),
        (_answer(b"[1]"), "is not docker"),
        (_answer(b'{"Name": "/web", "Id": "1", "State": {}}'), "is not docker"),
        (_answer(b'{"message": "the engine is starting"}', b"503 No"), "docker refuses: the engine is starting"),
        (says(b"hello\r\n"), "docker does not answer on this host"),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n"), "docker answered with more than 10 MB"),
        (lambda _: None, "docker does not answer on this host"),
    ],
)
def test_what_is_not_docker_is_unknown(does: Callable[[socket.socket], None], reason: str) -> None:
    """A socket that is silent, endless, or somebody else's tells of no container, and none is taken for up."""
    timeout = "400ms" if does is silent else "10s"
    with Docker(says=does) as docker:
        assert reason in reason_of(services(docker, "web", timeout=timeout))


def test_a_host_without_docker_says_so(tmp_path: Path) -> None:
    """No socket, and a socket that nobody listens on, are told apart."""
    assert reason_of(services(str(tmp_path / "none.sock"), "web")).endswith(f"there is no socket {tmp_path}/none.sock")
    docker = Docker()
    docker.close()
    left = Path(docker.path).with_suffix(".left")
    left.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(left))
    try:
        assert f"the connection was refused: {left}" in reason_of(services(str(left), "web"))
    finally:
        shutil.rmtree(left.parent)


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker's own client is not installed")
def test_dockers_own_client_takes_the_recording_for_an_engine() -> None:
    """The real client reads from the recorded engine what the probe reads."""
    with Docker(container("web", restarts=3)) as docker:
        ended = subprocess.run(
            ["docker", "inspect", "--type", "container", "--format", "{{.State.Status}} {{.RestartCount}}", "web"],
            env={**os.environ, "DOCKER_HOST": f"unix://{docker.path}"}, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert ended.stdout.split() == ["running", "3"], ended.stderr
        assert value_of(services(docker, "web", measure="restarts")) == 3


@pytest.mark.service
def test_the_real_docker_of_this_host_is_asked() -> None:
    """A container that no host has is unknown, whether docker runs here or not."""
    said = reason_of({"kind": "service", "manager": "docker", "names": ["proofbook-has-no-such-service"]})
    listens = Path("/var/run/docker.sock").is_socket()
    assert said == "docker does not know proofbook-has-no-such-service" if listens else "there is no socket" in said
