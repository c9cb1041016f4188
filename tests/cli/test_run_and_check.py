"""``proofbook run`` and ``proofbook check`` as programs: exit statuses, what is printed where, and what is journaled."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from checks.errors import ProofbookError
from checks.journal import open_journal
from checks.model import RunState, Trigger
from tests.respond.terminal import Terminal
from tests.run.command import app
from tests.run.project import CHECK, SYSTEM, Project

_REPOSITORY = Path(__file__).parents[2]
FLOUR = '```python\nfrom checks import check\ncheck("flour")\n```\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the system ``shop`` and no runbook yet."""
    return Project(tmp_path / "project")


def _command(project: Project, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.run.command", *arguments, "--root", str(project.root)]


def _call(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PROOFBOOK_")}
    return subprocess.run(
        _command(project, *arguments),
        cwd=_REPOSITORY,
        env={**surroundings, **project.variables},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_worst_run_is_the_exit_status(project: Project) -> None:
    """A table on standard output has what needs someone first, standard error a line a run; the worst is the status."""
    project.write(CHECK, "fine")
    project.write(CHECK.replace("0.4", "40"), "burning")
    ended = _call(project, "run", "--all")
    assert ended.returncode == 2
    rows = [line.split()[:3] for line in ended.stdout.splitlines()]
    assert rows == [["status", "runbook", "state"], ["critical", "shop/burning", "finished"], ["ok", "shop/fine", "finished"]]
    assert "40 % breaks > 10 %" in ended.stdout
    assert len(ended.stderr.splitlines()) == 2
    assert "\x1b" not in ended.stdout + ended.stderr


def test_an_answer_that_cannot_be_written_is_no_success() -> None:
    """Where standard output takes nothing, the command says so, in words; a reader that has left is no failure."""
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for asked, where, status in (
        ("--version", "> /dev/full", 120),
        ("run --help", "> /dev/full", 120),
        ("run --help", "> /dev/full 2>&1", 120),
        ("--version", "| true; exit ${PIPESTATUS[0]}", 0),
    ):
        call = ["bash", "-c", f"{sys.executable} -m tests.run.command {asked} {where}"]
        ended = subprocess.run(call, cwd=_REPOSITORY, env=surroundings, capture_output=True, text=True, timeout=100)
        assert ended.returncode == status, ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_bug_is_no_status_of_a_system() -> None:
    """What nobody foresaw ends with 70 and says where, never with 1, which would be a warning."""
    call = [sys.executable, "-c", "import checks.cli\nchecks.cli.main = lambda: 1 / 0\nchecks.cli.command()"]
    ended = subprocess.run(call, cwd=_REPOSITORY, capture_output=True, text=True, timeout=100)
    assert (ended.returncode, "ZeroDivisionError" in ended.stderr) == (70, True)


def test_json_is_the_only_thing_on_standard_output(project: Project) -> None:
    """--format json prints one document with every run, result, cell and step."""
    slug = project.write(FLOUR, front_matter="parameters:\n  hours: {type: integer, default: 24}\n")
    ended = _call(project, "run", slug, "-p", "hours=3", "--format", "json")
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert (answer["status"], answer["environment"]) == ("ok", "test")
    (run,) = answer["runs"]
    assert run["parameters"] == {"hours": 3}
    (result,) = run["results"]
    assert (result["metric"], result["observation"]["value"], result["cell"], result["step"]) == ("flour", 20.0, 2, 0)
    with open_journal(project.catalogue.settings.journal) as journal:
        assert [entry.id for entry in journal.runs()] == [run["id"]]


def test_a_system_that_is_away_is_unknown_everywhere(project: Project) -> None:
    """Without the system's variables every result is unknown with the reason, nothing is green, and the status is 3."""
    project.write(FLOUR)
    project.variables.clear()
    ended = _call(project, "run", "--system", "shop", "--format", "json")
    assert ended.returncode == 3
    results = [result for run in json.loads(ended.stdout)["runs"] for result in run["results"]]
    assert [result["status"] for result in results] == ["unknown"]
    assert "SHOP_FOLDER is not set" in results[0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 64, "which runbooks?"),
        (("shop/morning", "--all"), 64, "which runbooks?"),
        (("shop/evening",), 65, "shop/evening"),
        (("--system", "bank"), 65, "bank"),
        (("shop/morning", "-p", "luck=1"), 65, "has no parameter `luck`"),
        (("--all", "-p", "luck=1"), 65, "no selected runbook has a parameter `luck`"),
        (("shop/morning", "-p", "luck"), 65, "`luck` is no parameter"),
        (("shop/morning", "-e", "moon"), 64, "moon: no system lives in this environment\n  expected: one of production, test"),
        (("--all", "-e", "moon"), 64, "moon: no system lives in this environment"),
        (("--due", "-e", "moon"), 64, "moon: no system lives in this environment"),
        (("--replay", "01JD2Q6V9K7ZC8M4T5R3W1X0YB", "-p", "hours=3"), 64, "a replay takes what the recorded run had"),
        (("--replay", "01JD2Q6V9K7ZC8M4T5R3W1X0YB", "-f", "junit"), 64, "a replay takes what the recorded run had"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(
    project: Project, arguments: tuple[str, ...], status: int, said: str
) -> None:
    """A wrong call or input ends with its exit status and one readable text, and leaves no journal behind."""
    project.write(CHECK)
    ended = CliRunner().invoke(app, ["run", *arguments, "--root", str(project.root)])
    assert isinstance(ended.exception, ProofbookError)
    assert ended.exception.exit_code == status
    assert said in str(ended.exception)
    assert not (project.root / ".proofbook" / "journal.db").exists()


def test_a_runbook_that_lacks_a_value_is_seen(project: Project) -> None:
    """Among all runbooks, one that needs a value nobody gave is journaled as failed and unknown, not left out."""
    project.write(CHECK, "fine")
    project.write(CHECK, "asks", front_matter="parameters:\n  shop: {type: string}\n")
    ended = _call(project, "run", "--all")
    assert ended.returncode == 3
    assert "shop/asks needs a value for `shop`" in ended.stdout
    with open_journal(project.catalogue.settings.journal) as journal:
        assert {run.runbook: run.state for run in journal.runs()} == {
            "shop/fine": RunState.FINISHED,
            "shop/asks": RunState.FAILED,
        }


def test_what_is_due_is_run_once(project: Project) -> None:
    """--due runs a slot for whoever asks first; the second finds nothing due and ends with 0, and --explain says why of each."""
    project.write(CHECK, "daily", front_matter='schedule: {cron: "0 0 * * *"}\n')
    project.write(CHECK, "never")
    first = _call(project, "run", "--due")
    assert first.returncode == 0, first.stderr
    with open_journal(project.catalogue.settings.journal) as journal:
        (run,) = journal.runs()
        assert (run.runbook, run.trigger) == ("shop/daily", Trigger.SCHEDULE)
    project.write(CHECK, "elsewhere", front_matter="environments: [production]\n")
    second = _call(project, "run", "--due", "--explain", "--format", "json")
    assert second.returncode == 0
    assert "nothing is due" in second.stderr
    told = dict(line.split(": ", 1) for line in second.stderr.splitlines()[:3])
    assert re.fullmatch(r"it is due next at \d{4}-\d\d-\d\d 00:00 UTC", told.pop("waits  shop/daily"))
    assert told == {"waits  shop/never": "it has no schedule", "never  shop/elsewhere": "it runs in production only"}
    assert json.loads(second.stdout)["runs"] == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_it_finds_it_journaled(project: Project, signum: signal.Signals) -> None:
    """Ctrl-C, a polite kill and a closed terminal all leave a cancelled run, and no process behind."""
    slug = project.write(
        "```python\nfrom pathlib import Path\nimport os, time\nPath(os.environ['FOLDER'], 'begun').touch()\ntime.sleep(99)\n```\n"
    )
    with subprocess.Popen(
        _command(project, "run", slug), cwd=_REPOSITORY, env={**os.environ, **project.variables}, stderr=subprocess.PIPE
    ) as process:
        begun = project.root / "shop" / "begun"
        while not begun.exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signum)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in said
    with open_journal(project.catalogue.settings.journal) as journal:
        assert [run.state for run in journal.runs()] == [RunState.CANCELLED]


def test_a_terminal_sees_progress_and_the_table(project: Project) -> None:
    """On a terminal each run moves along by name and step, all of them are counted, and the table follows."""
    project.write(f"## Weigh the flour\n\n{FLOUR}")
    with Terminal("run", "--all", "--root", str(project.root), variables=project.variables) as terminal:
        terminal.expect("shop/morning")
        terminal.expect("Weigh the flour")
        terminal.expect("1 of 1")
        assert terminal.end() == 0
        assert "1 of 1 ok" in terminal.seen


def test_check_measures_and_keeps_nothing(project: Project) -> None:
    """A metric is measured and judged now, its value beside its limits; no journal is made."""
    ended = _call(project, "check", "shop/flour", "-v")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[1].split()[:7] == ["ok", "shop/flour", "20", "kg", "-", "<", "5"]
    assert not (project.root / ".proofbook").exists()
    (project.root / "shop" / "flour").write_text("2")
    assert _call(project, "check", "shop/flour").returncode == 2


def test_check_of_a_whole_system_names_what_only_a_cell_measures(project: Project) -> None:
    """All of a system's metrics are measured; one that only a cell can measure is unknown, and so is the status."""
    ended = _call(project, "check", "shop")
    assert ended.returncode == 3
    assert [line.split()[:2] for line in ended.stdout.splitlines()[1:]] == [["unknown", "shop/error-rate"], ["ok", "shop/flour"]]
    assert _call(project, "check", "shop/luck").returncode == 65


def test_a_broken_system_is_told_with_its_place(project: Project) -> None:
    """A fault in the catalogue ends with 65 and file, line and column, and nothing is run."""
    project.write(CHECK)
    project.describe(SYSTEM.replace('"> 10 %"', '"> 10 eggs"'))
    ended = _call(project, "run", "--all")
    assert ended.returncode == 65
    assert "system.yml:" in ended.stderr
