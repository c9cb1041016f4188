"""Reading a catalogue: what is valid is frozen, what is not is told with its place and remedy."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.catalogue import Catalogue, load
from checks.errors import CatalogueErrors, DataError
from checks.model import Operator, RunbookKind
from tests.catalogue.conftest import Project
from tests.golden import cases


def _said(root: Path) -> list[str]:
    try:
        load(root)
    except CatalogueErrors as errors:
        return [str(error) for error in errors.errors]
    return []


@pytest.mark.parametrize("case", cases("catalogue"))
def test_each_fault_is_told_with_its_place(case: Any, project: Project) -> None:
    """Every fault names file, line and column first, and says what was expected or found."""
    said = _said(project(case["files"]))
    assert len(said) == len(case["expected"]), said
    for text, expected in zip(said, case["expected"], strict=True):
        assert text.startswith(f"{expected['where']}: "), text
        for part in expected["says"]:
            assert part in text


def _valid(project: Project) -> Catalogue:
    (case,) = (parameter.values[0] for parameter in cases("catalogue") if parameter.id == "valid")
    files: dict[str, str] = case["files"]
    return load(project(files))


def test_a_system_is_read_whole(project: Project) -> None:
    """A metric carries its probe as written and its limits parsed."""
    metric = _valid(project).metric("shop/error-rate")
    assert metric.probe == {"kind": "http", "url": "{base_url}/metrics", "select": "error_rate"}
    assert metric.critical is not None
    assert (metric.critical.operator, metric.critical.bounds, metric.critical.unit) == (Operator.ABOVE, (10.0,), "%")


def test_a_runbook_is_read_whole(project: Project) -> None:
    """A runbook carries its kind, schedule and the defaults of what it does not say."""
    runbook = _valid(project).runbook("shop/morning")
    assert runbook.kind is RunbookKind.CHECK
    assert runbook.schedule is not None
    assert (runbook.schedule.expression, runbook.schedule.timezone) == ("0 9 * * *", "Europe/Berlin")
    assert runbook.fresh_for == timedelta(hours=26)


def test_the_catalogue_is_frozen(project: Project) -> None:
    """Nothing that was read can be changed afterwards."""
    catalogue = _valid(project)
    with pytest.raises(FrozenInstanceError):
        catalogue.system("shop").title = "Other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        catalogue.systems["other"] = catalogue.system("shop")  # type: ignore[index]


def test_a_name_that_is_not_there_is_answered_with_near_ones(project: Project) -> None:
    """A mistyped slug is an error that offers what was probably meant."""
    with pytest.raises(DataError) as caught:
        _valid(project).metric("shop/eror-rate")
    assert "did you mean shop/error-rate?" in str(caught.value)


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_line_endings_do_not_matter(project: Project, ending: str) -> None:
    """A file saved with CRLF reads as the same system."""
    root = _valid(project).root
    path = root / "docs" / "systems" / "shop" / "system.yml"
    path.write_bytes(path.read_text(encoding="utf-8").replace("\n", ending).encode())
    assert load(root).system("shop").title == "Web shop"


def test_a_byte_order_mark_in_a_runbook_is_refused(project: Project) -> None:
    """A byte order mark would silently lose the front matter, so it is told."""
    root = _valid(project).root
    path = root / "notebooks" / "shop" / "morning.md"
    path.write_text("\ufeff" + path.read_text(encoding="utf-8"), encoding="utf-8")
    (said,) = _said(root)
    assert "notebooks/shop/morning.md:1:1: a byte order mark stands before the front matter" in said


def test_mojibake_is_refused_with_its_line(project: Project) -> None:
    """A file that is not UTF-8 is told with the line at which it stops being so."""
    root = _valid(project).root
    path = root / "docs" / "systems" / "shop" / "system.yml"
    path.write_bytes(path.read_bytes().replace(b"Web shop", "Café".encode("latin-1")))
    assert _said(root)[0].startswith("docs/systems/shop/system.yml:2: this is not UTF-8")
