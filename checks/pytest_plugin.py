"""``pytest --proofbook notebooks/``: each step of a runbook is a test, so that a deployment can be gated on it.

Pytest loads this in every session that has Proofbook installed, so nothing but pytest is imported until a runbook is collected.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.pathlib import bestrelpath

if TYPE_CHECKING:
    from checks.cli._shared import Workspace
    from checks.model import Runbook
    from checks.run.ends import Outcome
    from checks.run.steps import StepReport

_WHOLE_FILES = ("no", "loadfile", "loadgroup")
_places = pytest.StashKey[dict[Path, "Workspace"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("proofbook", "Proofbook's runbooks")
    group.addoption("--proofbook", action="store_true", help="Run the runbooks among the given files; each step is a test.")
    group.addoption("--proofbook-environment", metavar="NAME", help="Where the systems live; default: as mkdocs.yml says.")
    group.addoption(
        "--proofbook-param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="A parameter of the runbooks that declare it.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to spread the steps of one run over several workers: each of them would execute it."""
    spread = config.getoption("dist", "no")
    if config.getoption("--proofbook") and spread not in _WHOLE_FILES:
        raise pytest.UsageError(f"--proofbook with --dist {spread} would run a runbook more than once; give --dist loadfile")
    config.stash[_places] = {}


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say where the systems live."""
    if not config.getoption("--proofbook"):
        return None
    return f"proofbook: environment {config.getoption('--proofbook-environment') or 'as mkdocs.yml says'}"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> RunbookFile | None:
    """Take a file that lies where a project's runbooks lie."""
    if file_path.suffix != ".md" or not parent.config.getoption("--proofbook"):
        return None
    root = file_path.parents[2] if len(file_path.parents) > 2 else file_path.parent
    if file_path.parents[1] != root / "notebooks" or not (root / "mkdocs.yml").is_file():
        return None
    return RunbookFile.from_parent(parent, path=file_path)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a parameter that none of the runbooks declares: a slip of the pen must not run something else than was meant."""
    files = {item.parent for item in items if isinstance(item, StepItem)}
    if not files:
        return
    declared = {name for file in files if isinstance(file, RunbookFile) for name in file.runbook.parameters}
    for name in _parameters(config):
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise pytest.UsageError(f"--proofbook-param: no runbook has a parameter `{name}`; there are: {known}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let each step have the time that its own cells took; the first that is asked for waits for all."""
    report = yield
    if isinstance(item, StepItem) and call.when == "call":
        report.duration = item.outcome.took if item.outcome is not None else report.duration
        if report.skipped and isinstance(report.longrepr, tuple):
            report.longrepr = (str(item.path), item.line, report.longrepr[2])
    return report


class RunbookFile(pytest.File):
    """A runbook; it is run once, when the first of its steps is asked for."""

    _ran: tuple[Outcome, dict[int, StepReport]] | None = None
    _numbers: tuple[int, ...] = ()

    def collect(self) -> Iterator[StepItem]:
        """Its steps that hold code, or that only a person may take."""
        from checks.catalogue import notebook
        from checks.model import StepClass
        from checks.run.steps import lines

        read = notebook.read(self.runbook)
        begins = lines(self.path.read_text(encoding="utf-8"))
        steps = [
            step
            for step in notebook.steps(read)
            if step.step_class is not StepClass.READ or any(read.cells[position].cell_type == "code" for position in step.cells)
        ]
        self._numbers = tuple(step.number for step in steps) or (0,)
        seen: set[str] = set()
        for step in steps:
            title = (step.title or "before the first step").replace("::", ":")
            name = title if title not in seen else f"{title} (step {step.number})"
            seen.add(name)
            line = begins[step.number - 1] if 0 < step.number <= len(begins) else 1
            yield StepItem.from_parent(self, name=name, number=step.number, line=line)
        if not steps:
            yield StepItem.from_parent(self, name="the run", number=0, line=1)

    @property
    def place(self) -> Workspace:
        """The project that it belongs to, read once a session."""
        from checks.cli._shared import workspace

        root = self.path.parents[2]
        known = self.config.stash[_places]
        if root not in known:
            known[root] = workspace(root, self.config.getoption("--proofbook-environment"))
        return known[root]

    @property
    def runbook(self) -> Runbook:
        """What the catalogue says of it."""
        return self.place.catalogue.runbook(f"{self.path.parent.name}/{self.path.stem}")

    @property
    def runs_here(self) -> bool:
        """Whether it may run in the environment."""
        return self.runbook in self.place.catalogue.runbooks_in(self.place.environment)

    def run(self) -> tuple[Outcome, dict[int, StepReport]]:
        """Run it and journal what it found; what came of it, and of each step by its number."""
        if self._ran is None:
            from datetime import UTC, datetime

            from checks.journal import open_journal
            from checks.model import Trigger
            from checks.run.many import run_many
            from checks.run.selection import prepare_all
            from checks.run.steps import reports

            place = self.place
            prepared = prepare_all(
                [self.runbook],
                place.catalogue,
                environment=place.environment,
                variables=place.variables,
                parameters={k: v for k, v in _parameters(self.config).items() if k in self.runbook.parameters},
                trigger=Trigger.COMMAND,
                now=datetime.now(UTC),
            )
            with open_journal(place.catalogue.settings.journal) as journal:
                (outcome,) = run_many(prepared, journal, clock=lambda: datetime.now(UTC), jobs=1)
            told = {report.number: report for report in reports(outcome.run, outcome.results, outcome.evidence)}
            if told and not set(told) & set(self._numbers):
                # A run that left no evidence has one report, which no step answers for: the first one does.
                told = {self._numbers[0]: next(iter(told.values()))}
            self._ran = outcome, told
        return self._ran

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any, **__: Any) -> Any:
        """What is wrong in the catalogue, with file, line and column, instead of a traceback."""
        from checks.errors import ProofbookError

        return str(excinfo.value) if isinstance(excinfo.value, ProofbookError) else super().repr_failure(excinfo)


