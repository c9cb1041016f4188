"""Which hosts a probe may speak to: those that the environment's settings name, and no other."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from checks.catalogue.environment import Settled
from checks.probes._steps import note

DEFAULT_PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379}
"""The port that an address without one means, by its scheme."""

_LAST_PORT = 65535
# Where clouds tell a machine its credentials, as far as they don't do so at a link-local address.
_METADATA = frozenset({"fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"})
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]"
_BARE = re.compile(rf"({_HOST})(?::(\d{{1,5}}))?")


@dataclass(frozen=True, slots=True)
class Target:
    """A host and a port to connect to; a host without a port stands for all of its ports."""

    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


class NoTarget(Exception):
    """An address that names no host, or one that the environment does not name; its text is the reason."""


def target_of(address: str) -> Target:
    """The host and port of a URL, or of ``host`` and ``host:port``.

    Raises:
        NoTarget: there is no host in it, or its port is none.

    """
    if "://" not in address:
        bare = _BARE.fullmatch(address.strip())
        if bare is None or int(bare.group(2) or 0) > _LAST_PORT:
            raise NoTarget(f"this is no address: {without_userinfo(address)}")
        return Target(_plain(bare.group(1)), int(bare.group(2)) if bare.group(2) else None)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise NoTarget(f"this is no address: {error}") from error
    if not host:
        raise NoTarget("this is no address: it names no host")
    return Target(_plain(host), port or DEFAULT_PORTS.get(parts.scheme.lower()))


def refuse_strangers(address: str, settled: Settled) -> Target:
    """Give the target of an address, if a setting of the environment names it.

    A setting that is a URL names its host and port, and with http on its usual port the encrypted side too; a setting
    that is only a host names each of its ports.

    Raises:
        NoTarget: no setting names it.

    """
    wanted = target_of(address)
    for value in settled.values.values():
        named = _named(value)
        if named is None or named.host != wanted.host:
            continue
        encrypted = (named.port, wanted.port) == (80, 443) and value.lower().startswith("http:")
        if named.port is None or named.port == wanted.port or encrypted:
            return wanted
    raise NoTarget(f"{wanted} is no host of the environment {settled.environment}; only what its settings name is asked")


@lru_cache(maxsize=1024)  # a sampler asks it of each setting for each sample
def _named(value: str) -> Target | None:
    try:
        return target_of(value)
    except NoTarget:
        return None


def is_address(host: str) -> bool:
    """Whether a host is an address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def addresses_of(host: str) -> list[str]:
    """The addresses of a host, looked up once, so that what was allowed is what is asked.

    Raises:
        NoTarget: one of them is an address that no service has.
        OSError: the name is not known.

    """
    import asyncio  # whoever waits for this has loaded it; who only asks for an address's host need not

    if is_address(host):
        return [host]
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    note(f"{host} is {', '.join(addresses)}")
    refuse_inward(host, addresses)
    return addresses


def refuse_inward(host: str, addresses: Iterable[str]) -> None:
    """Refuse a name that leads to link-local, multicast or unspecified addresses, or to where clouds keep credentials.

    Who answers for a name may let it lead anywhere; an environment that means such an address names the address itself.

    Raises:
        NoTarget: one of them is such an address.

    """
    if is_address(host):
        return
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        plain = getattr(address, "ipv4_mapped", None) or address
        if plain.is_link_local or plain.is_multicast or plain.is_unspecified or str(plain) in _METADATA:
            raise NoTarget(f"the name {host} leads to {text}, where no service of an environment is; it is not asked")


def without_userinfo(url: str) -> str:
    """The address without the user and the password that may stand before its host."""
    try:
        parts: SplitResult = urlsplit(url)
    except ValueError:
        return re.sub(r"//[^/]*@", "//", url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
