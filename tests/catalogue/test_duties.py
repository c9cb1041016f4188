from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.catalogue import load
from checks.errors import CatalogueErrors, Place
from checks.model import IncidentStatus, Proof
from tests.golden import cases
from tests.site.people import INCIDENT, NAME, with_people


def test_what_people_answer_for_is_read(tmp_path: Path) -> None:
    """Severities, planned work, incidents and the items of checklists are read with their times in UTC."""
    loaded = with_people(tmp_path)
    shop = loaded.system("shop")
    assert shop.severities["P1"].resolve == timedelta(hours=4)
    assert shop.severities["P2"].acknowledge is None
    assert [(one.title, one.starts) for one in shop.maintenance] == [
        ("The oven is swept", None),
        ("A new till", datetime(2024, 11, 14, 10, tzinfo=UTC)),
    ]
    incident = loaded.incident(NAME)
    assert incident.status is IncidentStatus.ACKNOWLEDGED
    assert incident.opened == datetime(2024, 11, 12, 9, 30, tzinfo=UTC)
    items = {item.name: item for item in loaded.checklists["shop"]}
    assert {name: item.proof for name, item in items.items()} == {
        "error-rate": Proof.METRIC,
        "backup-age": Proof.METRIC,
        "morning": Proof.RUN,
        "bread": Proof.HAND,
        "oven": Proof.HAND,
    }
    assert items["oven"].text == "The oven is clean and cold"
    assert items["oven"].lasts == timedelta(days=30)


def test_the_page_that_lists_incidents_is_none(tmp_path: Path) -> None:
    """The index of the incidents needs no front matter."""
    assert list(with_people(tmp_path).incidents) == [NAME]


@pytest.mark.parametrize("case", cases("incidents"))
def test_an_incident_that_is_not_valid_is_refused(case: dict[str, Any], tmp_path: Path) -> None:
    """Each fault of an incident's front matter is told with its file, line, what was expected and what was found."""
    text = INCIDENT.replace(case["input"]["replace"], case["input"]["by"])
    assert text != INCIDENT
    with pytest.raises(CatalogueErrors) as refused:
        with_people(tmp_path, **{f"docs__incidents__{NAME}": text})
    told = refused.value.errors[0]
    assert isinstance(told.where, Place)
    assert (told.where.path, told.where.line) == (Path(f"docs/incidents/{NAME}.md"), case["expected"]["line"])
    assert case["expected"]["what"] in told.what
    assert case["expected"]["expected"] in (told.expected or "")


@pytest.mark.parametrize("case", cases("checklists"))
def test_an_item_that_cannot_be_signed_is_refused(case: dict[str, Any], tmp_path: Path) -> None:
    """Each item that people sign has a name of its own in its system, and a time that a word on it may last."""
    with pytest.raises(CatalogueErrors) as refused:
        with_people(tmp_path, docs__systems__shop__checklist=case["input"])
    (told,) = refused.value.errors
    assert told.what == case["expected"]["what"]
    assert isinstance(told.where, Place)
    assert told.where.line == case["expected"]["line"]


def test_rewording_is_seen(tmp_path: Path) -> None:
    """An item's digest is of what it says, so that a word given on other words does not hold; its place is of no matter."""
    before = with_people(tmp_path).item("shop/oven")
    page = tmp_path / "docs/systems/shop/checklist.md"
    page.write_text("\n\n" + page.read_text())
    assert load(tmp_path).item("shop/oven").digest == before.digest
    page.write_text(page.read_text().replace("**cold**", "**hot**"))
    assert load(tmp_path).item("shop/oven").digest != before.digest
