from __future__ import annotations

import gzip
import json
import socket
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from checks.catalogue.environment import Settled
from checks.errors import DataError
from checks.model import Observation, Unmeasured
from checks.probes._http import Hopeless, unpacked
from tests.listening import Handler, unused_port
from tests.probes import conftest
from tests.probes.conftest import HostileServer, settings

Hostile = Callable[[Handler], HostileServer]


def measured(probe: dict[str, Any], unit: str = "", settled: Settled | None = None) -> Observation | Unmeasured:
    """What measuring gives in an environment that names the probe's own host, unless told otherwise."""
    return conftest.measured(probe, unit, settled or settings({"base": probe["url"]}))


def value_of(probe: dict[str, Any], unit: str = "", settled: Settled | None = None) -> float:
    """The value that measuring gives; there must be one."""
    return conftest.value_of(probe, unit, settled or settings({"base": probe["url"]}))


def reason_of(probe: dict[str, Any], unit: str = "", settled: Settled | None = None) -> str:
    """Why measuring gives nothing; it must give nothing."""
    return conftest.reason_of(probe, unit, settled or settings({"base": probe["url"]}))


def asked(url: str, **options: Any) -> dict[str, Any]:
    """A declared http probe that takes `error_rate` unless told otherwise."""
    defaults = {} if "measure" in options else {"select": "error_rate"}
    return {"kind": "http", "url": url, "timeout": "10s", **defaults, **options}


@pytest.mark.parametrize(
    ("document", "select", "value"),
    [
        ({"error_rate": 0.4}, "error_rate", 0.4),
        ({"error_rate": 0}, "error_rate", 0.0),
        ({"a": {"b": [1, 2, 3]}}, "a.b[1]", 2.0),
        ({"checks": [{"ok": True}, {"ok": False}]}, "length(checks[?ok])", 1.0),
        ({"healthy": True}, "healthy", 1.0),
        ({"healthy": False}, "healthy", 0.0),
    ],
)
def test_the_number_at_the_path_is_the_value(httpserver: HTTPServer, document: object, select: str, value: float) -> None:
    """The value is the number, or the boolean as 1 or 0, that the JMESPath finds."""
    httpserver.expect_request("/metrics").respond_with_json(document)
    url = httpserver.url_for("/metrics")
    seen = measured(asked(url, select=select), "%")
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.unit, seen.source) == (value, "%", f"GET {url} → {select}")
    assert 0 < seen.took < 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"errors": 1}', "error_rate is missing in the answer of GET http://"),
        ('{"error_rate": null}', "error_rate is missing in the answer of GET http://"),
        ('{"error_rate": "0.4"}', "error_rate is the text '0.4', not a number"),
        ('{"error_rate": [0.4]}', "error_rate is a list, not a number"),
        ('{"error_rate": {"now": 1}}', "error_rate is an object, not a number"),
        ('{"error_rate": NaN}', "error_rate is not a number"),
        ('{"error_rate": Infinity}', "error_rate is infinite"),
        ('{"error_rate": 1e999}', "error_rate is infinite"),
        ('{"error_rate": 1' + "0" * 400 + "}", "error_rate is too large"),
        ('{"error_rate": 0.4', "cannot be read as JSON"),
        ("", "cannot be read as JSON: it is empty"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("[]", "error_rate is missing"),
    ],
)
def test_an_answer_without_a_finite_number_is_no_observation(httpserver: HTTPServer, body: str, reason: str) -> None:
    """Whatever stands where the number was due, the reason names the path and the address."""
    httpserver.expect_request("/metrics").respond_with_data(body, content_type="application/json")
    said = reason_of(asked(httpserver.url_for("/metrics")), "%")
    assert reason in said
    assert "/metrics" in said


def test_a_page_is_not_json(httpserver: HTTPServer) -> None:
    """An answer of another content type is refused by its name, even if a number could be found in it."""
    httpserver.expect_request("/").respond_with_data('{"error_rate": 1}', content_type="text/html; charset=utf-8")
    assert reason_of(asked(httpserver.url_for("/")), "%").startswith("the answer is text/html, not JSON")


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_an_error_answer_is_no_observation_even_with_the_number(httpserver: HTTPServer, status: int) -> None:
    """The body of an error answer is not taken for the system's figures."""
    httpserver.expect_request("/").respond_with_json({"error_rate": 0}, status=status)
    assert f"HTTP status {status}" in reason_of(asked(httpserver.url_for("/")), "%")


