"""What `proofbook status` and `proofbook schedule next` print, end to end on a project and its journal."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.testing import CliRunner, Result

from checks.cli import journal as journal_command
from checks.cli import schedule as schedule_command
from checks.cli import status as status_command
from checks.errors import DataError, UsageError
from checks.journal import open_journal
from checks.model import Status
from tests.journal.samples import a_result, keep

_SYSTEM = """
system: shop
title: Web shop
summary: Sells things.
environments:
  sandbox: {base_url: "http://127.0.0.1:1"}
metrics:
  error-rate:
    title: Error rate
    unit: "%"
    probe: {kind: http, url: "{base_url}/metrics", select: error_rate}
    warning: ">= 1 %"
    critical: "> 10 %"
  latency:
    title: Latency
    unit: "%"
    probe: {kind: notebook}
    warning: ">= 1 %"
    fresh-for: 30m
"""
_RUNBOOK = """---
title: Morning
system: shop
kind: check
summary: Is it well?
schedule: {cron: "0 9 * * *", timezone: Europe/Berlin}
---
# Morning

## Errors

```python
from checks import check
check("error-rate")
```
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PROOFBOOK_JOURNAL", raising=False)
    monkeypatch.delenv("PROOFBOOK_ENVIRONMENT", raising=False)
    for name, text in {
        "mkdocs.yml": "site_name: Test\nplugins:\n  - proofbook: {environment: sandbox}\n",
        "docs/systems/shop/system.yml": _SYSTEM,
        "notebooks/shop/morning.md": _RUNBOOK,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def _proofbook(root: Path, *argv: str) -> Result:
    app = typer.Typer()
    app.command("status")(status_command.status)
    app.add_typer(schedule_command.app, name="schedule")
    app.add_typer(journal_command.app, name="journal")
    return CliRunner().invoke(app, [*argv, "--root", str(root)])


def _record(root: Path, *told: tuple[str, Status, float, timedelta]) -> None:
    now = datetime.now(UTC)
    with open_journal(f"sqlite:///{root}/.proofbook/journal.db") as journal:
        for metric, status, value, age in told:
            at = now - age
            result = a_result(metric, status, at, value, reason=f"{value} % says so")
            keep(journal, result, at=at)


def test_without_a_journal_all_is_unknown(root: Path) -> None:
    """Where nothing was ever recorded every metric is unknown, exit 3, and asking makes no journal."""
    answer = _proofbook(root, "status")
    assert answer.exit_code == 3
    assert "sandbox: UNKNOWN - 2 of 2 need someone; nothing was ever measured" in answer.stdout
    assert answer.stdout.count("never measured") == 2
    assert "nothing has been recorded here yet" in answer.stderr
    assert not (root / ".proofbook").exists()


def test_all_ok(root: Path) -> None:
    """When all that is declared is ok and fresh: exit 0, nothing needs anyone, and the answer says how old it is."""
    _record(root, ("error-rate", Status.OK, 0.4, timedelta(minutes=5)), ("latency", Status.OK, 0.1, timedelta(minutes=10)))
    answer = _proofbook(root, "status", "shop")
    assert answer.exit_code == 0
    assert "What needs someone" not in answer.stdout
    assert re.search(r"^sandbox: OK - all 2 are ok; oldest measurement 10 min ago$", answer.stdout, re.M)
    assert re.search(r"^ok +shop +2 of 2 ok +10 min ago +in (20|19) min$", answer.stdout, re.M)


def test_what_needs_someone_comes_first(root: Path) -> None:
    """The worst is above, with the observed value beside the limit that it broke, since when, and its age; exit 2."""
    _record(
        root,
        ("latency", Status.WARNING, 1.5, timedelta(minutes=3)),
        ("error-rate", Status.OK, 0.4, timedelta(minutes=20)),
        ("error-rate", Status.CRITICAL, 12.0, timedelta(minutes=15)),
        ("error-rate", Status.CRITICAL, 12.4, timedelta(minutes=5)),
    )
    answer = _proofbook(root, "status")
    assert answer.exit_code == 2
    lines = answer.stdout.splitlines()
    first = next(line for line in lines if line.startswith("critical"))
    assert re.split(r" {2,}", first)[:4] == ["critical", "shop/error-rate", "12.4 %", "> 10 %"]
    assert re.search(r"  (\d\d:\d\d|\d{4}-\d\d-\d\d)  5 min ago  ", first)
    assert first.endswith("12.4 % says so")
    assert lines.index(first) < next(number for number, line in enumerate(lines) if line.startswith("warning"))


def test_since_is_told_in_the_readers_time(root: Path) -> None:
    """The time since when something is wrong is in the project's time zone, as its pages are."""
    (root / "mkdocs.yml").write_text(
        "site_name: Test\nplugins:\n  - proofbook: {environment: sandbox, timezone: Pacific/Kiritimati}\n", encoding="utf-8"
    )
    began = datetime.now(UTC)
    _record(root, ("error-rate", Status.CRITICAL, 12.4, timedelta()))
    there = began.astimezone(ZoneInfo("Pacific/Kiritimati"))
    first = next(line for line in _proofbook(root, "status").stdout.splitlines() if line.startswith("critical"))
    assert re.split(r" {2,}", first)[4] in (f"{there:%H:%M}", f"{there + timedelta(minutes=1):%H:%M}", f"{there:%Y-%m-%d}")


def test_stale_is_unknown_to_the_shell(root: Path) -> None:
    """An ok that is too old exits 3 in every format, and is called stale."""
    _record(root, ("error-rate", Status.OK, 0.4, timedelta(minutes=5)), ("latency", Status.OK, 0.1, timedelta(minutes=31)))
    text, nagios, document = (_proofbook(root, "status", "--format", wanted) for wanted in ("text", "nagios", "json"))
    assert (text.exit_code, nagios.exit_code, document.exit_code) == (3, 3, 3)
    assert re.search(r"^stale +shop/latency", text.stdout, re.M)
    assert nagios.stdout.startswith("PROOFBOOK UNKNOWN - shop/latency: stale, last ok")
    assert json.loads(document.stdout)["systems"][0]["status"] == "unknown"


def test_warning_exits_1(root: Path) -> None:
    """A warning alone exits 1."""
    _record(root, ("error-rate", Status.WARNING, 1.5, timedelta()), ("latency", Status.OK, 0.1, timedelta()))
    assert _proofbook(root, "status", "--format", "nagios").exit_code == 1


def test_monitoring_gets_one_line_and_figures(root: Path) -> None:
    """The plugin's line begins with the system and carries each figure with its limits."""
    _record(root, ("error-rate", Status.CRITICAL, 12.4, timedelta()), ("latency", Status.OK, 0.1, timedelta()))
    answer = _proofbook(root, "status", "shop", "--format", "nagios")
    first = answer.stdout.splitlines()[0]
    assert first == ("SHOP CRITICAL - shop/error-rate: 12.4 % says so | 'error-rate'=12.4%;1;10 'latency'=0.1%;1;10")


def test_programs_get_what_they_read(root: Path) -> None:
    """As OpenMetrics and as JUnit the answer exits as it does for people, and says the same."""
    _record(root, ("error-rate", Status.CRITICAL, 12.4, timedelta()), ("latency", Status.OK, 0.1, timedelta()))
    metrics, junit = (_proofbook(root, "status", "--format", wanted) for wanted in ("openmetrics", "junit"))
    assert (metrics.exit_code, junit.exit_code) == (2, 2)
    assert 'proofbook_system_status{environment="sandbox",system="shop"} 2.0\n' in metrics.stdout
    assert metrics.stdout.endswith("# EOF\n")
    assert '<failure type="critical" message="12.4 % says so">' in junit.stdout


def test_a_system_that_does_not_exist_is_refused(root: Path) -> None:
    """A name that no system has is an error of the caller, not an unknown system."""
    answer = _proofbook(root, "status", "shoop")
    assert isinstance(answer.exception, DataError)
    assert "shop" in str(answer.exception)


def test_an_environment_that_does_not_exist_is_refused(root: Path) -> None:
    """An environment where no system lives is an error that lists those there are."""
    answer = _proofbook(root, "status", "--environment", "prod")
    assert isinstance(answer.exception, UsageError)
    assert "one of sandbox" in str(answer.exception)


def test_observed_text_cannot_command_the_terminal(root: Path) -> None:
    """Escape sequences in what was observed do not reach the terminal."""
    now = datetime.now(UTC)
    with open_journal(f"sqlite:///{root}/.proofbook/journal.db") as journal:
        keep(journal, a_result(status=Status.UNKNOWN, at=now, value=None, reason="\x1b[2J[bold]gone[/bold]\nok"), at=now)
    answer = _proofbook(root, "status")
    assert "\x1b" not in answer.stdout
    assert "[2J[bold]gone[/bold] ok" in answer.stdout


def test_schedule_next_lists_what_is_due_and_what_comes(root: Path) -> None:
    """A runbook that never ran is due now and again at its next time; listing claims nothing."""
    answer = _proofbook(root, "schedule", "next")
    assert answer.exit_code == 0
    _, now, coming = answer.stdout.splitlines()
    assert re.fullmatch(r"now +shop/morning +\d{4}-\d\d-\d\d 0[78]:00 +0 9 \* \* \* +Europe/Berlin", now)
    assert re.fullmatch(r"in .+ shop/morning +\d{4}-\d\d-\d\d 0[78]:00 .*", coming)
    assert _proofbook(root, "schedule", "next").stdout.splitlines()[1] == now


def test_journal_migrate_makes_the_journal(root: Path) -> None:
    """Migrating where there is no journal makes one, and says where."""
    answer = _proofbook(root, "journal", "migrate")
    assert answer.exit_code == 0
    assert str(root) in answer.stderr
    assert (root / ".proofbook" / "journal.db").is_file()
