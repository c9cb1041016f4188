"""What a resident scheduler says: plain lines, each with its time."""

from __future__ import annotations

from datetime import UTC, datetime

from checks.cli._shared import say
from checks.errors import ProofbookError
from checks.journal.formats import inert
from checks.model import Result, Run, Status
from checks.run.ends import Outcome
from checks.schedule.due import Slot
from checks.schedule.resident import Reporter


class Lines(Reporter):
    """Says each thing in a line, for a terminal and a service's log alike."""

    def took(self, slot: Slot) -> None:
        """A slot has been claimed; its run begins."""
        _line(f"runs {slot.runbook}, due {slot.due_at:%Y-%m-%d %H:%M} UTC")

    def passed_over(self, slot: Slot) -> None:
        """A slot is given up."""
        _line(f"left out  {slot.runbook}, due {slot.due_at:%Y-%m-%d %H:%M} UTC: the run before is still going on")

    def ended(self, outcome: Outcome) -> None:
        """A run has ended and has been journaled."""
        run = outcome.run
        took = (run.ended_at - run.started_at).total_seconds() if run.ended_at else 0.0
        _line(f"{run.status.value} {run.runbook} {run.state.value} in {took:.1f} s" + (f": {run.reason}" if run.reason else ""))

    def lost(self, run: Run) -> None:
        """A run that nobody was at work on any more has been ended."""
        _line(f"lost {run.runbook}: {run.reason}")

    def changed(self, result: Result, before: Status | None) -> None:
        """A sampled metric has another status than before."""
        was = f", was {before.value}" if before else ""
        _line(f"{result.status.value} {result.system}/{result.metric} (sampled{was}): {result.reason}")

    def sampling(self, metrics: int, other: str) -> None:
        """What is sampled from now on, and by whom."""
        what = "no metric is sampled" if not metrics else f"{metrics} metric{'s are' if metrics > 1 else ' is'} sampled"
        _line(f"samples {what}" + (f": {other} does it here" if other else ""))

    def reloaded(self, error: ProofbookError | None) -> None:
        """What people wrote has changed."""
        _line("reads what people wrote anew" if error is None else f"keeps what held before, as it is broken now: {error}")

    def away(self, error: ProofbookError | None) -> None:
        """The journal is away, or back."""
        _line("journal is back" if error is None else f"journal is away, nothing is begun: {error}")

    def troubled(self, error: ProofbookError) -> None:
        """Samples could not be written."""
        _line(f"journal samples are kept until it can be written: {error}")

    def trouble(self, text: str) -> None:
        """Something else that a person should know of."""
        _line(f"trouble {text}")


def _line(text: str) -> None:
    say(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {inert(' '.join(text.split(chr(10))))}")
