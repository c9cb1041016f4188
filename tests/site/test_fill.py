from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from checks.catalogue import Catalogue
from checks.errors import DataError
from checks.journal import Journal, Sample
from checks.judge import judge
from checks.model import Observation, RunState
from checks.site import facts, fill
from checks.site.fragments import FRAGMENTS, Page, fragment, sprite
from checks.site.live import Place
from tests.site.history import morning_cells, record

GOLDEN = Path(__file__).parents[1] / "golden" / "fill"
CASES = [YAML(typ="safe").load(path) for path in sorted(GOLDEN.glob("*.yml"))]
PAGE = "<html><head><title>{{ kept }}</title></head><body>%s</body></html>"


def gathered(catalogue: Catalogue, journal: Journal, now: datetime, runs: list[dict[str, Any]]) -> facts.Facts:
    for number, run in enumerate(runs):
        record(
            catalogue,
            journal,
            now - timedelta(minutes=run.get("minutes_ago", 2)),
            run["values"],
            run_id=f"01RUN{number}",
            state=RunState(run.get("state", "finished")),
            reason=run.get("reason", ""),
            cells=morning_cells(said=run.get("said", ""), error=run.get("error", "")),
            environment=run.get("environment", "staging"),
        )
    return facts.gather(catalogue, journal, "staging", now)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_a_page_shows(case: dict[str, Any], catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """Each live element shows what the journal says, as the golden cases have it."""
    known = gathered(catalogue, journal, now, case["runs"])
    filled = fill.fill_page(PAGE % case["input"], "systems/shop/index.html", known).replace(str(sprite()), "")
    missing = [text for text in case["expected"]["holds"] if text not in filled]
    assert missing == [], filled
    found = [text for text in case["expected"].get("lacks", []) if text in filled]
    assert found == [], filled


def test_every_kind_of_element_can_be_filled(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """There is a template for each kind of live element, and it can say that nothing was ever measured."""
    arguments = dict.fromkeys(("run", "runs", "tick-run"), "shop/morning") | dict.fromkeys(
        ("step", "step-status"), "shop/morning#1"
    )
    arguments |= {"calendar": "14", "report": "shop/weekly", "reports": "monthly"}
    arguments |= dict.fromkeys(("checklist", "maintenance", "severities"), "shop")
    arguments |= dict.fromkeys(("holds", "limits-in-force", "metric", "plots", "spark", "tick", "value"), "shop/latency")
    arguments |= dict.fromkeys(("contacts", "decisions", "metrics", "runbooks", "status", "strip"), "shop")
    known = gathered(catalogue, journal, now, [])
    for kind in FRAGMENTS.keys() - {"incident", "sign"}:  # these are of something that somebody did
        shown = fragment(known, Page("index.html"), Place(kind, arguments.get(kind, "")))
        assert 'data-status="ok"' not in shown, kind


def test_the_rest_of_a_page_stays_as_it_is(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """A page without live elements is not touched, and a page with one changes nowhere else."""
    known = gathered(catalogue, journal, now, [])
    plain = PAGE % "<p>text</p>"
    assert fill.fill_page(plain, "index.html", known) == plain
    filled = fill.fill_page(PAGE % '<p>a</p><span data-live="strip:shop"></span><p>z</p>', "index.html", known)
    assert filled.startswith("<html><head><title>{{ kept }}</title></head><body>")
    assert filled.endswith("<p>z</p></body></html>")


def test_links_lead_from_the_page_they_are_on(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """The same element links relatively from wherever it stands, so that the site works from the file system."""
    known = gathered(catalogue, journal, now, [])
    element = PAGE % '<div data-live="systems"></div>'
    assert 'href="systems/shop/index.html"' in fill.fill_page(element, "index.html", known)
    assert 'href="index.html"' in fill.fill_page(element, "systems/shop/report.html", known)
    assert 'href="../index.html"' in fill.fill_page(element, "systems/shop/runbooks/morning.html", known)


def test_an_unknown_element_is_an_error(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """A page that asks for something that nobody knows is refused by name."""
    known = gathered(catalogue, journal, now, [])
    with pytest.raises(DataError, match="no live element `weather`"):
        fill.fill_page(PAGE % '<div data-live="weather"></div>', "index.html", known)


def test_altered_evidence_is_not_shown(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """Evidence whose bytes are not those it is named for is neither shown on a page nor as a page."""
    known = gathered(catalogue, journal, now, [{"values": {"error-rate": 0.4}, "said": "the truth\n"}])
    digest = known.latest_runs["shop/morning"].evidence or ""
    path = known.archive.path(digest)
    path.write_text(path.read_text().replace("the truth", "a lie"))
    filled = fill.fill_page(PAGE % '<div data-live="step:shop/morning#2"></div>', "index.html", known)
    assert "the truth" not in filled
    assert "a lie" not in filled


def test_a_day_is_the_worst_of_its_results(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """The strip of thirty days shows the worst of each day, and says which days were not measured."""
    runs = [
        {"minutes_ago": 1440, "values": {"error-rate": 12.4}},
        {"minutes_ago": 1400, "values": {"error-rate": 0.4}},
        {"minutes_ago": 2, "values": {"error-rate": 0.4}},
    ]
    filled = fill.fill_page(PAGE % '<span data-live="strip:shop"></span>', "index.html", gathered(catalogue, journal, now, runs))
    assert re.findall(r'pb-day-(\w+)" d="M(\d+) \d+h(\d+)"><title>([^<]*)<', filled) == [
        ("none", "0", "166", "Mon 14 Oct to Sun 10 Nov: not measured"),
        ("critical", "168", "4", "Mon 11 Nov: critical"),
        ("ok", "174", "4", "Tue 12 Nov: ok"),
    ]
    assert "30 days: 1 critical, 1 ok, 28 not measured" in filled


def test_home_says_when_the_scheduler_last_lived(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """Home tells the scheduler's last sign of life, and that there is none at work when it fell silent; other pages do not."""
    element = PAGE % '<div data-live="publication"></div>'

    def shown(at: datetime, page: str = "index.html") -> str:
        return fill.fill_page(element, page, facts.gather(catalogue, journal, "staging", at, facts.Publication(7)))

    assert "scheduler" not in shown(now)
    journal.sign("staging", "scheduler", "host-1:7", now, timedelta(minutes=1))
    assert "scheduler alive at 2024-11-12 10:42:10 UTC" in shown(now + timedelta(seconds=30))
    assert "no scheduler at work since 2024-11-12 10:42:10 UTC" in shown(now + timedelta(hours=3))
    assert "scheduler" not in shown(now, "systems/shop/index.html")


def test_what_was_sampled_is_shown_without_a_run(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """A result from between runs counts and is shown like any other, with no evidence to lead to; its change is told."""
    metric = catalogue.metric("shop/error-rate")
    seen = Observation(12.4, metric.unit, now, 0.1, "GET http://127.0.0.1/")
    journal.record_samples("staging", [Sample(judge(metric, seen, now), timedelta(minutes=15))])
    known = facts.gather(catalogue, journal, "staging", now)
    filled = fill.fill_page(PAGE % '<div data-live="metrics:shop"></div><div data-live="needs"></div>', "index.html", known)
    assert "12.4 %" in filled
    assert 'data-status="critical"' in filled
    assert "evidence/" not in filled
    assert [change.run_id for change in known.changes] == [""]
