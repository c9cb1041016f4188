"""Asking a server for TLS on a connection that begins without: as mail servers and PostgreSQL do it."""

from __future__ import annotations

import asyncio
import struct

from checks.probes._texts import clipped

PORTS = {"smtp": 25, "imap": 143, "postgresql": 5432}
"""The usual port of each protocol."""

# https://www.postgresql.org/docs/15/protocol-message-formats.html, SSLRequest
_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_MOST_LINES = 100


class NoStart(Exception):
    """The server does not begin with TLS; its text is the reason."""


async def ask_for_tls(protocol: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say what the protocol wants said before the handshake; nothing of it is secret.

    Args:
        protocol: ``smtp`` (RFC 3207), ``imap`` (RFC 9051) or ``postgresql``.
        reader: of the connection.
        writer: of the connection.

    Raises:
        NoStart: the server refuses, or speaks something else.

    """
    try:
        await {"smtp": _smtp, "imap": _imap, "postgresql": _postgresql}[protocol](reader, writer)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise NoStart(f"what answers does not speak {protocol}") from error


async def _smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _answered(reader, b"220")
    writer.write(b"EHLO proofbook\r\n")
    await _answered(reader, b"250")
    writer.write(b"STARTTLS\r\n")
    await _answered(reader, b"220")


async def _answered(reader: asyncio.StreamReader, code: bytes) -> None:
    for _ in range(_MOST_LINES):
        line = await reader.readuntil(b"\n")
        if not line.startswith(code):
            raise NoStart(f"it answers {clipped(line.decode('utf-8', 'replace'), 80)}")
        if line[3:4] != b"-":
            return
    raise NoStart("its greeting has no end")


async def _imap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\n")
    writer.write(b"a1 STARTTLS\r\n")
    for _ in range(_MOST_LINES):
        line = await reader.readuntil(b"\n")
        if line.startswith(b"a1 OK"):
            return
        if not line.startswith(b"* "):
            raise NoStart(f"it answers {clipped(line.decode('utf-8', 'replace'), 80)}")
    raise NoStart("its greeting has no end")


async def _postgresql(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_SSL_REQUEST)
    if (answer := await reader.readexactly(1)) != b"S":
        raise NoStart("PostgreSQL is set to speak without TLS there" if answer == b"N" else "what answers is not PostgreSQL")
