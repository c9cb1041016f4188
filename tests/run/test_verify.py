"""What a run found is judged once more by what is declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from checks.model import Observation, Result, Status, Trigger
from checks.run.ends import Prepared
from checks.run.execution import prepare
from checks.run.verify import verified
from tests.run.project import Project, now


@pytest.fixture
def prepared(project: Project) -> Prepared:
    """A run of the shop that has begun."""
    catalogue = project.catalogue
    slug = project.write("nothing\n")
    book = project.catalogue.runbooks[slug]
    asked = {"environment": "test", "variables": project.variables, "parameters": {}}
    return prepare(book, catalogue, **asked, trigger=Trigger.COMMAND, now=now())  # type: ignore[arg-type]


def _found(value: float, status: Status) -> Result:
    at = now()
    seen = Observation(value, "%", at, 0.01, "a cell")
    return Result("shop", "error-rate", "Error rate", status, "", at, seen, ">= 1 %", "> 10 %", cell=3)


def test_what_the_limits_give_stays(prepared: Prepared) -> None:
    """Results that follow from their values are kept as they are."""
    results = (_found(0.4, Status.OK), _found(2, Status.WARNING), _found(50, Status.CRITICAL))
    assert verified(results, prepared, now()) == (results, [])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda it: replace(it, status=Status.OK), "is critical by its limits, not ok"),
        (lambda it: replace(it, critical="> 90 %"), "was judged by other limits than are declared"),
        (lambda it: replace(it, judged_at=it.judged_at - timedelta(days=1)), "outside of its run"),
        (lambda it: replace(it, judged_at=it.judged_at + timedelta(hours=1)), "outside of its run"),
    ],
)
def test_what_cannot_be_is_unknown(prepared: Prepared, change: Callable[[Result], Result], why: str) -> None:
    """A status, a limit or a time that cannot be makes its result unknown, whatever it said, with the reason."""
    doubted = change(_found(50, Status.CRITICAL))
    (kept,), reasons = verified([doubted], prepared, now())
    assert (kept.status, kept.observation) == (Status.UNKNOWN, doubted.observation)
    assert why in kept.reason
    assert reasons == [f"cell 3: {kept.reason}"]
