"""A report for machines: as JSON with stable keys, and as a monitoring plugin prints it.

The plugin's line follows the Monitoring Plugins Development Guidelines, sections "Plugin Output" and "Performance data".
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from checks import judge
from checks.errors import DataError
from checks.journal.report import Freshness, Item, ItemKind, Report, SiteReport
from checks.model import Limit, Operator

VERSION = 1
"""Version of the JSON document; a key is never taken away or given another meaning within one."""

_NO_XML = "\ufffe\uffff"
_BIDI_OR_CONTROL = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def inert(text: str) -> str:
    """A text that was observed, made safe for one line of a terminal: no control, escape or direction characters."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    return " ".join("".join(" " if unicodedata.category(c) in _BIDI_OR_CONTROL or c in _NO_XML else c for c in text).split())


def rfc3339(moment: datetime | None) -> str | None:
    """A moment as ``2026-01-31T09:00:00.000Z``; ``None`` stays ``None``."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_json(report: SiteReport, environment: str) -> dict[str, Any]:
    """The report as a document of JSON's types.

    At the top: ``version``, ``environment``, ``now``, the keys of every report (``status``, ``stale``, ``measured_at``: the
    oldest measurement, ``newest_at``, ``stale_at``: when the first fresh item stops to be, ``counts`` a status) and
    ``systems``. A system has its name, its title, the keys of every report and ``items``, the worst first. Times are RFC 3339
    in UTC. What is not known is ``null``, and no key is ever left out.
    """
    return {
        "version": VERSION,
        "environment": environment,
        "now": rfc3339(report.now),
        **_sums(report),
        "systems": [
            {"system": one.system, "title": one.title, **_sums(one), "items": [_item(item) for item in one.items]}
            for one in report.systems
        ],
    }


def _sums(report: Report) -> dict[str, Any]:
    return {
        "status": report.status.value,
        "stale": report.stale,
        "measured_at": rfc3339(report.measured_at),
        "newest_at": rfc3339(report.newest_at),
        "stale_at": rfc3339(report.stale_at),
        "counts": {status.value: count for status, count in report.counts.items()},
    }


def _item(item: Item) -> dict[str, Any]:
    result = item.result
    seen = result.observation if result is not None else None
    return {
        "kind": item.kind.value,
        "slug": item.slug,
        "title": item.title,
        "status": item.status.value,
        "freshness": item.freshness.value,
        "recorded": item.recorded and item.recorded.value,
        "reason": item.reason,
        "since": rfc3339(item.since),
        "measured_at": rfc3339(item.measured_at),
        "stale_at": rfc3339(item.stale_at),
        "value": seen.value if seen is not None and math.isfinite(seen.value) else None,
        "unit": seen and seen.unit,
        "warning": result and result.warning,
        "critical": result and result.critical,
        "source": seen and seen.source,
        "detail": seen and seen.detail,
        "priority": item.metric and item.metric.priority,
        "runbook": item.runbook,
        "run": item.run_id,
    }


def to_nagios(report: Report, service: str) -> str:
    """The report as a monitoring plugin's output: a line with performance data, then a line for each thing that needs someone.

    Args:
        report: of one system or of all.
        service: the word that the line begins with.

    """
    needs, total = report.needs, report.total
    if needs:
        first = needs[0]
        text = f"{first.slug}: {first.reason}"
        if len(needs) > 1:
            text += f" (and {len(needs) - 1} more of {total})"
    elif total:
        text = f"all {total} are ok"
    else:
        text = "nothing is declared"
    # A plugin's text ends at the bar, so that no observed one may pass.
    line = f"{service.upper()} {report.status.value.upper()} - {_barless(text)}"
    metrics = sorted((item for item in report.items if item.kind is ItemKind.METRIC), key=lambda item: item.slug)
    several = len({item.system for item in metrics}) > 1
    figures = " ".join(_perfdata(item, item.slug if several else item.slug.partition("/")[2]) for item in metrics)
    details = [_barless(f"{item.label.upper()} {item.slug}: {item.reason}") for item in needs]
    return "\n".join([f"{line} | {figures}" if figures else line, *details])


def _barless(text: str) -> str:
    return inert(text).replace("|", "¦")


def _perfdata(item: Item, label: str) -> str:
    """``'label'=value[UOM];[warn];[crit]``; U for what was not measured, or not lately."""
    quoted = "'" + label.replace("'", "''") + "'"
    result = item.result
    seen = result.observation if result is not None else None
    if result is None or seen is None or item.freshness is not Freshness.FRESH or not math.isfinite(seen.value):
        return f"{quoted}=U"
    unit, symbol = _unit_of_measurement(seen.unit)
    value = judge.convert(seen.value, seen.unit, unit)
    if not math.isfinite(value):
        return f"{quoted}=U"  # too large for a number in the smaller unit
    bounds = ";".join(_range(text, seen.unit, unit) for text in (result.warning, result.critical))
    return f"{quoted}={_number(value)}{symbol};{bounds}".rstrip(";")


def _unit_of_measurement(unit: str) -> tuple[str, str]:
    """The unit to convert to, and its symbol among those that the guidelines know; counts and rates have none."""
    for base, symbol in (("s", "s"), ("B", "B"), ("%", "%")):
        try:
            judge.convert(0.0, unit, base)
        except DataError:
            continue
        return base, symbol
    return unit, ""


def _range(text: str | None, observed_in: str, shown_in: str) -> str:
    """A limit as a range outside which, or with ``@`` inside which, one is alerted."""
    if text is None:
        return ""
    try:
        limit = judge.parse_limit(text)
        bounds = [_number(judge.convert(bound, observed_in, shown_in)) for bound in judge.drawn_bounds(limit, observed_in)]
    except DataError:
        return ""  # written in a language of limits that is no longer read
    if len(bounds) < len(limit.bounds) or limit.operator not in _RANGES:
        return ""  # of a baseline, a count in a window, a change or a text: no range of the value itself
    return _RANGES[limit.operator].format(*bounds) if not _below_zero(limit) else "~:" + bounds[0]


def _below_zero(limit: Limit) -> bool:
    return limit.operator in (Operator.ABOVE, Operator.AT_LEAST) and limit.bounds[0] < 0


_RANGES: Mapping[Operator, str] = {
    Operator.ABOVE: "{0}",
    Operator.AT_LEAST: "{0}",
    Operator.BELOW: "{0}:",
    Operator.AT_MOST: "{0}:",
    Operator.EQUAL: "@{0}:{0}",
    Operator.DIFFERENT: "{0}:{0}",
    Operator.BETWEEN: "@{0}:{1}",
    Operator.NOT_BETWEEN: "{0}:{1}",
    Operator.OLDER: "{0}",
    Operator.ANY: "0",
}


def _number(value: float) -> str:
    """Digits, a minus and a point only, as the guidelines allow; never an exponent."""
    text = format(Decimal(repr(round(value, 9))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
