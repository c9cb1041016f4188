"""``proofbook lint`` on checks that cannot fail, as the built program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from checks.catalogue import fail_open
from checks.journal import open_journal
from checks.model import Status
from tests.cli.test_lint_and_new import proofbook
from tests.journal.samples import a_result, keep
from tests.run.project import SYSTEM, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the system ``shop`` and a runbook that checks all of it."""
    project = Project(tmp_path / "project")
    project.write('```python\nfrom checks import check\ncheck("flour")\nvalue = 1\ncheck("error-rate", value)\n```\n')
    return project


def test_what_is_certain_ends_with_65(project: Project) -> None:
    """A limit that no value of its probe can break is an error with its place; what is only likely is not."""
    probe = '{kind: log, path: "{folder}/log", window: 1h, measure: ratio}'
    project.describe(SYSTEM.replace("{kind: notebook}", probe).replace('"> 10 %"', '"> 100 %"'))
    ended = proofbook("lint", cwd=project.root)
    assert ended.returncode == 65
    assert "docs/systems/shop/system.yml:15:5: error-rate: no value can break `> 100 %`" in ended.stderr
    assert "remedy: compare with a value that there can be" in ended.stderr
    project.describe(SYSTEM.replace('"> 10 %"', '"> 100 %"'))
    assert proofbook("lint", cwd=project.root).returncode == 0


def test_findings_are_printed_and_counted(project: Project) -> None:
    """What may fail open is a line with its place and remedy, and lint still ends with 0."""
    project.write("```bash\ncurl -f https://shop || true\n```\n", "evening")
    ended = proofbook("lint", cwd=project.root)
    assert ended.returncode == 0, ended.stderr
    place = "notebooks/shop/evening.md:10:22"
    assert f"{place}: a failure is thrown away by `|| true`; let it fail, or test for what is expected" in ended.stdout
    assert ended.stderr.endswith("1 named gap, 1 finding\n")
    answer = json.loads(proofbook("lint", "-f", "json", cwd=project.root).stdout)
    (finding,) = answer["findings"]
    assert (finding["line"], finding["column"], finding["severity"]) == (10, 22, "finding")


def test_a_runbook_that_jupyterlab_would_take_for_another_language(project: Project) -> None:
    """Where notebooks are paired, one that is mostly bash and names no kernel is told, with the command that names it."""
    body = '```bash\nls\n```\n\n```bash\nls -l\n```\n\n```python\nfrom checks import check\ncheck("flour")\n```\n'
    project.write(body, "evening")
    assert list(fail_open.find(project.catalogue)) == []
    (project.root / "notebooks" / "jupytext.toml").write_text('formats = "ipynb,md"\n')
    (finding,) = fail_open.find(project.catalogue)
    assert "notebooks/shop/evening.md:1" in str(finding)
    assert "opens as a notebook in bash" in finding.what
    subprocess.run([Path(sys.executable).with_name("jupytext"), *finding.remedy.split()[-3:]], cwd=project.root, check=True)
    assert list(fail_open.find(project.catalogue)) == []


def test_the_journal_tells_what_was_never_red(project: Project) -> None:
    """Where there is a journal, metrics of which nothing but ok was seen are told and counted; --no-journal looks at none."""
    with open_journal(project.catalogue.settings.journal) as journal:
        keep(journal, a_result(), environment="test")
    ended = proofbook("lint", cwd=project.root)
    assert ended.returncode == 0, ended.stderr
    assert "error-rate: never seen red in test; nothing but ok was ever found" in ended.stdout
    assert "flour: never judged in test, so never seen red" in ended.stdout
    assert "2 metrics of 2 metrics never seen red in test" in ended.stderr
    with open_journal(project.catalogue.settings.journal) as journal:
        keep(journal, a_result(status=Status.CRITICAL), environment="test")
        assert journal.statuses_seen("test") == {"shop/error-rate": {Status.OK, Status.CRITICAL}}
        assert journal.ever_measured("test") == {"shop/error-rate"}
        assert journal.ever_measured("production") == frozenset()
    assert "1 metric of 2 metrics never seen red" in proofbook("lint", cwd=project.root).stderr
    looked_away = proofbook("lint", "--no-journal", cwd=project.root)
    assert "never seen red" not in looked_away.stdout + looked_away.stderr


def test_a_journal_that_is_not_there_or_is_none_does_not_stop_lint(project: Project) -> None:
    """Lint is about what is written: without a journal it says nothing of it, and of a broken one that it was not looked at."""
    quiet = proofbook("lint", cwd=project.root)
    assert (quiet.returncode, "journal" in quiet.stderr) == (0, False)
    assert "2 metrics of 2 metrics never seen red" not in quiet.stderr
    assert "never judged" in proofbook("lint", "--journal", cwd=project.root).stdout
    path = Path(project.catalogue.settings.journal.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no journal at all, only some bytes" * 100)
    broken = proofbook("lint", cwd=project.root)
    assert broken.returncode == 0, broken.stderr
    assert "the journal was not looked through" in broken.stderr
    assert proofbook("lint", "--journal", cwd=project.root).returncode != 0


def test_prove_shows_both_sides_of_each_limit(project: Project) -> None:
    """Each limit is a line with the values that were judged; json has their reasons."""
    ended = proofbook("lint", "--prove", cwd=project.root)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[1].split(maxsplit=1)[0] == "turns"
    assert "9.99 % → warning; 10 % → warning; 10.01 % → critical" in lines[1]
    assert ended.stderr == "3 of 3 limits of 2 metrics turn\n"
    answer = json.loads(proofbook("lint", "--prove", "shop/flour", "-f", "json", cwd=project.root).stdout)
    (proof,) = answer["proofs"]
    assert (proof["metric"], proof["proof"]) == ("shop/flour", "turns")
    assert (proof["cases"][0]["value"], proof["cases"][0]["status"]) == ("4.995 kg", "critical")
    assert "breaks < 5 kg" in proof["cases"][0]["reason"]


def test_a_metric_that_cannot_turn_ends_with_65(project: Project) -> None:
    """A limit that no value of the probe can break is shown not to turn."""
    probe = "{kind: host, measure: disk}"
    project.describe(SYSTEM.replace("{kind: notebook}", probe).replace('"> 10 %"', '"> 100 %"'))
    ended = proofbook("lint", "--prove", "shop/error-rate", cwd=project.root)
    assert ended.returncode == 65
    assert "cannot turn  shop/error-rate  critical  > 100 %" in ended.stdout
    assert "the status of 1 metric cannot be turned: shop/error-rate" in ended.stderr


def test_metrics_are_named_for_prove_only(project: Project) -> None:
    """A name without --prove is a wrong call."""
    assert proofbook("lint", "shop/flour", cwd=project.root).returncode == 64
    assert proofbook("lint", "--prove", "shop/luck", cwd=project.root).returncode == 65
