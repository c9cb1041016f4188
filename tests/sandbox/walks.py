"""Runbooks in tests: executed as the command does, or walked in the test's own process, every step or those that only read."""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from checks.catalogue import Catalogue, notebook, resolve
from checks.model import Result, RunState, Status, StepClass, Trigger
from checks.run import context
from checks.run import notebook as run_notebook
from checks.run.execution import execute, prepare

OPERATED = frozenset(StepClass) - {StepClass.MANUAL}


def executed(catalogue: Catalogue, slug: str, variables: Mapping[str, str]) -> dict[str, Result]:
    """Execute a runbook as the command does; its results by metric."""
    prepared = prepare(
        catalogue.runbooks[slug],
        catalogue,
        environment="sandbox",
        variables=variables,
        parameters={},
        trigger=Trigger.COMMAND,
        now=datetime.now(UTC),
    )
    outcome = execute(prepared, clock=lambda: datetime.now(UTC))
    assert outcome.run.state is RunState.FINISHED, outcome.run.reason
    return {result.metric: result for result in outcome.results}


def not_ok(catalogue: Catalogue, slugs: Iterable[str], variables: Mapping[str, str]) -> dict[str, str]:
    """Execute runbooks, two at once; each metric that is not ok, with the reason."""
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda slug: executed(catalogue, slug, variables), slugs))
    return {name: one.reason for results in found for name, one in results.items() if one.status is not Status.OK}


def walk(
    catalogue: Catalogue,
    slug: str,
    variables: Mapping[str, str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    parameters: Mapping[str, Any] | None = None,
    classes: Collection[StepClass] = OPERATED,
    without: frozenset[str] = frozenset(),
) -> dict[str, list[Result]]:
    """Execute a runbook's cells but for the steps that only people take; the results by metric.

    Args:
        catalogue: where the runbook is found.
        slug: the runbook's, with its system's.
        variables: those of the stand-in that it is walked against.
        folder: the working folder of the cells.
        monkeypatch: sets the environment, and takes it back after the test.
        parameters: those that are not their defaults.
        classes: those of the steps that are taken.
        without: titles of steps that are left out.

    """
    runbook, system = catalogue.runbooks[slug], catalogue.systems[slug.partition("/")[0]]
    defaults = {one.name: one.default for one in runbook.parameters.values() if one.default is not None}
    path = folder / f"context-{os.urandom(4).hex()}.json"
    context.write(context.Context("01TEST", slug, system, "sandbox", {**defaults, **(parameters or {})}), path)
    monkeypatch.setenv(context.VARIABLE, str(path))
    for key in system.environments["sandbox"].settings:
        monkeypatch.delenv(key.upper(), raising=False)
    for key, value in {**variables, **{k.upper(): v for k, v in resolve(system, "sandbox", variables).values.items()}}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(folder)
    results: dict[str, list[Result]] = defaultdict(list)
    monkeypatch.setattr(run_notebook, "_emit", lambda result, _: results[result.metric].append(result))
    book, names = notebook.read(runbook), dict[str, Any]()
    for step in notebook.steps(book):
        if step.step_class in classes and step.title not in without:
            for position in step.cells:
                _execute(book.cells[position], names)
    return results


def _execute(cell: Any, names: dict[str, Any]) -> None:
    if cell.cell_type != "code":
        return
    if cell.source.startswith("%%bash"):
        subprocess.run(["bash", "-euo", "pipefail", "-c", cell.source.partition("\n")[2]], check=True, timeout=30)
    else:
        exec(compile(cell.source, "cell", "exec"), names)  # noqa: S102 - a runbook's own cell
