"""How runs get on: a display that moves on a terminal, a line for each run that ended elsewhere."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.cli._shared import console, say
from checks.run.many import Watcher

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from checks.model import Run, Step
    from checks.run.ends import Outcome

STYLES = {"critical": "bold red", "unknown": "bold magenta", "warning": "yellow", "ok": "green"}
_REFRESHES_A_SECOND = 8
_NARROW = 60
# A terminal shows a key such as Ctrl-C where its cursor stands; at the end of a full line that would begin another one.
_SPARE = 3


class Lines(Watcher):
    """Says of each run that ended how it ended, and remembers what a person who stops it must be told."""

    def __init__(self, total: int) -> None:
        """Begin.

        Args:
            total: how many runs there will be.

        """
        self.total = total
        self.begun = 0
        self.done = 0

    def started(self, run: Run) -> None:  # noqa: ARG002 - the watcher's signature
        """One more is under way."""
        self.begun += 1

    def ended(self, outcome: Outcome) -> None:
        """One line."""
        from checks.journal.formats import inert

        self.done += 1
        ended = outcome.run
        why = f"  {inert(ended.reason)}" if ended.reason else ""
        say(f"{ended.status.value:<8}  {ended.runbook}  {ended.state.value} in {took(ended)}{why}")

    def stopped(self) -> None:
        """Say what became of the runs when a person stopped them."""
        waiting = self.total - self.begun
        say(f"stopped: {self.done} of {self.total} ended and are journaled" + (f"; {waiting} had not begun" if waiting else ""))


@dataclass(slots=True)
class _Row:
    """One run that is under way."""

    since: float
    step: str = ""


class Display(Lines):
    """What runs and for how long, how far all of it is, and what is left; drawn anew several times a second."""

    def __init__(self, total: int, target: Console, usual: Mapping[str, float], jobs: int) -> None:
        """Begin.

        Args:
            total: how many runs there will be.
            target: where it is drawn.
            usual: how many seconds each runbook took last, by its slug; where all are known, the time left is estimated.
            jobs: how many run at once.

        """
        super().__init__(total)
        self._target, self._left, self._jobs = target, dict(usual), jobs
        self._since = time.monotonic()
        self._rows: dict[str, _Row] = {}
        self._statuses: Counter[str] = Counter()
        self._lock = threading.Lock()

    def started(self, run: Run) -> None:
        """A row more."""
        super().started(run)
        with self._lock:
            self._rows[run.runbook] = _Row(time.monotonic())

    def reached(self, run: Run, step: Step) -> None:
        """The row says the step."""
        from checks.journal.formats import inert

        with self._lock:
            if row := self._rows.get(run.runbook):
                row.step = inert(step.title)

    def ended(self, outcome: Outcome) -> None:
        """A row less; what needs someone stays on the screen."""
        from rich.text import Text

        from checks.journal.formats import inert

        self.done += 1
        run = outcome.run
        status = run.status.value
        with self._lock:
            self._rows.pop(run.runbook, None)
            self._left.pop(run.runbook, None)
            self._statuses[status] += 1
        if status != "ok":
            said = Text(f"{status:<8}  {run.runbook}", STYLES[status])
            self._target.print(said.append(f"  {inert(why(outcome))}", "dim"), overflow="ellipsis", no_wrap=True)

    def __rich__(self) -> RenderableType:
        """Draw it as it is now."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        narrow = self._target.width < _NARROW
        rows = Table.grid(padding=(0, 1), expand=True)
        rows.width = max(1, self._target.width - _SPARE)
        rows.add_column(width=1)
        rows.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
        if not narrow:
            rows.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
        rows.add_column(justify="right", no_wrap=True)
        with self._lock:
            for runbook, row in self._rows.items():
                cells = [Text("•", "cyan"), Text(runbook), Text(row.step or "a kernel starts", "dim")]
                rows.add_row(*(cells[:2] if narrow else cells), Text(_clock(now - row.since)))
            counted = [Text(f"{number} {status}", STYLES[status]) for status, number in sorted(self._statuses.items())]
            left = sum(self._left.values()) - sum(
                min(now - row.since, self._left.get(slug, 0)) for slug, row in self._rows.items()
            )
            known = len(self._left) == self.total - self.done
        foot = Table.grid(padding=(0, 1), expand=True)
        foot.width = rows.width
        foot.add_column(no_wrap=True, overflow="ellipsis", ratio=1 if narrow else None)
        if not narrow:
            foot.add_column(ratio=1)
        words = Text(f"{self.done} of {self.total}").append(f" · {self.total - self.begun} wait", "dim")
        for text in counted:
            words.append(" · ").append_text(text)
        spent = Text(_clock(now - self._since))
        if known and left > 1 and self.done < self.total:
            spent.append(f", about {_clock(left / self._jobs)} left", "dim")
        foot.add_column(no_wrap=True, justify="right", min_width=len(spent))
        bar = [] if narrow else [ProgressBar(total=max(1, self.total), completed=self.done)]
        foot.add_row(words, *bar, spent)
        return Group(rows, foot)


@contextmanager
def watching(total: int, jobs: int, usual: Mapping[str, float]) -> Iterator[Lines]:
    """A watcher for so many runs: a display on a terminal, lines in a pipe.

    Args:
        total: how many runs there will be.
        jobs: how many run at once.
        usual: how many seconds each runbook took last, by its slug.

    """
    import os

    if os.environ.get("TERM") == "dumb" or not _on_terminal():
        yield Lines(total)
        return
    from rich.live import Live

    target = console(stderr=True)
    display = Display(total, target, usual, jobs)
    with Live(display, console=target, refresh_per_second=_REFRESHES_A_SECOND, transient=True):
        yield display


def why(outcome: Outcome) -> str:
    """The reason of a run's status: its own, or that of the result that it comes from."""
    if outcome.run.reason:
        return outcome.run.reason
    return next(
        (f"{r.metric}: {r.reason}" for r in outcome.results if r.status is outcome.run.status and r.status.value != "ok"), ""
    )


def took(run: Run) -> str:
    """How long a run took, in seconds with one decimal."""
    return f"{(run.ended_at - run.started_at).total_seconds() if run.ended_at else 0.0:.1f} s"


def _on_terminal() -> bool:
    import sys

    return sys.stderr.isatty()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
