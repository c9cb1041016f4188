"""The reference page of probes and faults says what really happens."""

from __future__ import annotations

import pytest

from checks.probes import PROBES
from tests.probes.causes import CAUSES
from tests.probes.faults import _HEAD, FAULTS, PAGE, row

TRIED = [(kind, fault) for kind, faults in CAUSES.items() for fault in FAULTS if fault in faults]


@pytest.mark.parametrize(("kind", "fault"), TRIED)
def test_each_line_is_what_happens(kind: str, fault: str) -> None:
    """A fault that is caused for real gives the status and message on the page, and is never ok."""
    told = row(kind, fault)
    assert told in PAGE.read_text(encoding="utf-8").splitlines(), "write the page anew: python -m tests.probes.faults"
    assert told.split(" | ")[2] in ("unknown", "critical")


def test_the_page_has_no_other_line() -> None:
    """Nothing stands on the page that no test has found."""
    text = PAGE.read_text(encoding="utf-8")
    assert text.startswith(_HEAD)
    cells = [line.strip("| ").split(" | ")[:2] for line in text.removeprefix(_HEAD).splitlines()]
    assert cells == [list(one) for one in TRIED]


def test_every_kind_is_on_the_page() -> None:
    """A new kind of probe comes with all six of its faults; only the notebook's cells measure by themselves."""
    assert {name.partition(",")[0] for name in CAUSES} == set(PROBES) - {"notebook"}
    assert all(set(faults) == set(FAULTS) for faults in CAUSES.values())
