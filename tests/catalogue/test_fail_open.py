"""Checks that cannot fail are found where they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from checks.catalogue import load
from checks.catalogue.domains import _DOMAINS, domain_of
from checks.catalogue.fail_open import find, find_in_history
from checks.catalogue.probe_kinds import ProbeDeclaration
from checks.judge.reachable import Domain
from checks.model import Metric, Status
from tests.golden import cases

_HERE = Path(__file__).parents[2]


@pytest.mark.parametrize("case", cases("fail_open"))
def test_golden(case: Any, tmp_path: Path) -> None:
    """Each fault is told with its place, how sure it is, and a remedy; what is well is left alone."""
    (tmp_path / "mkdocs.yml").write_text("site_name: Shop\n")
    for name, text in case["files"].items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    catalogue = load(tmp_path)
    found = find(catalogue)
    if "seen" in case:
        seen = {slug: frozenset(map(Status, statuses)) for slug, statuses in case["seen"].items()}
        found += find_in_history(catalogue, "sandbox", seen, case["measured"])
    told = [(str(one.where), one.severity.value, one.what) for one in found]
    expected = [(one["where"], one["severity"]) for one in case["expected"]]
    assert [one[:2] for one in told] == expected, told
    for one, (_, _, what) in zip(case["expected"], told, strict=True):
        assert one["says"] in what
    assert all(one.remedy for one in found)


def test_our_own_checks_can_fail() -> None:
    """Nothing in this project's own catalogue fails open."""
    assert [str(one) for one in find(load(_HERE))] == []


def test_every_domain_is_of_a_measure_that_there_is() -> None:
    """Each entry of the table names a measure that its kind declares."""
    union = ProbeDeclaration.__args__[0].__args__
    declared = {kind.model_fields["kind"].annotation.__args__[0]: kind for kind in union}
    for kind, measures in _DOMAINS.items():
        if kind not in declared:
            continue
        schema = str(declared[kind].model_json_schema())
        assert [measure for measure in measures if f"'{measure}'" not in schema] == [], kind


@pytest.mark.parametrize(
    ("unit", "probe", "expected"),
    [
        ("%", {"kind": "host", "measure": "disk"}, Domain(0, 100, certain=True)),
        ("files", {"kind": "file", "measure": "count"}, Domain(0, whole=True, certain=True)),
        ("", {"kind": "command", "argv": ["x"]}, Domain(0, 255, whole=True, certain=True)),
        ("ms", {"kind": "notebook"}, Domain(0)),
        ("%", {"kind": "notebook"}, Domain(0, 100)),
        ("d", {"kind": "tls"}, Domain()),
        ("", {"kind": "http", "select": "status == 'ok'"}, Domain(0, 1, whole=True, certain=True)),
        ("", {"kind": "http", "select": "checks | !contains(@, 'a')"}, Domain(0, 1, whole=True, certain=True)),
        ("parts", {"kind": "http", "select": "length(parts[?down])"}, Domain(0, whole=True, certain=True)),
        ("", {"kind": "http", "select": "sum(parts[].errors)"}, Domain(0)),
        ("", {"kind": "http", "measure": "text", "match": r"^up\(1\)$"}, Domain(0, 1, whole=True, certain=True)),
        ("", {"kind": "http", "measure": "text", "match": r"load (\d+)"}, Domain(0)),
    ],
)
def test_a_probe_settles_what_its_values_can_be(unit: str, probe: dict[str, Any], expected: Domain) -> None:
    """Only what the probe itself makes sure of is certain."""
    assert domain_of(Metric("shop", "a", "A", unit, probe)) == expected
