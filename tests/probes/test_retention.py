from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.errors import DataError
from checks.model import Observation
from tests.probes.conftest import NOW, measured, reason_of, value_of
from tests.probes.test_log import aged, written

POLICY = {"ERROR": "365d", "INFO": "60d", "DEBUG": "7d"}


def entry(days: float, level: str, **fields: Any) -> str:
    """A JSON line of some days ago."""
    return json.dumps({"ts": (NOW - timedelta(days=days)).isoformat(), "level": level, **fields})


def kept(path: Path, measure: str, **options: Any) -> dict[str, Any]:
    """A declared retention probe with the policy."""
    policy = {"policy": POLICY} if measure.startswith("too-") else {}
    return {"kind": "retention", "path": str(path), "measure": measure, **policy, **options}


def seen_by(path: Path, measure: str, unit: str = "", **options: Any) -> Observation:
    """The whole observation."""
    seen = measured(kept(path, measure, **options), unit)
    assert isinstance(seen, Observation), seen
    return seen


def logged(folder: Path, error: float, info: float, debug: float) -> Path:
    """A log with its rotated and gzipped files, whose levels reach back as many days."""
    aged(written(folder / "app.log.2.gz", [entry(error, "ERROR"), entry(max(info, 30), "INFO") if info > 30 else ""]), 2_000_000)
    aged(written(folder / "app.log.1", [entry(min(info, 30), "INFO"), entry(debug, "DEBUG")]), 90_000)
    return written(folder / "app.log", [entry(1, "ERROR"), entry(0.5, "INFO"), entry(0.1, "DEBUG")])


@pytest.mark.parametrize(
    ("reach", "too_long", "too_soon"),
    [
        ((365, 60, 7), [], []),
        ((365.9, 60.9, 7.9), [], []),
        ((364.1, 59.1, 6.1), [], []),
        ((370, 60, 7), ["ERROR is kept 370 d"], []),
        ((365, 90, 12), ["INFO is kept 90 d", "DEBUG is kept 12 d"], []),
        ((60, 60, 7), [], ["ERROR reaches back 60 d"]),
        ((60, 7, 90), ["DEBUG is kept 90 d"], ["ERROR reaches back 60 d", "INFO reaches back 7 d"]),
    ],
)
def test_levels_are_held_against_their_policy(
    tmp_path: Path, reach: tuple[float, float, float], too_long: list[str], too_soon: list[str]
) -> None:
    """What is kept too long, and what is gone too soon, is counted by level, over rotated and gzipped files."""
    path = logged(tmp_path, *reach)
    for measure, broken in (("too-long", too_long), ("too-soon", too_soon)):
        seen = seen_by(path, measure)
        assert seen.value == len(broken), seen.detail
        assert all(words in seen.detail for words in broken)
        assert seen.samples is not None
        assert seen.samples >= 6


def test_a_level_without_an_entry_reaches_nowhere(tmp_path: Path) -> None:
    """A level that left nothing is gone too soon, and not kept too long; one without a policy is named."""
    path = written(tmp_path / "app.log", [entry(60, "INFO"), entry(1, "TRACE")])
    assert seen_by(path, "too-long").value == 0
    seen = seen_by(path, "too-soon")
    assert seen.value == 2
    assert seen.detail == "there is no ERROR entry; there is no DEBUG entry; no policy for TRACE"


def test_a_young_log_need_not_reach_further_than_its_beginning(tmp_path: Path) -> None:
    """With the day it began, a log is held to that day."""
    path = logged(tmp_path, 20, 20, 7)
    assert seen_by(path, "too-soon").value == 2
    assert seen_by(path, "too-soon", since=(NOW - timedelta(days=20)).date().isoformat()).value == 0
    assert seen_by(path, "too-soon", since=(NOW - timedelta(days=40)).date().isoformat()).value == 2
    assert seen_by(path, "too-soon", since=NOW.date().isoformat()).value == 0


def test_the_grace_is_the_declared_one(tmp_path: Path) -> None:
    """A rare level may be given longer."""
    path = logged(tmp_path, 340, 60, 7)
    assert seen_by(path, "too-soon").value == 1
    assert seen_by(path, "too-soon", grace="30d").value == 0


def test_the_ages_of_the_oldest_and_newest_entries(tmp_path: Path) -> None:
    """The ages are those of the level, or of all; a level that is not there has none."""
    path = logged(tmp_path, 365, 60, 7)
    assert value_of(kept(path, "oldest"), "d") == 365
    assert value_of(kept(path, "newest"), "h") == pytest.approx(2.4)
    assert value_of(kept(path, "oldest", level="info"), "d") == 60
    assert value_of(kept(path, "newest", level="ERROR"), "d") == 1
    assert "there is no FATAL entry" in reason_of(kept(path, "oldest", level="FATAL"), "d")


def test_plain_logs_and_other_names_are_read(tmp_path: Path) -> None:
    """Levels of plain lines count, WARN is WARNING, and JSON levels may have another field."""
    path = written(tmp_path / "a.log", ["2025-12-01 00:00:00 WARN x", "2026-01-31 00:00:00 INFO x"])
    assert value_of(kept(path, "too-long", policy={"WARNING": "60d"})) == 1
    assert value_of(kept(path, "oldest", timezone="Europe/Berlin"), "h") == pytest.approx(61 * 24 + 13)
    named = written(tmp_path / "b.log", [json.dumps({"at": NOW.timestamp() - 86400 * 9, "severity": "debug"})])
    assert value_of(kept(named, "too-long", timestamp="at", **{"level-field": "severity"})) == 1


def test_lines_of_the_future_are_left_out(tmp_path: Path) -> None:
    """A wrong clock does not make a log look fresh."""
    path = written(tmp_path / "a.log", [entry(3, "INFO"), entry(-5, "INFO")])
    seen = seen_by(path, "newest", "d")
    assert seen.value == 3
    assert seen.detail.endswith("1 dated in the future left out")


def test_what_cannot_be_read_whole_is_unknown(tmp_path: Path) -> None:
    """A broken rotated file may hold what decides."""
    path = logged(tmp_path, 365, 60, 7)
    (tmp_path / "app.log.2.gz").write_bytes((tmp_path / "app.log.2.gz").read_bytes()[:-9])
    assert "app.log.2.gz is not whole" in reason_of(kept(path, "too-long"))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "has a time"),
        (["no time", "none"], "has a time"),
        (["2026-01-31 00:00:00 hello"], "has a level"),
        ([entry(1, f"L{number}") for number in range(101)], "has more than 100 levels"),
    ],
)
def test_a_log_without_times_or_levels_is_unknown(tmp_path: Path, lines: list[str], reason: str) -> None:
    """Nothing to go by is not the same as nothing wrong."""
    assert reason in reason_of(kept(written(tmp_path / "a.log", lines), "too-long"))
    assert "does not exist" in reason_of(kept(tmp_path / "none.log", "too-long"))


@pytest.mark.parametrize(
    "options",
    [
        {"measure": "too-long"},
        {"measure": "oldest", "policy": POLICY},
        {"measure": "too-soon", "policy": POLICY, "level": "INFO"},
    ],
)
def test_a_policy_goes_with_its_measures(options: dict[str, Any]) -> None:
    """A declaration that could find nothing is refused."""
    with pytest.raises(DataError, match="the probe of shop/figure is not valid"):
        measured({"kind": "retention", "path": "a.log", **options})
