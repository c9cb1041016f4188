"""From what was measured, its limits and its history to a status with a reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from checks.errors import DataError
from checks.judge.comparing import bounds_in
from checks.judge.levels import Finding, Level, condition, find, levels_of
from checks.judge.limits import TEXT_UNIT, plain_number
from checks.judge.text import format_value
from checks.judge.units import convert
from checks.judge.windows import Broken, Sample
from checks.model import Against, BaselineUsed, Limit, Metric, Observation, Result, Span, Status, Unmeasured

_LONGEST_TEXT = 80
_ALIKE = 0.05  # numbers farther apart than this share of them never look the same


@dataclass(frozen=True, slots=True)
class _Verdict:
    status: Status
    reason: str
    baseline: BaselineUsed | None = None


def judge(metric: Metric, observation: Observation | Unmeasured, now: datetime, history: Sequence[Sample] = ()) -> Result:
    """Judge what was measured of a metric by the limits it has now.

    Args:
        metric: the metric with its limits.
        observation: what a probe or a cell gave; its unit may differ from the metric's if it measures the same.
        now: when it is judged, aware, in UTC.
        history: what was measured of the metric before, in its unit, oldest first; windows, baselines, ``changes`` and
            ``leave:`` are judged by it. What is missing from it makes them unknown, never ok. Where the observation brings
            its source's own history, that counts from where it begins.

    Returns:
        The result: the worst of its limits (critical > unknown > warning > ok); unknown if nothing was measured, the value
        is no finite number, its unit cannot be compared, it rests on too few samples, lies in no band, or the metric has
        no limit. A value that is no number or rests on too few samples is told in the reason, and is not the result's: it
        never becomes a part of the metric's history.

    """
    verdict = _verdict(metric, observation, now, history)
    return Result(
        system=metric.system,
        metric=metric.name,
        title=metric.title,
        status=verdict.status,
        reason=verdict.reason,
        judged_at=now,
        observation=_recorded(metric, observation),
        warning=metric.warning.text if metric.warning else None,
        critical=metric.critical.text if metric.critical else None,
        baseline=verdict.baseline,
    )


def _verdict(metric: Metric, observation: Observation | Unmeasured, now: datetime, history: Sequence[Sample]) -> _Verdict:
    if isinstance(observation, Unmeasured):
        return _Verdict(Status.UNKNOWN, observation.reason)
    if not math.isfinite(observation.value):
        return _Verdict(Status.UNKNOWN, f"the value is {format_value(observation.value, '')}, which no limit can judge")
    levels = levels_of(metric)
    if not levels:
        return _Verdict(Status.UNKNOWN, "no limit is declared, so nothing says whether this is well")
    if _is_thin(metric, observation):
        rests = "nobody counted how many it rests on" if observation.samples is None else f"rests on {observation.samples:,}"
        return _Verdict(Status.UNKNOWN, f"{_shown(observation, [])} needs {metric.needs:,} samples, {rests}")
    try:
        value = convert(observation.value, observation.unit, metric.unit)
        known = _with_past(metric, observation, history) if observation.past else history
        earlier = [(at, past) for at, past in known if at < observation.measured_at and math.isfinite(past)]
        samples = [*earlier, (observation.measured_at, value)]
        moment = max(now, observation.measured_at)
        findings = [(level, find(metric, level, samples, observation.detail, moment)) for level in levels]
        verdict = _worst(observation, findings)
        if verdict.status is Status.OK and metric.green is not None:
            inside = condition(metric, metric.green, samples, observation.detail, moment, verdict.baseline)
            if inside.broken is not Broken.YES:
                return _Verdict(Status.UNKNOWN, f"{_shown(observation, [metric.green])} lies in no band", verdict.baseline)
    except DataError as error:
        unit = observation.unit or "bare numbers"
        return _Verdict(Status.UNKNOWN, f"the limit cannot judge a value in {unit}: {error.what}")
    return verdict


def _recorded(metric: Metric, observation: Observation | Unmeasured) -> Observation | None:
    """What is kept of an observation; what is no value of the metric must not become a part of its history."""
    if isinstance(observation, Unmeasured) or not math.isfinite(observation.value) or _is_thin(metric, observation):
        return None
    return replace(observation, past=()) if observation.past else observation


def _is_thin(metric: Metric, observation: Observation) -> bool:
    return metric.needs > 0 and (observation.samples is None or observation.samples < metric.needs)


def _with_past(metric: Metric, observation: Observation, history: Sequence[Sample]) -> Sequence[Sample]:
    """What is known, with the source's own history in place of ours from where it begins."""
    past = [(at, convert(value, observation.unit, metric.unit)) for at, value in observation.past]
    return [*(sample for sample in history if sample[0] < past[0][0]), *past]


