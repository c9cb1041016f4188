"""Which runs need not be executed again, because an earlier one rests on the same and still speaks for now.

Everything is decided from the journal's rows and the catalogue; no kernel, notebook or engine is touched, so that deciding
for a whole site takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from checks.judge import format_value, needed_since
from checks.model import Result, Run, RunState, Status, Trigger
from checks.run import basis, evidence
from checks.run.ends import Outcome, Prepared
from checks.run.history import with_settings

_WELL = (Status.OK, Status.WARNING)
_CHANGED = {
    basis.SYSTEM: "its system.yml changed",
    basis.SETTINGS: "a setting has another value",
    basis.PACKAGES: "other packages are installed",
    basis.FILES: "a file that it declares changed",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a run is executed, and why.

    Attributes:
        because: the reason, as a part of a sentence.
        reused: the earlier run that speaks for it, with its results; ``None`` where it is to be executed.

    """

    prepared: Prepared
    because: str
    reused: Outcome | None = None


class Recorded(Protocol):
    """A result and where it came from."""

    @property
    def result(self) -> Result:
        """What was found."""


class Past(Protocol):
    """Where earlier runs are read; the journal is one."""

    def latest_runs(self, environment: str) -> Mapping[str, Run]:
        """The latest ended run of each runbook, by its slug."""

    def latest_results(self, environment: str) -> Mapping[str, Recorded]:
        """The latest result of each metric, by its slug."""

    def results_of(self, run_ids: Iterable[str]) -> Mapping[str, Sequence[Result]]:
        """The results of several runs, by the run's id."""

    def newest(self, environment: str) -> Mapping[str, datetime]:
        """When each metric was last measured, by its slug."""


def decide(prepared: Iterable[Prepared], past: Past, now: datetime) -> list[Decision]:
    """Say of each run whether an earlier one makes it needless.

    An earlier run is reused only when it is the latest of its runbook here, ended well (ok or warning), ran without a person,
    had the same source, files, parameters, system.yml, settings, packages and Proofbook, when each of its results still speaks
    for now (`checks.judge.lifetimes`), when none of its metrics was found critical or unknown since and none whose limits look
    back was measured since, and when its evidence is still here.

    Args:
        prepared: what `checks.run.selection` gave.
        past: where earlier runs are read.
        now: the time, aware, in UTC.

    """
    wanted = list(prepared)
    known = {name: _Known.of(past, name) for name in {one.run.environment for one in wanted}}
    earlier = [known[one.run.environment].runs.get(one.runbook.slug) for one in wanted]
    reasons = [_differs(one, run) for one, run in zip(wanted, earlier, strict=True)]
    results = past.results_of(run.id for run, reason in zip(earlier, reasons, strict=True) if run is not None and not reason)
    decisions = []
    for one, run, reason in zip(wanted, earlier, reasons, strict=True):
        found = () if run is None or reason else tuple(results.get(run.id, ()))
        doubt = reason or _doubt(one, found, known[one.run.environment], now)
        if run is None or doubt:
            decisions.append(Decision(one, doubt))
        else:
            age = _seconds((now - min(_measured_at(result) for result in found)).total_seconds())
            decisions.append(Decision(one, f"nothing changed and it was measured {age} ago", Outcome(run, found, None)))
    return decisions


@dataclass(frozen=True, slots=True)
class _Known:
    """What the past holds of one environment."""

    runs: Mapping[str, Run]
    results: Mapping[str, Recorded]
    newest: Mapping[str, datetime]

    @classmethod
    def of(cls, past: Past, environment: str) -> _Known:
        return cls(past.latest_runs(environment), past.latest_results(environment), past.newest(environment))


def _differs(prepared: Prepared, run: Run | None) -> str:
    """Why an earlier run does not speak for this one whatever its age; empty where it may."""
    if prepared.fault:
        return prepared.fault
    if run is None:
        return "it never ran here"
    if run.trigger is Trigger.OPERATOR:
        return "its latest run was a person's"
    if run.state is not RunState.FINISHED:
        return f"its latest run was {run.state.value}" if run.state is not RunState.FAILED else "its latest run failed"
    if run.status not in _WELL:
        return f"its latest run is {run.status.value}"
    wanted = prepared.run
    if run.source != wanted.source:
        return "its source changed"
    if dict(run.parameters) != dict(wanted.parameters):
        return "its parameters are others"
    if not run.basis:
        return "nobody knows what its latest run rested on"
    changed = [why for name, why in _CHANGED.items() if run.basis.get(name) != wanted.basis.get(name)]
    if changed:
        return changed[0]
    if not run.evidence or not evidence.path_of(prepared.catalogue.settings.state, run.evidence).is_file():
        return "the evidence of its latest run is not here"
    return ""


def _doubt(prepared: Prepared, results: Sequence[Result], known: _Known, now: datetime) -> str:
    """Why an earlier run with these results does not speak for now; empty where it does."""
    if not results:
        return "its latest run judged nothing"
    metrics = prepared.catalogue.systems[prepared.runbook.system].metrics
    for result in results:
        metric = metrics.get(result.metric)
        if metric is None:
            return f"{result.metric} is no metric any more"
        measured = _measured_at(result)
        if measured > now:
            return f"{result.metric} was measured in what is the future now"
        fresh_for = prepared.catalogue.lifetimes(prepared.run.environment).of(metric, prepared.runbook.slug)
        if now >= measured + fresh_for:
            age = _seconds((now - measured).total_seconds())
            return f"{result.metric} was measured {age} ago and speaks for {_seconds(fresh_for.total_seconds())}"
        latest = known.results.get(metric.slug)
        if latest is not None and latest.result.status not in _WELL:
            return f"{result.metric} was {latest.result.status.value} when it was last judged"
    for name, measured in _last_measured(results).items():
        looks_back = needed_since(with_settings(metrics[name], prepared.settled), now) is not None
        if looks_back and known.newest.get(metrics[name].slug, measured) > measured:
            return f"{name} was measured since, and its limits look back"
    return ""


def _measured_at(result: Result) -> datetime:
    return result.observation.measured_at if result.observation else result.judged_at


def _last_measured(results: Iterable[Result]) -> dict[str, datetime]:
    last: dict[str, datetime] = {}
    for result in results:
        last[result.metric] = max(last.get(result.metric, _measured_at(result)), _measured_at(result))
    return last


def _seconds(seconds: float) -> str:
    return format_value(round(seconds), "s")
