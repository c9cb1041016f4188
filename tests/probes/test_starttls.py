"""The tls probe on connections that begin without TLS, as a mail server's do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from checks.model import Observation
from tests.listening import Listening
from tests.probes.conftest import HostileServer, measured, reason_of, settings
from tests.probes.scenes import endless, says, silent

Talk = list[tuple[bytes, bytes]]
# What Postfix and Dovecot say, and what is to be said to them.
SMTP: Talk = [
    (b"220-mail.shop.test ESMTP\r\n220 ready\r\n", b"EHLO proofbook\r\n"),
    (b"250-mail.shop.test\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n", b"STARTTLS\r\n"),
    (b"220 2.0.0 Ready to start TLS\r\n", b""),
]
IMAP: Talk = [
    (b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", b"a1 STARTTLS\r\n"),
    (b"* NOTE soon\r\na1 OK Begin TLS negotiation now.\r\n", b""),
]


class Mail(Listening):
    """A mail server that keeps to its part of a talk, and then speaks TLS."""

    def __init__(self, talk: Talk, certificate: trustme.LeafCert) -> None:
        self.heard: list[bytes] = []
        self._talk = talk
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._context)
        super().__init__(self._go_on)

    def _go_on(self, connection: socket.socket) -> None:
        for said, due in self._talk:
            connection.sendall(said)
            if due:
                self.heard.append(connection.recv(1000))
        with self._context.wrap_socket(connection, server_side=True) as encrypted:
            self.heard.append(encrypted.recv(1000))


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def mail(authority: trustme.CA) -> Iterator[Callable[[Talk], Mail]]:
    """Starts mail servers, which are certified as localhost."""
    servers: list[Mail] = []

    def start(talk: Talk) -> Mail:
        servers.append(Mail(talk, authority.issue_cert("localhost")))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize(("protocol", "talk"), [("smtp", SMTP), ("imap", IMAP)])
def test_a_mail_server_is_asked_for_tls(
    mail: Callable[[Talk], Mail], authority: trustme.CA, tmp_path: Path, protocol: str, talk: Talk
) -> None:
    """Its certificate is judged as any other; what was said before is what had to be, and nothing is said behind it."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    server = mail(talk)
    settled = settings({"mail": f"localhost:{server.port}", "authority": str(tmp_path / "authority.pem")})
    declared = {"kind": "tls", "address": "{mail}", "starttls": protocol, "measure": "chain", "authority": "{authority}"}
    seen = measured(declared, settled=settled)
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.detail[:12]) == (1, "valid until ")
    assert [heard for heard in server.heard if heard] == [due for _, due in talk if due] * 2
    without = measured({**declared, "authority": None}, settled=settled)
    assert isinstance(without, Observation), without
    assert without.detail.startswith("its issuer is unknown")


@pytest.mark.parametrize(
    ("protocol", "handler", "reason"),
    [
        ("smtp", says(b"554 no service for you\r\n"), "it answers 554 no service for you"),
        ("smtp", says(b"* OK IMAP\r\n"), "it answers * OK IMAP"),
        ("smtp", says(b"220-more\r\n" * 5000), "its greeting has no end"),
        ("imap", says(b"* OK\r\na1 BAD no TLS here\r\n"), "it answers a1 BAD no TLS here"),
        ("postgresql", says(b"N"), "PostgreSQL is set to speak without TLS there"),
        ("postgresql", says(b"HTTP/1.1 400"), "what answers is not PostgreSQL"),
        ("imap", lambda _: None, "what answers does not speak imap"),
        ("smtp", endless(b""), "what answers does not speak smtp"),
        ("smtp", silent, "did not end within 500 ms"),
    ],
)
def test_a_server_that_does_not_begin_tls_is_unknown(
    hostile: Callable[[Callable[[socket.socket], None]], HostileServer],
    protocol: str,
    handler: Callable[[socket.socket], None],
    reason: str,
) -> None:
    """A refusal, another protocol, silence and an endless greeting each have their reason, in time."""
    server = Listening(handler) if protocol != "postgresql" else hostile(handler)
    timeout = "500ms" if handler is silent else "10s"
    declared = {"kind": "tls", "address": "{site}", "starttls": protocol, "timeout": timeout}
    assert reason in reason_of(declared, "d", settings({"site": f"127.0.0.1:{server.port}"}))
    server.close()
