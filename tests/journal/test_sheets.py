"""What is taken out of a journal for spreadsheets."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from checks.catalogue import load
from checks.cli import journal as journal_command
from checks.journal import open_journal
from checks.journal.sheets import harmless, to_csv
from tests.site.history import record
from tests.site.project import small_project
from tests.threats.hostile import texts

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_text_is_never_a_formula(text: str) -> None:
    """Whatever stands in a cell, a spreadsheet shows it: it begins with nothing that would be worked out, and loses nothing."""
    (row,) = list(csv.reader(io.StringIO(to_csv(("a",), [(text,)]), newline="")))[1:] or [[""]]
    cell = row[0] if row else ""
    assert not cell.lstrip(" ").startswith(_FORMULA)
    assert cell.removeprefix("'" if cell != text else "") == text


def test_50_hostile_texts_are_cells() -> None:
    """Each text of the hostile corpus is one cell that is no formula, however it is written."""
    written = to_csv(("text", "figure"), [(text, -1.5) for text in texts()])
    rows = list(csv.reader(io.StringIO(written, newline="")))[1:]
    assert len(rows) == len(texts())
    assert not [text for text, _ in rows if text.lstrip(" ").startswith(_FORMULA)]
    assert {figure for _, figure in rows} == {"-1.5"}
    assert harmless("=cmd|' /C calc'!A0") == "'=cmd|' /C calc'!A0"


@pytest.mark.parametrize(("what", "lines"), [("results", 2), ("observations", 1)])
def test_a_metric_is_exported(what: str, lines: int, tmp_path: Path) -> None:
    """The command prints how a metric was judged, or what was measured of it, the oldest first; a reason is no formula."""
    loaded = load(small_project(tmp_path))
    loaded.settings.state.mkdir()
    at = datetime.now(UTC) - timedelta(hours=1)
    with open_journal(loaded.settings.journal) as journal:
        record(loaded, journal, at, {"latency": 90.0}, run_id="01A")
        record(loaded, journal, at + timedelta(minutes=1), {"latency": "=1+1"}, run_id="01B")
    said = CliRunner().invoke(journal_command.app, ["export", "shop/latency", "--what", what, "--root", str(tmp_path)])
    assert said.exit_code == 0, said.output
    rows = list(csv.DictReader(io.StringIO(said.stdout, newline="")))
    assert len(rows) == lines
    assert (float(rows[0]["value"]), rows[0]["unit"]) == (90.0, "ms")
    if what == "results":
        assert [(row["status"], row["run"]) for row in rows] == [("ok", "01A"), ("unknown", "01B")]
        assert rows[1]["reason"] == "'=1+1"
