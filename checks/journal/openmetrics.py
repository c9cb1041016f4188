"""A report as OpenMetrics text, which Prometheus reads as its own text format, too.

Names and units follow Prometheus' conventions: base units (seconds, bytes, ratios), a unit as suffix, no unit in a label.
Only gauges without time stamps are written, so that both formats mean the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from checks import judge
from checks.errors import DataError
from checks.journal.formats import inert
from checks.journal.report import Freshness, Item, ItemKind, SiteReport
from checks.model import Status

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_CODES = "0 ok, 1 warning, 2 critical, 3 unknown"
_BASE_UNITS = (("s", "seconds"), ("B", "bytes"), ("%", "ratio"))
_RATE = re.compile(r"/(?:ms|s|min|h|d)$")

Sample = tuple[str, float]
"""Labels as they are written, and the value."""


def to_openmetrics(report: SiteReport, environment: str) -> str:
    """Write a report as OpenMetrics text.

    Args:
        report: of all systems, or of one.
        environment: where they were measured; a label of every sample.

    """
    here = _written({"environment": environment})
    metrics = [item for item in report.items if item.kind is ItemKind.METRIC]
    metrics.sort(key=lambda item: item.slug)
    of = {item.slug: f"{here},{_written(_labels(item))}" for item in metrics}
    runs = sorted((item for item in report.items if item.kind is ItemKind.RUN), key=lambda item: item.slug)
    families = [
        ("proofbook_report_timestamp_seconds", "When this was written.", "seconds", [(here, _seconds(report.now))]),
        (
            "proofbook_system_status",
            f"How a system is: {_CODES}.",
            "",
            [(f"{here},{_written({'system': one.system})}", float(one.status.exit_code)) for one in report.systems],
        ),
        (
            "proofbook_check_status",
            f"What a metric's latest result counts as now: {_CODES}; one that is too old is unknown.",
            "",
            [(of[item.slug], float(item.status.exit_code)) for item in metrics],
        ),
        (
            "proofbook_check_info",
            "What a metric is called, how grave it is, and the unit that it is declared in.",
            "",
            [(f"{of[item.slug]},{_written(_about(item))}", 1.0) for item in metrics],
        ),
        (
            "proofbook_check_stale",
            "Whether a metric's latest result is too old to speak for now.",
            "",
            [(of[item.slug], float(item.freshness is Freshness.STALE)) for item in metrics],
        ),
        (
            "proofbook_check_timestamp_seconds",
            "When a metric was measured last.",
            "seconds",
            [(of[item.slug], _seconds(item.measured_at)) for item in metrics if item.measured_at],
        ),
        *_values(metrics, of),
        (
            "proofbook_run_unproven",
            "A runbook whose latest run proved nothing: it did not finish, or judged nothing.",
            "",
            [
                (f"{here},{_written({'system': item.system, 'runbook': item.slug})}", float(Status.UNKNOWN is item.status))
                for item in runs
            ],
        ),
    ]
    return "".join(_family(*family) for family in families if family[3]) + "# EOF\n"


def _values(metrics: Iterable[Item], of: Mapping[str, str]) -> list[tuple[str, str, str, list[Sample]]]:
    samples: dict[str, list[Sample]] = {}
    for item in metrics:
        seen = item.result.observation if item.result else None
        if seen is None or item.freshness is not Freshness.FRESH or not math.isfinite(seen.value) or seen.unit == judge.TEXT_UNIT:
            continue
        unit, value = _in_base_unit(seen.value, seen.unit)
        if math.isfinite(value):
            samples.setdefault(unit, []).append((of[item.slug], value))
    said = "The value of a metric's latest result, as long as it speaks for now"
    return [
        ("_".join(filter(None, ("proofbook_check_value", unit))), f"{said}{', in ' + unit if unit else ''}.", unit, samples[unit])
        for unit in sorted(samples)
    ]


def _in_base_unit(value: float, unit: str) -> tuple[str, float]:
    """The base unit's name, empty for a count, and the value in it; a rate is told per second."""
    for base, name in _BASE_UNITS:
        try:
            converted = judge.convert(value, unit, base)
        except DataError:
            continue
        return name, converted / 100 if base == "%" else converted
    if rate := _RATE.search(unit):
        counted = unit[: rate.start()]
        try:
            return "per_second", judge.convert(value, unit, f"{counted}/s")
        except DataError:
            return "", value
    return "", value


def _labels(item: Item) -> dict[str, str]:
    return {"system": item.system, "check": item.slug.partition("/")[2]}


def _about(item: Item) -> dict[str, str]:
    metric = item.metric
    return {
        "title": inert(item.title),
        "priority": inert((metric and metric.priority) or ""),
        "unit": metric.unit if metric else "",
    }


def _family(name: str, said: str, unit: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {said}", f"# TYPE {name} gauge"]
    if unit:
        lines.append(f"# UNIT {name} {unit}")
    lines += [f"{name}{{{labels}}} {value!r}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _written(labels: Mapping[str, str]) -> str:
    return ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _seconds(moment: datetime | None) -> float:
    return round(moment.timestamp(), 3) if moment else 0.0
