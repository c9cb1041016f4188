"""How the kinds that ask servers and read backups are declared: tls, redis, prometheus, backup."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from checks.catalogue._declaration import Declaration, Duration


class TlsProbe(Declaration):
    """A handshake with a server that the environment's settings name, and what its certificate says.

    ``expiry`` is the time until the server's own certificate expires, below zero where it has; it is told of a certificate
    that nobody trusts, too. ``chain`` is 1 where a browser would accept the certificate and 0 where it would not, with the
    reason: expired, not yet valid, for another host, self-signed, by an unknown issuer. ``protocol`` is the version of TLS
    that the handshake agrees on, as a number such as 1.3.
    """

    kind: Literal["tls"]
    address: str = Field(description="An https URL or host:port; {name} stands for a setting of the environment.")
    measure: Literal["expiry", "chain", "protocol"] = "expiry"
    server_name: str | None = Field(None, description="The name to ask for and to expect; without it, the address's host.")
    authority: str | None = Field(None, description="A PEM file of the authorities to trust; without it, the machine's.")
    timeout: Duration = timedelta(seconds=10)
