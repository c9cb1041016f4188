"""What a row of results says beyond each one: where the status or the limits changed; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from checks.model import Status


class Judged(NamedTuple):
    """What of a recorded result matters to those that follow it.

    Attributes:
        result: the result's key, rising in the order of recording.
        judged_at: in microseconds since 1970.

    """

    result: int
    judged_at: int
    status: Status
    warning: str | None
    critical: str | None

    @property
    def order(self) -> tuple[int, int]:
        """Where it stands among its metric's results: by the time of its judgement, then of its recording."""
        return self.judged_at, self.result

    @property
    def limits(self) -> tuple[str | None, str | None]:
        """The texts of the limits that judged it."""
        return self.warning, self.critical


@dataclass(frozen=True, slots=True)
class Walked:
    """What was found on the way along a metric's results.

    Attributes:
        changed: each result whose status is not that of the one before, with the status before; ``None`` of the first of all.
        judged_by: each result that was judged by other limits than the one before, the first of all included.
        last: the last result; ``None`` where there was none at all.

    """

    changed: tuple[tuple[Judged, Status | None], ...]
    judged_by: tuple[Judged, ...]
    last: Judged | None


def walk(before: Judged | None, results: Iterable[Judged]) -> Walked:
    """Go along a metric's results.

    Args:
        before: the result before them; ``None`` where they are the first.
        results: in any order.

    """
    changed: list[tuple[Judged, Status | None]] = []
    judged_by: list[Judged] = []
    for one in sorted(results, key=lambda judged: judged.order):
        if before is None or one.status is not before.status:
            changed.append((one, before.status if before else None))
        if before is None or one.limits != before.limits:
            judged_by.append(one)
        before = one
    return Walked(tuple(changed), tuple(judged_by), before)
