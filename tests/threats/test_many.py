"""Very many results: a page stays one that a browser opens, and what it leaves out is a plain link away."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from posixpath import dirname, normpath
from typing import cast

import nbformat

from checks.catalogue import Catalogue, load
from checks.journal import open_journal
from checks.model import Result
from checks.site import further, tables
from checks.site.evidence import Archive
from checks.site.facts import Publication, gather
from checks.site.fragments import Page, fragment
from checks.site.live import Place
from checks.site.views import _first, _Told
from tests.site.history import keep_evidence, record
from tests.site.project import small_project

NOW = datetime(2024, 11, 12, 10, 42, 10, tzinfo=UTC)
MANY = 1_200
AROUND = 60_000
"""What the theme, the navigation and the text take of a page, at the most."""
A_PAGE = 300_000
A_HISTORY = 30_000
"""The most bytes that a runbook's history takes on its page, however many runs there were."""


def _house(root: Path, count: int) -> Catalogue:
    loaded = load(small_project(root))
    system = loaded.systems["shop"]
    like = system.metrics["latency"]
    metrics = {f"m-{number}": replace(like, name=f"m-{number}", title=f"Latency {number}") for number in range(count)}
    like_system = replace(system, metrics={})
    others = {f"s-{number}": replace(like_system, name=f"s-{number}", title=f"Shop {number}") for number in range(120)}
    return replace(loaded, systems={"shop": replace(system, metrics=metrics), **others})


def test_51_many_results_and_many_systems(tmp_path: Path) -> None:
    """No page of a very large house is over 300 kB: what is wrong stands first, and all of it is a few plain links away."""
    catalogue = _house(tmp_path / "project", MANY)
    catalogue.settings.state.mkdir(parents=True)
    with open_journal(catalogue.settings.journal) as journal:
        values: dict[str, float | str] = {f"m-{number}": 90.0 for number in range(MANY)}
        values |= {"m-1100": 900.0, "m-1150": "no answer"}
        record(catalogue, journal, NOW - timedelta(minutes=2), values)
        for number in range(22):
            at = NOW - timedelta(hours=1 + number)
            record(catalogue, journal, at, {}, run_id=f"01A{number:02}")
        facts = gather(catalogue, journal, "staging", NOW, Publication(1, ""))
        page = Page("systems/shop/index.html")
        table, history, needs = (
            str(fragment(facts, page, Place(*wanted)))
            for wanted in (("metrics", "shop"), ("runs", "shop/morning"), ("needs", "shop"))
        )
        home = "".join(str(fragment(facts, Page("index.html"), Place(kind))) for kind in ("needs", "systems"))
        beside = {page.address: page.make(facts).decode() for page in further.pages(facts)}
    assert len((table + history + needs).encode()) + AROUND < A_PAGE
    assert len(home.encode()) + AROUND < A_PAGE
    assert max(len(text.encode()) for text in beside.values()) < A_PAGE
    assert len(history) < A_HISTORY
    first, second, third = re.findall(r">(Latency \d+)<", table)[:3]
    assert [first, second, third] == ["Latency 1100", "Latency 1150", "Latency 0"]
    assert 'href="all/metrics-1.html">All 1,200 metrics' in table
    metrics = [text for address, text in beside.items() if "metrics-" in address]
    assert len(metrics) == MANY / tables.ON_A_PAGE
    assert [title for text in metrics for title in re.findall(r">Latency (\d+)</a>", text)] == [str(n) for n in range(MANY)]
    assert "Page 2 of 12" in beside["systems/shop/all/metrics-2.html"]
    systems = [
        title for address, text in beside.items() if "systems-" in address for title in re.findall(r">Shop (\d+)</a>", text)
    ]
    assert sorted(systems, key=int) == [str(number) for number in range(120)]
    for address, text in beside.items():
        around = {normpath(f"{dirname(address)}/{link}") for link in re.findall(r'href="(\w+-\d+\.html)"', text)}
        assert around <= beside.keys(), address


def test_51_very_many_runbooks(tmp_path: Path) -> None:
    """Hundreds of runbooks with schedules make small pages: a table and a calendar with the first, and all of them on others."""
    loaded = load(small_project(tmp_path / "project"))
    like = loaded.runbook("shop/morning")
    books = {f"shop/b-{number}": replace(like, name=f"b-{number}", title=f"Book {number}") for number in range(400)}
    catalogue = replace(loaded, runbooks=books)
    catalogue.settings.state.mkdir(parents=True)
    with open_journal(catalogue.settings.journal) as journal:
        facts = gather(catalogue, journal, "staging", NOW, Publication(1, ""))
        page = Page("systems/shop/index.html")
        table, calendar = (str(fragment(facts, page, Place(*wanted))) for wanted in (("runbooks", "shop"), ("calendar", "14")))
        beside = [one.make(facts).decode() for one in further.pages(facts)]
    assert len(table.encode()) + AROUND < A_PAGE
    assert len(calendar.encode()) + AROUND < A_PAGE
    assert calendar.count("more that day") == 14
    assert 'href="all/runbooks-1.html">All 400 runbooks' in table
    titles = [title for text in beside for title in re.findall(r">Book (\d+)</a><br>", text)]
    assert titles == [str(number) for number in range(400)]
    assert max(len(text.encode()) for text in beside) < A_PAGE


def test_51_many_results_in_many_steps() -> None:
    """A runbook's page shows of each step its share of what a run found, what is wrong first, and never more than it bears."""
    told = [_Told(cast("Result", number), "critical" if number == 200 else "ok", NOW, None) for number in range(300)]
    few, some, most = (_first(told[:count], of) for count, of in ((70, 70), (300, 600), (300, 300)))
    assert (len(few), len(some), len(most)) == (70, 80, 80)
    assert some[0].label == "critical"
    assert sum(len(_first(told[:60], 600)) for _ in range(10)) == 160


def test_51_a_run_that_said_very_much(tmp_path: Path) -> None:
    """Evidence of a hundred outputs of twenty kilobytes is one small page, which tells of each how much it leaves out."""
    loaded = load(small_project(tmp_path / "project"))
    said = [nbformat.v4.new_output("stream", name="stdout", text="x" * 25_000) for _ in range(100)]
    digest = keep_evidence(loaded, [nbformat.v4.new_code_cell("say()", outputs=[one], execution_count=1) for one in said])
    found = Archive(loaded.settings.state / "evidence").get(digest)
    assert found is not None
    outputs = [output for cell in found.cells for output in cell.outputs]
    assert len(outputs) == len(said)
    assert sum(len(output.text) for output in outputs) < A_PAGE / 2
    assert {len(output.text) + output.left_out for output in outputs} == {25_000}
    assert all(output.text for output in outputs)
