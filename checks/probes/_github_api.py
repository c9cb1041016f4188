"""GitHub's API within one deadline: pages by their Link headers, answers kept by their ETags, limits told with their end."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from checks.judge import format_value
from checks.probes._causes import why
from checks.probes._steps import note
from checks.probes._support import BYTE_CAP, clipped
from checks.probes._targets import refuse_inward, without_userinfo

if TYPE_CHECKING:
    import httpx

_PAGES = 50
_PER_PAGE = 100
_KEPT = 128
_STEP_SECONDS = 10.0
_VERSION = "2022-11-28"


class NoAnswer(Exception):
    """That the API did not answer the question; its text is the reason."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one request gave: its document, the next page's address if there is one, and its ETag."""

    document: Any
    next: str | None
    etag: str | None


_kept: OrderedDict[str, _Answer] = OrderedDict()
_keeping = threading.Lock()


class Api:
    """One API, asked with one token until one deadline.

    Args:
        client: sends the requests; it follows no redirect.
        base: the API's address.
        token: sent with each request; may be empty.
        ends: the deadline on the monotonic clock, seconds.
        now: what rate limits' ends are told against.

    """

    def __init__(self, client: httpx.Client, base: str, token: str, ends: float, now: datetime) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._token = token
        self._ends = ends
        self._now = now

    def one(self, path: str, **query: str) -> Any:
        """The document at a path.

        Raises:
            NoAnswer: there is none.

        """
        return self._get(self._address(path, query)).document

    def pages(self, path: str, **query: str) -> Iterator[Any]:
        """The documents of all pages, in order, each asked for when it is needed.

        Raises:
            NoAnswer: one cannot be had, or there are too many.

        """
        address: str | None = self._address(path, {**query, "per_page": str(_PER_PAGE)})
        for _ in range(_PAGES):
            if address is None:
                return
            answer = self._get(address)
            yield answer.document
            address = answer.next
        if address is not None:
            raise NoAnswer(f"there are more than {_PAGES} pages of {path}")

    def ask(self, query: str, **variables: str) -> Any:
        """What GitHub's GraphQL API answers to a query.

        Raises:
            NoAnswer: it answers with an error, or not at all.

        """
        body = json.dumps({"query": query, "variables": variables}).encode()
        base = self._base.removesuffix("/v3")  # GitHub Enterprise has /api/v3 and /api/graphql
        status, headers, raw = self._send("POST", f"{base}/graphql", {"Content-Type": "application/json"}, body)
        document = self._document(status, headers, raw, "graphql")
        if not isinstance(document, dict) or document.get("errors") or not isinstance(document.get("data"), dict):
            raise NoAnswer(f"GraphQL answers: {clipped(str((document or {}).get('errors', document)), 120)}")
        return document["data"]

    def _address(self, path: str, query: Mapping[str, str]) -> str:
        return f"{self._base}/{path}" + (f"?{urlencode(query)}" if query else "")

    def _get(self, address: str) -> _Answer:
        # What one token may see is not for another.
        key = hashlib.sha256(f"{self._token}\n{address}".encode()).hexdigest()
        with _keeping:
            kept = _kept.get(key)
        status, headers, body = self._send("GET", address, {"If-None-Match": kept.etag} if kept and kept.etag else {})
        if status == 304 and kept:
            return kept
        path = address.removeprefix(self._base).partition("?")[0].lstrip("/")
        answer = _Answer(self._document(status, headers, body, path), self._next(headers.get("link", "")), headers.get("etag"))
        if answer.etag:
            with _keeping:
                _kept[key] = answer
                _kept.move_to_end(key)
                while len(_kept) > _KEPT:
                    _kept.popitem(last=False)
        return answer

    def _send(
        self, method: str, address: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        import httpx

        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        common = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": _VERSION, "User-Agent": "proofbook"}
        secret = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        body, shown = bytearray(), without_userinfo(address)
        try:
            with self._client.stream(
                method,
                address,
                headers={**common, **secret, **headers},
                content=content,
                timeout=min(left, _STEP_SECONDS),
                extensions={"trace": self._look_at},
            ) as response:
                for block in response.iter_bytes():
                    body += block
                    if len(body) > BYTE_CAP:
                        raise NoAnswer(f"the answer has more than {BYTE_CAP // 10**6} MB")
                    if time.monotonic() > self._ends:
                        raise TimeoutError
                left_over = response.headers.get("x-ratelimit-remaining")
                limit = f", {left_over} requests left until the rate limit" if left_over else ""
                note(f"{method} {shown}: HTTP status {response.status_code}, {format_value(len(body), 'B')}{limit}")
                return response.status_code, response.headers, bytes(body)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise TimeoutError from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise NoAnswer(f"no answer: {why(error) or clipped(str(error), 100) or type(error).__name__}") from error

    def _look_at(self, event: str, info: Mapping[str, Any]) -> None:
        """See whom a connection has reached, before anything is said to it."""
        if event == "connection.connect_tcp.complete":
            address = str(info["return_value"].get_extra_info("server_addr")[0])
            refuse_inward(urlsplit(self._base).hostname or "", [address])
            note(f"connected to {address}")

    def _document(self, status: int, headers: Mapping[str, str], body: bytes, path: str) -> Any:
        if status in (403, 429) and (ends := self._limit_ends(headers)):
            raise NoAnswer(f"the rate limit is used up until {ends:%Y-%m-%d %H:%M:%S} UTC")
        if status == 401:
            raise NoAnswer("the token is not accepted (HTTP status 401)")
        if status == 404:
            raise NoAnswer(f"{path} is not there, or may not be seen with this token (HTTP status 404)")
        if status != 200:
            raise NoAnswer(f"{path} was answered with HTTP status {status}")
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise NoAnswer(f"the answer of {path} is not JSON") from error

    def _limit_ends(self, headers: Mapping[str, str]) -> datetime | None:
        """When a limit that is used up is reset; ``None`` where the refusal has another cause."""
        wait, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
        if wait.isdecimal() and len(wait) < 8:
            return self._now.astimezone(UTC) + timedelta(seconds=int(wait))
        if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal() and len(reset) < 12:
            return datetime.fromtimestamp(int(reset), UTC)
        return None

    def _next(self, link: str) -> str | None:
        for part in link.split(","):
            address, _, rest = part.strip().partition(">")
            if 'rel="next"' not in rest or not address.startswith("<"):
                continue
            one, other = urlsplit(self._base), urlsplit(address[1:])
            if (one.scheme, one.netloc) != (other.scheme, other.netloc):
                raise NoAnswer(f"the next page is on another host, {clipped(other.netloc, 60)}, which is not asked")
            return address[1:]
        return None
