"""A Redis server's answer to PING and INFO: its hit rate, its memory, its evictions, its last save."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

from checks.catalogue.environment import Settled
from checks.judge import format_value
from checks.model import Observation, Unmeasured
from checks.probes._redis import NoReply, RedisServer
from checks.probes._support import Measuring, clipped, within
from checks.probes._targets import NoTarget, refuse_strangers, without_userinfo

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import RedisProbe

# The start of a server and its first, untrue `rdb_last_save_time` are the same moment; their clocks' ticks may differ.
_A_TICK = 2


class _NoFigure(Exception):
    """INFO does not hold what is measured; its text is the reason."""


def probe(declaration: RedisProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Ask a Redis server for PING or INFO; see `RedisProbe`."""
    del unit
    url = settled.fill(declaration.url)
    authority = settled.fill(declaration.authority) if declaration.authority else None
    measuring = Measuring(now, f"{without_userinfo(url)} → {declaration.measure}", settled)
    seconds = declaration.timeout.total_seconds()
    over = declaration.over.total_seconds() if declaration.over else 0.0
    try:
        refuse_strangers(url, settled)
        return within(seconds + over + 1, lambda: _measure(declaration, url, authority, seconds, over, measuring))
    except (NoTarget, NoReply, _NoFigure) as error:
        return measuring.failed(f"{without_userinfo(url)}: {error}")
    except TimeoutError:
        return measuring.late(seconds + over)


def _measure(
    declaration: RedisProbe, url: str, authority: str | None, seconds: float, over: float, measuring: Measuring
) -> Observation | Unmeasured:
    with closing(RedisServer(url, authority, time.monotonic() + seconds + over)) as server:
        if declaration.measure == "ping":
            began = time.perf_counter()
            server.ping()
            return measuring.gave(time.perf_counter() - began, "s")
        before: Mapping[str, str] | None = None
        if over:
            before = server.info()
            time.sleep(over)
        info = server.info()
    match declaration.measure:
        case "hit-rate":
            return _hit_rate(info, before, _span(info, over), declaration.needs, measuring)
        case "evictions":
            return measuring.gave(_counted("evicted_keys", info, before), "", _span(info, over))
        case "memory":
            return measuring.gave(_number(info, "used_memory"), "B")
        case "memory-share":
            return _memory_share(info, measuring)
        case "save-age":
            return _save_age(info, measuring)
        case "unsaved":
            return measuring.gave(_number(info, "rdb_changes_since_last_save"), "", _last_try(info))
        case _:
            assert_never(declaration.measure)


def _span(info: Mapping[str, str], over: float) -> str:
    if over:
        return f"over {format_value(over, 's')}"
    return f"since its start {format_value(_number(info, 'uptime_in_seconds'), 's')} ago"


def _hit_rate(
    info: Mapping[str, str], before: Mapping[str, str] | None, span: str, needs: int, measuring: Measuring
) -> Observation | Unmeasured:
    hits = _counted("keyspace_hits", info, before)
    lookups = hits + _counted("keyspace_misses", info, before)
    if lookups < needs:
        few = f"only {lookups:,.0f} keys were looked up {span}, and {needs:,} are needed"
        return measuring.failed(few if lookups else f"no key was looked up {span}, so there is no hit rate")
    return measuring.gave(100 * hits / lookups, "%", f"{hits:,.0f} of {lookups:,.0f} look-ups {span}", samples=int(lookups))


def _memory_share(info: Mapping[str, str], measuring: Measuring) -> Observation | Unmeasured:
    used, most = _number(info, "used_memory"), _number(info, "maxmemory")
    if not most:
        return measuring.failed("no maxmemory is set, so there is no share of it; `measure: memory` is the memory used")
    return measuring.gave(100 * used / most, "%", f"{format_value(used, 'B')} of {format_value(most, 'B')}")


def _save_age(info: Mapping[str, str], measuring: Measuring) -> Observation | Unmeasured:
    # The server's own clock, where it tells it: ours may differ.
    at = _number(info, "server_time_usec") / 1e6 if "server_time_usec" in info else measuring.now.timestamp()
    saved, uptime = _number(info, "rdb_last_save_time"), _number(info, "uptime_in_seconds")
    saves = _number(info, "rdb_saves") if "rdb_saves" in info else float(at - saved < uptime - _A_TICK)
    # A server that starts sets the time of its last save to its start, though it has saved nothing.
    if not saves:
        return measuring.failed(
            f"nothing was saved since its start {format_value(uptime, 's')} ago; {_last_try(info) or _other_file(info)}"
        )
    unsaved = _number(info, "rdb_changes_since_last_save")
    detail = f"{unsaved:,.0f} changes since" + (f"; {tried}" if (tried := _last_try(info)) else "")
    return measuring.gave(max(0.0, at - saved), "s", detail)


def _other_file(info: Mapping[str, str]) -> str:
    if info.get("aof_enabled", "0") == "0":
        return "no save was tried"
    return f"it appends to a file, the last time {info.get('aof_last_write_status', 'unknown')}, and does not tell its age"


def _last_try(info: Mapping[str, str]) -> str:
    return "the last save failed" if info.get("rdb_last_bgsave_status", "ok") != "ok" else ""


def _counted(name: str, info: Mapping[str, str], before: Mapping[str, str] | None) -> float:
    """How far a counter has come since an earlier INFO; since the server's start where there is none."""
    count = _number(info, name)
    if before is None:
        return count
    added = count - _number(before, name)
    if added < 0 or info.get("run_id") != before.get("run_id"):
        raise _NoFigure("its counters were reset while they were watched")
    return added


def _number(info: Mapping[str, str], name: str) -> float:
    try:
        return float(info[name])
    except KeyError:
        raise _NoFigure(f"{name} is missing in its INFO") from None
    except ValueError:
        raise _NoFigure(f"{name} is {clipped(info[name], 40)!r}, not a number, in its INFO") from None
