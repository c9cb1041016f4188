from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from types import MappingProxyType

import pytest

from checks.catalogue import Catalogue, load
from checks.journal import Journal
from checks.judge import parse_limit
from checks.model import Baseline, FixedBaseline, Metric, Observation, Result
from checks.site import declared, fill, live, plotting
from checks.site.facts import gather
from checks.site.metric_page import address_of, metric_page
from checks.site.publish import Published
from tests.site.history import record
from tests.site.project import SYSTEM, small_project

HOSTILE = "<script>alert(1)</script>{{ 7*7 }}\u202e"


def a_metric(limit: str, unit: str = "%", probe: dict[str, object] | None = None) -> Metric:
    return Metric("shop", "it", "It", unit, MappingProxyType(probe or {"kind": "notebook"}), critical=parse_limit(limit))


def filled(catalogue: Catalogue, journal: Journal, now: datetime, kind: str, metric: str = "shop/error-rate") -> str:
    """A live element of a metric as it is published."""
    page = f"<body>{live.block(kind, metric)}</body>"
    return unescape(fill.fill_page(page, "systems/shop/metrics/it.html", gather(catalogue, journal, "staging", now)))


@pytest.mark.parametrize(
    ("limit", "unit", "said"),
    [
        ("> 10 %", "%", "when it is above 10 %"),
        (">= 500 ms", "ms", "when it is 500 ms or above"),
        ("< 3", "requests", "when it is below 3 requests"),
        ("<= 2", "", "when it is 2 or below"),
        ("== 0", "", "when it is exactly 0"),
        ("!= 0", "", "when it is anything but 0"),
        ("any", "", "when it is above zero"),
        ("between 1 % and 2 %", "%", "when it is from 1 % to 2 %, both included"),
        ("not between 1 and 2", "", "when it is below 1 or above 2"),
        ("older than 26h", "h", "when it is older than 26 h"),
        ("> 70 % for 15m", "%", "when it is above 70 %, at every sample of 15 min"),
        ("> 5 in 1h", "", "when what is counted in 1 h is above 5"),
        ("< 80 % of baseline", "ms", "when it is below 80 % of what is usual"),
        ("within 10 % of baseline", "ms", "when it is no farther than 10 % from what is usual"),
        ("+20 %", "ms", "when it is 20 % or more above what is usual"),
        ("changes", "", "when it is another one than in the sample before"),
        ("changes in 24h", "", "when it changes within 1 d"),
        ("matches /x/", "text", "when the pattern is found in it"),
    ],
)
def test_limits_are_said_in_words(limit: str, unit: str, said: str) -> None:
    """Whatever a limit is made of, the page says in words when it is broken."""
    assert declared.limit_in_words(parse_limit(limit), a_metric(limit, unit)) == said


def test_what_is_usual_is_said() -> None:
    """A baseline is told by its statistic, its window and what it needs; a stated one by who stated it and when."""
    metric = a_metric("> 10 %")
    past = Baseline("p95", timedelta(days=28), timedelta(days=7))
    assert declared.usual(replace(metric, baseline=past)) == "the p95 of the last 28 d, once its samples cover 7 d"
    stated = FixedBaseline(12.0, date(2024, 5, 6), "the baker")
    assert declared.usual(replace(metric, baseline=stated)) == "12 %, as the baker stated on 2024-05-06"
    assert declared.usual(metric) == ""


def test_every_kind_of_probe_has_words() -> None:
    """Each kind that the catalogue knows is described on the pages of its metrics."""
    kinds = declared.probe_classes()
    assert {"http", "sql", "file", "host", "notebook"} <= kinds.keys()
    for kind in kinds:
        assert declared.probe_in_words(a_metric("any", probe={"kind": kind})), kind


def test_credentials_are_never_shown(tmp_path: Path) -> None:
    """Settings are told by name and variable, headers by name, and what an address carries before its @ is left out."""
    probe = '{kind: http, url: "http://me:hush@{base_url}/metrics", select: x, headers: {Authorization: "Bearer hush"}}'
    system = SYSTEM.replace('{kind: http, url: "{base_url}/metrics", select: error_rate}', probe)
    system = system.replace(
        'staging: {base_url: "${SHOP_URL}"}', 'staging: {base_url: "${secret:SHOP_URL}"}\n  test: {base_url: hush}'
    )
    root = small_project(tmp_path)
    (root / "docs/systems/shop/system.yml").write_text(system)
    catalogue = load(root)
    page = metric_page(catalogue.metric("shop/error-rate"), catalogue)
    assert "hush" not in page
    assert "<code>http://•••@{base_url}/metrics</code>" in page
    assert "<code>Authorization</code>" in page
    assert "staging: the secret SHOP_URL; test: system.yml" in page


