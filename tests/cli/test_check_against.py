"""``proofbook check --against``, as the built program."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks.journal import open_journal
from checks.model import Observation, Result, Status
from tests.cli.test_lint_and_new import proofbook
from tests.journal.samples import keep
from tests.respond.terminal import Terminal
from tests.run.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose journal has one error rate an hour for a day, in two spells above 5 %, and none of the flour."""
    project = Project(tmp_path / "project")
    began = datetime.now(UTC) - timedelta(hours=24, minutes=-30)
    with open_journal(project.catalogue.settings.journal) as journal:
        for hour in range(24):
            at, value = began + timedelta(hours=hour), 12.0 if hour in (4, 5, 6) else 6.0 if hour == 20 else 0.5
            seen = Observation(value, "%", at, 0.01, "GET /metrics")
            keep(journal, Result("shop", "error-rate", "Error rate", Status.OK, "", at, seen), at=at, environment="test")
    return project


def digest(project: Project) -> str:
    return hashlib.sha256((project.root / ".proofbook" / "journal.db").read_bytes()).hexdigest()


def test_a_proposed_limit_stands_next_to_todays(project: Project) -> None:
    """The table counts samples, breaks and episodes of each limit, the plot marks them, and nothing is written."""
    before = digest(project)
    ended = proofbook("check", "--against", "> 5 %", "shop/error-rate", "--since", "1d", cwd=project.root)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    columns = [[part.strip() for part in line.split("  ") if part.strip()] for line in lines]
    assert columns[1] == [
        *("limit", "is", "samples", "unknown", "breaks", "share", "episodes", "longest", "first break", "last break")
    ]
    assert columns[2][:8] == ["proposed", "> 5 %", "24", "0", "4", "16.7 %", "2", "2 h (3 samples)"]
    assert columns[3][:8] == ["warning", ">= 1 %", "24", "0", "4", "16.7 %", "2", "2 h (3 samples)"]
    assert columns[4][:8] == ["critical", "> 10 %", "24", "0", "3", "12.5 %", "1", "2 h (3 samples)"]
    plot = lines[6:]
    assert any(line.endswith("critical > 10 %") and line.split()[0] == "10" for line in plot)
    assert any(line.endswith("proposed > 5 %") and "█" in line for line in plot)
    marks = {line.split()[0]: line for line in plot[9:12]}
    assert (marks["proposed"].count("!"), marks["critical"].count("!")) == (4, 3)
    assert marks["warning"].endswith(" >= 1 %")
    assert "\x1b" not in ended.stdout
    assert digest(project) == before


def test_json_has_every_episode(project: Project) -> None:
    """--format json gives the figures as numbers, with each episode."""
    ended = proofbook("check", "--against", "> 5 %", "shop/error-rate", "--since", "1d", "-f", "json", cwd=project.root)
    (trial,) = json.loads(ended.stdout)["trials"]
    assert (trial["metric"], trial["unit"], trial["notes"]) == ("shop/error-rate", "%", [])
    proposed = trial["limits"][0]
    assert (proposed["name"], proposed["breaks"], proposed["longest_seconds"]) == ("proposed", 4, 7200)
    assert [episode["samples"] for episode in proposed["episodes"]] == [3, 1]


def test_too_little_history_is_said(project: Project) -> None:
    """A metric without values, and one with fewer days than asked for, say so; the exit status is 0 all the same."""
    none = proofbook("check", "--against", "< 3 kg", "shop/flour", cwd=project.root)
    assert none.returncode == 0, none.stderr
    assert "too little history: the journal has no value of shop/flour in the last 7 d" in none.stdout
    assert "0 %" not in none.stdout
    short = proofbook("check", "--against", "> 5 %", "shop/error-rate", cwd=project.root)
    assert short.returncode == 0
    assert "too little history: 7 d were asked for, and the first value is 23 h 30 min old" in short.stdout


def test_without_a_journal_nothing_is_made(tmp_path: Path) -> None:
    """Where there is no journal, there is no history; none is created."""
    project = Project(tmp_path / "project")
    ended = proofbook("check", "--against", "> 5 %", "shop/error-rate", cwd=project.root)
    assert ended.returncode == 0, ended.stderr
    assert "too little history" in ended.stdout
    assert not (project.root / ".proofbook").exists()


def test_a_window_that_cannot_be_judged_is_unknown(project: Project) -> None:
    """A window on a metric of which nobody knows how often it is measured is unknown at each sample, and says why."""
    ended = proofbook("check", "--against", "> 5 % for 15m", "shop/error-rate", "--since", "1d", cwd=project.root)
    assert ended.returncode == 0, ended.stderr
    assert "proposed: 24 of 24 samples are unknown (> 5 % for 15m: nothing says how often" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--against", "> 5 eggs", "shop/error-rate"), 65, "compares a count (eggs) with a share (%)"),
        (("--against", "lots", "shop/error-rate"), 65, "`lots`: this limit is not understood"),
        (("--against", "> 5 %", "shop/luck"), 65, "there is no metric"),
        (("--against", "> 5 %", "shop/error-rate", "--since", "yesterday"), 64, "no window"),
        (("--since", "7d", "shop/error-rate"), 64, "--since goes with --against"),
    ],
)
def test_what_cannot_be_tried_is_refused(project: Project, arguments: tuple[str, ...], status: int, said: str) -> None:
    """A wrong call or limit ends with its exit status and one readable text."""
    ended = proofbook("check", *arguments, cwd=project.root)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert said in ended.stderr


def test_a_narrow_terminal_sees_the_plot_whole(project: Project) -> None:
    """On a terminal of 100 columns no row of the plot is wrapped: each stands in one line, with its limit beside it."""
    root = str(project.root)
    with Terminal("check", "--against", "> 5 %", "shop/error-rate", "--root", root, variables=project.variables) as terminal:
        terminal.expect("nothing measured")
        assert terminal.end() == 0
        plot = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in terminal.seen.splitlines() if "┤" in line]
        assert len(plot) == 8
        assert max(map(len, plot)) <= 100
        assert plot[1].endswith("critical > 10 %")


def test_plain_checks_print_json_too(project: Project) -> None:
    """`check --format json` gives the results, and its exit status is theirs."""
    ended = proofbook("check", "shop/error-rate", "-f", "json", cwd=project.root)
    assert ended.returncode == 3
    answer = json.loads(ended.stdout)
    assert (answer["environment"], answer["status"]) == ("test", "unknown")
    assert [result["metric"] for result in answer["results"]] == ["error-rate"]
