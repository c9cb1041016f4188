"""Units of systemd and containers of Docker: are they up, how often were they restarted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from checks.catalogue.environment import Settled
from checks.model import Observation, Unmeasured
from checks.probes._docker import NoDocker, inspected
from checks.probes._programs import Ended, last_line, run
from checks.probes._support import Measuring, clipped

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import ServiceProbe

_PROPERTIES = "Id,Names,LoadState,ActiveState,SubState,NRestarts"


@dataclass(frozen=True, slots=True)
class _Seen:
    """One service as its manager sees it.

    Attributes:
        state: the manager's own word; empty where it does not know the service.
        restarts: ``None`` where the manager does not count them (a timer, a mount).

    """

    name: str
    up: bool
    state: str
    restarts: int | None


def probe(declaration: ServiceProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Ask the manager for each of the services; see `ServiceProbe`."""
    del unit
    names = [settled.fill(name) for name in declaration.names]
    measuring = Measuring(now, f"{declaration.manager}: {clipped(', '.join(names), 160)}", settled)
    seconds = declaration.timeout.total_seconds()
    if declaration.manager == "systemd":
        seen = _systemd(names, seconds, measuring)
    else:
        seen = _docker(names, settled.fill(declaration.socket), seconds, measuring)
    if isinstance(seen, Unmeasured):
        return seen
    strange = [one.name for one in seen if not one.state]
    if strange:
        return measuring.failed(f"{declaration.manager} does not know {clipped(', '.join(strange))}")
    if declaration.measure == "down":
        down = [f"{one.name} is {one.state}" for one in seen if not one.up]
        return measuring.gave(len(down), "", "; ".join(down) or f"all {len(seen)} up", samples=len(seen))
    uncounted = [one.name for one in seen if one.restarts is None]
    if uncounted:
        return measuring.failed(f"{declaration.manager} does not count restarts of {clipped(', '.join(uncounted))}")
    counted = [f"{one.name}: {one.restarts}" for one in seen if one.restarts]
    return measuring.gave(sum(one.restarts or 0 for one in seen), "", "; ".join(counted), samples=len(seen))


def _systemd(names: list[str], seconds: float, measuring: Measuring) -> list[_Seen] | Unmeasured:
    # `show` has no JSON; its lines of NAME=VALUE are what systemd promises to keep for programs.
    argv = ["systemctl", "show", "--no-pager", f"--property={_PROPERTIES}", "--", *names]
    ended = run(argv, seconds, measuring, {**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""})
    if isinstance(ended, Unmeasured):
        return ended
    if ended.status != 0:
        return _no_answer(ended, measuring)
    text = ended.output.decode("utf-8", "replace")
    units = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in text.split("\n\n") if block.strip()]
    if len(units) != len(names):
        return measuring.failed(f"systemctl told of {len(units)} units, and was asked for {len(names)}")
    return [_unit(name, properties) for name, properties in zip(names, units, strict=True)]


def _unit(name: str, properties: dict[str, str]) -> _Seen:
    active, restarts = properties.get("ActiveState", ""), properties.get("NRestarts", "")
    known = properties.get("LoadState") == "loaded" and bool(active)
    state = f"{active} ({properties.get('SubState', '')})" if known else ""
    return _Seen(name, active in ("active", "reloading"), state, int(restarts) if restarts.isdecimal() else None)


def _docker(names: list[str], socket: str, seconds: float, measuring: Measuring) -> list[_Seen] | Unmeasured:
    try:
        containers = inspected(names, socket, seconds)
    except NoDocker as error:
        return measuring.failed(str(error))
    except TimeoutError:
        return measuring.late(seconds)
    return [
        _Seen(name, one.up, one.state, one.restarts) if one else _Seen(name, False, "", None) for name, one in containers.items()
    ]


def _no_answer(ended: Ended, measuring: Measuring) -> Unmeasured:
    lines = ended.errors.decode("utf-8", "replace").strip().splitlines()
    said = clipped(lines[0], 160) if lines else last_line(ended.output)
    return measuring.failed(f"systemd does not answer on this host: {said or f'exit status {ended.status}'}")
