"""Which system, environment and run a notebook works for: what its run tells, or, opened by hand, what its folder says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from checks.errors import DataError, ProofbookError
from checks.model import System

if TYPE_CHECKING:
    from checks.catalogue import Catalogue, Settled
    from checks.run.context import ParameterValue

OUTSIDE_A_RUN = "interactive"
_SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Here:
    """The system, environment and run that a notebook works for.

    Attributes:
        history: what was measured before; see `checks.run.context.Context`.
        variables: what ``${NAME}`` in system.yml is filled from.

    """

    run: str
    system: System
    settled: Settled
    parameters: Mapping[str, ParameterValue]
    history: Mapping[str, Sequence[tuple[datetime, float]]]
    variables: Mapping[str, str]


def here() -> Here:
    """What this kernel works for.

    Raises:
        DataError: no run tells, and the folder is not that of a system's notebooks.

    """
    from checks.run import context

    if path := os.environ.get(context.VARIABLE):
        return _told(path)
    return _opened_by_hand(Path.cwd())


class _Parameters(Mapping[str, "ParameterValue"]):
    """The run's parameters: read-only, validated, with the front matter's defaults where none was given."""

    def __getitem__(self, name: str) -> ParameterValue:
        return here().parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(here().parameters)

    def __len__(self) -> int:
        return len(here().parameters)

    def __repr__(self) -> str:
        return f"parameters({dict(self)!r})"


class _Settings(Mapping[str, str]):
    """The settings of the run's environment, by the names that system.yml gives them: read-only, their variables filled in.

    A setting that has no value here raises `MissingSetting`, a KeyError that names the variable that is not set.
    """

    def __getitem__(self, name: str) -> str:
        __tracebackhide__ = True
        settled = here().settled
        if name not in settled.values:
            from checks.catalogue import MissingSetting

            raise MissingSetting(name, settled.missing.get(name), settled.environment)
        return settled.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(here().settled.values)

    def __len__(self) -> int:
        return len(here().settled.values)

    def __repr__(self) -> str:
        # Some are secrets; a cell that ends with this shows none of them.
        return f"settings({', '.join(self)})"


parameters: Mapping[str, ParameterValue] = _Parameters()
settings = _Settings()


def furnish(surroundings: MutableMapping[str, str]) -> None:
    """Give a kernel that was opened by hand the variables that a run's kernel has, so that its bash steps find them, too.

    Where the notebook belongs to no system nothing is given; the first check says so.

    Args:
        surroundings: the kernel's environment variables; those that are set stay.

    """
    from checks.run import context

    if context.VARIABLE in surroundings:
        return
    with suppress(ProofbookError):
        found = here()
        given = context.surroundings(found.system, found.settled, found.variables, found.parameters)
        for name, value in given.items():
            surroundings.setdefault(name, value)


@cache
def _told(path: str) -> Here:
    from checks.catalogue import resolve
    from checks.run import context

    told = context.read(Path(path))
    settled = resolve(told.system, told.environment, os.environ)
    return Here(told.run, told.system, settled, told.parameters, told.history, os.environ)


def _opened_by_hand(folder: Path) -> Here:
    """Where no run tells (JupyterLab), the notebook's folder is the name of its system."""
    from checks.catalogue import find_root, resolve

    catalogue = _loaded(*_state_of(find_root(folder)))
    notebooks = catalogue.root / "notebooks"
    inside = folder.resolve().relative_to(notebooks) if folder.resolve().is_relative_to(notebooks) else Path()
    if not inside.parts or inside.parts[0] not in catalogue.systems:
        raise DataError(
            "this notebook belongs to no system",
            where=str(folder),
            expected=f"a folder of {notebooks} that bears a system's name",
            remedy="open the notebook from that folder, or run it: proofbook run SYSTEM/RUNBOOK",
        )
    system = catalogue.systems[inside.parts[0]]
    environment = catalogue.settings.environment
    variables = _variables(catalogue.settings.state, environment)
    settled = resolve(system, environment, variables)
    # JupyterLab names the open notebook here; its front matter holds the parameters' defaults.
    name = Path(os.environ.get("JPY_SESSION_NAME", "")).stem
    runbook = catalogue.runbooks.get(f"{system.name}/{name}")
    defaults = {p.name: p.default for p in runbook.parameters.values() if p.default is not None} if runbook else {}
    return Here(OUTSIDE_A_RUN, system, settled, defaults, {}, variables)


def _state_of(root: Path) -> tuple[Path, tuple[tuple[str, int], ...]]:
    """What the catalogue is read from, and when each of it was changed: an edited limit counts at the next check."""
    files = [root / "mkdocs.yml", *root.glob("docs/systems/*/system.yml"), *root.glob("notebooks/*/*.md")]
    return root, tuple((str(path), path.stat().st_mtime_ns) for path in files)


@lru_cache(maxsize=1)
def _loaded(root: Path, _state: tuple[tuple[str, int], ...]) -> Catalogue:
    from checks.catalogue import load

    return load(root)


def _variables(state: Path, environment: str) -> Mapping[str, str]:
    """What fills ``${NAME}``: the running stand-ins' variables in the sandbox, else those that the kernel was started with."""
    if environment != _SANDBOX:
        return os.environ
    from checks import sandbox

    found: Mapping[str, str] = sandbox.variables(state)
    return found
