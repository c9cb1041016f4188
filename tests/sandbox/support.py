"""What the sandbox's tests share: a client, and waiting for something to become true."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Got:
    """An answer as a client saw it."""

    status: int
    body: Any
    headers: dict[str, str]


def ask(url: str, *, method: str = "GET", body: object = None, token: str = "") -> Got:
    """Send one real request; an error status is an answer too."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return Got(answer.status, _json(answer.read()), dict(answer.headers))
    except urllib.error.HTTPError as error:
        return Got(error.code, _json(error.read()), dict(error.headers))


def eventually(true: Callable[[], object], *, within: float = 15.0) -> None:
    """Wait until something is true; fail with the test's own condition where it never is."""
    until = time.monotonic() + within
    while not true():
        assert time.monotonic() < until, f"not true within {within:g} s"
        time.sleep(0.05)


def _json(data: bytes) -> Any:
    return json.loads(data) if data else None