def test_the_status_itself_can_be_the_value(httpserver: HTTPServer) -> None:
    """`measure: status` takes the answer's own status, a redirect's or an error's too."""
    httpserver.expect_request("/").respond_with_data("", status=301, headers={"Location": "/elsewhere"})
    httpserver.expect_request("/ill").respond_with_data("", status=503)
    assert value_of(asked(httpserver.url_for("/"), measure="status")) == 301
    assert value_of(asked(httpserver.url_for("/ill"), measure="status")) == 503


def test_availability_is_the_share_of_good_answers(httpserver: HTTPServer) -> None:
    """Every fourth request fails, so 75 % are answered, and the detail says why the others were not."""
    statuses = cycle([200, 302, 204, 500])
    httpserver.expect_request("/").respond_with_handler(lambda _: Response(status=next(statuses)))
    seen = measured(asked(httpserver.url_for("/"), measure="availability", repeat=8), "%")
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.detail) == (75.0, "6 of 8 requests; HTTP status 500")


def test_a_system_that_is_away_is_unavailable_not_unknown() -> None:
    """Availability of a refused connection is a measured 0 %."""
    seen = measured(asked(f"http://127.0.0.1:{unused_port()}/", measure="availability", repeat=3), "%")
    assert isinstance(seen, Observation), seen
    assert (seen.value, seen.detail) == (0.0, "0 of 3 requests; the connection was refused")


def test_time_is_taken_to_the_last_byte(hostile: Hostile) -> None:
    """The time of a request includes the body that comes late, and is converted to the metric's unit."""

    def late(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        time.sleep(0.3)
        connection.sendall(b"b")

    assert 290 < value_of(asked(hostile(late).url, measure="time", repeat=3, statistic="max"), "ms") < 1900


def test_error_pages_are_not_timed(httpserver: HTTPServer) -> None:
    """A system that only fails is not fast: its time is unknown, with the status that it gave."""
    httpserver.expect_request("/").respond_with_data("no", status=500)
    assert reason_of(asked(httpserver.url_for("/"), measure="time", repeat=4), "ms").startswith(
        "only 0 of 4 requests were answered well: HTTP status 500"
    )


def test_a_few_failures_leave_the_time_of_the_others(httpserver: HTTPServer) -> None:
    """While most requests are answered, their time is known and the detail counts the failures."""
    statuses = cycle([200, 200, 200, 500])
    httpserver.expect_request("/").respond_with_handler(lambda _: Response(status=next(statuses)))
    seen = measured(asked(httpserver.url_for("/"), measure="time", repeat=4, statistic="p95"), "ms")
    assert isinstance(seen, Observation), seen
    assert seen.detail == "p95 of 3 requests, 1 more failed"


def slow_head(connection: socket.socket) -> None:
    """One byte of a header at a time, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        connection.sendall(b"a")
        time.sleep(0.05)


def slow_body(connection: socket.socket) -> None:
    """One byte of a body at a time, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


def silence(connection: socket.socket) -> None:
    """No answer at all."""
    connection.recv(1)


def endless(connection: socket.socket) -> None:
    """A body that does not end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def gzip_bomb(connection: socket.socket) -> None:
    """A small body that unpacks to 50 MB."""
    packed = gzip.compress(b" " * 50_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    connection.sendall(head.encode() + packed)


def reset(connection: socket.socket) -> None:
    """A reset instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def broken_off(connection: socket.socket) -> None:
    """Less than was promised."""
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"error_rate": 1}')


def not_http(connection: socket.socket) -> None:
    """Another protocol."""
    connection.sendall(b"220 mail ready\r\n")


