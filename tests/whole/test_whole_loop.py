"""The whole way: five systems measured, journaled and published by one command, then broken and healed."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser

import pytest

from checks.catalogue import load
from checks.journal import open_journal
from checks.model import RunState, Status
from tests.whole.conftest import Whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SYSTEMS = {"console-ext", "mase", "turbo-octo-robot", "unified-workflow", "wellbeing"}


class _Links(HTMLParser):
    """The links and ids of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if tag == "a" and name == "href" and value:
                self.links.append(value)


def _read(page: str) -> _Links:
    parser = _Links()
    parser.feed(page)
    return parser


def test_five_systems_with_ten_runbooks_are_minutes_old(whole: Whole) -> None:
    """After one command each of the five systems has runbooks whose latest run was executed just now."""
    catalogue = load(whole.root)
    assert set(catalogue.systems) == SYSTEMS
    assert len(catalogue.runbooks) >= 10
    with open_journal(catalogue.settings.journal) as journal:
        latest = journal.latest_runs("sandbox")
    assert set(latest) == set(catalogue.runbooks)
    recently = datetime.now(UTC) - timedelta(minutes=15)
    assert all(run.state is RunState.FINISHED and run.started_at > recently for run in latest.values())


def test_each_metric_was_measured_and_is_well(whole: Whole) -> None:
    """While nothing is broken, each declared metric has an observation and is ok."""
    catalogue = load(whole.root)
    with open_journal(catalogue.settings.journal) as journal:
        results = journal.latest_results("sandbox")
    for system in catalogue.systems.values():
        assert len(system.metrics) >= 8
        for metric in system.metrics.values():
            result = results[metric.slug].result
            assert result.observation is not None, result.reason
            assert result.status is Status.OK, f"{metric.slug}: {result.reason}"


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_a_figure_is_traced_to_its_cell(whole: Whole, system: str) -> None:
    """From a system's page a figure leads to the run's evidence, and there to the cell that measured it."""
    links = _read(whole.published(f"systems/{system}/index.html")).links
    cells = [link for link in links if re.search(r"evidence/[0-9a-f]+\.html#cell-\d+$", link)]
    assert len(cells) >= 8
    for link in cells:
        page, _, anchor = link.rpartition("#")
        evidence = whole.published(f"evidence/{page.rpartition('/')[2]}")
        assert anchor in _read(evidence).ids


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_each_system_has_its_pages(whole: Whole, system: str) -> None:
    """Each system has a checklist, an FAQ, an incident policy and a report, and live results are in them."""
    for page in ("checklist", "faq", "incident-policy", "report"):
        html = whole.published(f"systems/{system}/{page}.html")
        assert "data-measured=" in html, page
        assert not re.search(r'<(div|span) data-live="[^"]*"></', html), f"an element of {page} was not filled"


def test_each_system_names_its_requirements(whole: Whole) -> None:
    """Each metric and each runbook says which requirement it fulfils."""
    catalogue = load(whole.root)
    for system in catalogue.systems.values():
        assert all(metric.source for metric in system.metrics.values())
        assert all(runbook.source for runbook in catalogue.runbooks_of(system.name))


def test_breaking_and_healing_show_and_stay_in_the_journal(whole: Whole) -> None:
    """A fault turns its system critical on the page, with the value beside its limit; healed, it is ok, and history stays."""
    before = len(_runs(whole))
    assert whole.proofbook("sandbox", "break", "wellbeing", "errors").returncode == 0
    _until(whole, "wellbeing/error-rate", 2)
    assert whole.proofbook("publish").returncode == 0
    for page in ("index.html", "systems/wellbeing/index.html"):
        assert re.search(r"Critical Error rate\b.{0,40} is \d+(\.\d+)? % ?, limit > 10 %", _words(whole.published(page)))
    assert whole.proofbook("status", "wellbeing").returncode == 2

    assert whole.proofbook("sandbox", "heal", "wellbeing").returncode == 0
    _until(whole, "wellbeing/error-rate", 0)
    assert whole.proofbook("publish").returncode == 0
    catalogue = load(whole.root)
    with open_journal(catalogue.settings.journal) as journal:
        result = journal.latest_results("sandbox")["wellbeing/error-rate"].result
    assert result.status is Status.OK
    assert len(_runs(whole)) >= before + 2 * len(catalogue.runbooks)


def test_broken_yaml_keeps_the_published_site(whole: Whole) -> None:
    """A broken system.yml exits 65 with its place, and the site that is published stays readable as it was."""
    path = whole.root / "docs" / "systems" / "mase" / "system.yml"
    text = path.read_text(encoding="utf-8")
    before = whole.published("index.html")
    path.write_text(text.replace("metrics:", "metrics: [", 1), encoding="utf-8")
    try:
        published = whole.proofbook("publish")
    finally:
        path.write_text(text, encoding="utf-8")
    assert published.returncode == 65
    assert re.match(r"docs/systems/mase/system\.yml:\d+:\d+: ", published.stderr)
    assert whole.published("index.html") == before


def test_without_the_sandbox_nothing_is_green(whole: Whole) -> None:
    """With the sandbox down every result is unknown with its reason, and the command exits 3."""
    assert whole.proofbook("sandbox", "down").returncode == 0
    try:
        ran = whole.proofbook("run", "--all")
        catalogue = load(whole.root)
        with open_journal(catalogue.settings.journal) as journal:
            latest = journal.latest_runs("sandbox")
            results = [result for run in latest.values() for result in journal.results(run.id)]
    finally:
        assert whole.proofbook("sandbox", "up").returncode == 0
    assert ran.returncode == 3
    assert {run.status for run in latest.values()} == {Status.UNKNOWN}
    assert results
    assert all(result.status is Status.UNKNOWN and result.reason for result in results)


def _words(page: str) -> str:
    """A page as a reader sees it: no tags, each run of white space one space."""
    return " ".join(unescape(re.sub(r"<svg.*?</svg>|<[^>]+>", " ", page, flags=re.DOTALL)).split())


def _runs(whole: Whole) -> list[str]:
    with open_journal(load(whole.root).settings.journal) as journal:
        return [run.id for run in journal.runs(limit=100_000)]


def _until(whole: Whole, metric: str, exit_code: int) -> None:
    """Wait until measuring a metric now gives a status, as its window of traffic fills."""
    end = time.monotonic() + 120
    while (checked := whole.proofbook("check", metric)).returncode != exit_code:
        assert time.monotonic() < end, checked.stdout
        time.sleep(2)
