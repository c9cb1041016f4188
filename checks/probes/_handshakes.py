"""TLS handshakes with a site, by whatever trust is asked for; nothing is ever sent behind them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from checks.probes._causes import why
from checks.probes._starttls import ask_for_tls
from checks.probes._steps import note

# X509_V_FLAG_NO_CHECK_TIME: whether a name fits does not depend on the date.
_WHENEVER = 0x200000


@dataclass(frozen=True, slots=True)
class Shaken:
    """A handshake that succeeded: the server's certificate, unchecked, and the protocol's name (``TLSv1.3``)."""

    certificate: bytes
    protocol: str


@dataclass(frozen=True, slots=True)
class Site:
    """Whom to shake hands with.

    Attributes:
        addresses: of the host, in the order to try them.
        name: what is asked for and expected.
        starttls: the protocol that is spoken before the handshake; ``None``: none is.

    """

    addresses: Sequence[str]
    port: int
    name: str
    starttls: str | None

    async def shake(self, context: ssl.SSLContext) -> Shaken:
        """Shake hands with the first of the addresses that can be connected to.

        Raises:
            NoStart: the server does not begin with TLS.
            OSError: none can be connected to, or the handshake fails.

        """
        for address in self.addresses[:-1]:
            try:
                return await self._shake_at(address, context)
            except ssl.SSLError:
                raise
            except OSError as error:
                note(f"no connection to {address}, port {self.port}: {why(error) or error}")
        return await self._shake_at(self.addresses[-1], context)

    async def _shake_at(self, address: str, context: ssl.SSLContext) -> Shaken:
        first, name = (context, self.name) if self.starttls is None else (None, None)
        reader, writer = await asyncio.open_connection(address, self.port, ssl=first, server_hostname=name)
        try:
            if self.starttls is not None:
                await ask_for_tls(self.starttls, reader, writer)
                note(f"{self.starttls} at {address}, port {self.port}, is ready for TLS")
                await writer.start_tls(context, server_hostname=self.name)
            shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
            shaken = Shaken(shown.getpeercert(binary_form=True) or b"", shown.version() or "none")
        finally:
            writer.transport.abort()
        cipher = shown.cipher()
        where = f"{address}, port {self.port}"
        note(f"handshake as {self.name} with {where}: {shaken.protocol}, {cipher[0] if cipher else 'no cipher'}")
        return shaken


def trusting_anyone() -> ssl.SSLContext:
    """A context that takes any certificate, however old its protocol."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _speak_anything(context)
    return context


def trusting_only(certificate: bytes) -> ssl.SSLContext:
    """A context that takes one certificate whoever signed it and until whenever it is valid, if it is for the name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_WHENEVER)
    _speak_anything(context)
    return context


def _speak_anything(context: ssl.SSLContext) -> None:
    # What a server speaks is told, however old; nothing is ever sent to it.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
