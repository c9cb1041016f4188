"""The report of an incident, as far as the journal knows it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser
from typer.testing import CliRunner

from checks.catalogue import Catalogue, load
from checks.cli import incident as incident_command
from checks.errors import DataError
from checks.journal import Journal
from checks.journal.formats import inert
from checks.respond.drafts import TEMPLATE, draft, letters
from tests.site.history import record
from tests.site.people import NAME, told
from tests.threats.hostile import texts

NOW = datetime(2024, 11, 12, 10, 42, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def happened(catalogue: Catalogue, journal: Journal) -> None:
    """Errors rose, people spoke."""
    record(catalogue, journal, NOW - timedelta(hours=2), {"error-rate": 0.4}, run_id="01OLD")
    record(catalogue, journal, NOW - timedelta(minutes=70), {"error-rate": 12.4, "latency": "no answer"}, run_id="01BAD")
    told(catalogue, journal, NOW)


def test_a_draft_says_what_the_journal_knows(catalogue: Catalogue, journal: Journal) -> None:
    """Times beside promises, which metric turned when with its value and limit, who said what, evidence; the rest are gaps."""
    text = draft(catalogue, journal, NAME, "staging", NOW)
    assert "# Incident report: Nobody gets &lt;b&gt;bread&lt;/b&gt;" in text
    assert "- Severity: P1: Nobody gets bread" in text
    assert "- Duration: 72 minutes so far" in text
    assert "- Acknowledged: 2024-11-12 09:50:00 UTC, after 20 min, 5 min late" in text
    assert "- Resolved: not yet, due 2024-11-12 13:30:00 UTC" in text
    assert "was critical from 2024-11-12 09:32:10 UTC at 12.4 %, limit &gt; 10 %" in text
    times = re.findall(r"^- (2024-\S+ \S+) UTC: (.*)$", text, re.MULTILINE)
    assert [at for at, _ in times] == sorted(at for at, _ in times)
    assert times[0][1].startswith("Error rate turned **ok**") or times[0][1].startswith("**opened**")
    assert any(said == "**noted** by miller: &lt;script&gt;flour()&lt;/script&gt; is out" for _, said in times)
    run = journal.run("01BAD")
    assert run is not None
    assert f"../evidence/{run.evidence}.html#cell-" in text
    assert text.count("pb-gap") == 4


def test_a_plan_has_its_own_template(catalogue: Catalogue, journal: Journal) -> None:
    """A template beside system.yml is filled; a field that there is not is told with those that there are."""
    path = catalogue.root / "docs/systems/shop" / TEMPLATE
    path.write_text("v2.0.0 $severity\n$timeline\n", encoding="utf-8")
    assert draft(catalogue, journal, NAME, "staging", NOW).startswith("v2.0.0 P1: Nobody gets bread\n- 2024-11-12")
    path.write_text("$no_such_field", encoding="utf-8")
    with pytest.raises(DataError, match=r"\$timeline"):
        draft(catalogue, journal, NAME, "staging", NOW)


@pytest.mark.usefixtures("journal")
def test_a_draft_is_printed(catalogue: Catalogue) -> None:
    """The command prints the draft, and nothing else."""
    said = CliRunner().invoke(incident_command.app, ["draft", NAME, "--root", str(load(catalogue.root).root)])
    assert said.exit_code == 0, said.output
    assert said.stdout.startswith("# Incident report: ")
    assert said.stdout.endswith("\n")


def test_50_hostile_texts_stay_letters_in_markdown() -> None:
    """Whatever was observed or said is shown by Markdown letter by letter: it makes no element, no link and no macro."""
    extensions = ["tables", "attr_list", "md_in_html", "pymdownx.superfences", "footnotes", "admonition", "def_list"]
    turned: Any = import_module("markdown").Markdown(extensions=extensions)
    for text in texts():
        written = f"- x: {letters(text)}"
        assert "{{" not in written
        assert "{%" not in written
        page = LexborHTMLParser(turned.reset().convert(written))
        assert page.body is not None
        assert {node.tag for node in page.body.traverse() if node.tag} <= {"body", "ul", "li"}, text
        assert " ".join(page.body.text().split()) == " ".join(f"x: {inert(text)}".split())
