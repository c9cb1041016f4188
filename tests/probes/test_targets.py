"""Which hosts and addresses a probe may speak to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from checks.probes import _targets
from checks.probes._targets import NoTarget, addresses_of, refuse_inward
from tests.probes.conftest import HostileServer, reason_of, settings
from tests.probes.scenes import says

INWARD = [
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "fe80::1%eth0",
    "::ffff:0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "fd00:ec2::254",
]


@pytest.mark.parametrize("address", INWARD)
def test_a_name_that_leads_inward_is_refused(address: str) -> None:
    """Link-local, multicast and unspecified addresses and those of clouds' metadata are behind no service's name."""
    with pytest.raises(NoTarget, match=r"the name shop\.test leads to .* it is not asked"):
        refuse_inward("shop.test", ["203.0.113.7", address])


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.7", "203.0.113.7", "fd12::7"])
def test_other_addresses_are_fine(led_astray: Callable[[str], None], address: str) -> None:
    """Loopback and private networks are where services live."""
    led_astray(address)
    assert asyncio.run(addresses_of("shop.test")) == [address]


def test_an_address_that_the_environment_names_itself_is_meant() -> None:
    """An environment that writes such an address down wants it asked."""
    refuse_inward("169.254.169.254", ["169.254.169.254"])
    assert asyncio.run(addresses_of("169.254.169.254")) == ["169.254.169.254"]


@pytest.fixture
def led_astray(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the name service say that shop.test is at some address."""

    def lead(address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def answer(host: Any, port: Any, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
            return [(family, socket.SOCK_STREAM, 6, "", (address, port or 0))]

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    return lead


@pytest.mark.parametrize(
    "probe",
    [
        {"kind": "http", "url": "{server}/metrics", "select": "a"},
        {"kind": "prometheus", "url": "{server}", "query": "up"},
        {"kind": "tls", "address": "{server}"},
        {"kind": "redis", "url": "{server}"},
        {"kind": "github", "api": "{server}", "repository": "shop/shop", "measure": "open-issues"},
    ],
    ids=lambda probe: probe["kind"],
)
def test_every_kind_that_connects_looks_where_a_name_leads(
    led_astray: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, probe: dict[str, Any]
) -> None:
    """Whoever answers for the name cannot have a probe speak to what answers on this machine's own link."""
    listener = HostileServer(says(b"secret"))
    # On loopback something can listen, and must hear nothing.
    monkeypatch.setattr(_targets, "_METADATA", frozenset({"127.0.0.1"}))
    led_astray("127.0.0.1")
    scheme = "redis" if probe["kind"] == "redis" else "https" if probe["kind"] == "tls" else "http"
    said = reason_of({**probe, "timeout": "5s"}, settled=settings({"server": f"{scheme}://shop.test:{listener.port}"}))
    listener.close()
    assert "the name shop.test leads to" in said
    assert all(request == b"" for request in listener.requests)
