"""turbo-octo-robot's runbooks, executed for real against its stand-in: healthy, broken, rolled back and put back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from checks.catalogue import Catalogue, notebook
from checks.catalogue.gaps import checked_in
from checks.model import Status, StepClass
from checks.sandbox import turbo_octo_robot_files as files
from checks.sandbox.kit import running
from checks.sandbox.turbo_octo_robot import TurboOctoRobot
from tests.sandbox.support import eventually
from tests.sandbox.walks import executed, not_ok, walk

ROOT = Path(__file__).parents[2]
SYSTEM = "turbo-octo-robot"
BREAKS = {
    "errors": {"api-answers"},
    "slow": {"response-p95"},
    "ci": {"ci-failing", "tests-failed"},
    "critical-bug": {"release-issues", "critical-bugs", "p0-wait"},
    "support": {"question-wait", "mail-wait"},
    "vulnerable": {"vulnerabilities", "outdated"},
    "export": {"export-faults"},
    "tokens": {"token-lifetime"},
    "start": {"startup-time"},
    "data-loss": {"users-with-loss"},
    "tag": {"release-tag"},
    "patch": {"undocumented-releases"},
    "faq": {"faq-age"},
    "wishes": {"issues-closed", "feature-requests"},
}
CHECKS = tuple(
    f"{SYSTEM}/{name}" for name in ("daily-checks", "response-times", "dependency-audit", "verify-fix", "quarterly-review")
)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TurboOctoRobot]:
    with running(TurboOctoRobot(tmp_path / SYSTEM)) as service:
        yield service


def operate(catalogue: Catalogue, name: str, variables: Mapping[str, str], run: str) -> None:
    """Execute the bash cells of a procedure's change and destructive steps, one after the other, as an operator would."""
    runbook = catalogue.runbooks[f"{SYSTEM}/{name}"]
    settings = catalogue.systems[SYSTEM].environments["sandbox"].settings
    filled = {setting.upper(): variables.get(text.strip("${}"), text) for setting, text in settings.items()}
    given = {f"PARAM_{parameter.name.upper()}": str(parameter.default) for parameter in runbook.parameters.values()}
    book = notebook.read(runbook)
    for step in notebook.steps(book):
        if step.step_class in (StepClass.CHANGE, StepClass.DESTRUCTIVE):
            for position in step.cells:
                cell = book.cells[position]
                if cell.cell_type == "code":
                    script = cell.source.partition("\n")[2]
                    environment = {**os.environ, **filled, **given, "PROOFBOOK_RUN": run}
                    subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=environment, check=True, capture_output=True)


def test_every_fault_is_known_to_break_something(catalogue: Catalogue) -> None:
    """The table of what each fault breaks names every fault, and metrics that there are."""
    assert set(BREAKS) == set(TurboOctoRobot.FAULTS)
    assert set().union(*BREAKS.values()) <= set(catalogue.systems[SYSTEM].metrics)


def latest_conclusions(service: TurboOctoRobot) -> set[str]:
    """Of both workflows; CI is what follows a fault last."""
    rows = service.database.rows("SELECT conclusion FROM workflow_run ORDER BY id DESC LIMIT 2")
    return {conclusion for (conclusion,) in rows} if len(rows) == 2 else set()


@pytest.mark.slow
def test_broken_and_healed(service: TurboOctoRobot, catalogue: Catalogue) -> None:
    """Each fault breaks what it should; what looks at now heals at once."""
    variables = service.variables()
    looks_back = {"response-p95"}  # over a minute, which is longer than this test waits
    for fault in sorted(BREAKS, key=lambda one: one == "ci"):  # last, so that what CI says comes after all the others
        service.faults.add(fault)
    eventually(lambda: "failure" in latest_conclusions(service))
    broken = not_ok(catalogue, CHECKS, variables)
    assert set().union(*BREAKS.values()) - looks_back <= set(broken)
    assert all("breaks" in reason for reason in broken.values()), broken

    service.faults.remove()
    eventually(lambda: "failure" not in latest_conclusions(service))
    assert set(not_ok(catalogue, CHECKS, variables)) <= looks_back


