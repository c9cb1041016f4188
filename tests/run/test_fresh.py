"""When an earlier run makes another needless, and every reason why it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks.catalogue import Catalogue
from checks.journal import RecordedResult, open_journal
from checks.model import Observation, Result, Run, RunState, Status, Trigger
from checks.run import basis as based
from checks.run import evidence, selection
from checks.run.ends import Prepared
from checks.run.fresh import Decision, decide
from checks.run.many import run_many
from tests.run.project import CHECK, SYSTEM, Project

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(minutes=12)
LOOKS_BACK = SYSTEM.replace('critical: "> 10 %"', 'critical: "> 10 % for 30m"\n    every: 5m')


@dataclass
class Past:
    """A journal that holds one run, and what was found after it."""

    run: Run | None
    results: list[Result]
    later: dict[str, RecordedResult] = field(default_factory=dict)
    measured: dict[str, datetime] = field(default_factory=dict)

    def latest_runs(self, environment: str) -> Mapping[str, Run]:
        return {self.run.runbook: self.run} if self.run is not None and self.run.environment == environment else {}

    def latest_results(self, _environment: str) -> Mapping[str, RecordedResult]:
        return self.later

    def results_of(self, run_ids: Iterable[str]) -> Mapping[str, list[Result]]:
        return {self.run.id: self.results} if self.run is not None and self.run.id in set(run_ids) else {}

    def newest(self, _environment: str) -> Mapping[str, datetime]:
        return self.measured


def _prepared(project: Project, catalogue: Catalogue | None = None, hours: int = 24, **variables: str) -> Prepared:
    catalogue = catalogue or project.catalogue
    (one,) = selection.prepare_all(
        [catalogue.runbooks["shop/morning"]],
        catalogue,
        environment="test",
        variables={**project.variables, **variables},
        parameters={"hours": hours},
        trigger=Trigger.COMMAND,
        now=NOW,
    )
    return one


def _result(at: datetime = BEFORE, status: Status = Status.OK, metric: str = "error-rate") -> Result:
    seen = Observation(0.4, "%", at, 0.1, "a cell of the runbook")
    return Result("shop", metric, "Error rate", status, "", at, seen, step=0, cell=1)


@pytest.fixture
def fresh(project: Project) -> tuple[Project, Past]:
    """A project with a runbook, and a past in which it ran twelve minutes ago with everything as it is now."""
    project.write(CHECK, front_matter="fresh-for: 1h\nparameters:\n  hours: {type: integer, default: 24}\n")
    wanted = _prepared(project).run
    digest = evidence.store(project.catalogue.settings.state, b"{}\n")
    run = replace(wanted, id="01", state=RunState.FINISHED, status=Status.OK, started_at=BEFORE, ended_at=BEFORE, evidence=digest)
    return project, Past(run, [_result()])


def _decided(past: Past, prepared: Prepared, now: datetime = NOW) -> Decision:
    (decision,) = decide([prepared], past, now)
    return decision


def test_what_rests_on_the_same_and_is_young_is_reused(fresh: tuple[Project, Past]) -> None:
    """Nothing changed and the results are young: the earlier run counts, with its results, and says how old it is."""
    project, past = fresh
    decision = _decided(past, _prepared(project))
    assert decision.reused is not None, decision.because
    assert (decision.reused.run, list(decision.reused.results)) == (past.run, past.results)
    assert decision.because == "nothing changed and it was measured 12 min ago"


def _changed_run(**changes: object) -> Callable[[Project, Past], Prepared]:
    def change(project: Project, past: Past) -> Prepared:
        assert past.run is not None
        past.run = replace(past.run, **changes)  # type: ignore[arg-type]
        return _prepared(project)

    return change


def _changed_basis(name: str) -> Callable[[Project, Past], Prepared]:
    def change(project: Project, past: Past) -> Prepared:
        assert past.run is not None
        past.run = replace(past.run, basis={**past.run.basis, name: "another"})
        return _prepared(project)

    return change


def _never(project: Project, past: Past) -> Prepared:
    past.run = None
    return _prepared(project)


def _edited(project: Project, _: Past) -> Prepared:
    path = project.root / "notebooks" / "shop" / "morning.md"
    path.write_text(path.read_text() + "\nOne word more.\n")
    return _prepared(project)


def _other_limit(project: Project, _: Past) -> Prepared:
    project.describe(SYSTEM.replace('"> 10 %"', '"> 9 %"'))
    return _prepared(project)


def _no_evidence(project: Project, past: Past) -> Prepared:
    assert past.run is not None
    assert past.run.evidence is not None
    evidence.path_of(project.catalogue.settings.state, past.run.evidence).unlink()
    return _prepared(project)


def _old(project: Project, past: Past) -> Prepared:
    past.results = [_result(NOW - timedelta(minutes=5)), _result(NOW - timedelta(hours=1))]
    return _prepared(project)


def _own_freshness(project: Project, past: Past) -> Prepared:
    project.describe(SYSTEM.replace("probe: {kind: notebook}", "probe: {kind: notebook}\n    fresh-for: 10m"))
    wanted = _prepared(project)
    assert past.run is not None
    past.run = replace(past.run, basis=wanted.run.basis)
    return wanted


def _shorter_elsewhere(project: Project, _: Past) -> Prepared:
    project.write(CHECK, name="watch", front_matter="fresh-for: 10m\nparameters:\n  hours: {type: integer, default: 24}\n")
    return _prepared(project)


def _of_the_future(project: Project, past: Past) -> Prepared:
    past.results = [_result(NOW + timedelta(minutes=1))]
    return _prepared(project)


def _red_since(project: Project, past: Past) -> Prepared:
    past.later = {"shop/error-rate": RecordedResult(_result(NOW, Status.CRITICAL), "02", "shop/evening")}
    return _prepared(project)


def _no_results(project: Project, past: Past) -> Prepared:
    past.results = []
    return _prepared(project)


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (_never, "it never ran here"),
        (_edited, "its source changed"),
        (_other_limit, "its system.yml changed"),
        (lambda project, _: _prepared(project, hours=12), "its parameters are others"),
        (lambda project, _: _prepared(project, SHOP_FOLDER="/elsewhere"), "a setting has another value"),
        (lambda project, _: _prepared(project, SHOP_TOKEN="another"), "a setting has another value"),
        (_changed_basis(based.PACKAGES), "other packages are installed"),
        (_changed_run(basis={}), "nobody knows what its latest run rested on"),
        (_changed_run(state=RunState.FAILED), "its latest run failed"),
        (_changed_run(state=RunState.CANCELLED), "its latest run was cancelled"),
        (_changed_run(state=RunState.LOST), "its latest run was lost"),
        (_changed_run(status=Status.CRITICAL), "its latest run is critical"),
        (_changed_run(status=Status.UNKNOWN), "its latest run is unknown"),
        (_changed_run(trigger=Trigger.OPERATOR), "its latest run was a person's"),
        (_changed_run(environment="production"), "it never ran here"),
        (_no_evidence, "the evidence of its latest run is not here"),
        (_no_results, "its latest run judged nothing"),
        (_old, "error-rate was measured 1 h ago and speaks for 1 h"),
        (_own_freshness, "error-rate was measured 12 min ago and speaks for 10 min"),
        (_shorter_elsewhere, "error-rate was measured 12 min ago and speaks for 10 min"),
        (_of_the_future, "error-rate was measured in what is the future now"),
        (_red_since, "error-rate was critical when it was last judged"),
    ],
)
def test_what_is_in_doubt_runs(fresh: tuple[Project, Past], change: Callable[[Project, Past], Prepared], because: str) -> None:
    """Each thing that may make another outcome makes the runbook run, and is named."""
    project, past = fresh
    decision = _decided(past, change(project, past))
    assert (decision.because, decision.reused) == (because, None)


def test_a_warning_is_reused(fresh: tuple[Project, Past]) -> None:
    """A run that warned is as fresh as one that was ok."""
    project, past = fresh
    assert past.run is not None
    past.run = replace(past.run, status=Status.WARNING)
    assert _decided(past, _prepared(project)).reused is not None


def test_limits_that_look_back_see_what_was_measured_since(project: Project) -> None:
    """A metric with a window that was measured after the run makes it run again; one whose limits judge each value does not."""
    project.write(CHECK, front_matter="fresh-for: 1h\nparameters:\n  hours: {type: integer, default: 24}\n")
    for system, because in (
        (LOOKS_BACK, "error-rate was measured since, and its limits look back"),
        (SYSTEM, "nothing changed and it was measured 12 min ago"),
    ):
        project.describe(system)
        wanted = _prepared(project)
        digest = evidence.store(project.catalogue.settings.state, b"{}\n")
        run = replace(wanted.run, id="01", state=RunState.FINISHED, status=Status.OK, evidence=digest)
        past = Past(run, [_result()], measured={"shop/error-rate": BEFORE + timedelta(minutes=5)})
        assert _decided(past, wanted).because == because
        past.measured = {"shop/error-rate": BEFORE}
        assert _decided(past, wanted).reused is not None


def test_a_secret_value_is_not_in_its_digest(project: Project) -> None:
    """Who has the journal only cannot try secrets against the digest: it is keyed, and the key is its owner's alone."""
    catalogue = project.catalogue
    project.write(CHECK, front_matter="parameters:\n  hours: {type: integer, default: 24}\n")
    first = _prepared(project, SHOP_TOKEN="hunter2").run.basis
    key = catalogue.settings.state / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert _prepared(project, SHOP_TOKEN="hunter2").run.basis == first
    key.write_bytes(bytes(based.KEY_BYTES))
    assert _prepared(project, SHOP_TOKEN="hunter2").run.basis[based.SETTINGS] != first[based.SETTINGS]