def broken_gzip(connection: socket.socket) -> None:
    """Bytes that are not what they claim to be."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello")


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (slow_head, "no whole answer within 500 ms"),
        (slow_body, "no whole answer within 500 ms"),
        (silence, "no whole answer within 500 ms"),
        (endless, "more than 10 MB"),
        (gzip_bomb, "more than 10 MB"),
        (reset, "the connection was reset"),
        (broken_off, "broke off or did not speak HTTP"),
        (not_http, "broke off or did not speak HTTP"),
        (broken_gzip, "the answer's compression is broken"),
    ],
)
def test_a_hostile_server_is_unknown_in_bounded_time(hostile: Hostile, handler: Handler, reason: str) -> None:
    """One deadline and one byte cap hold against every way of not answering, and the reason tells them apart."""
    url = hostile(handler).url
    started = time.monotonic()
    said = reason_of(asked(url, timeout="5s" if "MB" in reason else "500ms"), "%")
    assert reason in said
    assert url in said
    assert time.monotonic() - started < 6


def test_a_refused_connection_says_so() -> None:
    """A service that is not running is unknown, and the reason says that nothing listens."""
    url = f"http://127.0.0.1:{unused_port()}/metrics"
    assert reason_of(asked(url), "%") == f"GET {url}: the connection was refused"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://no-such-host.invalid/", "the host's name is not known"),
        ("ftp://127.0.0.1/", "this is no http or https address"),
        ("no address", "this is no http or https address"),
        ("http://127.0.0.1:port/", "this is no address"),
    ],
)
def test_an_address_that_leads_nowhere_is_unknown(url: str, reason: str) -> None:
    """An address that cannot be asked is a reason, not an exception."""
    assert reason in reason_of(asked(url, timeout="5s"), "%")


def test_tls_to_a_server_without_it_is_told_apart(hostile: Hostile) -> None:
    """A server that does not speak TLS is unknown with that reason."""
    url = hostile(not_http).url.replace("http:", "https:")
    assert "TLS failed" in reason_of(asked(url), "%")


def test_a_redirect_on_the_same_host_is_followed(httpserver: HTTPServer) -> None:
    """A figure that has moved on its own host is found."""
    httpserver.expect_request("/old").respond_with_data("", status=302, headers={"Location": "/new"})
    httpserver.expect_request("/new").respond_with_json({"error_rate": 3})
    assert value_of(asked(httpserver.url_for("/old")), "%") == 3


def test_a_redirect_to_another_host_is_not_followed(httpserver: HTTPServer, hostile: Hostile) -> None:
    """Neither another host nor another port is asked, and the headers do not reach it."""
    other = hostile(broken_off)
    for target in (other.url, f"http://localhost:{other.port}/", f"//127.0.0.2:{other.port}/", "https://example.org/"):
        httpserver.clear()
        httpserver.expect_request("/").respond_with_data("", status=307, headers={"Location": target})
        probe = asked(httpserver.url_for("/"), headers={"Authorization": "Bearer {token}"})
        said = reason_of(probe, "%", settings({"base": httpserver.url_for("/"), "token": "t"}))
        assert "redirects to another host" in said
    assert other.requests == []


def test_a_redirect_loop_ends(httpserver: HTTPServer) -> None:
    """Redirects are followed five times at most."""
    httpserver.expect_request("/").respond_with_data("", status=302, headers={"Location": "/"})
    assert "redirects more than 5 times" in reason_of(asked(httpserver.url_for("/")), "%")
    assert len(httpserver.log) == 6


@pytest.mark.parametrize("secret", ["s3cr3t-token", "p&ss w/rd+ü", 'quo"ted'])
def test_a_secret_reaches_the_server_but_no_text(httpserver: HTTPServer, secret: str) -> None:
    """Secrets in headers, addresses and echoed answers are masked, also where they are encoded."""

    def echo(request: Request) -> Response:
        return Response(
            json.dumps({"error_rate": f"{request.url} {request.headers['X-Token']}"}), content_type="application/json"
        )

    httpserver.expect_request("/metrics").respond_with_handler(echo)
    ascii_only = secret.encode("ascii", "ignore").decode()
    settled = settings({"base": httpserver.url_for("").rstrip("/"), "token": ascii_only}, secrets=(ascii_only,))
    probe = asked("{base}/metrics?key={token}", headers={"X-Token": "{token}"})
    seen = measured(probe, "%", settled)
    assert httpserver.log[0][0].headers["X-Token"] == ascii_only
    assert ascii_only not in repr(seen)
    assert "•••" in seen.source
    assert not isinstance(seen, Observation)


def test_a_password_in_the_address_is_never_shown(httpserver: HTTPServer) -> None:
    """User and password before the host's name are left out of source and reason."""
    httpserver.expect_request("/").respond_with_json({"error_rate": 1})
    url = httpserver.url_for("/").replace("http://", "http://me:pass@")
    seen = measured(asked(url), "%")
    assert isinstance(seen, Observation), seen
    assert "pass" not in repr(seen)


