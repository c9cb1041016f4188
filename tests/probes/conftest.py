from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from checks.catalogue.environment import Settled
from checks.model import Metric, Observation, Unmeasured
from checks.probes import measure
from tests.listening import Handler, Listening

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def settings(
    values: Mapping[str, str] | None = None, *, secrets: tuple[str, ...] = (), missing: Mapping[str, str] | None = None
) -> Settled:
    """The settings of an environment as a run would have resolved them."""
    return Settled("production", values or {}, missing or {}, frozenset(secrets))


def measured(
    probe: dict[str, Any], unit: str = "", settled: Settled | None = None, now: datetime = NOW
) -> Observation | Unmeasured:
    """What measuring a metric with this probe gives."""
    return measure(Metric("shop", "figure", "Figure", unit, probe), settled or settings(), now)


def value_of(probe: dict[str, Any], unit: str = "", settled: Settled | None = None, now: datetime = NOW) -> float:
    """The value that measuring gives; there must be one."""
    seen = measured(probe, unit, settled, now)
    assert isinstance(seen, Observation), seen
    assert seen.unit == unit
    return seen.value


def reason_of(probe: dict[str, Any], unit: str = "", settled: Settled | None = None, now: datetime = NOW) -> str:
    """Why measuring gives nothing; it must give nothing."""
    seen = measured(probe, unit, settled, now)
    assert isinstance(seen, Unmeasured), seen
    return seen.reason


class HostileServer(Listening):
    """A server that answers each connection with whatever bytes, pauses or resets its handler chooses."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[bytes] = []

        def answer(connection: socket.socket) -> None:
            self.requests.append(connection.recv(65536))
            handler(connection)

        super().__init__(answer)
        self.url = f"http://127.0.0.1:{self.port}"


@pytest.fixture
def hostile() -> Iterator[Callable[[Handler], HostileServer]]:
    """Starts servers that misbehave as their handler says."""
    servers: list[HostileServer] = []

    def start(handler: Handler) -> HostileServer:
        servers.append(HostileServer(handler))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@contextlib.contextmanager
def somebody_else() -> Iterator[None]:
    """Root may read everything, so that root becomes somebody else for a while."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def nobody() -> Iterator[None]:
    with somebody_else():
        yield
