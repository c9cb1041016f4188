from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import icalendar
import junitparser
import pytest

from checks.catalogue import Catalogue, load
from checks.journal import Journal
from checks.model import RunState
from checks.site import exports
from checks.site.facts import Facts, gather
from checks.site.publish import Published
from tests.site.history import record
from tests.site.project import MORNING, SYSTEM, small_project

ATOM = "{http://www.w3.org/2005/Atom}"
HOSTILE = '</title><script>alert(1)</script>\\n\\" ; BEGIN:VEVENT,{{ 7*7 }} ]]> \\u202e\\x1b[31m\\ufffe ' + "long " * 30


def troubled(catalogue: Catalogue, journal: Journal, now: datetime) -> Facts:
    """A critical, an unknown and an ok metric, all ok before, and a run that failed."""
    record(catalogue, journal, now - timedelta(hours=5), {"error-rate": 0.2, "latency": 90.0, "backup-age": 3.0}, run_id="01A")
    values: dict[str, float | str] = {"error-rate": 12.4, "latency": "no <answer> & more", "backup-age": 4.0}
    record(catalogue, journal, now - timedelta(minutes=2), values, run_id="01B")
    record(
        catalogue,
        journal,
        now - timedelta(hours=1),
        {},
        run_id="01C",
        runbook="shop/clear-cache",
        state=RunState.FAILED,
        reason="cell 4 failed: <b>",
    )
    return gather(catalogue, journal, "staging", now)


@pytest.fixture
def hostile(tmp_path: Path) -> Catalogue:
    """The small project with hostile titles and summaries."""
    root = small_project(tmp_path / "hostile")
    path = root / "docs/systems/shop/system.yml"
    path.write_text(
        SYSTEM.replace("title: Corner shop", f'title: "{HOSTILE}"').replace("title: Error rate", f'title: "{HOSTILE}"')
    )
    book = root / "notebooks/shop/morning.md"
    book.write_text(MORNING.replace("title: Morning check", f'title: "{HOSTILE}"'))
    return load(root)


@pytest.fixture(params=["plain", "hostile"])
def written(
    request: pytest.FixtureRequest, catalogue: Catalogue, hostile: Catalogue, journal: Journal, now: datetime, tmp_path: Path
) -> Path:
    """The exports of a troubled shop, once with plain titles and once with hostile ones."""
    to = tmp_path / "site"
    exports.write(troubled(catalogue if request.param == "plain" else hostile, journal, now), to)
    return to


def test_prometheus_accepts_the_metrics(written: Path) -> None:
    """Prometheus' own tool finds nothing to complain of in names, units and escapes."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (apt install prometheus)")
    text = (written / "metrics.txt").read_text()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr, checked.stdout) == (0, "", "")


def test_metrics_are_in_base_units(written: Path) -> None:
    """A percentage is told as a ratio and hours as seconds; what could not be measured has a status and no value."""
    text = (written / "metrics.txt").read_text()
    here = 'environment="staging",system="shop",check='
    assert f'proofbook_check_value_ratio{{{here}"error-rate"}} 0.124\n' in text
    assert f'proofbook_check_value_seconds{{{here}"backup-age"}} 14400.0\n' in text
    assert f'proofbook_check_status{{{here}"latency"}} 3.0\n' in text
    assert 'value_seconds{environment="staging",system="shop",check="latency"}' not in text
    assert text.endswith("# EOF\n")


def test_junit_is_read_as_it_is_meant(written: Path) -> None:
    """What is critical is a failure, what is unknown an error, and nothing else is a case that did not pass."""
    suites = junitparser.JUnitXml.fromfile(str(written / "junit.xml"))
    assert (suites.tests, suites.failures, suites.errors) == (4, 1, 2)
    cases = {case.name.partition(":")[0]: case.result for suite in suites for case in suite}
    assert [type(result).__name__ for result in cases["error-rate"]] == ["Failure"]
    assert [type(result).__name__ for result in cases["latency"]] == ["Error"]
    assert cases["latency"][0].message == "no <answer> & more"
    assert cases["backup-age"] == []


COUNTS = {"tests", "failures", "errors"}
JUNIT = {
    "testsuites": ({"name", "time", *COUNTS}, set(), {"testsuite"}),
    "testsuite": ({"name", "time", "timestamp", *COUNTS}, {"name", *COUNTS}, {"properties", "testcase"}),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, {"name"}, {"failure", "error", "system-out"}),
    "failure": ({"type", "message"}, set(), set()),
    "error": ({"type", "message"}, set(), set()),
    "system-out": (set(), set(), set()),
}
"""Of each element, as Jenkins' schema has it (junit-10.xsd): attributes that it may have and must have, and what is in it."""


def test_junit_keeps_to_its_schema(written: Path) -> None:
    """No element has an attribute or a child that the schema does not know, or lacks one that it asks for."""
    seen = set()
    for element in ET.parse(written / "junit.xml").iter():  # noqa: S314 - written by us a moment ago
        may, must, inside = JUNIT[element.tag]
        assert must <= element.attrib.keys() <= may
        assert {child.tag for child in element} <= inside
        seen.add(element.tag)
    assert seen >= {"testsuites", "testcase", "failure", "error"}


