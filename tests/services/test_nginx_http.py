"""The http probe against a real nginx."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from checks.model import Observation, Unmeasured
from tests.listening import unused_port
from tests.probes import conftest
from tests.services import servers

pytestmark = pytest.mark.service
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Settings that name a site on http and on https; the second is certified by an authority of its own."""
    folder = tmp_path_factory.mktemp("nginx")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "site.pem")
    files = folder / "files"
    files.mkdir()
    (files / "release.txt").write_text("version 4.2\nworkers 17\n" + "padding " * 400)
    two_hours_ago = (NOW - timedelta(hours=2)).timestamp()
    os.utime(files / "release.txt", (two_hours_ago, two_hours_ago))
    (files / "state.json").write_text('{"error_rate": 0.4}')
    plain, secure = unused_port(), unused_port()
    locations = f"""
      root {files};
      types {{ application/json json; text/plain txt; }}
      gzip on; gzip_types text/plain application/json; gzip_min_length 1;
      location /moved {{ return 301 /moved-again; }}
      location /moved-again {{ return 302 /state.json; }}
      location /elsewhere {{ return 302 http://127.0.0.1:{secure}/state.json; }}
      location /secure {{ return 301 https://localhost:{secure}/state.json; }}
      location /insecure {{ return 301 http://localhost:{plain}/state.json; }}
      location /limited {{ return 503; }}
    """
    server = servers.nginx(
        folder,
        f"server {{ listen 127.0.0.1:{plain}; {locations} }}",
        f"server {{ listen 127.0.0.1:{secure} ssl; ssl_certificate site.pem; ssl_certificate_key site.pem; {locations} }}",
    )
    server.start()
    yield {
        "plain": f"http://localhost:{plain}",
        "secure": f"https://localhost:{secure}",
        "authority": str(folder / "authority.pem"),
    }
    server.stop()


def seen(site: dict[str, str], unit: str = "", **options: Any) -> Observation | Unmeasured:
    """What measuring gives."""
    return conftest.measured({"kind": "http", "timeout": "5s", **options}, unit, conftest.settings(site), NOW)


@pytest.mark.parametrize(
    ("options", "unit", "value"),
    [
        ({"url": "{plain}/state.json", "select": "error_rate"}, "%", 0.4),
        ({"url": "{secure}/state.json", "select": "error_rate", "authority": "{authority}"}, "%", 0.4),
        ({"url": "{plain}/release.txt", "measure": "text", "match": r"^workers (\d+)"}, "", 17.0),
        ({"url": "{plain}/moved", "measure": "redirects"}, "", 2.0),
        ({"url": "{plain}/secure", "select": "error_rate", "authority": "{authority}"}, "%", 0.4),
        ({"url": "{plain}/release.txt", "measure": "header", "header": "Last-Modified", "method": "HEAD"}, "h", 2.0),
        ({"url": "{plain}/state.json", "measure": "header", "header": "content-length", "method": "HEAD"}, "B", 19.0),
        ({"url": "{plain}/limited", "measure": "status"}, "", 503.0),
        ({"url": "{plain}/limited", "measure": "availability", "repeat": 4}, "%", 0.0),
        ({"url": "{plain}/state.json", "measure": "availability", "repeat": 20}, "%", 100.0),
    ],
)
def test_what_nginx_serves_is_measured(site: dict[str, str], options: dict[str, Any], unit: str, value: float) -> None:
    """Each way of taking a value gives the value that the server really serves, packed or not, encrypted or not."""
    observation = seen(site, unit, **options)
    assert isinstance(observation, Observation), observation
    assert observation.value == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"url": "{secure}/state.json"}, "the certificate is not valid"),
        ({"url": "{plain}/secure"}, "the certificate is not valid"),
        ({"url": "{secure}/insecure", "authority": "{authority}"}, "is not encrypted"),
        ({"url": "{plain}/elsewhere"}, "redirects to another host"),
        ({"url": "{plain}/limited"}, "HTTP status 503"),
        ({"url": "{plain}/release.txt"}, "cannot be read as JSON"),
        ({"url": "{secure}/state.json", "authority": "{authority}.gone"}, "cannot be read: No such file"),
        ({"url": "{secure}/state.json", "authority": "/dev/null"}, "the authorities in /dev/null cannot be read"),
    ],
)
def test_what_nginx_refuses_is_unknown(site: dict[str, str], options: dict[str, Any], reason: str) -> None:
    """A stranger's certificate, a downgrade, another host and an error page give no figure."""
    unmeasured = seen(site, select="error_rate", **options)
    assert isinstance(unmeasured, Unmeasured), unmeasured
    assert reason in unmeasured.reason


def test_each_part_of_an_encrypted_request_has_a_time(site: dict[str, str]) -> None:
    """Name, connection, encryption and first byte each take some time, and together no longer than all of it."""
    parts = {}
    for part in ("dns", "connect", "tls", "first-byte", "total"):
        observation = seen(
            site, "ms", url="{secure}/state.json", measure="time", part=part, repeat=9, authority="{authority}", statistic="min"
        )
        assert isinstance(observation, Observation), observation
        assert observation.samples == 9
        parts[part] = observation.value
    assert all(0 < value < 1000 for value in parts.values()), parts
    assert parts["tls"] < parts["total"]


def test_percentiles_of_many_requests(site: dict[str, str]) -> None:
    """The 95th percentile of 50 requests is at least their median and rests on all of them."""
    figures = []
    for statistic in ("median", "p95"):
        observation = seen(site, "ms", url="{plain}/state.json", measure="time", repeat=50, statistic=statistic)
        assert isinstance(observation, Observation), observation
        assert observation.detail == f"{statistic} of 50 requests"
        figures.append(observation.value)
    assert figures[0] > 0
    assert figures[0] / 3 < figures[1]
