"""What is promised of Proofbook's speed, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.fresh import CACHE
from tests.benchmarks.peers import LOOP
from tests.benchmarks.run import NBCLIENT
from tests.benchmarks.site import SECTIONS


@dataclass(frozen=True, slots=True)
class Promise:
    """That work is done so many times as fast as by a peer.

    Attributes:
        work: in words.
        table: the subject and the path of the table of ways below its figures.
        ours: how the name of our way begins.
        peer: the name of the other way.
        least: how many times at least.

    """

    work: str
    table: tuple[str, ...]
    ours: str
    peer: str
    least: float


_RUN, _AGAIN, _PAGES = ("run", "executing"), ("run", "again"), ("site", "thousand_pages", "ways")
# Where it was measured by itself.
_ELSEWHERE: dict[tuple[str, ...], tuple[str, ...]] = {_AGAIN: ("fresh", "again")}
_STOCK = "stock ipykernel, by jupyter_client"
_NOTHING, _STAYS = "from nothing", "in a process that stays"

PROMISES = (
    Promise(f"a run of many notebooks, {_NOTHING}", _RUN, "proofbook run, 4 jobs", LOOP, 12),
    Promise(f"a run of many notebooks, {_NOTHING}", _RUN, "proofbook run, 4 jobs", NBCLIENT, 3.5),
    Promise(f"a run of many notebooks, {_STAYS}", _RUN, "proofbook resident", LOOP, 16),
    Promise("a kernel is ready", ("run", "kernel", "ready"), "forked", _STOCK, 8),
    Promise(f"run again, one notebook changed, {_STAYS}", _AGAIN, "proofbook resident", LOOP, 100),
    Promise(f"run again, one notebook changed, {_STAYS}", _AGAIN, "proofbook resident", CACHE, 4),
    Promise(f"run again, one notebook changed, {_NOTHING}", _AGAIN, "proofbook run", LOOP, 100),
    Promise(f"run again, one notebook changed, {_NOTHING}", _AGAIN, "proofbook run", CACHE, 4),
    Promise("publish, figures of 25 pages changed", _PAGES, "publish, figures of 25", SECTIONS, 100),
    Promise("publish, figures of all changed", _PAGES, "publish, figures of all", SECTIONS, 30),
    Promise("publish, text of 25 pages changed", _PAGES, "publish, text of 25", SECTIONS, 10),
)


def measured(kept: Mapping[str, Any]) -> Iterator[tuple[Promise, float]]:
    """Each promise whose work was measured beside its peer's, and how many times as fast it was, by medians.

    Args:
        kept: by subject, the machine and the figures.

    """
    for promise in PROMISES:
        ways = _table(kept, promise.table) or _table(kept, _ELSEWHERE.get(promise.table, ()))
        way = next((about for name, about in ways.items() if name.startswith(promise.ours)), None)
        if way is not None and promise.peer in way["faster_than"]:
            yield promise, way["faster_than"][promise.peer]


def _table(kept: Mapping[str, Any], place: tuple[str, ...]) -> Mapping[str, Any]:
    if not place:
        return {}
    found: Any = kept.get(place[0], {}).get("figures", {})
    for name in place[1:]:
        found = found.get(name, {})
    return dict(found)


def lines(kept: Mapping[str, Any]) -> Iterator[str]:
    """The same for a terminal."""
    found = list(measured(kept))
    if found:
        yield f"{'what is promised':<52} {'compared with':<36} {'at least':>9}  {'measured':>9}"
    for promise, times in found:
        mark = "" if times >= promise.least else "  (less)"
        yield f"{promise.work:<52} {promise.peer:<36} {promise.least:>8g}x  {times:>8.1f}x{mark}"
