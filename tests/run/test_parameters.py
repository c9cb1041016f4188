"""Parameters are typed values that are checked before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from checks.errors import DataError
from checks.model import Parameter, Runbook, RunbookKind
from checks.run.parameters import parse, validate

DECLARED = {
    "hours": Parameter("hours", "integer", default=24, minimum=1, maximum=72),
    "share": Parameter("share", "number", default=0.5),
    "loud": Parameter("loud", "boolean", default=False),
    "where": Parameter("where", "string", default="north", choices=("north", "south")),
    "note": Parameter("note", "string", default=""),
}
RUNBOOK = Runbook("shop", "morning", "Morning", RunbookKind.CHECK, "x", Path("morning.md"), "0", parameters=DECLARED)


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("hours", "12", 12),
        ("hours", 12.0, 12),
        ("share", "2.5", 2.5),
        ("share", 1, 1.0),
        ("loud", "yes", True),
        ("loud", "False", False),
        ("loud", True, True),
        ("where", "south", "south"),
        ("note", "a\n'b'", "a\n'b'"),
    ],
)
def test_what_fits_is_read_as_its_type(name: str, given: Any, read: Any) -> None:
    """Texts of a command line and values of the type become values of the declared type."""
    value = validate(RUNBOOK, {name: given})[name]
    assert value == read
    assert type(value) is type(read)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("hours", "soon"),
        ("hours", "1.5"),
        ("hours", "0"),
        ("hours", 73),
        ("hours", True),
        ("share", "nan"),
        ("share", "inf"),
        ("share", "1e999"),
        ("loud", "perhaps"),
        ("loud", 1),
        ("where", "west"),
        ("note", "a\0b"),
        ("note", 5),
        ("note", None),
    ],
)
def test_what_does_not_fit_is_refused(name: str, given: Any) -> None:
    """A value of another type, out of its range or not among the choices is refused with the remedy."""
    if given is None:
        declared = {"note": Parameter("note", "string")}
        runbook = Runbook("shop", "m", "M", RunbookKind.CHECK, "x", Path("m.md"), "0", parameters=declared)
        with pytest.raises(DataError, match="needs a value for `note`"):
            validate(runbook, {})
        return
    with pytest.raises(DataError) as refused:
        validate(RUNBOOK, {name: given})
    assert f"-p {name}=" in (refused.value.remedy or "")


def test_a_name_that_is_not_declared_is_refused() -> None:
    """An unknown name is refused with those that the runbook declares."""
    with pytest.raises(DataError) as refused:
        validate(RUNBOOK, {"houres": 3})
    assert refused.value.expected == "one of hours, share, loud, where, note"


def test_defaults_fill_what_is_not_given() -> None:
    """Each declared parameter has a value afterwards."""
    assert validate(RUNBOOK, {}) == {"hours": 24, "share": 0.5, "loud": False, "where": "north", "note": ""}


def test_assignments_are_split_at_the_first_sign() -> None:
    """A value may hold further equals signs, or be empty."""
    assert parse(["note=a=b", "where="]) == {"note": "a=b", "where": ""}


@pytest.mark.parametrize("assignments", [["note"], ["=x"], ["note=1", "note=2"]])
def test_what_is_no_assignment_is_refused(assignments: list[str]) -> None:
    """A text without a name or sign, and a name given twice, are refused."""
    with pytest.raises(DataError):
        parse(assignments)
