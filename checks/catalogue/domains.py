"""Which values each kind of probe can give, as far as its declaration settles it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from checks.judge.reachable import Domain, usual_domain
from checks.judge.units import Dimension, parse_unit

if TYPE_CHECKING:
    from checks.model import Metric

_SHARE = Domain(0.0, 100.0, certain=True)
_AMOUNT = Domain(0.0, certain=True)
_COUNT = Domain(0.0, whole=True, certain=True)
_YES_OR_NO = Domain(0.0, 1.0, whole=True, certain=True)
_DOMAINS: dict[str, dict[str, Domain]] = {
    "http": {
        "time": _AMOUNT,
        "availability": _SHARE,
        "status": Domain(100.0, 999.0, whole=True, certain=True),
        "redirects": _COUNT,
    },
    "tls": {"chain": _YES_OR_NO, "host": _YES_OR_NO, "protocol": _AMOUNT},
    "redis": {
        "ping": _AMOUNT,
        "hit-rate": _SHARE,
        "evictions": _COUNT,
        "memory": _AMOUNT,
        "memory-share": _AMOUNT,
        "save-age": _AMOUNT,
        "unsaved": _COUNT,
    },
    "backup": {
        "age": _AMOUNT,
        "size": _AMOUNT,
        "shrinkage": Domain(high=100.0, certain=True),
        "bytes": _AMOUNT,
        "rows": _COUNT,
        "restored": _COUNT,
    },
    "command": {"exit": Domain(0.0, 255.0, whole=True, certain=True)},
    "file": {"age": _AMOUNT, "size": _AMOUNT, "count": _COUNT},
    "sql": {
        "size": _AMOUNT,
        "slow-queries": _COUNT,
        "connections": _AMOUNT,
        "lock-waits": _COUNT,
        "vacuum-age": _AMOUNT,
        "unused-indexes": _COUNT,
    },
    "log": {"count": _COUNT, "per-minute": _AMOUNT, "ratio": _SHARE, "top": _COUNT},
    "host": {
        "disk": _SHARE,
        "inodes": _SHARE,
        "memory": _SHARE,
        "cpu": _SHARE,
        "load": _AMOUNT,
        "process-memory": _AMOUNT,
        "process-cpu": _AMOUNT,
        "process-uptime": _AMOUNT,
        "process-files": _COUNT,
        "process-files-share": _SHARE,
        "open-files": _COUNT,
    },
    "git": {"tags": _COUNT, "ahead": _COUNT, "behind": _COUNT, "diverged": _COUNT, "age": _AMOUNT},
    "service": {"down": _COUNT, "restarts": _COUNT},
    "github": {
        "open-issues": _COUNT,
        "oldest-unanswered": _AMOUNT,
        "past-sla": _COUNT,
        "failing-workflows": _COUNT,
        "discussions": _COUNT,
    },
    "packages": {"vulnerabilities": _COUNT, "outdated": _COUNT, "licences": _COUNT, "findings": _COUNT},
    "retention": {"too-long": _COUNT, "too-soon": _COUNT, "oldest": _AMOUNT, "newest": _AMOUNT},
}
_DEFAULTS = {"http": "json", "tls": "expiry", "redis": "ping", "sql": "query", "log": "count", "service": "down", "backup": "age"}
_FUNCTIONS = {"length": _COUNT, "contains": _YES_OR_NO, "starts_with": _YES_OR_NO, "ends_with": _YES_OR_NO}
_GROUP = re.compile(r"(?<!\\)\((?!\?)|\(\?P<")
_LOOSE = Domain(-math.inf, math.inf)


def domain_of(metric: Metric) -> Domain:
    """The values that a metric can have; certain where its probe can give no others.

    A number that somebody else computes (JSON, SQL, PromQL, a cell) has the values that are usual in its unit.
    """
    kind = str(metric.probe.get("kind"))
    key = "take" if kind == "command" else "measure"
    measure = str(metric.probe.get(key, "exit" if kind == "command" else _DEFAULTS.get(kind, "")))
    found = _DOMAINS.get(kind, {}).get(measure) or _of_select(metric.probe) or _of_match(metric.probe)
    if found is None:
        return _LOOSE if (kind, measure) == ("tls", "expiry") else usual_domain(metric.unit)
    counts = parse_unit(metric.unit).dimension is Dimension.COUNT and not parse_unit(metric.unit).per
    # A count of things that is shown as a share or a time is taken over by its unit's own arithmetic.
    return found if counts or not found.whole else Domain(found.low, certain=True)


def _of_select(probe: Mapping[str, object]) -> Domain | None:
    """What a JMESPath expression can give whatever the answer is: a comparison one of two values, a length a whole number."""
    if not isinstance(select := probe.get("select"), str):
        return None
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        node = jmespath.compile(select).parsed
    except (JMESPathError, ValueError):
        return None  # told as no JMESPath
    while node.get("type") in ("pipe", "subexpression"):
        node = node["children"][-1]
    if node.get("type") in ("comparator", "not_expression"):
        return _YES_OR_NO
    return _FUNCTIONS.get(str(node.get("value"))) if node.get("type") == "function_expression" else None


def _of_match(probe: Mapping[str, object]) -> Domain | None:
    """Of a pattern without a group, whether it is found."""
    match = probe.get("match")
    without_group = isinstance(match, str) and probe.get("measure") == "text" and not _GROUP.search(match)
    return _YES_OR_NO if without_group and probe.get("kind") == "http" else None
