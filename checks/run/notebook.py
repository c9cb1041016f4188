"""What a runbook's cells call: measure, judge, and leave one result in the cell's outputs."""

from __future__ import annotations

import difflib
import html
import math
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from checks.errors import DataError
from checks.model import Metric, Observation, Result, Status, System, Unmeasured
from checks.run.here import Here, here

if TYPE_CHECKING:
    from checks.judge import Decision

_LONGEST_TEXT = 2000
# Solid colours under white are read on JupyterLab's light and dark themes alike (contrast 4.5 and more); the sign and the
# word say the same without any colour.
_BADGES = {
    Status.OK: ("✓", "#1b7a3d"),
    Status.WARNING: ("!", "#8a5700"),
    Status.CRITICAL: ("✗", "#b3261e"),
    Status.UNKNOWN: ("?", "#6a4a9c"),
}
_count = 0
_measured: dict[str, list[tuple[datetime, float]]] = {}
_results: list[Result] = []


class _NotGiven:
    """The absence of a value, which ``None`` is not: a cell may have computed nothing."""

    def __repr__(self) -> str:
        return "<not given>"


_NOT_GIVEN = _NotGiven()


def check(metric: str, value: object = _NOT_GIVEN) -> Result:
    """Measure a metric of this runbook's system, judge it by its declared limits, and record the result.

    Args:
        metric: the metric's name, such as ``error-rate``.
        value: what the cell measured itself, in the metric's unit: a number, a boolean (1 or 0), or what `observe`
            gave, or a figure of `checks.judge` with the number of samples that it rests on; a text where the metric's unit
            is ``text``. Left out, the metric's declared probe measures. Anything else is judged unknown.

    Returns:
        The result; it has also been emitted as one output of the cell.

    Raises:
        DataError: the system declares no such metric, or its value can only come from a cell and none is given.

    """
    __tracebackhide__ = True
    place = here()
    declared = _declared(place.system, metric)
    seen = observe(metric) if isinstance(value, _NotGiven) else _given(declared, value, _now())
    from checks.judge import judge
    from checks.run.history import with_settings

    # What this kernel measured itself is part of the history too: a cell may watch a metric for a while.
    earlier = [*place.history.get(declared.name, ()), *_measured.get(declared.name, ())]
    result = _shown(judge(with_settings(declared, place.settled), _masked(place, seen), _now(), earlier))
    _keep(declared, result)
    _emit(result, place.run)
    return result


def decide(condition: str) -> Decision:
    """Whether a condition that this runbook's system declares is there, by what this notebook has checked so far.

    Args:
        condition: the condition's name, such as ``roll-back``.

    Returns:
        The decision with the evidence of each state; a metric that was not checked here leaves it open. Print it to see all.

    Raises:
        DataError: the system declares no such condition.

    """
    __tracebackhide__ = True
    system = here().system
    if condition not in system.conditions:
        raise DataError(
            f"{system.name} declares no condition `{condition}`",
            expected="one of " + ", ".join(system.conditions) if system.conditions else "`conditions:` in system.yml",
            remedy=f"declare it in {system.path}",
        )
    from checks import judge

    return judge.decide(system.conditions[condition], _results)


def observe(metric: str) -> Observation | Unmeasured:
    """Measure a metric of this runbook's system by its declared probe, without judging or recording it.

    Args:
        metric: the metric's name, such as ``error-rate``.

    Returns:
        The observation, or why there is none.

    Raises:
        DataError: the system declares no such metric, or its value can only come from a cell.

    """
    __tracebackhide__ = True
    place = here()
    declared = _declared(place.system, metric)
    if declared.probe.get("kind") == "notebook":
        raise DataError(
            f"{declared.slug} is measured by a cell, and no value is given", remedy=f'give it: check("{declared.name}", value)'
        )
    from checks.probes import measure

    return measure(declared, place.settled, _now())


def emitted() -> int:
    """How many results this kernel has emitted; ``run`` compares it with what it found in the outputs."""
    return _count