def test_each_metric_has_a_page(published: Published) -> None:
    """A metric's page says what it means, its limits, who to follow and its latest result with evidence; tables link to it."""
    site = published.index.parent
    page = (site / "systems/shop/metrics/error-rate.html").read_text()
    for said in (
        "The share of requests that failed in the last minute.",
        "when it is above 10 %",
        '<a href="../runbooks/morning.html">Morning check</a>',
        "staging: the variable SHOP_URL",
        "12.4 % breaks &gt; 10 %",
    ):
        assert said in page
    assert re.search(r'<a href="\.\./\.\./\.\./evidence/[0-9a-f]+\.html#cell-2">12\.4 %</a>', page)
    assert '<a href="metrics/error-rate.html">Error rate</a>' in (site / "systems/shop/index.html").read_text()
    assert '<a href="systems/shop/metrics/error-rate.html">Error rate</a>' in (site / "index.html").read_text()


def test_metric_pages_keep_out_of_the_way(published: Published) -> None:
    """A metric's page is found by its title only, and is not in the navigation."""
    site = published.index.parent
    index = (site / "search/search_index.json").read_text()
    assert "metrics/error-rate.html" in index
    assert "failed in the last minute" not in index
    assert "What could not be measured" not in index
    assert 'class="md-nav__link" href' not in index
    navigation = re.findall(r'<a href="([^"]+)" class="md-nav__link', (site / "systems/shop/index.html").read_text())
    assert navigation
    assert not [link for link in navigation if "metrics/" in link]


