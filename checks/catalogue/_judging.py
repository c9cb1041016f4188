"""How a metric is judged: from what ``system.yml`` says of it to a `Metric`'s limits, with every contradiction found."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from checks import judge
from checks.catalogue.counting import most_samples
from checks.errors import DataError
from checks.model import (
    Against,
    Alignment,
    Baseline,
    Condition,
    FixedBaseline,
    Limit,
    Operator,
    Rule,
    Series,
    Span,
    State,
    Status,
)

if TYPE_CHECKING:
    from checks.catalogue._schema import BaselineEntry, ConditionEntry, MetricEntry

Fault = tuple[tuple[str, ...], DataError]
"""Where below the metric or condition, and what."""

_SETTING = re.compile(r"\{([a-z_][a-z0-9_]*)\}")


def judged_by(entry: MetricEntry) -> dict[str, Any]:
    """The fields of `Metric` that say how it is judged.

    Raises:
        DataError: they contradict each other; `faults` says where.

    """
    limits: dict[str, Limit | None] = {"warning": entry.warning, "critical": entry.critical, "green": None}
    if entry.green is not None:
        bands = judge.join(_bands(entry), entry.unit)
        limits = {"warning": bands["yellow"], "critical": bands["red"], "green": bands["green"]}
    return {
        **limits,
        "every": entry.every,
        "series": Series(entry.series),
        "needs": entry.needs,
        "baseline": _baseline(entry.baseline, entry.unit) if entry.baseline else None,
        "leave_warning": entry.leave and entry.leave.warning,
        "leave_critical": entry.leave and entry.leave.critical,
        "stay": entry.stay,
    }


def faults(entry: MetricEntry, settings: Collection[str]) -> Iterator[Fault]:
    """What cannot work in the way a metric is to be judged.

    Args:
        entry: the metric as written.
        settings: the names of all settings that an environment of the system has.

    """
    for key, limit in _conditions(entry):
        try:
            judge.require_same_dimension(limit, entry.unit)
        except DataError as error:
            yield key, error
            continue
        yield from ((key, error) for error in _unfit(entry, limit, leaving=key[0] == "leave"))
    if entry.green is not None:
        try:
            judge.join(_bands(entry), entry.unit)
        except judge.BandFault as error:
            yield (error.band,), error
        except DataError:
            pass  # a unit of another kind, told above with its own place
    for name in ("warning", "critical"):
        leaving = getattr(entry.leave, name) if entry.leave else None
        if leaving is not None and getattr(entry, name) is None and entry.green is None:
            yield (
                ("leave", name),
                DataError(f"there is no {name} limit to leave", remedy=f"declare `{name}:`, or leave this out"),
            )
    if (most := most_samples(entry.probe)) < entry.needs:
        yield ("needs",), _too_many_needed(entry, most)
    if entry.baseline is not None:
        yield from _baseline_faults(entry, entry.baseline, settings)


def condition(name: str, entry: ConditionEntry) -> Condition:
    """A named condition as the model has it."""
    states = [
        State(state) if isinstance(state, str) else State(state.metric, Status(state.at))  # a name alone: critical
        for state in entry.states
    ]
    rule = Rule.ANY if entry.any_ is not None else Rule.ALL if entry.all_ is not None else Rule.AT_LEAST
    return Condition(name, entry.title, rule, tuple(states), entry.at_least or 1, tuple(entry.source))


def _bands(entry: MetricEntry) -> dict[str, Limit]:
    bands = {"green": entry.green, "yellow": entry.yellow, "red": entry.red}
    return {band: limit for band, limit in bands.items() if limit is not None}


def _conditions(entry: MetricEntry) -> Iterator[tuple[tuple[str, ...], Limit]]:
    for key in ("warning", "critical", "green", "yellow", "red"):
        if (limit := getattr(entry, key)) is not None:
            yield (key,), limit
    for key in ("warning", "critical"):
        if entry.leave and (limit := getattr(entry.leave, key)) is not None:
            yield ("leave", key), limit


def _unfit(entry: MetricEntry, limit: Limit, *, leaving: bool) -> Iterator[DataError]:
    if limit.against is Against.BASELINE and entry.baseline is None:
        yield DataError(
            f"`{limit.text}` is a share of the metric's baseline, and it declares none",
            expected="`baseline:` beside it",
            remedy="say what is usual: taken of its own past, or a figure with its date and who set it",
            example="baseline: {statistic: median, window: 28d, needs: 7d}\n"
            'baseline: {figure: 120 ms, on: 2026-03-01, by: "A. Nowak"}',
        )
    if limit.operator is Operator.WITHIN and not leaving and entry.green is None:
        yield DataError(
            f"`{limit.text}` would be broken while all is as usual; a limit says what breaks it",
            expected=f"`not {limit.text}`",
            found=limit.text,
            remedy=f'write "not {limit.text}"',
        )
    if limit.span is not None and entry.every is None:
        yield DataError(
            f"`{limit.text}` looks at a window of samples, and nothing says how often the metric is measured",
            expected="`every:` beside it",
            remedy="say how often it is measured; a window with a gap of more than twice that is unknown",
            example="every: 1m",
        )
    if limit.span is Span.COUNTED and limit.operator is not Operator.CHANGES and entry.series == "gauge":
        yield DataError(
            f"`{limit.text}` counts what happens, and the metric is a state",
            expected="`series: counter` (a total that rises) or `series: events` (what happened since the sample before)",
            remedy="say which of the two its samples are, or compare the value itself",
            example="series: counter",
        )


def _too_many_needed(entry: MetricEntry, most: float) -> DataError:
    kind = entry.probe.kind
    of = getattr(entry.probe, "measure", getattr(entry.probe, "take", ""))
    shown = f"{kind} ({of})" if of else kind
    if most:
        return DataError(
            f"`needs: {entry.needs}` is more than the {most:,g} samples that the probe {shown} takes, so all would be unknown",
            expected=f"no more than {most:,g}",
            found=str(entry.needs),
            remedy="lower it, or let the probe take more (repeat, names, previous, range and step)",
        )
    counts = {"http": "`samples:`, the JMESPath of their number", "prometheus": "a `range:` in the probe"}
    return DataError(
        f"the probe {shown} does not count how many samples a value rests on, so `needs: {entry.needs}` makes all unknown",
        expected=counts.get(kind, "no `needs:` beside this probe"),
        found=f"needs: {entry.needs}",
        remedy="leave it out, or measure by a probe that counts, such as log or http with repeat",
    )


def _baseline(entry: BaselineEntry, unit: str) -> Baseline | FixedBaseline:
    if entry.figure is not None and entry.on is not None:
        return FixedBaseline(_figure(entry, unit), entry.on, entry.by)
    if entry.window is None:
        raise DataError("a baseline has a window or a figure", remedy="declare one of them")
    return Baseline(
        statistic=entry.statistic,
        window=entry.window,
        needs=entry.needs or entry.window / 4,
        samples=entry.samples,
        aligned=Alignment(entry.aligned),
        since=entry.since,
        until=entry.until,
    )


def _figure(entry: BaselineEntry, unit: str) -> float:
    stated = judge.parse_limit(f"== {entry.figure}")
    judge.require_same_dimension(stated, unit)
    return judge.convert(stated.bounds[0], stated.unit, unit)


def _baseline_faults(entry: MetricEntry, baseline: BaselineEntry, settings: Collection[str]) -> Iterator[Fault]:
    if baseline.figure is not None:
        try:
            _figure(baseline, entry.unit)
        except DataError as error:
            yield (
                ("baseline", "figure"),
                DataError(
                    f"the baseline's figure `{baseline.figure}` is no value of this metric: {error.what}",
                    expected=f"a number in {entry.unit}" if entry.unit else "a bare number",
                    found=str(baseline.figure),
                ),
            )
        return
    if entry.every is None:
        yield (
            ("baseline",),
            DataError(
                "a baseline needs to know how often the metric is measured",
                expected="`every:` beside it",
                remedy="say how often; it tells a long history from a few samples far apart",
                example="every: 1h",
            ),
        )
    for key in ("since", "until"):
        for name in _SETTING.findall(getattr(baseline, key)):
            if name not in settings:
                yield (
                    ("baseline", key),
                    DataError(
                        f"no environment has a setting `{name}`",
                        expected="one of " + ", ".join(sorted(settings)) if settings else "a time, such as 2026-03-01T09:00Z",
                        found=getattr(baseline, key),
                    ),
                )