def test_proxies_of_the_caller_change_no_figure(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the caller's environment is not asked."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    httpserver.expect_request("/").respond_with_json({"error_rate": 2})
    assert value_of(asked(httpserver.url_for("/")), "%") == 2


def test_an_address_outside_the_environment_is_not_asked(hostile: Hostile) -> None:
    """Only hosts and ports that a setting names are asked, however the address is written."""
    server = hostile(broken_off)
    named = settings({"base": f"http://127.0.0.1:{server.port}/", "token": "t", "path": "/srv/data", "odd": "http://["})
    for address in (
        f"http://localhost:{server.port}/",
        f"http://127.1:{server.port}/",
        f"http://[::1]:{server.port}/",
        f"http://127.0.0.1:{server.port}@example.org/",
        "http://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
    ):
        assert "is no host of the environment production" in reason_of(asked(address), "%", named)
    assert server.requests == []


def test_a_setting_that_is_a_host_names_each_of_its_ports(httpserver: HTTPServer) -> None:
    """`{host}` as a setting allows what `http://{host}:…` asks; a host and port allows that port only."""
    httpserver.expect_request("/").respond_with_json({"error_rate": 2})
    address = "http://{host}:" + str(httpserver.port) + "/"
    assert value_of(asked(address), "%", settings({"host": "127.0.0.1"})) == 2
    other = {"host": "127.0.0.1", "only": f"127.0.0.1:{httpserver.port}"}
    assert value_of(asked("http://{only}/"), "%", settings({"only": other["only"]})) == 2
    assert "is no host" in reason_of(asked("http://127.0.0.1:1/"), "%", settings({"only": other["only"]}))


def test_headers_stay_with_their_host(httpserver: HTTPServer) -> None:
    """A redirect to another host that the environment names is followed, without the declared headers."""
    httpserver.expect_request("/").respond_with_data(
        "", status=302, headers={"Location": f"http://localhost:{httpserver.port}/there"}
    )
    httpserver.expect_request("/there").respond_with_json({"error_rate": 7})
    url = f"http://127.0.0.1:{httpserver.port}/"
    named = settings({"one": url, "two": f"http://localhost:{httpserver.port}"})
    assert value_of(asked(url, headers={"X-Token": "t"}), "%", named) == 7
    first, second = (request for request, _ in httpserver.log)
    assert first.headers["X-Token"] == "t"
    assert "X-Token" not in second.headers
    assert second.headers["Host"] == f"localhost:{httpserver.port}"


@pytest.mark.parametrize(
    ("body", "match", "value"),
    [
        ("queue_length 17\nworkers 4\n", r"^workers (\d+)$", 4.0),
        ("load: 0.25 (low)", r"load: ([\d.]+)", 0.25),
        ("temperature -3e1", r"(-?\d+e\d)", -30.0),
        ("all is well", "is well", 1.0),
        ("all is ill", "is well", 0.0),
    ],
)
def test_a_number_is_taken_out_of_text(httpserver: HTTPServer, body: str, match: str, value: float) -> None:
    """The first group is the number; a pattern without a group tells whether it is found."""
    httpserver.expect_request("/").respond_with_data(body)
    assert value_of(asked(httpserver.url_for("/"), measure="text", match=match)) == value


@pytest.mark.parametrize(
    ("body", "match", "reason"),
    [
        ("workers: none", r"workers: (\d+)", "the text has nothing that matches"),
        ("workers: none", r"workers: (\w+)", "is the text 'none', not a number"),
        ("workers: nan", r"workers: (\w+)", "is not a number"),
        ("", r"(\d+)", "nothing that matches"),
        ("a" * 40 + "!", r"^(a+)+$", "nothing that matches"),
    ],
)
def test_text_without_the_number_is_no_observation(httpserver: HTTPServer, body: str, match: str, reason: str) -> None:
    """What is not there is unknown, and a pattern that could backtrack for ever is answered at once."""
    httpserver.expect_request("/").respond_with_data(body)
    started = time.monotonic()
    assert reason in reason_of(asked(httpserver.url_for("/"), measure="text", match=match, timeout="1s"))
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    ("header", "said", "options", "unit", "value"),
    [
        ("Content-Length", "3000", {}, "kB", 3.0),
        ("Age", "90", {}, "min", 1.5),
        ("X-Queue", " 12 ", {}, "", 12.0),
        ("Last-Modified", "Sat, 31 Jan 2026 10:00:00 GMT", {}, "h", 2.0),
        ("Expires", "Sun, 01 Feb 2026 12:00:00 GMT", {}, "d", -1.0),
        ("Server-Timing", "db;dur=53.2, app;dur=10", {"match": r"db;dur=([\d.]+)"}, "ms", 53.2),
    ],
)
def test_a_header_gives_its_number_or_its_age(
    httpserver: HTTPServer, header: str, said: str, options: dict[str, Any], unit: str, value: float
) -> None:
    """A number in a header is the value, in the header's own unit where it has one; a date is its age."""
    body = "x" * 3000
    httpserver.expect_request("/").respond_with_data(body, headers={} if header == "Content-Length" else {header: said})
    seen = value_of(asked(httpserver.url_for("/"), measure="header", header=header, **options), unit)
    assert seen == pytest.approx(value)