def test_a_plot_has_its_spans_and_limits(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """A day, a week and a quarter are drawn, each with what was measured in it and the limits that judged it."""
    for days, value in ((60, 3.0), (3, 2.0), (0, 12.0)):
        record(catalogue, journal, now - timedelta(days=days, minutes=1), {"error-rate": value}, run_id=f"01{days}")
    drawn = plotting.plots(gather(catalogue, journal, "staging", now), catalogue.metric("shop/error-rate"))
    assert [(plot.span.name, plot.said) for plot in drawn] == [
        ("day", "lowest 12 %, highest 12 %, measured 1 time"),
        ("week", "lowest 2 %, highest 12 %, measured 2 times"),
        ("quarter", "lowest 2 %, highest 12 %, measured 3 times"),
    ]
    assert all(plot.limits == (("warning", ">= 1 %"), ("critical", "> 10 %")) for plot in drawn)
    assert drawn[0].drawing.count("<line") == 2


def test_a_line_is_broken_where_nothing_was_measured(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """Hours without a measurement are a gap, not a line that nobody measured."""
    for minutes in (*range(600, 500, -10), *range(100, 0, -10)):
        record(catalogue, journal, now - timedelta(minutes=minutes), {"latency": float(minutes)}, run_id=f"01{minutes}")
    day = plotting.plots(gather(catalogue, journal, "staging", now), catalogue.metric("shop/latency"))[0]
    assert day.drawing.count('class="pb-plot-line"') == 2


def test_nothing_measured_is_said(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """Where nothing was measured there is no drawing, and the page says so."""
    assert filled(catalogue, journal, now, "plots").count("Nothing was measured in this time.") == 3
    assert "never measured in staging" in filled(catalogue, journal, now, "metric")
    assert "No result was judged" in filled(catalogue, journal, now, "limits-in-force")


def test_it_says_when_it_was_last_seen_red(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """A check that nobody ever saw fail says so; one that failed says when, however long it has been well since."""
    record(catalogue, journal, now - timedelta(days=9), {"error-rate": 0.1}, run_id="01A")
    assert "never critical so far" in filled(catalogue, journal, now, "metric")
    record(catalogue, journal, now - timedelta(days=3), {"error-rate": 50.0}, run_id="01B")
    record(catalogue, journal, now - timedelta(minutes=5), {"error-rate": 0.1}, run_id="01C")
    told = re.sub(r"<[^>]+>|\s+", " ", filled(catalogue, journal, now, "metric"))
    assert re.search(rf"last critical\s+{now - timedelta(days=3):%a} ", told)


def test_every_change_of_a_limit_is_told(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """The limits that judged are told from when to when; where others are declared since, that is said, too."""
    record(catalogue, journal, now - timedelta(days=2), {"error-rate": 3.0}, run_id="01A")
    path = catalogue.root / "docs/systems/shop/system.yml"
    path.write_text(SYSTEM.replace('critical: "> 10 %"', 'critical: "> 20 %"'))
    changed = load(catalogue.root)
    assert "have judged nothing yet" in filled(changed, journal, now, "limits-in-force")
    record(changed, journal, now - timedelta(hours=3), {"error-rate": 3.0}, run_id="01B")
    table = re.sub(r"<[^>]+>|\s+", " ", filled(changed, journal, now, "limits-in-force"))
    assert re.search(r"07:42 UTC\s+now\s+>= 1 %\s+> 20 %\s+Sun 10 Nov 10:42 UTC\s+07:42 UTC\s+>= 1 %\s+> 10 %", table)
    assert "have judged nothing yet" not in table
    week = plotting.plots(gather(changed, journal, "staging", now), changed.metric("shop/error-rate"))[1]
    assert week.limits == (("warning", ">= 1 %"), ("critical", "> 10 %"), ("critical", "> 20 %"))


def test_what_is_hostile_is_inert(tmp_path: Path, journal: Journal, now: datetime) -> None:
    """Titles, meanings, groups and observed text with markup, templates or hidden marks are shown as text."""
    root = small_project(tmp_path / "hostile")
    path = root / "docs/systems/shop/system.yml"
    text = HOSTILE.replace("\u202e", "\\u202e")
    path.write_text(
        SYSTEM.replace("title: Error rate", f'title: "{text}"')
        .replace("meaning: The share", f'meaning: "{text}"\n    priority: "{text}"\n    source: "{text}" #')
        .replace("group: Errors", f'group: "{text}"')
    )
    hostile = load(root)
    record(hostile, journal, now, {"error-rate": f"no answer: {HOSTILE}"})
    facts = gather(hostile, journal, "staging", now)
    page = metric_page(hostile.metric("shop/error-rate"), hostile)
    shown = fill.fill_page(f"<body>{page}</body>", "systems/shop/metrics/error-rate.html", facts)
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_a_system_that_lives_elsewhere_does_not_count(tmp_path: Path, journal: Journal) -> None:
    """A system without this environment is left out of the whole, as `proofbook status` does; its pages say why it is unknown."""
    root = small_project(tmp_path / "two")
    other = root / "docs/systems/bakery/system.yml"
    other.parent.mkdir()
    other.write_text(
        SYSTEM.replace("system: shop", "system: bakery")
        .replace("staging:", "production:")
        .replace("    runbook: shop/morning\n", "")
    )
    catalogue = load(root)
    now = datetime(2024, 11, 12, tzinfo=UTC)
    record(catalogue, journal, now, {"error-rate": 0.1, "latency": 1.0, "backup-age": 1.0})
    facts = gather(catalogue, journal, "staging", now)
    assert [report.system for report in facts.report.systems] == ["shop"]
    assert facts.report.status.value == "ok"
    assert {item.reason for item in facts.system("bakery").items} == {"Corner shop does not live in staging"}
    assert "does not live in staging" in filled(catalogue, journal, now, "metric", "bakery/error-rate")


def test_a_limit_that_is_no_longer_read_draws_nothing(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """A limit written in words of another time is told in the table, and breaks no page."""
    run = record(catalogue, journal, now - timedelta(hours=1), {"latency": 3.0})
    old = replace(run, id="01OLD", started_at=now - timedelta(minutes=50))
    journal.start_run(old)
    at = now - timedelta(minutes=49)
    seen = Observation(5.0, "ms", at, 0.1, "a test")
    result = Result("shop", "latency", "Latency", run.status, "is ok", at, seen, critical="when the moon is full")
    journal.finish_run(replace(old, ended_at=at), [result])
    assert "when the moon is full" in filled(catalogue, journal, now, "limits-in-force", "shop/latency")
    assert filled(catalogue, journal, now, "plots", "shop/latency").count("pb-plot-critical") == 6


def test_addresses_are_stable(catalogue: Catalogue) -> None:
    """A metric's address is made of its slug alone."""
    assert address_of(catalogue.metric("shop/backup-age")) == "systems/shop/metrics/backup-age.html"