def text_line(result: Result) -> str:
    """A result as one line: name, value, status, limits, and the reason where it is not ok."""
    from checks.judge import format_observed

    seen = result.observation
    limits = [f"{name}: {text}" for name, text in (("warning", result.warning), ("critical", result.critical)) if text]
    parts = [
        f"{result.metric:<24}",
        f"{format_observed(seen) if seen else '-':>12}",
        f"{result.status.value:<8}",
        *limits,
    ]
    line = "  ".join(parts).rstrip()
    return line if result.status is Status.OK else f"{line}  ({result.reason})"


def badge(status: Status, line: str) -> str:
    """A result as JupyterLab shows it: the status as a badge, and the line, escaped."""
    sign, colour = _BADGES[status]
    style = f"background: {colour}; color: #fff; border-radius: 3px; padding: 1px 6px; font-weight: 600"
    return (
        f'<div class="proofbook-result" data-status="{status.value}"><span style="{style}">{sign} {status.value}</span>'
        f'<pre style="margin: 2px 0 6px 0; white-space: pre-wrap">{html.escape(line)}</pre></div>'
    )


def _declared(system: System, name: str) -> Metric:
    __tracebackhide__ = True
    short = name.removeprefix(f"{system.name}/")
    if short in system.metrics:
        return system.metrics[short]
    near = difflib.get_close_matches(short, system.metrics, n=1)
    raise DataError(
        f"{system.name} declares no metric `{name}`",
        expected="one of " + ", ".join(system.metrics),
        remedy=f"did you mean {near[0]}?" if near else f"declare it in {system.path}",
    )


def _given(metric: Metric, value: object, now: datetime) -> Observation | Unmeasured:
    if isinstance(value, Observation | Unmeasured):
        return value
    from checks.judge import TEXT_UNIT, Figure, fingerprint

    source = "a cell of the runbook"
    if metric.unit == TEXT_UNIT and isinstance(value, str):
        return Observation(fingerprint(value), TEXT_UNIT, now, 0.0, source, value)
    samples = value.samples if isinstance(value, Figure) else None
    number = _number(value.value if isinstance(value, Figure) else value)
    if number is None:
        found = f"{type(value).__name__} {str(value)[:80]!r}"
        return Unmeasured(f"the cell gave no finite number but {found}", now, 0.0, source)
    return Observation(number, metric.unit, now, 0.0, source, samples=samples)


def _keep(metric: Metric, result: Result) -> None:
    _results.append(result)
    if result.observation is not None and result.observation.unit == metric.unit:
        _measured.setdefault(metric.name, []).append((result.observation.measured_at, result.observation.value))


def _number(value: object) -> float | None:
    # Text is refused even where it would read as a number: a cell that passes on what it did not understand must be seen.
    if value is None or isinstance(value, str | bytes | bytearray):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _masked(place: Here, seen: Observation | Unmeasured) -> Observation | Unmeasured:
    mask = place.settled.mask
    if isinstance(seen, Unmeasured):
        return replace(seen, reason=mask(seen.reason), source=mask(seen.source))
    return replace(seen, source=mask(seen.source), detail=mask(seen.detail))


def _shown(result: Result) -> Result:
    """The result with texts that any reader can take: bounded, and free of halves of characters."""
    seen = result.observation
    return replace(
        result,
        reason=_clean(result.reason),
        observation=seen and replace(seen, source=_clean(seen.source), detail=_clean(seen.detail)),
    )


def _clean(text: str) -> str:
    whole = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "␀")
    return whole if len(whole) <= _LONGEST_TEXT else whole[:_LONGEST_TEXT] + "…"


def _emit(result: Result, run: str) -> None:
    from checks.run.payload import MIME, to_payload

    global _count
    _count += 1
    line = text_line(result)
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(line)
        return
    from IPython.display import display

    _silence_repr(ipython.get_ipython())
    page = badge(result.status, line)
    display({MIME: to_payload(result, run), "text/plain": line, "text/html": page}, raw=True)  # type: ignore[no-untyped-call]


def _silence_repr(shell: Any) -> None:
    """A cell that ends with check() shows its result once, not a second time as the cell's value."""
    shell.display_formatter.ipython_display_formatter.for_type(Result, lambda _: None)


def _now() -> datetime:
    return datetime.now(UTC)
