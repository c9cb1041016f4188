"""The whole way: five systems measured, journaled and published by one command, then broken and healed."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser

import pytest

from checks import sandbox
from checks.catalogue import resolve
from checks.catalogue.gaps import checked_in
from checks.journal import open_journal
from checks.judge import judge
from checks.model import Metric, RunbookKind, RunState, Status
from checks.probes import measure
from tests.whole.conftest import Whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FAULTS = {
    "console-ext": ("secrets", "secrets-missing"),
    "mase": ("exposed-log", "debug-log-exposure"),
    "turbo-octo-robot": ("errors", "api-answers"),
    "unified-workflow": ("leak", "policies-off"),
    "wellbeing": ("errors", "error-rate"),
}
"""Of each system a fault, and a metric that it turns critical; those that look back do it soonest, and soonest recover."""
SYSTEMS = set(FAULTS)


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
    catalogue = whole.catalogue
    assert set(catalogue.systems) == SYSTEMS
    assert len(catalogue.runbooks) >= 10
    with open_journal(catalogue.settings.journal) as journal:
        latest = journal.latest_runs("sandbox")
    assert set(latest) == set(catalogue.runbooks)
    recently = datetime.now(UTC) - timedelta(minutes=15)
    assert all(run.state is RunState.FINISHED and run.started_at > recently for run in latest.values())


def test_each_metric_was_measured_and_is_well(whole: Whole) -> None:
    """While nothing is broken, each declared metric has an observation and is ok, whichever runbook measured it."""
    catalogue = whole.catalogue
    with open_journal(catalogue.settings.journal) as journal:
        results = journal.latest_results("sandbox")
        runs = journal.latest_runs("sandbox").values()
        everything = [(run.runbook, result) for run in runs for result in journal.results(run.id)]
    assert [(book, one.metric, one.reason) for book, one in everything if one.status is not Status.OK] == []
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
    catalogue = whole.catalogue
    for system in catalogue.systems.values():
        assert all(metric.source for metric in system.metrics.values())
        assert all(runbook.source for runbook in catalogue.runbooks_of(system.name))


def test_breaking_and_healing_show_and_stay_in_the_journal(whole: Whole) -> None:
    """A fault turns its system critical on its page, with the value beside its limit; healed, it is ok, and history stays."""
    before = _runs(whole)
    concerned = [_runbook_of(whole, metric) for metric in _broken(whole).values()]
    for system, (fault, _) in FAULTS.items():
        assert whole.proofbook("sandbox", "break", system, fault).returncode == 0
    _until(whole, Status.CRITICAL)
    assert whole.proofbook("run", *concerned).returncode == 2
    assert whole.proofbook("publish", "--no-run").returncode == 0
    assert _shown(whole) == dict.fromkeys(SYSTEMS, ("critical", "critical"))
    for system, metric in _broken(whole).items():
        assert f"Critical {metric.title} " in _words(whole.published(f"systems/{system}/index.html"))
    beside_its_limit = re.compile(r"Critical Error rate\b.{0,40} is \d+(\.\d+)? % ?, limit > 10 %")
    pages = ("index.html", "systems/wellbeing/index.html")
    assert all(beside_its_limit.search(_words(whole.published(page))) for page in pages)
    assert whole.proofbook("status", "wellbeing").returncode == 2

    for system in FAULTS:
        assert whole.proofbook("sandbox", "heal", system).returncode == 0
    _until(whole, Status.OK)
    whole.proofbook("run", *concerned)
    assert whole.proofbook("publish", "--no-run").returncode == 0
    assert {system: metric for system, (_, metric) in _shown(whole).items()} == dict.fromkeys(SYSTEMS, "ok")
    assert not any(beside_its_limit.search(_words(whole.published(page))) for page in pages)
    after = _runs(whole)
    assert before < after
    assert len(after) == len(before) + 2 * len(concerned)


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
    ran = whole.proofbook("run", "--all")
    with open_journal(whole.catalogue.settings.journal) as journal:
        latest = journal.latest_runs("sandbox")
        results = [result for run in latest.values() for result in journal.results(run.id)]
    assert ran.returncode == 3
    assert {run.status for run in latest.values()} == {Status.UNKNOWN}
    assert results
    assert all(result.status is Status.UNKNOWN and result.reason for result in results)


def _words(page: str) -> str:
    """A page as a reader sees it: no tags, each run of white space one space."""
    return " ".join(unescape(re.sub(r"<svg.*?</svg>|<[^>]+>", " ", page, flags=re.DOTALL)).split())


def _runs(whole: Whole) -> set[str]:
    with open_journal(whole.catalogue.settings.journal) as journal:
        return {run.id for run in journal.runs(limit=100_000)}


def _broken(whole: Whole) -> dict[str, Metric]:
    """The metric of each system that its fault breaks."""
    return {system: whole.catalogue.metric(f"{system}/{metric}") for system, (_, metric) in FAULTS.items()}


def _shown(whole: Whole) -> dict[str, tuple[str, str]]:
    """What readers are told of each system, and of the metric that its fault breaks."""
    systems = json.loads(whole.published("status.json"))["systems"]
    broken = _broken(whole).items()
    return {system: (systems[system]["status"], systems[system]["metrics"][metric.slug]["status"]) for system, metric in broken}


def _runbook_of(whole: Whole, metric: Metric) -> str:
    """A runbook that measures a metric whenever it is run."""
    books = whole.catalogue.runbooks_of(metric.system)
    return next(book.slug for book in books if book.kind is RunbookKind.CHECK and metric.name in checked_in(book))


def _until(whole: Whole, wanted: Status) -> None:
    """Wait until what the faults break is measured to have a status, as windows of traffic fill; cells are not waited for."""
    variables = sandbox.variables(whole.catalogue.settings.state)
    end = time.monotonic() + 120
    for system, metric in _broken(whole).items():
        settled = resolve(whole.catalogue.systems[system], "sandbox", variables)
        while metric.probe["kind"] != "notebook":
            result = judge(metric, measure(metric, settled, datetime.now(UTC)), datetime.now(UTC))
            if result.status is wanted:
                break
            assert time.monotonic() < end, f"{metric.slug}: {result.reason}"
            time.sleep(1)