@pytest.mark.slow
def test_the_rollback_rolls_back_and_can_be_undone(service: TurboOctoRobot, catalogue: Catalogue) -> None:
    """The procedure withdraws the tag and returns main, keeps both, and its undo puts exactly them back; twice in a row."""
    variables = service.variables()

    def refs() -> dict[str, str]:
        listed = service.project.repository.git("ls-remote", "origin").splitlines()
        return {name: commit for commit, name in (line.split("\t") for line in listed)}

    before = refs()
    for run in ("01A", "01B"):
        operate(catalogue, "rollback", variables, run)
        after = refs()
        assert "refs/tags/v2.0.0" not in after
        assert after["refs/heads/main"] == before["refs/tags/v1.0.0"]
        assert after["refs/heads/v2.0.1-rc1"] == before["refs/tags/v2.0.0"]
        assert set(not_ok(catalogue, [f"{SYSTEM}/rollback"], variables)) == set()
        assert set(not_ok(catalogue, [f"{SYSTEM}/undo-rollback"], variables)) == {"release-tag"}
        operate(catalogue, "undo-rollback", variables, f"{run}-undo")
        assert {name: refs()[name] for name in before} == before
    with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
        operate(catalogue, "undo-rollback", variables, "01C")
    assert {name: refs()[name] for name in before} == before
    bundle = next(service.backups.glob("*.bundle"))
    assert before["refs/tags/v2.0.0"] in service.project.repository.git("bundle", "list-heads", str(bundle))


@pytest.mark.slow
def test_the_rollback_refuses_to_lose_work(service: TurboOctoRobot, catalogue: Catalogue) -> None:
    """With uncommitted work in the clone nothing is withdrawn and nothing is reset."""
    variables = service.variables()
    (service.project.workspace / "README.md").write_text("half done", encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        operate(catalogue, "rollback", variables, "01A")
    assert "uncommitted work" in failed.value.stderr.decode()
    assert "refs/tags/v2.0.0" in service.project.repository.git("ls-remote", "origin")


def test_a_fix_is_verified_and_a_years_scan_is_kept(
    service: TurboOctoRobot, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch is installed and tested, one that fails is stopped, and what the scanner finds is for its owner's eyes."""
    variables = service.variables()
    results = walk(catalogue, f"{SYSTEM}/verify-fix", variables, tmp_path, monkeypatch)
    assert {name: found[-1].status for name, found in results.items()} == {
        "tests-failed": Status.OK,
        "undocumented-releases": Status.OK,
    }
    git = service.project.repository
    git.git("switch", "--quiet", "--create", "fix")
    git.commit("A fix that breaks something", {files.REGRESSION_TEST: files.REGRESSION}, push=False)
    git.git("push", "--quiet", "origin", "fix")
    git.git("switch", "--quiet", "main")
    with pytest.raises(SystemExit, match="a test fails"):
        walk(catalogue, f"{SYSTEM}/verify-fix", variables, tmp_path, monkeypatch, parameters={"branch": "fix"})

    walk(catalogue, f"{SYSTEM}/security-review", variables, tmp_path, monkeypatch)
    kept = next(service.backups.glob("security-review-*.json"))
    assert kept.stat().st_mode & 0o077 == 0
    assert json.loads(kept.read_text(encoding="utf-8"))["metrics"]["_totals"]["loc"] > 50


def test_without_the_system_everything_is_unknown(catalogue: Catalogue) -> None:
    """With no variable set every check of the morning is made and gives unknown with a reason; none is left out."""
    results = executed(catalogue, f"{SYSTEM}/daily-checks", {})
    assert {result.status for result in results.values()} == {Status.UNKNOWN}
    assert all("has no value" in result.reason or "is unknown" in result.reason for result in results.values())
    assert set(results) == set(checked_in(catalogue.runbooks[f"{SYSTEM}/daily-checks"])) & set(catalogue.systems[SYSTEM].metrics)
