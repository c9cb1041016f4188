"""The tls probe against a real nginx with certificates of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from checks.model import Observation, Unmeasured
from tests.certificates import self_signed
from tests.listening import unused_port
from tests.probes import conftest
from tests.services import servers

pytestmark = pytest.mark.service
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Settings that name one site for each kind of certificate, and the authority that signed most of them."""
    folder = tmp_path_factory.mktemp("nginx")
    ours, stranger = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(folder / "authority.pem")
    days = timedelta(days=1)
    pems = {
        "valid": ours.issue_cert("localhost", not_after=NOW + 30 * days),
        "ending": ours.issue_cert("localhost", not_after=NOW + 5 * days),
        "expired": ours.issue_cert("localhost", not_before=NOW - 60 * days, not_after=NOW - 3 * days),
        "not_yet": ours.issue_cert("localhost", not_before=NOW + 2 * days, not_after=NOW + 90 * days),
        "other": ours.issue_cert("example.org"),
        "stranger": stranger.issue_cert("localhost"),
        "old_stranger": stranger.issue_cert("localhost", not_before=NOW - 60 * days, not_after=NOW - 3 * days),
        "old_protocol": ours.issue_cert("localhost"),
        "expired_other": ours.issue_cert("example.org", not_before=NOW - 60 * days, not_after=NOW - 3 * days),
        "between": ours.create_child_ca().issue_cert("localhost"),
    }
    for name, issued in pems.items():
        issued.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    (folder / "self_signed.pem").write_bytes(self_signed("localhost"))
    (folder / "self_signed_other.pem").write_bytes(self_signed("example.org"))
    between = pems["between"]
    (folder / "gap.pem").write_bytes(between.private_key_pem.bytes() + between.cert_chain_pems[0].bytes())
    addresses = {name: f"127.0.0.1:{unused_port()}" for name in [*pems, "self_signed", "self_signed_other", "gap"]}
    protocols = {"old_protocol": "ssl_protocols TLSv1.2; "}
    server = servers.nginx(
        folder,
        *(
            f"server {{ listen {address} ssl; {protocols.get(name, 'ssl_protocols TLSv1.2 TLSv1.3; ')}"
            f"ssl_certificate {name}.pem; ssl_certificate_key {name}.pem; }}\n"
            for name, address in addresses.items()
        ),
    )
    server.start()
    named = {name: address.replace("127.0.0.1", "https://localhost") for name, address in addresses.items()}
    yield {**named, "authority": str(folder / "authority.pem")}
    server.stop()


def seen(sites: dict[str, str], name: str, measure: str, unit: str = "", **options: str) -> Observation | Unmeasured:
    """What measuring a site gives."""
    declared = {"kind": "tls", "address": f"{{{name}}}", "measure": measure, "authority": "{authority}", **options}
    return conftest.measured(declared, unit, conftest.settings(sites), NOW)


@pytest.mark.parametrize(
    ("name", "days"), [("valid", 30), ("ending", 5), ("expired", -3), ("not_yet", 90), ("old_stranger", -3), ("self_signed", 90)]
)
def test_the_days_to_expiry_are_measured_whoever_signed(sites: dict[str, str], name: str, days: float) -> None:
    """The time left is that of the server's own certificate, below zero once it has expired."""
    observation = seen(sites, name, "expiry", "d")
    assert isinstance(observation, Observation), observation
    assert observation.value == pytest.approx(days, abs=0.01)
    assert observation.source == f"TLS of {sites[name]}"


@pytest.mark.parametrize(
    ("name", "accepted", "detail"),
    [
        ("valid", 1, "valid until "),
        ("ending", 1, "valid until "),
        ("expired", 0, "it has expired: valid until "),
        ("not_yet", 0, "it is not yet valid: valid from "),
        ("other", 0, "it is for another host than localhost: "),
        ("stranger", 0, "its issuer is unknown: "),
        ("old_stranger", 0, "its issuer is unknown and it has expired: "),
        ("self_signed", 0, "it is self-signed: "),
        ("self_signed_other", 0, "it is self-signed and it is for another host than localhost: "),
        ("expired_other", 0, "it is for another host than localhost and it has expired: "),
        ("between", 1, "valid until "),
        ("gap", 0, "its issuer is unknown: "),
    ],
)
def test_why_a_certificate_is_not_accepted_is_told_apart(sites: dict[str, str], name: str, accepted: int, detail: str) -> None:
    """A certificate that a browser would refuse is a measured 0, each fault with its own words."""
    observation = seen(sites, name, "chain")
    assert isinstance(observation, Observation), observation
    assert observation.value == accepted
    assert observation.detail.startswith(detail)


def test_without_its_authority_a_private_certificate_is_not_accepted(sites: dict[str, str]) -> None:
    """The machine's own authorities do not know who signed it."""
    declared = {"kind": "tls", "address": "{valid}", "measure": "chain"}
    observation = conftest.measured(declared, "", conftest.settings(sites), NOW)
    assert isinstance(observation, Observation), observation
    assert observation.value == 0
    assert observation.detail.startswith("its issuer is unknown")


def test_another_name_can_be_expected(sites: dict[str, str]) -> None:
    """`server_name` is what is asked for and checked in place of the address's host."""
    for name, accepted in (("other", 1), ("valid", 0)):
        observation = seen(sites, name, "chain", server_name="example.org")
        assert isinstance(observation, Observation), observation
        assert observation.value == accepted


@pytest.mark.parametrize(("name", "version"), [("valid", 1.3), ("old_protocol", 1.2)])
def test_the_protocol_that_is_agreed_on_is_a_number(sites: dict[str, str], name: str, version: float) -> None:
    """The newest protocol that both speak is told by its number."""
    observation = seen(sites, name, "protocol")
    assert isinstance(observation, Observation), observation
    assert (observation.value, observation.detail) == (version, f"TLSv{version}")


def test_authorities_that_cannot_be_read_are_unknown(sites: dict[str, str]) -> None:
    """Without the authorities that were declared, nobody's are taken in their place."""
    for path in ("/nowhere/authority.pem", "/dev/null"):
        unmeasured = seen(sites, "valid", "chain", authority=path)
        assert isinstance(unmeasured, Unmeasured), unmeasured
        assert unmeasured.reason.startswith(f"the authorities in {path} cannot be read")


@pytest.mark.parametrize(
    ("name", "fits", "detail"),
    [
        ("valid", 1, "it is for localhost"),
        ("expired", 1, "it is for localhost"),
        ("not_yet", 1, "it is for localhost"),
        ("stranger", 1, "it is for localhost"),
        ("self_signed", 1, "it is for localhost"),
        ("other", 0, "it is for example.org"),
        ("expired_other", 0, "it is for example.org"),
        ("self_signed_other", 0, "it is for example.org"),
    ],
)
def test_whom_a_certificate_is_for_is_measured_whoever_signed(sites: dict[str, str], name: str, fits: int, detail: str) -> None:
    """Neither its dates nor its issuer decide whether a certificate is for the host."""
    observation = seen(sites, name, "host")
    assert isinstance(observation, Observation), observation
    assert (observation.value, observation.detail) == (fits, detail)