def test_the_feed_tells_changes_and_failed_runs(written: Path) -> None:
    """Each change of status and each failed run is an entry of its own, the newest first, with its time and a link."""
    feed = ET.fromstring((written / "feed.xml").read_text())  # noqa: S314 - written by us a moment ago
    entries = feed.findall(f"{ATOM}entry")
    titles = [entry.findtext(f"{ATOM}title") or "" for entry in entries]
    assert [title.partition(":")[0] for title in titles] == ["Unknown", "Critical", "Run failed", "Ok", "Ok", "Ok"]
    assert len({entry.findtext(f"{ATOM}id") for entry in entries}) == 6
    assert all((entry.findtext(f"{ATOM}id") or "").startswith("urn:uuid:") for entry in entries)
    assert feed.findtext(f"{ATOM}updated") == entries[0].findtext(f"{ATOM}updated") == "2024-11-12T10:40:10.000Z"
    links = [link.get("href") for entry in entries for link in entry.findall(f"{ATOM}link")]
    assert links[0] == "systems/shop/metrics/latency.html"
    assert (links[2] or "").startswith("evidence/")
    assert entries[2].findtext(f"{ATOM}content") == "cell 4 failed: <b>"


def test_the_calendar_tells_what_runs_when(written: Path) -> None:
    """Each time that a runbook is due in a month is an event; lines are folded, and no title ends one."""
    content = (written / "calendar.ics").read_bytes()
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))
    events: list[Any] = icalendar.Calendar.from_ical(content).walk("VEVENT")
    assert len(events) == 31
    assert events[0]["DTSTART"].dt.isoformat() == "2024-11-13T07:00:00+00:00"
    assert len({str(event["UID"]) for event in events}) == 31
    assert "proofbook run shop/morning" in str(events[0]["DESCRIPTION"])


def test_what_is_due_often_is_one_event_a_day(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """A runbook that is due every few minutes does not fill the calendar; its event says how often it is due."""
    book = catalogue.root / "notebooks/shop/morning.md"
    book.write_text(MORNING.replace("0 7 * * *", "*/10 * * * *"))
    exports.write(gather(load(catalogue.root), journal, "staging", now), catalogue.root / "site")
    events: list[Any] = icalendar.Calendar.from_ical((catalogue.root / "site/calendar.ics").read_bytes()).walk("VEVENT")
    assert len(events) == 32
    assert str(events[1]["SUMMARY"]) == "Morning check of Corner shop, 144 times"
    assert events[1]["DTSTART"].dt.isoformat() == "2024-11-13"


def test_badges_are_whole_pictures(written: Path) -> None:
    """A badge is well-formed, says the status as a word and when it was measured, and carries no script."""
    text = (written / "badges/shop.svg").read_text()
    picture = ET.fromstring(text)  # noqa: S314 - written by us a moment ago
    assert (picture.get("aria-label") or "").endswith(": Critical · 2024-11-12 10:40 UTC")
    assert {element.tag.partition("}")[2] for element in picture.iter()} <= {
        "svg",
        "title",
        "style",
        "rect",
        "path",
        "g",
        "text",
        "circle",
    }


def test_a_system_has_a_document_of_its_own(written: Path) -> None:
    """A system's JSON says what status.json says of it, so that a program reads only what it is about."""
    whole = json.loads((written / "status.json").read_text())
    one = json.loads((written / "status/shop.json").read_text())
    assert one["system"] == "shop"
    assert {key: one[key] for key in whole["systems"]["shop"]} == whole["systems"]["shop"]
    assert one["metrics"]["shop/error-rate"]["value"] == 12.4
    assert one["published_at"] == whole["published_at"]


def test_every_export_is_linked(published: Published) -> None:
    """The foot of every page leads to the feed, the calendar and the files for programs, and they are there."""
    page = (published.index.parent / "systems/shop/index.html").read_text()
    for name in ("feed.xml", "calendar.ics", "status.json", "metrics.txt", "junit.xml"):
        assert f'href="../../{name}"' in page
        assert (published.index.parent / name).is_file()
    assert not re.search(r"<script[^>]*>alert", page)


def test_nothing_measured_is_exported_as_such(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """Before anything was ever measured every format says unknown, and none says ok."""
    site = catalogue.root / "site"
    exports.write(gather(catalogue, journal, "staging", now), site)
    assert 'proofbook_system_status{environment="staging",system="shop"} 3.0' in (site / "metrics.txt").read_text()
    assert "proofbook_check_value" not in (site / "metrics.txt").read_text()
    suites = junitparser.JUnitXml.fromfile(str(site / "junit.xml"))
    assert (suites.tests, suites.errors) == (3, 3)
    assert "Unknown · never measured" in (site / "badges/shop.svg").read_text()


def test_status_is_read_as_health(written: Path) -> None:
    """A program that reads health+json sees that the whole and the system fail, with the reason; what is unknown never passes."""
    health = json.loads((written / "status.json").read_text())
    assert (health["status"], health["worst"]) == ("fail", "critical")
    (check,) = health["checks"]["shop:status"]
    assert (check["componentId"], check["status"], check["observedValue"]) == ("shop", "fail", "critical")
    assert datetime.fromisoformat(check["time"]).tzinfo is not None
    assert check["output"].endswith(health["systems"]["shop"]["metrics"]["shop/error-rate"]["reason"])


def test_before_the_first_run_health_fails(catalogue: Catalogue, journal: Journal, now: datetime) -> None:
    """Nothing measured is a failing health."""
    exports.write(gather(catalogue, journal, "staging", now), catalogue.root / "site")
    health = json.loads((catalogue.root / "site/status.json").read_text())
    assert (health["status"], health["worst"]) == ("fail", "unknown")
