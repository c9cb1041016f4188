"""Which of several waiting runs is next: what matters most first, and of that each system in its turn."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checks.model import Metric, System
    from checks.run.ends import Prepared

LAST = 9
"""The rank of what has no priority."""

_WORDS = {"critical": 0, "high": 1, "medium": 2, "low": 3}
_NUMBERED = re.compile(r"p([0-8])")
# A cell may check a list of names in a loop, so any quoted name of a metric counts.
_QUOTED = re.compile(r"[\"']([a-z0-9][a-z0-9/-]*)[\"']")


def rank(priority: str | None) -> int:
    """A priority as a number, 0 for what matters most: ``P0`` to ``P8``, or the words Critical, High, Medium, Low."""
    text = (priority or "").strip().lower()
    numbered = _NUMBERED.fullmatch(text)
    return int(numbered.group(1)) if numbered else _WORDS.get(text, LAST)


def rank_of(source: str, system: System) -> int:
    """The rank of the gravest metric that a runbook's text names.

    Args:
        source: the runbook as it is written.
        system: its system, whose metrics have priorities.

    """
    return min((rank(metric.priority) for metric in _named(source, system)), default=LAST)


def kinds_of(source: str, system: System) -> set[str]:
    """How the metrics that a runbook's text names are measured: the kinds of their probes."""
    return {str(metric.probe.get("kind", "")) for metric in _named(source, system)}


def _named(source: str, system: System) -> list[Metric]:
    names = {name.removeprefix(f"{system.name}/") for name in _QUOTED.findall(source)}
    return [metric for name, metric in system.metrics.items() if name in names]


class Waiting:
    """The runs that have not begun.

    Of those of the highest rank the next is one of the system that has the fewest under way, then of the one of which the
    fewest have begun, so that a system with many runbooks, or with slow ones, does not keep the others waiting.
    """

    def __init__(self, runs: Iterable[tuple[int, Prepared]]) -> None:
        """Queue runs.

        Args:
            runs: each with its rank; of one system and rank first come, first served.

        """
        self._queues: dict[tuple[int, str], deque[tuple[int, Prepared]]] = {}
        for position, (its_rank, prepared) in enumerate(runs):
            self._queues.setdefault((its_rank, prepared.runbook.system), deque()).append((position, prepared))
        self._under_way: Counter[str] = Counter()
        self._begun: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def take(self) -> tuple[int, Prepared]:
        """Take the next run out, with its position among all; it is under way until `ended` is told of it."""

        def turn(key: tuple[int, str]) -> tuple[int, int, int, int]:
            its_rank, system = key
            return its_rank, self._under_way[system], self._begun[system], self._queues[key][0][0]

        key = min(self._queues, key=turn)
        taken = self._queues[key].popleft()
        if not self._queues[key]:
            del self._queues[key]
        self._under_way[key[1]] += 1
        self._begun[key[1]] += 1
        return taken

    def ended(self, prepared: Prepared) -> None:
        """Note that a run that was taken has ended."""
        self._under_way[prepared.runbook.system] -= 1
