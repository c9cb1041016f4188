"""Judging: results a second of mixed limits, what reading limits anew would cost, and what a kernel's first check costs.

Nothing here waits for anything, so it is the processor's time that is told: what others do on the machine does not count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from checks.judge import Sample, judge, parse_limit
from checks.model import Baseline, FixedBaseline, Metric, Observation, Series
from tests.benchmarks.measuring import interleaved, summary

_NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_RESULTS = 100_000
# As the five systems' plans write them: most judge one value, some look back, and each unit must be turned into another.
_WRITTEN: tuple[dict[str, Any], ...] = (
    {"unit": "%", "warning": ">= 1 %", "critical": "> 10 %"},
    {"unit": "ms", "warning": "> 1 s", "critical": "> 2 s"},
    {"unit": "", "critical": "any"},
    {"unit": "%", "critical": "< 99.9 %"},
    {"unit": "h", "critical": "older than 26 h"},
    {"unit": "MB", "warning": "> 50 GB", "critical": "> 100 GB"},
    {"unit": "%", "green": "< 0.5 %", "warning": "between 0.5 % and 2 %", "critical": "> 2 %"},
    {"unit": "%", "warning": "> 70 % for 15m", "every": _MINUTE},
    {"unit": "errors", "critical": "> 5 in 15m", "every": _MINUTE, "series": Series.EVENTS},
    {"unit": "ms", "warning": "+25 %", "critical": "> 200 % of baseline", "baseline": FixedBaseline(200, _NOW.date(), "ada")},
)
_LOOKING_BACK = {
    "unit": "ms",
    "critical": "> 120 % of baseline",
    "every": timedelta(hours=1),
    "baseline": Baseline("median", timedelta(days=7), timedelta(days=2)),
}
_FIRST_CHECK = """
import time
clock = time.process_time
began = clock()
import checks
imported = clock()
from checks import check
check("load", 0.5)
judged = clock()
result = check("disk")
probed = clock()
from checks.run import notebook
again = clock()
notebook.observe("disk")
alone = clock() - again
print(__import__("json").dumps({
    "import checks": imported - began,
    "its first check of a value": judged - imported,
    "its first check by a probe": probed - judged,
    "of which a measurement takes": alone,
}))
"""
_SYSTEM = """system: bench
title: Bench
summary: The machine that measures.
environments:
  production: {root: "/"}
metrics:
  disk: {title: Disk, unit: "%", probe: {kind: host, measure: disk, path: "{root}"}, critical: "> 99 %"}
  load: {title: Load, unit: "", probe: {kind: notebook}, critical: "> 9"}
"""


def measure(rounds: int) -> dict[str, Any]:
    """Measure and print; the figures."""
    metrics = [_metric(written) for written in _WRITTEN]
    ways: dict[str, Callable[[], float | None]] = {
        "judged, limits read once": partial(_judge, metrics, _RESULTS),
        "judged, limits read anew each time": partial(_judge_anew, _RESULTS),
        "judged by a baseline of 168 samples": partial(_judge, [_metric(_LOOKING_BACK)], _RESULTS // 100),
    }
    judging = summary(interleaved(ways, rounds))
    counts = {name: _RESULTS // 100 if "baseline" in name else _RESULTS for name in ways}
    print(f"{_RESULTS:,} results of {len(_WRITTEN)} kinds of limits, processor time")
    for name, about in judging.items():
        about["results"] = counts[name]
        about["results_per_s"] = counts[name] / about["median_s"]
        each = 1e6 * about["median_s"] / counts[name]
        spread = 1e6 * about["spread_s"] / counts[name]
        print(f"  {name:<40} {about['results_per_s']:>10,.0f} results/s  {each:8.1f} µs each  ± {spread / 2:.1f} µs")
    first = _first_check(rounds)
    print("what a kernel's first check costs, processor time; its interpreter and IPython are there")
    for name, about in first.items():
        print(f"  {name:<44} {1000 * about['median_s']:8.1f} ms  ± {500 * about['spread_s']:6.1f} ms")
    return {"judging": judging, "first_check": first}


def _metric(written: dict[str, Any]) -> Metric:
    parts: dict[str, Any] = {
        name: parse_limit(part) if name in ("warning", "critical", "green") else part for name, part in written.items()
    }
    return Metric("bench", "it", "It", probe={}, **parts)


def _history(metric: Metric) -> list[Sample]:
    """What covers a metric's windows or its baseline; nothing where its limits judge one value."""
    if metric.every is None:
        return []
    many = 200 if isinstance(metric.baseline, Baseline) else 18
    return [(_NOW - number * metric.every, float(60 + number % 20)) for number in range(many, 0, -1)]


def _values(number: int) -> Iterator[float]:
    # Every value is another one, as measured values are: nothing may be remembered from the one before.
    return (number_ * 0.000_37 % 120 for number_ in range(1, number + 1))


def _judge(metrics: list[Metric], number: int) -> float:
    histories = [_history(metric) for metric in metrics]
    observed = [
        Observation(value, metrics[at % len(metrics)].unit, _NOW, 0.01, "a benchmark") for at, value in enumerate(_values(number))
    ]
    began = time.process_time()
    for at, observation in enumerate(observed):
        which = at % len(metrics)
        judge(metrics[which], observation, _NOW, histories[which])
    return time.process_time() - began


def _judge_anew(number: int) -> float:
    """The same where each result's limits are read from their texts first, and nothing is remembered."""
    histories = [_history(_metric(written)) for written in _WRITTEN]
    began = time.process_time()
    for at, value in enumerate(_values(number)):
        which = at % len(_WRITTEN)
        parse_limit.cache_clear()
        metric = _metric(_WRITTEN[which])
        judge(metric, Observation(value, metric.unit, _NOW, 0.01, "a benchmark"), _NOW, histories[which])
    return time.process_time() - began


def _first_check(rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds of each part in a process of its own, in which what every kernel has loaded is loaded."""
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = _told(Path(folder))
        env = {**os.environ, "PROOFBOOK_CONTEXT": str(path)}
        for _ in range(rounds):
            for name, before in (("a cold kernel: ", ""), ("a warm kernel: ", _WARM)):
                code = f"import ipykernel.kernelapp\n{before}{_FIRST_CHECK}"
                ended = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
                for part, took in json.loads(ended.stdout.splitlines()[-1]).items():
                    seconds.setdefault(name + part, []).append(took)
    return summary(seconds)


# What the fork server has loaded before a kernel is forked from it.
_WARM = "import checks.run.notebook, checks.run.payload, checks.judge, checks.probes, checks.catalogue.probe_kinds\n"


def _told(folder: Path) -> Path:
    """The context of a run of the bench system, as a kernel reads it."""
    from checks.catalogue import load
    from checks.run import context

    (folder / "mkdocs.yml").write_text("site_name: Bench\n")
    place = folder / "docs" / "systems" / "bench" / "system.yml"
    place.parent.mkdir(parents=True)
    place.write_text(_SYSTEM)
    system = load(folder).systems["bench"]
    context.write(context.Context("01BENCH", "bench/it", system, "production", {}), folder / "context.json")
    return folder / "context.json"
