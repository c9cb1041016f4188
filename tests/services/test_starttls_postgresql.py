"""The tls probe against a real PostgreSQL, which begins without TLS and is asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from checks.model import Observation
from tests.listening import unused_port
from tests.probes.conftest import measured, reason_of, settings
from tests.services.conftest import Postgresql, give_to_postgresql, postgresql_folder

pytestmark = pytest.mark.service
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Settings that name a server with a certificate, as its clients write its address."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", not_after=NOW + timedelta(days=9))
    trusted = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    port = unused_port()
    with postgresql_folder() as folder:
        server = Postgresql(folder, "listen_addresses=127.0.0.1", "ssl=on", *_kept(certificate, folder), port=port)
        server.start()
        try:
            yield {"database": f"postgresql://shop:pa55word@localhost:{port}/shop", "authority": str(trusted)}
        finally:
            server.stop()


def _kept(certificate: trustme.LeafCert, folder: Path) -> list[str]:
    both = folder / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(both))
    both.chmod(0o600)
    give_to_postgresql(both)
    return [f"ssl_cert_file={both}", f"ssl_key_file={both}"]


@pytest.mark.parametrize(
    ("measure", "unit", "value"), [("expiry", "d", 9), ("chain", "", 1), ("host", "", 1), ("protocol", "", 1.3)]
)
def test_the_certificate_of_a_database_is_measured(named: dict[str, str], measure: str, unit: str, value: float) -> None:
    """What PostgreSQL shows after it was asked for TLS is measured as a web server's is, and no password is told."""
    declared = {"kind": "tls", "address": "{database}", "starttls": "postgresql", "authority": "{authority}", "measure": measure}
    seen = measured(declared, unit, settings(named), NOW)
    assert isinstance(seen, Observation), seen
    assert seen.value == pytest.approx(value, abs=0.01)
    assert "pa55word" not in f"{seen}"


def test_a_database_does_not_begin_with_tls(named: dict[str, str]) -> None:
    """Without `starttls` the handshake fails, and the reason is not the certificate's."""
    said = reason_of({"kind": "tls", "address": "{database}"}, "d", settings(named))
    assert "before the handshake ended" in said or "the handshake failed" in said
