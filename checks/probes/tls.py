"""A TLS handshake: how long the certificate is still valid, whether it is accepted, and what protocol is spoken."""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

from checks.catalogue.environment import Settled
from checks.judge import format_value
from checks.model import Observation, Unmeasured
from checks.probes._causes import why
from checks.probes._handshakes import Shaken, Site, trusting_anyone, trusting_only
from checks.probes._starttls import PORTS, NoStart
from checks.probes._steps import note
from checks.probes._support import Measuring, clipped, within
from checks.probes._targets import NoTarget, addresses_of, refuse_strangers, without_userinfo

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
_OTHER_HOST = (62, 64)
_REFUSALS = {
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "UNEXPECTED_MESSAGE": "it does not keep to TLS",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it refuses, as one does that wants a client's certificate",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks no version of TLS that is spoken here",
    "TLSV1_UNRECOGNIZED_NAME": "it knows no site of this name",
}


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
        port = target.port or PORTS.get(declaration.starttls or "", 443)
        # The thread ends what a loop cannot: name resolution.
        return within(seconds + 1, lambda: asyncio.run(_measure(declaration, target.host, port, name, authority, measuring)))
    except NoTarget as error:
        return measuring.failed(f"{measuring.source}: {error}")
    except TimeoutError:
        return measuring.late(seconds)


async def _measure(
    declaration: TlsProbe, host: str, port: int, name: str | None, authority: str | None, measuring: Measuring
) -> Observation | Unmeasured:
    try:
        trusting = ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        unread = getattr(error, "strerror", None) or "it holds no certificate"
        return measuring.failed(f"the authorities in {authority} cannot be read: {unread}")
    try:
        async with asyncio.timeout(declaration.timeout.total_seconds()):
            site = Site(await addresses_of(host), port, name or host, declaration.starttls)
            # What nobody would trust is looked at all the same: when it expires is true of it.
            shaken = await site.shake(trusting_anyone())
            match declaration.measure:
                case "expiry":
                    return _expiry(shaken, measuring)
                case "protocol":
                    return _protocol(shaken, measuring)
                case "host":
                    return await _host(site, shaken, measuring)
                case "chain":
                    return await _chain(site, trusting, shaken, measuring)
                case _:
                    assert_never(declaration.measure)
    except (TimeoutError, NoTarget):
        raise
    except NoStart as error:
        return measuring.failed(f"{measuring.source}: {error}")
    except ssl.SSLError as error:
        said = error.reason or str(error)
        words = _REFUSALS.get(said)
        told = f"{words} ({said})" if words else clipped(said, 80)
        return measuring.failed(f"{measuring.source}: the handshake failed: {told}")
    except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
        return measuring.failed(f"{measuring.source}: the connection was reset before the handshake ended")
    except OSError as error:
        cause = why(error) or f"no connection could be made: {clipped(str(error), 80)}"
        return measuring.failed(f"{measuring.source}: {cause}")
    except ValueError as error:
        return measuring.failed(f"{measuring.source}: the certificate or its name cannot be read: {clipped(str(error), 80)}")


async def _chain(site: Site, trusting: ssl.SSLContext, shaken: Shaken, measuring: Measuring) -> Observation | Unmeasured:
    try:
        await site.shake(trusting)
    except ssl.SSLCertVerificationError as error:
        note(f"not accepted: {error.verify_message} (X509_V_ERR {error.verify_code})")
        faults = _faults(error, shaken, site.name, measuring.now)
        if error.verify_code not in _OTHER_HOST and not await _is_for(site, shaken):
            faults.append(f"it is for another host than {site.name}")
        return measuring.gave(0, "", f"{' and '.join(faults)}: {_described(_read(shaken.certificate), measuring.now)}")
    return measuring.gave(1, "", _described(_read(shaken.certificate), measuring.now))


async def _host(site: Site, shaken: Shaken, measuring: Measuring) -> Observation | Unmeasured:
    fits = await _is_for(site, shaken)
    return measuring.gave(fits, "", f"it is for {clipped(', '.join(_names(shaken.certificate)), 200) or 'no host'}")


async def _is_for(site: Site, shaken: Shaken) -> bool:
    """Whether the certificate is for the name, whoever signed it and until whenever it is valid."""
    try:
        await site.shake(trusting_only(shaken.certificate))
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _OTHER_HOST:
            return False
        raise
    return True


def _expiry(shaken: Shaken, measuring: Measuring) -> Observation | Unmeasured:
    certificate = _read(shaken.certificate)
    left = (certificate.not_valid_after_utc - measuring.now).total_seconds() / 86400
    return measuring.gave(left, "d", _described(certificate, measuring.now))


def _protocol(shaken: Shaken, measuring: Measuring) -> Observation | Unmeasured:
    version = shaken.protocol.removeprefix("TLSv")
    try:
        return measuring.gave(float(version), "", shaken.protocol)
    except ValueError:
        return measuring.failed(f"{measuring.source}: the protocol {clipped(shaken.protocol, 20)} has no number")


def _faults(error: ssl.SSLCertVerificationError, shaken: Shaken, name: str, now: datetime) -> list[str]:
    """Why the certificate is not accepted; OpenSSL stops at the first fault, so its dates are looked at here."""
    certificate = _read(shaken.certificate)
    fault = _FAULTS.get(error.verify_code, clipped(error.verify_message, 80))
    faults = [fault + (f" than {name}" if error.verify_code in _OTHER_HOST else "")]
    if certificate.not_valid_after_utc < now and error.verify_code != 10:
        faults.append("it has expired")
    if certificate.not_valid_before_utc > now and error.verify_code != 9:
        faults.append("it is not yet valid")
    return faults


def _names(certificate: bytes) -> list[str]:
    from cryptography import x509

    try:
        names = _read(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def _described(certificate: x509.Certificate, now: datetime) -> str:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begins > now:
        return f"valid from {begins:%Y-%m-%d %H:%M} UTC, in {format_value((begins - now).total_seconds(), 's')}"
    return f"valid until {ends:%Y-%m-%d %H:%M} UTC, issued by {clipped(certificate.issuer.rfc4514_string(), 100) or 'nobody'}"


def _read(certificate: bytes) -> x509.Certificate:
    from cryptography import x509

    return x509.load_der_x509_certificate(certificate)
