"""Containers as Docker's Engine API tells of them on its local socket; only ``GET /containers/…/json`` is ever sent."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from checks.judge import format_value
from checks.probes._causes import caused_by, why
from checks.probes._steps import note
from checks.probes._support import BYTE_CAP, clipped, within

# An id may be shortened to as many digits as docker itself shows.
_SHORT_ID = 12


class NoDocker(Exception):
    """Docker does not answer; its text is the reason."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container; `state` is docker's own word with its health, and `restarts` is ``None`` where none is told."""

    up: bool
    state: str
    restarts: int | None


def inspected(names: list[str], socket: str, seconds: float) -> dict[str, Container | None]:
    """What docker tells of each container, by the name that was asked; ``None``: it knows no such container.

    Args:
        names: names or ids.
        socket: the path of docker's socket.
        seconds: the deadline of all of it.

    Raises:
        NoDocker: it does not answer, or not as docker does.
        TimeoutError: the deadline passed.

    """
    import httpx

    ends = time.monotonic() + seconds

    def ask() -> dict[str, Container | None]:
        transport = httpx.HTTPTransport(uds=socket)
        with httpx.Client(transport=transport, trust_env=False, base_url="http://docker", timeout=seconds) as client:
            return {name: _one(client, name, ends) for name in names}

    try:
        return within(seconds, ask)
    except (httpx.TimeoutException, TimeoutError) as error:
        raise TimeoutError from error
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise NoDocker(f"docker does not answer on this host: {_cause(error, socket)}") from error
    except (RecursionError, TypeError, KeyError, AttributeError) as error:
        raise NoDocker(f"what answers at {socket} is not docker") from error


def _one(client: Any, name: str, ends: float) -> Container | None:
    body = bytearray()
    with client.stream("GET", f"/containers/{quote(name, safe='')}/json") as response:
        for block in response.iter_bytes():
            body += block
            if len(body) > BYTE_CAP:
                raise NoDocker(f"docker answered with more than {BYTE_CAP // 10**6} MB")
            if time.monotonic() > ends:
                raise TimeoutError
    note(f"docker answered for {name} by HTTP status {response.status_code}, {format_value(len(body), 'B')}")
    document = json.loads(body)
    if response.status_code == 404:
        return None
    if response.status_code != 200:
        raise NoDocker(f"docker refuses: {clipped(str(document['message']), 160)}")
    return _container(document) if _is_called(document, name) else None


def _is_called(container: dict[str, Any], name: str) -> bool:
    # Docker takes any unambiguous beginning of an id; a container that is named so may come tomorrow.
    is_id = len(name) >= _SHORT_ID and str(container["Id"]).startswith(name)
    return is_id or str(container["Name"]).lstrip("/") == name.lstrip("/")


def _container(container: dict[str, Any]) -> Container:
    state = container["State"]
    health = (state.get("Health") or {}).get("Status", "")
    up = state["Running"] is True and not state.get("Restarting") and not state.get("Paused") and health != "unhealthy"
    restarts = container.get("RestartCount")
    shown = ", ".join(filter(None, [str(state["Status"]), health]))
    return Container(up, shown, restarts if isinstance(restarts, int) else None)


def _cause(error: BaseException, socket: str) -> str:
    if isinstance(error, ValueError):
        return f"what {socket} says is no JSON"
    if caused_by(error, FileNotFoundError):
        return f"there is no socket {socket}"
    if caused_by(error, PermissionError):
        return f"its socket {socket} may not be used"
    return f"{why(error) or clipped(str(error), 80) or type(error).__name__}: {socket}"
