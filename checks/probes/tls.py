"""A TLS handshake: how long the certificate is still valid, whether it is accepted, and what protocol is spoken."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from checks.catalogue.environment import Settled
from checks.judge import format_value
from checks.model import Observation, Unmeasured
from checks.probes._support import Measuring, clipped, within
from checks.probes._targets import NoTarget, refuse_strangers, without_userinfo

if TYPE_CHECKING:
    from cryptography import x509

    from checks.catalogue.probe_kinds import TlsProbe

# OpenSSL's numbers, X509_V_ERR_… in x509_vfy.h; the ssl module names none of them.
_FAULTS = {
    9: "it is not yet valid",
    10: "it has expired",
    18: "it is self-signed",
    19: "its issuer is unknown",
    20: "its issuer is unknown",
    21: "its issuer is unknown",
    23: "it has been revoked",
    62: "it is for another host",
    64: "it is for another host",
}


@dataclass(frozen=True, slots=True)
class _Shaken:
    """A handshake that succeeded: the server's certificate, unchecked, and the protocol's name (``TLSv1.3``)."""

    certificate: bytes
    protocol: str


def probe(declaration: TlsProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Shake hands with a server and look at what it shows; see `TlsProbe`."""
    del unit
    address = settled.fill(declaration.address)
    name = settled.fill(declaration.server_name) if declaration.server_name else None
    authority = settled.fill(declaration.authority) if declaration.authority else None
    measuring = Measuring(now, f"TLS of {without_userinfo(address)}" + (f" as {name}" if name else ""), settled)
    seconds = declaration.timeout.total_seconds()
    try:
        target = refuse_strangers(address, settled)
        port = target.port or 443
        # The thread ends what a loop cannot: name resolution.
        return within(seconds + 1, lambda: asyncio.run(_measure(declaration, target.host, port, name, authority, measuring)))
    except NoTarget as error:
        return measuring.failed(f"{measuring.source}: {error}")
    except TimeoutError:
        return measuring.late(seconds)


async def _measure(
    declaration: TlsProbe, host: str, port: int, name: str | None, authority: str | None, measuring: Measuring
) -> Observation | Unmeasured:
    name = name or host
    try:
        trusting = ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "strerror", None) or "it holds no certificate"
        return measuring.failed(f"the authorities in {authority} cannot be read: {why}")
    try:
        async with asyncio.timeout(declaration.timeout.total_seconds()):
            # What nobody would trust is looked at all the same: when it expires is true of it.
            shaken = await _shake(host, port, name, _trusting_anyone())
            if declaration.measure == "expiry":
                return _expiry(shaken, measuring)
            if declaration.measure == "protocol":
                return _protocol(shaken, measuring)
            try:
                await _shake(host, port, name, trusting)
            except ssl.SSLCertVerificationError as error:
                return measuring.gave(0, "", _fault(error, shaken, name, measuring.now))
            return measuring.gave(1, "", _described(_read(shaken.certificate), measuring.now))
    except TimeoutError:
        raise
    except ssl.SSLError as error:
        return measuring.failed(f"{measuring.source}: the handshake failed: {clipped(error.reason or str(error), 80)}")
    except socket.gaierror:
        return measuring.failed(f"{measuring.source}: the host's name is not known")
    except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
        return measuring.failed(f"{measuring.source}: the connection was reset before the handshake ended")
    except OSError as error:
        # Of a host with several addresses, asyncio tells the errors in one text only.
        refused = f"[Errno {errno.ECONNREFUSED}]" in str(error)
        why = "the connection was refused" if refused else f"no connection could be made: {clipped(str(error), 80)}"
        return measuring.failed(f"{measuring.source}: {why}")
    except ValueError as error:
        return measuring.failed(f"{measuring.source}: the certificate or its name cannot be read: {clipped(str(error), 80)}")


def _expiry(shaken: _Shaken, measuring: Measuring) -> Observation | Unmeasured:
    certificate = _read(shaken.certificate)
    left = (certificate.not_valid_after_utc - measuring.now).total_seconds() / 86400
    return measuring.gave(left, "d", _described(certificate, measuring.now))


def _protocol(shaken: _Shaken, measuring: Measuring) -> Observation | Unmeasured:
    version = shaken.protocol.removeprefix("TLSv")
    try:
        return measuring.gave(float(version), "", shaken.protocol)
    except ValueError:
        return measuring.failed(f"{measuring.source}: the protocol {clipped(shaken.protocol, 20)} has no number")


def _fault(error: ssl.SSLCertVerificationError, shaken: _Shaken, name: str, now: datetime) -> str:
    """Why the certificate is not accepted; OpenSSL stops at the first fault, so its dates are looked at here."""
    certificate = _read(shaken.certificate)
    fault = _FAULTS.get(error.verify_code, clipped(error.verify_message, 80))
    faults = [fault + (f" than {name}" if error.verify_code in (62, 64) else "")]
    if certificate.not_valid_after_utc < now and error.verify_code != 10:
        faults.append("it has expired")
    if certificate.not_valid_before_utc > now and error.verify_code != 9:
        faults.append("it is not yet valid")
    return f"{' and '.join(faults)}: {_described(certificate, now)}"


def _described(certificate: x509.Certificate, now: datetime) -> str:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begins > now:
        return f"valid from {begins:%Y-%m-%d %H:%M} UTC, in {format_value((begins - now).total_seconds(), 's')}"
    return f"valid until {ends:%Y-%m-%d %H:%M} UTC, issued by {clipped(certificate.issuer.rfc4514_string(), 100) or 'nobody'}"


def _read(certificate: bytes) -> x509.Certificate:
    from cryptography import x509

    return x509.load_der_x509_certificate(certificate)


def _trusting_anyone() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # What a server speaks is told, however old; nothing is ever sent to it.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def _shake(host: str, port: int, name: str, context: ssl.SSLContext) -> _Shaken:
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
    try:
        shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return _Shaken(shown.getpeercert(binary_form=True) or b"", shown.version() or "none")
    finally:
        writer.transport.abort()