def test_a_header_that_is_missing_or_no_number_is_unknown(httpserver: HTTPServer) -> None:
    """The reason names the header."""
    httpserver.expect_request("/").respond_with_data("", headers={"X-State": "fine"})
    url = httpserver.url_for("/")
    assert "the header x-queue is missing" in reason_of(asked(url, measure="header", header="X-Queue"))
    assert "'fine', neither a number nor a date" in reason_of(asked(url, measure="header", header="X-State"))


def test_redirects_are_counted(httpserver: HTTPServer) -> None:
    """The value is how many redirects lead to the answer; none is 0; without an end there is no number."""
    for number in range(3):
        httpserver.expect_request(f"/{number}").respond_with_data("", status=301, headers={"Location": f"/{number + 1}"})
    httpserver.expect_request("/3").respond_with_data("here")
    httpserver.expect_request("/loop").respond_with_data("", status=301, headers={"Location": "/loop"})
    url = httpserver.url_for("")
    assert value_of(asked(f"{url}0", measure="redirects")) == 3
    assert value_of(asked(f"{url}3", measure="redirects")) == 0
    assert "redirects more than 20 times" in reason_of(asked(f"{url}loop", measure="redirects"))


def test_the_parts_of_the_time_are_told_apart(hostile: Hostile) -> None:
    """A server that thinks for long before the head and again before the body is slow in that part only."""

    def thinks(connection: socket.socket) -> None:
        time.sleep(0.3)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        time.sleep(0.3)
        connection.sendall(b"b")

    url = hostile(thinks).url.replace("127.0.0.1", "localhost")
    parts = {part: value_of(asked(url, measure="time", part=part), "ms") for part in ("dns", "connect", "first-byte", "total")}
    assert 0 < parts["dns"] < 250
    assert 0 < parts["connect"] < 250
    assert 290 < parts["first-byte"] < 550
    assert 590 < parts["total"] < 1500


def test_a_part_that_does_not_happen_has_no_time(httpserver: HTTPServer) -> None:
    """Without a name to look up or encryption to agree on, their time is unknown, not zero."""
    httpserver.expect_request("/").respond_with_data("")
    url = httpserver.url_for("/")
    assert "so no name was looked up" in reason_of(asked(url, measure="time", part="dns"), "ms")
    assert "it is not encrypted" in reason_of(asked(url, measure="time", part="tls"), "ms")


def test_a_time_tells_on_how_many_requests_it_rests(httpserver: HTTPServer) -> None:
    """The number of requests stands in the observation."""
    httpserver.expect_request("/").respond_with_data("")
    for measure in ("time", "availability"):
        seen = measured(asked(httpserver.url_for("/"), measure=measure, repeat=7), "s" if measure == "time" else "%")
        assert isinstance(seen, Observation), seen
        assert seen.samples == 7


@pytest.mark.parametrize("packing", ["gzip", "deflate", "gzip, gzip"])
def test_a_packed_answer_is_unpacked(hostile: Hostile, packing: str) -> None:
    """Bodies that are packed, also twice, are read."""
    body = b'{"error_rate": 4}'
    for name in packing.split(", "):
        body = gzip.compress(body) if name == "gzip" else zlib.compress(body)

    def packed(connection: socket.socket) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {packing}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    assert value_of(asked(hostile(packed).url), "%") == 4


def test_a_bomb_is_never_unpacked_beyond_the_cap() -> None:
    """What 200 KB would unpack to takes no more memory than the cap and its copies, packed once or twice."""
    once = gzip.compress(b" " * 200_000_000, 1)
    for body, packing in ((once, "gzip"), (gzip.compress(once), "gzip, gzip")):
        tracemalloc.start()
        with pytest.raises(Hopeless, match="more than 10 MB"):
            unpacked(body, {"content-encoding": packing})
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 50_000_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "text"}, "expected `match:`"),
        ({"measure": "header"}, "expected `header:`"),
        ({"measure": "status", "header": "Age"}, "expected `header:`"),
        ({"measure": "status", "match": "a"}, "expected no `match:`"),
        ({"measure": "status", "part": "dns"}, "expected no `part:`"),
        ({"measure": "text", "match": "("}, "expected a regular expression"),
    ],
)
def test_options_stand_beside_their_measure_only(options: dict[str, str], message: str) -> None:
    """A declaration that could not mean what it says is refused."""
    with pytest.raises(DataError, match=message):
        measured(asked("http://127.0.0.1/", **options))
