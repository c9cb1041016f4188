"""What came of each step of a run, read from its evidence: what a report for continuous integration is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from checks.model import Result, Run, RunState, Status, StepClass
from checks.run.evidence import path_of

_BAD = (Status.CRITICAL, Status.UNKNOWN)
_FENCE = re.compile(r"^(`{3,}|~{3,})")
_HEADING = re.compile(r"^##\s+(.+?)\s*#*\s*$")


class Verdict(Enum):
    """What came of a step, as continuous integration has it."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class StepReport:
    """What came of one step.

    Attributes:
        number: the step's number; 0 is what stands before the first ``##``.
        status: the worst of its results, unknown where a cell did not end well; ``None`` where it was skipped or judged nothing.
        reason: why it failed or was skipped, one sentence; empty where it passed.
        took: seconds that its cells needed.

    """

    number: int
    title: str
    verdict: Verdict
    status: Status | None
    reason: str
    results: tuple[Result, ...] = ()
    took: float = 0.0


def reports(run: Run, results: Sequence[Result], evidence: bytes | None) -> tuple[StepReport, ...]:
    """What came of each step that holds code, or that a person would have to take.

    What is wrong with the run as a whole and with none of its steps (no check judged anything, say) is put down to the last
    step that was executed. A run without evidence has one step, which failed.

    Args:
        run: the ended run.
        results: what it found.
        evidence: its evidence as `checks.run.evidence` keeps it; ``None`` where none could be kept.

    """
    told: Mapping[str, Any] = json.loads(evidence) if evidence else {}
    about = told.get("metadata", {}).get("proofbook", {})
    found = [_report(step, told.get("cells", []), results, run) for step in about.get("steps", [])]
    steps = [report for report in found if report is not None]
    if run.status in _BAD and not any(step.verdict is Verdict.FAILED for step in steps):
        position = max((at for at, step in enumerate(steps) if step.verdict is Verdict.PASSED), default=0)
        steps[position : position + 1] = [_blamed(run, steps[position] if steps else None)]
    return tuple(steps)


def evidence_of(run: Run, state: Path) -> bytes | None:
    """The evidence of an earlier run; ``None`` where it is not here."""
    try:
        return path_of(state, run.evidence).read_bytes() if run.evidence else None
    except OSError:
        return None


def lines(text: str) -> tuple[int, ...]:
    """The line, counted from 1, of each ``##`` heading of a runbook outside of code; that of step 1 first."""
    found: list[int] = []
    fence = ""
    in_front_matter = text.startswith("---")
    for number, line in enumerate(text.splitlines(), start=1):
        if in_front_matter:
            in_front_matter = number == 1 or line.rstrip() != "---"
            continue
        opening = _FENCE.match(line)
        if fence:
            if opening and opening.group(1).startswith(fence) and not line.strip("`~ \t"):
                fence = ""
        elif opening:
            fence = opening.group(1)
        elif _HEADING.match(line):
            found.append(number)
    return tuple(found)


def _report(step: Mapping[str, Any], cells: Iterable[Any], results: Sequence[Result], run: Run) -> StepReport | None:
    number, title = step["number"], step["title"] or "before the first step"
    notes = [
        cell["metadata"]["proofbook"]
        for cell in cells
        if cell["cell_type"] == "code"
        and cell["metadata"].get("proofbook", {}).get("step") == number
        and not cell["metadata"]["proofbook"].get("injected")
    ]
    if step["class"] != StepClass.READ.value:
        return StepReport(number, title, Verdict.SKIPPED, None, step["class"])
    if not notes:
        return None
    outcomes = {note.get("outcome") for note in notes}
    own = tuple(result for result in results if result.step == number)
    took = sum(note.get("took", 0.0) for note in notes)
    ended_badly = bool(outcomes & {"failed", "timed-out", "cancelled"})
    if not own and not ended_badly and "executed" not in outcomes:
        return StepReport(number, title, Verdict.SKIPPED, None, "skipped" if outcomes == {"skipped"} else "not reached")
    statuses = [result.status for result in own] + [Status.UNKNOWN] * ended_badly
    reasons = [f"{one.metric}: {one.reason}" for one in own if one.status in _BAD]
    reasons += [run.reason or run.state.value] * ended_badly
    verdict = Verdict.FAILED if reasons else Verdict.PASSED
    return StepReport(number, title, verdict, Status.worst(statuses) if statuses else None, "; ".join(reasons), own, took)


def _blamed(run: Run, step: StepReport | None) -> StepReport:
    ended = f"was {run.state.value}" if run.state is not RunState.FINISHED else f"is {run.status.value}"
    reason = run.reason or f"the run {ended}"
    if step is None:
        return StepReport(0, "the run", Verdict.FAILED, run.status, reason)
    return StepReport(step.number, step.title, Verdict.FAILED, run.status, reason, step.results, step.took)
