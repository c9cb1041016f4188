"""Requests over HTTP with one deadline and one byte cap, only to hosts that the environment names, timed part by part."""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from checks.catalogue.environment import Settled
from checks.judge import format_value
from checks.probes._causes import caused_by, why
from checks.probes._steps import note
from checks.probes._support import BYTE_CAP, clipped, within
from checks.probes._targets import NoTarget, addresses_of, is_address, refuse_strangers, without_userinfo

if TYPE_CHECKING:
    import httpx

# Many requests together may take as long as one that is slow, but no runbook waits longer than this for them.
_MANY_SECONDS = 30.0
# An address of several that does not answer is left for the next one.
_ONE_OF_SEVERAL = 1.0
_PASSES_ON = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, and how far.

    Attributes:
        headers: with their settings filled in; they go to the address's own host and port only.
        seconds: how long one answer may take, redirects included.
        follows: how many redirects are followed.
        authority: a PEM file of the authorities to trust; ``None``: the machine's.

    """

    method: str
    url: str
    headers: Mapping[str, str]
    settled: Settled
    seconds: float
    follows: int = 0
    authority: str | None = None

    @property
    def shown(self) -> str:
        """The request as it may be told: without user and password."""
        return f"{self.method} {without_userinfo(self.url)}"


@dataclass(slots=True)
class Times:
    """How long the parts of a request took, in seconds; ``None`` where there was no such part.

    Attributes:
        dns: finding the host's addresses.
        connect: connecting to one of them.
        tls: agreeing on encryption.
        first_byte: from the request sent to the head of the answer.
        total: from the beginning of the first part to the last byte of the answer.

    """

    dns: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read to its last byte.

    Attributes:
        headers: by their names in lower case.
        body: unpacked.
        redirects: how many were followed to it; `times` are those of the last request.

    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    times: Times
    redirects: int = 0

    @property
    def text(self) -> str:
        """The body as text, by the encoding that it says it has."""
        named = self.headers.get("content-type", "").lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
        try:
            return self.body.decode(named or "utf-8", "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """That no whole answer came, and why."""

    reason: str


class Hopeless(Exception):
    """An answer that cannot be used; its text is the reason."""


@dataclass(slots=True)
class _Trace:
    """Takes down when the parts of one request began and ended."""

    began: float = field(default_factory=time.perf_counter)
    times: Times = field(default_factory=Times)
    _marks: dict[str, float] = field(default_factory=dict)

    async def __call__(self, name: str, info: Mapping[str, Any]) -> None:
        del info
        now = time.perf_counter()
        part, _, moment = name.rpartition(".")
        if moment == "started":
            self._marks[part] = now
        elif name == "connection.connect_tcp.complete":
            self.times.connect = now - self._marks[part]
            note(f"connected in {format_value(self.times.connect, 's')}")
        elif name == "connection.start_tls.complete":
            self.times.tls = now - self._marks[part]
            note(f"agreed on encryption in {format_value(self.times.tls, 's')}")
        elif name == "http11.receive_response_headers.complete":
            self.times.first_byte = now - self._marks[part]


def ask(request: Request, repeat: int = 1) -> list[Answer | NoAnswer]:
    """Ask once or several times, each time by a new connection.

    Returns:
        What came of each request; fewer than `repeat` where all of them together took too long.

    Raises:
        TimeoutError: not even the host's name was found before the deadline.

    """
    total = request.seconds if repeat == 1 else min(repeat * request.seconds, max(request.seconds, _MANY_SECONDS))
    # A loop of its own ends each phase at the deadline; the thread ends what a loop cannot: name resolution.
    return within(total + 1, lambda: asyncio.run(_ask(request, total, repeat)))


async def _ask(request: Request, total: float, repeat: int) -> list[Answer | NoAnswer]:
    ends = time.monotonic() + total
    answers: list[Answer | NoAnswer] = []
    contexts: dict[str, ssl.SSLContext] = {}
    while len(answers) < repeat and (left := ends - time.monotonic()) > 0:
        allowed = min(request.seconds, left) if answers else request.seconds
        try:
            async with asyncio.timeout(allowed):
                answers.append(await _follow(request, contexts))
        except TimeoutError:
            # A request that the others left less time is no failure of the system.
            if allowed == request.seconds or not answers:
                answers.append(NoAnswer(f"no whole answer within {format_value(allowed, 's')}"))
    return answers


async def _follow(request: Request, contexts: dict[str, ssl.SSLContext]) -> Answer | NoAnswer:
    import httpx

    url, headers = request.url, request.headers
    for redirects in range(request.follows + 1):
        try:
            if not url.lower().startswith(("http://", "https://")):
                raise NoTarget("this is no http or https address")
            target = refuse_strangers(url, request.settled)
            answer = await _once(request, httpx.URL(url), headers, contexts)
            location = answer.headers.get("location")
            if not request.follows or location is None or answer.status not in _PASSES_ON:
                return Answer(answer.status, answer.headers, answer.body, answer.times, redirects)
            following = str(httpx.URL(url).join(location))
        except (Hopeless, NoTarget) as error:
            return NoAnswer(str(error))
        except httpx.InvalidURL as error:
            return NoAnswer(f"this is no address: {clipped(str(error), 100)}")
        except (httpx.HTTPError, OSError, ValueError) as error:
            return NoAnswer(_why(error))
        try:
            beyond = refuse_strangers(following, request.settled)
        except NoTarget as error:
            shown = clipped(without_userinfo(following), 100)
            return NoAnswer(f"it redirects to another host, {shown}, which is not followed: {error}")
        if url.lower().startswith("https:") and not following.lower().startswith("https:"):
            return NoAnswer(f"it redirects to {clipped(without_userinfo(following), 100)}, which is not encrypted")
        if beyond != target and (beyond.host, target.port, beyond.port) != (target.host, 80, 443):
            headers = {}  # what the declaration tells its own server is not told to another
        note(f"redirected to {without_userinfo(following)}")
        url = following
    return NoAnswer(f"it redirects more than {request.follows} times")


async def _once(request: Request, url: httpx.URL, headers: Mapping[str, str], contexts: dict[str, ssl.SSLContext]) -> Answer:
    import httpx

    verify = _unused()
    if url.scheme == "https":
        verify = contexts.setdefault("", contexts.get("") or _context(request.authority))
    trace = _Trace()
    addresses = await _addresses(url, trace)
    # Proxies and .netrc of whoever runs this change no figure. asyncio.timeout covers every phase at once.
    note(f"asking {request.method} {without_userinfo(str(url))}" + (f" with {', '.join(headers)}" if headers else ""))
    async with httpx.AsyncClient(timeout=None, trust_env=False, verify=verify) as client:  # noqa: S113 - see above
        for number, address in enumerate(addresses, 1):
            extensions: dict[str, Any] = {"trace": trace, "sni_hostname": url.raw_host.decode("ascii")}
            if number < len(addresses):
                extensions["timeout"] = {"connect": _ONE_OF_SEVERAL}
            told = {"Host": url.netloc.decode("ascii"), "Accept-Encoding": "gzip, deflate", **headers}
            try:
                async with client.stream(
                    request.method, url.copy_with(host=address), headers=told, extensions=extensions
                ) as response:
                    return await _read(response, trace)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                note(f"no connection to {address}: {why(error) or 'not in time'}")
                if number == len(addresses) or caused_by(error, ssl.SSLError):
                    raise
    raise Hopeless("the host's name is not known")


async def _addresses(url: httpx.URL, trace: _Trace) -> list[str]:
    """The host's addresses, looked up once, so that what was allowed is what is asked."""
    found = await addresses_of(url.raw_host.decode("ascii").strip("[]"))
    if not is_address(url.host):
        trace.times.dns = time.perf_counter() - trace.began
    return found