def _worst(observation: Observation, findings: list[tuple[Level, Finding]]) -> _Verdict:
    baseline = next((finding.baseline for _, finding in findings if finding.baseline), None)
    entered: tuple[Level, Finding] | None = None
    open_: Finding | None = None
    for level, finding in findings:  # the gravest level first
        if finding.broken is Broken.YES:
            entered = entered or (level, finding)
        elif finding.broken is Broken.UNKNOWN:
            open_ = open_ or finding
    if entered is not None and (open_ is None or entered[0].status is Status.CRITICAL):
        return _Verdict(entered[0].status, _broken(observation, entered[0].limit, entered[1]), baseline)
    if open_ is not None:
        return _Verdict(Status.UNKNOWN, open_.why, baseline)
    limits = [level.limit for level, _ in findings]
    texts = [limit.text for limit in reversed(limits)]
    notes = "; ".join(dict.fromkeys(finding.why for _, finding in reversed(findings) if finding.why))
    shown = _shown(observation, limits, baseline)
    reason = f"{shown} {'breaks neither ' + ' nor '.join(texts) if len(texts) > 1 else 'does not break ' + texts[0]}"
    return _Verdict(Status.OK, reason + (f" ({notes})" if notes else "") + _of(observation, baseline), baseline)


def _broken(observation: Observation, limit: Limit, finding: Finding) -> str:
    if finding.kept:
        return f"{_shown(observation, [limit], finding.baseline)}: {limit.text} {finding.why}"
    if limit.span is Span.COUNTED:
        return f"{finding.why} breaks {limit.text}"
    note = f" ({finding.why})" if finding.why and limit.span is None else ""
    return f"{_shown(observation, [limit], finding.baseline)} breaks {limit.text}{note}{_of(observation, finding.baseline)}"


def _of(observation: Observation, baseline: BaselineUsed | None) -> str:
    """How the value stands to its baseline."""
    if baseline is None:
        return ""
    share = 100 * convert(observation.value, observation.unit, baseline.unit) / baseline.value
    return f"; it is {format_value(share, '%')} of {format_value(baseline.value, baseline.unit)}, {baseline.about}"


def _shown(observation: Observation, limits: Sequence[Limit], baseline: BaselineUsed | None = None) -> str:
    """The value as text; in full where rounding would make it look like a bound that it is not."""
    if observation.unit == TEXT_UNIT:
        text = observation.detail
        return f'"{text}"' if len(text) <= _LONGEST_TEXT else f'"{text[: _LONGEST_TEXT - 1]}…"'
    text = format_value(observation.value, observation.unit)
    for limit in limits:
        relative = limit.against is Against.BASELINE
        if limit.span is Span.COUNTED or (relative and (baseline is None or baseline.unit != observation.unit)):
            continue
        for exact in bounds_in(limit, observation.unit, baseline.value if baseline and relative else None):
            near = abs(exact - observation.value) <= _ALIKE * abs(observation.value)
            if near and exact != observation.value and format_value(exact, observation.unit) == text:
                return f"{plain_number(observation.value)} {observation.unit}".rstrip()
    return text
