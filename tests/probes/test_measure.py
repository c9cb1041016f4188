from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalogue.probe_kinds import ProbeDeclaration
from checks.errors import DataError
from checks.model import Observation
from checks.probes import PROBES
from checks.probes._support import clipped, masked, statistic, within
from tests.probes.conftest import NOW, measured, reason_of, settings, value_of


def test_every_declared_kind_has_a_probe() -> None:
    """The kinds that the catalogue accepts are the kinds that can measure."""
    union = get_args(ProbeDeclaration)[0]
    assert {get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(union)} == set(PROBES)


def test_a_missing_setting_is_unknown_and_names_its_variable() -> None:
    """A probe whose setting has no value says which variable to set."""
    said = reason_of(
        {"kind": "sql", "database": "{database}", "query": "SELECT 1"}, settled=settings(missing={"database": "SHOP_DB"})
    )
    assert said.startswith("SHOP_DB is not set")
    assert said.endswith("set SHOP_DB")


def test_an_invalid_declaration_is_an_error_of_the_catalogue() -> None:
    """A declaration that the catalogue would refuse is not taken for a sick system."""
    with pytest.raises(DataError, match="the probe of shop/figure is not valid"):
        measured({"kind": "http"})


def test_a_unit_that_the_kind_cannot_have_is_unknown(tmp_path: Path) -> None:
    """An age is no share: the reason names both."""
    (tmp_path / "a").touch()
    os.utime(tmp_path / "a", (NOW.timestamp() - 60, NOW.timestamp() - 60))
    said = reason_of({"kind": "file", "path": str(tmp_path / "a"), "measure": "age"}, "%")
    assert "a time (s) cannot be turned into a share (%)" in said


def test_a_cells_metric_measures_nothing_by_itself() -> None:
    """The notebook kind says that a cell has to give the value."""
    assert "check(metric, value)" in reason_of({"kind": "notebook"})


@given(
    st.text(min_size=3, max_size=30).filter(lambda text: text.strip() and "•" not in text),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_a_secret_is_found_nowhere(secret: str, before: str, after: str) -> None:
    """Neither the secret nor its JSON form survives masking, wherever it stands."""
    settled = settings(secrets=(secret,))
    told = masked(settled, f"{before}{secret}{after} {json.dumps(secret)}")
    assert secret not in told
    assert json.dumps(secret)[1:-1] not in told


@given(st.text(max_size=300))
def test_text_to_show_is_one_bounded_printable_line(text: str) -> None:
    """Whatever a system says fits on one line and carries no control character."""
    shown = clipped(text, 50)
    assert len(shown) <= 50
    assert shown.isprintable()


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.sampled_from(["median", "mean", "min", "max", "p50", "p95", "p99"]))
def test_a_statistic_lies_within_its_sample(values: list[float], name: str) -> None:
    """No statistic leaves the sample's range, and percentiles do not depend on its order."""
    result = statistic(values, name)
    slack = 1e-6 * max(1.0, *(abs(value) for value in values))
    assert min(values) - slack <= result <= max(values) + slack
    assert statistic(values[::-1], name) == pytest.approx(result)


def test_percentiles_interpolate_between_ranks() -> None:
    """The 95th percentile of 1 to 100 is 95.05, as NumPy has it."""
    assert statistic([float(number) for number in range(1, 101)], "p95") == pytest.approx(95.05)
    assert statistic([1.0, 2.0], "p50") == statistic([1.0, 2.0], "median") == 1.5


def test_work_that_hangs_is_left_at_the_deadline() -> None:
    """Waiting ends at the deadline though the work does not."""
    release = threading.Event()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        within(0.1, release.wait)
    assert time.monotonic() - started < 2
    release.set()


def test_an_error_in_the_work_is_raised_where_it_was_asked() -> None:
    """A mistake of ours in a probe's thread is not swallowed."""
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


def test_the_value_is_converted_to_the_metrics_unit(tmp_path: Path) -> None:
    """A size is measured in bytes and given in the metric's megabytes."""
    (tmp_path / "dump").write_bytes(b"x" * 1_500_000)
    probe = {"kind": "file", "path": str(tmp_path / "dump"), "measure": "size"}
    assert value_of(probe, "MB") == 1.5
    seen = measured(probe, "MB")
    assert isinstance(seen, Observation)
    assert seen.unit == "MB"