async def _read(response: httpx.Response, trace: _Trace) -> Answer:
    body = bytearray()
    async for block in response.aiter_raw():
        body += block
        if len(body) > BYTE_CAP:
            raise Hopeless(_TOO_MUCH)
    trace.times.total = time.perf_counter() - trace.began
    headers = {name.lower(): value for name, value in response.headers.items()}
    note(f"HTTP status {response.status_code}, the head after {format_value(trace.times.first_byte or 0, 's')}")
    kind = headers.get("content-type", "without a content type")
    note(f"{format_value(len(body), 'B')}, {kind}, all in {format_value(trace.times.total, 's')}")
    return Answer(response.status_code, headers, unpacked(bytes(body), headers), trace.times)


_TOO_MUCH = f"the answer has more than {BYTE_CAP // 10**6} MB"


def unpacked(body: bytes, headers: Mapping[str, str]) -> bytes:
    """The body without its compression, never more of it than the cap.

    Raises:
        Hopeless: there is more, it is damaged, or it is packed by what was not asked for.

    """
    packings = [name.strip().lower() for name in headers.get("content-encoding", "").split(",")]
    for packing in reversed([name for name in packings if name not in ("", "identity")]):
        if not body:
            return body
        if packing not in ("gzip", "x-gzip", "deflate"):
            raise Hopeless(f"the answer is packed by {clipped(packing, 20)}, which was not asked for")
        # A deflate body has a zlib head by the standard, and from some servers none.
        bits = 31 if "gzip" in packing else 15 if body[0] & 15 == 8 else -15
        unpacking = zlib.decompressobj(bits)
        try:
            body = unpacking.decompress(body, BYTE_CAP + 1)
        except zlib.error as error:
            raise Hopeless("the answer's compression is broken") from error
        if len(body) > BYTE_CAP:
            raise Hopeless(_TOO_MUCH)
        if not unpacking.eof:
            raise Hopeless("the answer's compression is broken")
    return body


@cache
def _unused() -> ssl.SSLContext:
    """What a client is given that will not encrypt; by itself, each would make one of its own."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _context(authority: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise Hopeless(f"the authorities in {authority} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _why(error: BaseException) -> str:
    """The cause of a failed request in plain words."""
    name = type(error).__name__
    known = {
        "RemoteProtocolError": "the server broke off or did not speak HTTP",
        "ReadError": "the connection was reset",
        "ConnectError": "no connection could be made",
        "UnsupportedProtocol": "this is no http or https address",
        "LocalProtocolError": "the request is not valid HTTP",
    }
    return why(error) or known.get(name, f"{name}: {clipped(str(error), 100)}")
