"""How metrics are measured: one module a kind, each giving an observation or saying why there is none."""

from __future__ import annotations

import dataclasses
import time
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_args

from checks.catalogue.environment import MissingSetting, Settled
from checks.errors import DataError
from checks.judge import TEXT_UNIT, convert, needed_since
from checks.model import Metric, Observation, Unmeasured
from checks.probes._steps import Step as Step
from checks.probes._steps import kept_in
from checks.probes._texts import masked

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import Declaration

D_contra = TypeVar("D_contra", contravariant=True)


class Probe(Protocol[D_contra]):
    """What measures one kind of declaration."""

    def __call__(self, declaration: D_contra, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
        """Measure once.

        Args:
            declaration: what is declared of this kind in ``checks.catalogue.probe_kinds``.
            settled: the environment's settings, for each ``{name}`` in the declaration.
            unit: the metric's unit; a number that carries no unit of its own (JSON, SQL) is taken to be in it.
            now: the end of windows and ages, aware, in UTC.

        Returns:
            The observation in the kind's own unit, or why there is none; a sick system never raises.

        Raises:
            MissingSetting: the declaration refers to a setting that has no value.

        """
        ...


# Each kind and the module whose `probe` measures it; loaded when a metric of that kind is first measured.
PROBES: dict[str, str] = {
    "http": "checks.probes.http",
    "tls": "checks.probes.tls",
    "redis": "checks.probes.redis",
    "prometheus": "checks.probes.prometheus",
    "backup": "checks.probes.backup",
    "command": "checks.probes.command",
    "file": "checks.probes.file",
    "sql": "checks.probes.sql",
    "log": "checks.probes.log",
    "host": "checks.probes.host",
    "git": "checks.probes.git",
    "service": "checks.probes.service",
    "github": "checks.probes.github",
    "packages": "checks.probes.packages",
    "retention": "checks.probes.retention",
    "notebook": "checks.probes.notebook",
}


def measure(metric: Metric, settled: Settled, now: datetime, steps: list[Step] | None = None) -> Observation | Unmeasured:
    """Measure a metric by its declared probe.

    Args:
        metric: the metric; its probe is the declaration as written.
        settled: the settings of the environment to measure in.
        now: the time of the measurement, aware, in UTC.
        steps: gets what happened on the way, secrets left out, for a person to read.

    Returns:
        The observation in the metric's unit, or why there is none. What the system does never raises.

    Raises:
        DataError: the probe's declaration is not valid; the catalogue would have refused it.

    """
    declaration = _declaration(metric)
    started = time.perf_counter()
    try:
        with kept_in(steps, settled):
            seen = _measured(metric, declaration, settled, now)
    except MissingSetting as error:
        return Unmeasured(f"{error.what}; {error.remedy}", now, time.perf_counter() - started, f"{declaration.kind} probe")
    except OSError as error:
        # Disks fail in more ways than a probe names.
        reason = masked(settled, f"the {declaration.kind} probe could not read or connect: {error.strerror or error}")
        return Unmeasured(reason, now, time.perf_counter() - started, f"{declaration.kind} probe")
    if isinstance(seen, Unmeasured):
        return seen
    if metric.unit == TEXT_UNIT and seen.unit != TEXT_UNIT:
        reason = f"the {declaration.kind} probe gives a number here, and the metric's unit is {TEXT_UNIT}"
        return Unmeasured(reason, now, seen.took, seen.source)
    try:
        past = tuple((at, convert(value, seen.unit, metric.unit)) for at, value in seen.past)
        return dataclasses.replace(seen, value=convert(seen.value, seen.unit, metric.unit), unit=metric.unit, past=past)
    except DataError as error:
        return Unmeasured(f"the probe's answer does not fit the metric's unit: {error.what}", now, seen.took, seen.source)


def _measured(metric: Metric, declaration: Any, settled: Settled, now: datetime) -> Observation | Unmeasured:
    """What the kind's module gives; where it can `recall` and the metric's limits look back, with the source's own history."""
    module = import_module(PROBES[declaration.kind])
    since = needed_since(metric, now) if metric.every is not None and hasattr(module, "recall") else None
    seen: Observation | Unmeasured
    if since is None:
        seen = module.probe(declaration, settled, metric.unit, now)
    else:
        seen = module.recall(declaration, settled, metric.unit, now, since, metric.every)
    return seen


@lru_cache(maxsize=1)
def _kinds() -> dict[str, type[Declaration]]:
    """Each kind's model; only the one that is asked for is made ready by pydantic, which takes longest."""
    from checks.catalogue.probe_kinds import ProbeDeclaration

    models = get_args(get_args(ProbeDeclaration)[0])
    return {get_args(model.model_fields["kind"].annotation)[0]: model for model in models}


def _declaration(metric: Metric) -> Any:
    from pydantic import ValidationError

    try:
        return _kinds()[str(metric.probe["kind"])].model_validate(dict(metric.probe))
    except (ValidationError, KeyError) as error:
        unknown = {"msg": f"there is no kind {error}", "loc": ("kind",)}
        first = error.errors()[0] if isinstance(error, ValidationError) else unknown
        raise DataError(
            f"the probe of {metric.slug} is not valid: {first['msg']}",
            where=".".join(str(part) for part in first["loc"]) or None,
            expected="a probe as docs describe it: " + ", ".join(PROBES),
            remedy="mend the metric's probe in system.yml; proofbook lint shows the place",
        ) from error
