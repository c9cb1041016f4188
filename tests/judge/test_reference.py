from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from checks.catalogue._schema import ConditionEntry, MetricEntry
from checks.judge import forms, parse_limit
from checks.judge.reference import page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "limits.md"


def test_the_page_is_what_the_parser_renders() -> None:
    """The reference that readers see is made of the grammar; write it again: python -m checks.judge.reference."""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("example", [example for form in forms() for example in form.examples])
def test_each_example_is_read_and_is_canonical(example: str) -> None:
    """What the page shows is written as limits are printed."""
    assert parse_limit(example).text == example


def test_each_form_has_a_sentence() -> None:
    """Every form of the grammar says in one sentence when it is broken."""
    for form in forms():
        assert form.broken.endswith(".")
        assert form.broken.count(". ") == 0


def _samples() -> list[Any]:
    blocks = re.findall(r"```yaml\n(.*?)```", page(), flags=re.DOTALL)
    return [YAML(typ="safe").load(block) for block in blocks]


def test_each_sample_of_the_page_is_valid() -> None:
    """What a reader copies from the page is accepted by the catalogue."""
    read = 0
    for sample in _samples():
        for name, entry in sample.get("conditions", {}).items():
            assert ConditionEntry.model_validate(entry).title, name
            read += 1
        if "conditions" in sample:
            continue
        metrics = sample.values() if "title" in next(iter(sample.values())) else [sample]
        for entry in metrics:
            MetricEntry.model_validate({"title": "T", "unit": "%", "probe": {"kind": "notebook"}} | entry)
            read += 1
    assert read == 8
