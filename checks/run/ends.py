"""The two ends of an execution: what is about to begin, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from checks.run.context import Context, ParameterValue

if TYPE_CHECKING:
    from checks.catalogue import Catalogue, Settled
    from checks.model import Result, Run, Runbook


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one execution came to.

    Attributes:
        run: the ended run; its ``evidence`` is the digest of `evidence`, which has been kept.
        results: what its checks said, in the order of the cells.
        evidence: the executed notebook as it was kept; ``None`` where none could be.

    """

    run: Run
    results: tuple[Result, ...]
    evidence: bytes | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that has an id and is about to begin; nothing has been executed.

    Attributes:
        run: state running, status unknown.
        variables: what ``${NAME}`` in system.yml is filled from.
        fault: why it will fail without being executed; empty where it can be.
        history: earlier values of the metrics whose limits need them; see `checks.run.history`.
        files: the digests of the files that the runbook declares, by name.

    """

    run: Run
    runbook: Runbook
    catalogue: Catalogue
    variables: Mapping[str, str]
    parameters: Mapping[str, ParameterValue]
    settled: Settled
    fault: str = ""
    history: Mapping[str, tuple[tuple[datetime, float], ...]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def context(self) -> Context:
        """What the run's kernel is told."""
        system = self.catalogue.systems[self.runbook.system]
        return Context(self.run.id, self.runbook.slug, system, self.run.environment, self.parameters, self.history)