class StepItem(pytest.Item):
    """One step of a runbook."""

    outcome: StepReport | None = None

    def __init__(self, *, number: int, line: int, **about: Any) -> None:
        super().__init__(**about)
        self.number = number
        self.line = line

    def runtest(self) -> None:
        """Fail where the step is critical or unknown, skip where it was not executed."""
        from checks.model import Status
        from checks.run.notebook import text_line
        from checks.run.steps import Verdict

        file = self.parent
        assert isinstance(file, RunbookFile)  # noqa: S101 - only such a file makes items of this kind
        if not file.runs_here:
            pytest.skip(f"not for environment {file.place.environment}")
        outcome, told = file.run()
        self.outcome = report = told.get(self.number)
        if report is None:
            pytest.skip("not reached")
        self.user_properties += [("run", outcome.run.id), ("evidence", outcome.run.evidence or "none")]
        self.user_properties += [("status", report.status.value)] if report.status else []
        said = tuple(text_line(result) for result in report.results)
        if report.verdict is Verdict.SKIPPED:
            pytest.skip(report.reason)
        if report.verdict is Verdict.FAILED:
            raise StepFailed(report.reason, said, f"run {outcome.run.id}, evidence {outcome.run.evidence or 'none'}")
        if said:
            self.add_report_section("call", "results", "\n".join(said) + "\n")
        for result in report.results:
            if result.status is Status.WARNING:
                self.warn(StepWarning(f"{result.metric}: {result.reason}"))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any, **__: Any) -> Any:
        """The step's place, and each observation beside its limit."""
        from checks.errors import ProofbookError

        path = bestrelpath(self.config.invocation_params.dir, self.path)
        if isinstance(excinfo.value, StepFailed):
            return _Shown(path, self.line, excinfo.value)
        if isinstance(excinfo.value, StepWarning):
            return _Shown(path, self.line, StepFailed(str(excinfo.value), ()))
        return str(excinfo.value) if isinstance(excinfo.value, ProofbookError) else super().repr_failure(excinfo)

    def warn(self, warning: Warning) -> None:
        """Warn at the step's heading."""
        warnings.warn_explicit(warning, None, str(self.path), self.line)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The file, the line of the step's heading counted from 0, and the step's name."""
        return self.path, self.line - 1, self.name


class StepWarning(pytest.PytestWarning):
    """A result is a warning: the step passes, and fails where ``-W error::checks.pytest_plugin.StepWarning`` is given."""


class StepFailed(Exception):
    """A step is critical or unknown."""

    def __init__(self, reason: str, results: tuple[str, ...], trace: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.results = results
        self.trace = trace


@dataclass(frozen=True)
class _Crash:
    """Where and why, as pytest's one-line summary and its JUnit XML ask for it."""

    path: str
    lineno: int
    message: str


class _Shown:
    """A failed step as pytest prints it."""

    def __init__(self, path: str, line: int, failed: StepFailed) -> None:
        self.reprcrash = _Crash(path, line, failed.reason)
        self.lines = (*failed.results, *([failed.trace] if failed.trace else []), f"{path}:{line}: {failed.reason}")

    def toterminal(self, terminal: Any) -> None:
        """Print it."""
        for line in self.lines:
            terminal.line(line, red=line is self.lines[-1])

    def __str__(self) -> str:
        return "\n".join(self.lines)


def _parameters(config: pytest.Config) -> dict[str, str]:
    from checks.run.parameters import parse

    given: list[str] = config.getoption("--proofbook-param")
    return parse(given) if given else {}