def test_packages_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of an installed package is another digest; the same ones are the same."""
    monkeypatch.setattr("site.getsitepackages", lambda: [str(tmp_path), str(tmp_path / "missing")])
    (tmp_path / "bread-1.0.dist-info").mkdir()
    first = based.packages()
    assert based.packages() == first
    (tmp_path / "bread-1.0.dist-info").rename(tmp_path / "bread-1.1.dist-info")
    assert based.packages() != first


def test_in_the_real_journal(project: Project) -> None:
    """What ran is reused from the journal until its source changes; deciding loads no engine."""
    project.write(CHECK, front_matter="parameters:\n  hours: {type: integer, default: 24}\n")

    def now() -> datetime:
        return datetime.now(UTC)

    with open_journal(project.catalogue.settings.journal) as journal:
        (first,) = decide([_prepared(project)], journal, now())
        assert first.because == "it never ran here"
        (outcome,) = run_many([first.prepared], journal, clock=now)
        (second,) = decide([_prepared(project)], journal, now())
        assert second.reused is not None, second.because
        assert (second.reused.run, second.reused.results) == (outcome.run, outcome.results)
        _edited(project, Past(None, []))
        assert decide([_prepared(project)], journal, now())[0].because == "its source changed"


def test_deciding_loads_no_engine(project: Project) -> None:
    """`proofbook run --fresh-enough` with nothing to run imports neither papermill nor jupytext nor a kernel's parts."""
    project.write(CHECK)
    command = [
        sys.executable,
        "-m",
        "tests.run.command",
        "run",
        "--all",
        "--fresh-enough",
        "--explain",
        "--root",
        str(project.root),
    ]
    env = {**{name: value for name, value in os.environ.items() if not name.startswith("PROOFBOOK_")}, **project.variables}
    repository = Path(__file__).parents[2]
    first = subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True, timeout=100)
    assert first.returncode == 0, first.stderr
    assert "runs   shop/morning: it never ran here" in first.stderr
    code = (
        "import sys\nfrom checks.cli import main\nsys.argv = sys.argv[1:]\n"
        "try:\n    main()\nfinally:\n"
        "    print(sorted({'papermill', 'jupytext', 'nbformat', 'nbclient', 'zmq', 'alembic.command'} & set(sys.modules)))\n"
    )
    second = subprocess.run(
        [sys.executable, "-c", code, "proofbook", *command[3:]],
        cwd=repository,
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert second.returncode == 0, second.stderr
    table, loaded = second.stdout.strip().rsplit("\n", 1)
    assert table.splitlines()[1].split()[:4] == ["ok", "shop/morning", "fresh", "-"]
    assert "fresh  shop/morning: nothing changed" in second.stderr
    assert loaded == "[]"
