"""A request with one deadline for all of it, and what is taken from its answer."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from checks.catalogue.environment import Settled
from checks.judge import format_value
from checks.model import Observation, Unmeasured
from checks.probes._support import BYTE_CAP, Measuring, clipped, select, statistic, within

if TYPE_CHECKING:
    import httpx

    from checks.catalogue.probe_kinds import HttpProbe

_REDIRECTS = 5
# Many requests together may take as long as one that is slow, but no runbook waits longer than this for them.
_MANY_SECONDS = 30.0
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer that was read to its last byte.

    Attributes:
        seconds: from the first byte sent, connecting included, to the last received.

    """

    status: int
    content_type: str
    location: str | None
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class _NoAnswer:
    """That no whole answer came, and why."""

    reason: str


def probe(declaration: HttpProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Send the request, `repeat` times where that is measured, each within `timeout`; see `HttpProbe`."""
    url = settled.fill(declaration.url)
    headers = {name: settled.fill(value) for name, value in declaration.headers.items()}
    shown = f"{declaration.method} {_without_userinfo(url)}"
    measuring = Measuring(now, shown + (f" → {declaration.select}" if declaration.select else ""), settled)
    seconds = declaration.timeout.total_seconds()
    repeat = 1 if declaration.measure in ("json", "status") else declaration.repeat
    total = seconds if repeat == 1 else min(repeat * seconds, max(seconds, _MANY_SECONDS))
    follows = _REDIRECTS if declaration.measure == "json" else 0
    try:
        # Asking from a loop of its own ends each phase at the deadline; the thread ends what a loop cannot: name resolution.
        answers = within(total + 1, lambda: asyncio.run(_ask(declaration.method, url, headers, seconds, total, repeat, follows)))
    except TimeoutError:
        return measuring.failed(f"{shown} did not end within {format_value(total, 's')}")
    match declaration.measure:
        case "time":
            return _time(answers, declaration, measuring, shown)
        case "availability":
            return _availability(answers, measuring)
    answer = answers[0]
    if isinstance(answer, _NoAnswer):
        return measuring.failed(f"{shown}: {answer.reason}")
    if declaration.measure == "status":
        return measuring.gave(answer.status, "")
    return _json(answer, str(declaration.select), measuring, shown, unit)


def _json(answer: _Answer, path: str, measuring: Measuring, shown: str, unit: str) -> Observation | Unmeasured:
    if answer.status >= 300:
        return measuring.failed(f"{shown} was answered with HTTP status {answer.status}")
    kind = answer.content_type.partition(";")[0].strip().lower()
    if kind and kind != "text/plain" and not kind.endswith(("/json", "+json")):
        return measuring.failed(f"the answer is {clipped(kind, 60)}, not JSON: {shown}")
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        said = clipped(answer.body[:200].decode("utf-8", "replace"), 60)
        return measuring.failed(f"the answer of {shown} cannot be read as JSON: {said or 'it is empty'}")
    return select(path, document, measuring, unit)


def _time(
    answers: list[_Answer | _NoAnswer], declaration: HttpProbe, measuring: Measuring, shown: str
) -> Observation | Unmeasured:
    well = [answer.seconds for answer in answers if isinstance(answer, _Answer) and answer.status < 400]
    asked = len(answers)
    # An error page is quick; were it timed, a system that only fails would look fast.
    if len(well) * 2 <= asked or asked * 2 <= declaration.repeat:
        return measuring.failed(
            f"only {len(well)} of {declaration.repeat} requests were answered well: {_first_fault(answers) or shown}"
        )
    detail = f"{declaration.statistic} of {len(well)} requests" if declaration.repeat > 1 else ""
    faults = asked - len(well)
    return measuring.gave(statistic(well, declaration.statistic), "s", detail + (f", {faults} more failed" if faults else ""))


def _availability(answers: list[_Answer | _NoAnswer], measuring: Measuring) -> Observation | Unmeasured:
    well = sum(isinstance(answer, _Answer) and answer.status < 400 for answer in answers)
    fault = _first_fault(answers)
    return measuring.gave(100 * well / len(answers), "%", f"{well} of {len(answers)} requests" + (f"; {fault}" if fault else ""))


def _first_fault(answers: list[_Answer | _NoAnswer]) -> str:
    for answer in answers:
        if isinstance(answer, _NoAnswer):
            return answer.reason
        if answer.status >= 400:
            return f"HTTP status {answer.status}"
    return ""


async def _ask(
    method: str, url: str, headers: dict[str, str], seconds: float, total: float, repeat: int, follows: int
) -> list[_Answer | _NoAnswer]:
    import httpx

    ends = time.monotonic() + total
    answers: list[_Answer | _NoAnswer] = []
    # A new connection each time, so that each is timed alike. Proxies and .netrc of whoever runs this change no figure.
    limits = httpx.Limits(max_keepalive_connections=0)
    verify = ssl.create_default_context() if url.startswith("https:") else False
    async with httpx.AsyncClient(limits=limits, timeout=None, trust_env=False, verify=verify) as client:  # noqa: S113 - asyncio.timeout below covers every phase at once
        while len(answers) < repeat and (left := ends - time.monotonic()) > 0:
            allowed = min(seconds, left) if answers else seconds
            try:
                async with asyncio.timeout(allowed):
                    answers.append(await _follow(client, method, url, headers, follows))
            except TimeoutError:
                if allowed == seconds or not answers:
                    answers.append(_NoAnswer(f"no whole answer within {format_value(allowed, 's')}"))
    return answers


async def _follow(client: httpx.AsyncClient, method: str, url: str, headers: dict[str, str], follows: int) -> _Answer | _NoAnswer:
    import httpx

    for _ in range(follows + 1):
        try:
            answer = await _once(client, method, url, headers)
        except httpx.InvalidURL as error:
            return _NoAnswer(f"this is no address: {error}")
        except (httpx.HTTPError, OSError, ValueError) as error:
            return _NoAnswer(_why(error))
        if (
            isinstance(answer, _NoAnswer)
            or not follows
            or answer.location is None
            or answer.status not in (301, 302, 303, 307, 308)
        ):
            return answer
        try:
            target = str(httpx.URL(url).join(answer.location))
        except (httpx.InvalidURL, ValueError):
            return _NoAnswer(f"it redirects to what is no address: {clipped(answer.location, 80)}")
        if not _same_host(urlsplit(url), urlsplit(target)):
            return _NoAnswer(f"it redirects to another host, {clipped(_without_userinfo(target), 100)}, which is not followed")
        url = target
    return _NoAnswer(f"it redirects more than {follows} times")


async def _once(client: httpx.AsyncClient, method: str, url: str, headers: dict[str, str]) -> _Answer | _NoAnswer:
    started = time.perf_counter()
    body = bytearray()
    async with client.stream(method, url, headers=headers) as response:
        async for block in response.aiter_bytes():
            body += block
            if len(body) > BYTE_CAP:
                return _NoAnswer(f"the answer has more than {BYTE_CAP // 10**6} MB")
        seconds = time.perf_counter() - started
        content_type, location = response.headers.get("content-type", ""), response.headers.get("location")
        return _Answer(response.status_code, content_type, location, bytes(body), seconds)


def _same_host(one: SplitResult, other: SplitResult) -> bool:
    """Whether two addresses are one host and port, or the second is the first's encrypted side."""
    ports = [address.port or _DEFAULT_PORTS.get(address.scheme) for address in (one, other)]
    return one.hostname == other.hostname and (
        (one.scheme == other.scheme and ports[0] == ports[1]) or (one.scheme, other.scheme, *ports) == ("http", "https", 80, 443)
    )


def _without_userinfo(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return clipped(url, 200)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _why(error: BaseException) -> str:
    """The cause of a failed request in plain words; httpx keeps it in the chain of causes."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(cause, ConnectionResetError | BrokenPipeError):
            return "the connection was reset"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is not valid: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or 'no reason given'}"
        if isinstance(cause, socket.gaierror):
            return "the host's name is not known"
        cause = cause.__cause__ or cause.__context__
    name = type(error).__name__
    known = {
        "RemoteProtocolError": "the server broke off or did not speak HTTP",
        "ReadError": "the connection was reset",
        "ConnectError": "no connection could be made",
        "UnsupportedProtocol": "this is no http or https address",
        "DecodingError": "the answer's compression is broken",
        "LocalProtocolError": "the request is not valid HTTP",
    }
    return known.get(name, f"{name}: {clipped(str(error), 100)}")
