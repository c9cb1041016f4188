"""Operate: a person walks a runbook step by step in one live kernel, asked before each step, every answer journaled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from checks.errors import Busy, ProofbookError, Refused
from checks.model import RunState, Trigger
from checks.respond.person import Diary, Person
from checks.respond.steps import Page, page_of
from checks.respond.walk import Walk, read
from checks.run import execution, record
from checks.run.calm import calm

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.model import Runbook
    from checks.run.ends import Outcome, Prepared


def refuse_without_a_person(prepared: Prepared, diary: Diary, now: datetime) -> None:
    """Refuse, and journal, an operation that nobody at a terminal asked for.

    Raises:
        Refused: always.

    """
    run, slug = prepared.run, prepared.runbook.slug
    classes = sorted({step.step_class.value for step in read(prepared)[1]})
    detail = {"environment": run.environment, "reason": "no person at a terminal", "classes": classes}
    diary.record_event("operate-refused", now, slug, run.actor, detail)
    raise Refused(
        "operate needs a person at a terminal",
        where=slug,
        found="standard input is not a terminal",
        remedy=f"call it from a terminal; to execute its read steps only: proofbook run {slug}",
    )


def require_free(prepared: Prepared, diary: Diary, now: datetime) -> None:
    """Refuse, and journal, to operate a runbook that somebody else operates in the same environment.

    Who has left without a word holds it no longer: at once where that was on this machine, else when their lease expires.

    Raises:
        Busy: it is being operated; by whom, where and since when is told.

    """
    record.recover_lost(diary, prepared, now)
    busy = _held(prepared, diary)
    if busy is not None:
        run = prepared.run
        detail = {"environment": run.environment, "reason": busy.what, "held_by": busy.found}
        diary.record_event("operate-refused", now, prepared.runbook.slug, run.actor, detail)
        raise busy


def _held(prepared: Prepared, diary: Diary) -> Busy | None:
    run = prepared.run
    walks = [one for one in diary.under_way(run.runbook, run.environment) if one.trigger is Trigger.OPERATOR and one.id != run.id]
    if not walks:
        return None
    other = walks[0]
    return Busy(
        f"somebody operates {run.runbook} in {run.environment}",
        found=f"{other.actor} on {other.host}, since {other.started_at:%Y-%m-%d %H:%M} UTC (run {other.id})",
        remedy=f"ask {other.actor}; when that walk ends, or its terminal is closed, the runbook is free again",
    )


def pages(runbook: Runbook, catalogue: Catalogue) -> list[Page]:
    """The steps of a runbook as `operate` would show them; nothing is executed."""
    from checks.catalogue import notebook as reader

    notebook = reader.read(runbook)
    system = catalogue.systems[runbook.system].name
    return [page_of(step, notebook, system) for step in reader.steps(notebook)]


def operate(prepared: Prepared, person: Person, diary: Diary, *, clock: Callable[[], datetime]) -> Outcome:
    """Walk a runbook with a person and journal it as a run.

    Whatever ends the walk (the last step, an answer, Ctrl-C, a closed terminal, a dead kernel), what was done is
    journaled with its results and its evidence.

    Args:
        prepared: what `checks.run.execution.prepare` gave, triggered by an operator.
        person: who is asked.
        diary: where every answer and outcome, and in the end the run, is written.
        clock: gives the time, aware, in UTC.

    Raises:
        Busy: somebody else operates it.

    """
    require_free(prepared, diary, clock())
    begun = record.begin(prepared, diary, clock())
    try:
        # Somebody may have begun in the same moment; then neither goes on unasked.
        if (busy := _held(begun, diary)) is not None:
            raise busy
        outcome = Walk(begun, person, diary, clock).go()
    except (ProofbookError, OSError) as error:
        outcome = execution.failed(begun, str(error), clock())
    except BaseException:
        with calm():
            diary.finish_run(execution.failed(begun, "the walk broke off", clock(), RunState.CANCELLED).run, ())
        raise
    with calm():
        return record.finish(outcome, diary, begun)
