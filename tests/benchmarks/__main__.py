"""``nox -s bench``: the same notebooks by Proofbook and by the named peers, in one run, as ratios.

Prints a table and writes JSON: each way's seconds of each round, their median and spread, the ratio to the first peer,
and the machine. Rounds are interleaved (A B A B), so that a noisy machine is noisy to all. Nothing is gated on a time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_PROGRAMS = Path(sys.executable).parent
_RUNBOOK = """---
title: Notebook {number}
system: bench
kind: check
summary: Six small cells.
---
## 1. Work

```python
import json
import math
```

```python
values = [math.sin(step / 100) for step in range(10_000)]
```

```python
print(sum(values))
```

```python
print(json.dumps(values[:10]))
```

```python
from checks import check
```

```python
check("disk")
```
"""
_SYSTEM = """system: bench
title: Bench
summary: The machine that measures.
environments:
  production: {root: "/"}
metrics:
  disk:
    title: Disk in use
    unit: "%"
    probe: {kind: host, measure: disk, path: "{root}"}
    critical: "> 100 %"
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--notebooks", type=int, default=10, help="how many notebooks (default 10)")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds of each way (default 5)")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go (default bench.json)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        site = _lay_out(Path(folder), options.notebooks)
        ways: dict[str, Callable[[], None]] = {
            "papermill CLI, one after another": lambda: _papermill(site),
            "proofbook run, one job": lambda: _proofbook(site, 1),
            f"proofbook run, {os.cpu_count()} jobs": lambda: _proofbook(site, os.cpu_count() or 1),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(options.rounds):
            for name, work in ways.items():
                started = time.perf_counter()
                work()
                seconds[name].append(time.perf_counter() - started)
                print(f"round {number + 1} of {options.rounds}: {name}: {seconds[name][-1]:.2f} s", file=sys.stderr)
    _report(seconds, options.notebooks, options.json)


def _lay_out(root: Path, notebooks: int) -> Path:
    (root / "docs" / "systems" / "bench").mkdir(parents=True)
    (root / "notebooks" / "bench").mkdir(parents=True)
    (root / "mkdocs.yml").write_text("site_name: Bench\nplugins:\n  - proofbook: {environment: production}\n", encoding="utf-8")
    (root / "docs" / "systems" / "bench" / "system.yml").write_text(_SYSTEM, encoding="utf-8")
    for number in range(notebooks):
        path = root / "notebooks" / "bench" / f"n{number}.md"
        path.write_text(_RUNBOOK.replace("{number}", str(number)), encoding="utf-8")
        # papermill reads .ipynb; its copy says where the system is, as it opens no context.
        subprocess.run([_PROGRAMS / "jupytext", "--quiet", "--to", "ipynb", path], check=True, capture_output=True)
    return root


def _papermill(site: Path) -> None:
    for path in sorted((site / "notebooks" / "bench").glob("*.ipynb")):
        options = ["--no-progress-bar", "--kernel", "python3", "--cwd", str(path.parent)]
        subprocess.run([_PROGRAMS / "papermill", *options, path, site / "out.ipynb"], check=True, capture_output=True)


def _proofbook(site: Path, jobs: int) -> None:
    subprocess.run([_PROGRAMS / "proofbook", "run", "--all", "--jobs", str(jobs)], cwd=site, check=True, capture_output=True)


def _report(seconds: dict[str, list[float]], notebooks: int, path: Path) -> None:
    peer = statistics.median(next(iter(seconds.values())))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ways = {
        name: {"median_s": medians[name], "spread_s": max(times) - min(times), "ratio": peer / medians[name], "seconds": times}
        for name, times in seconds.items()
    }
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    path.write_text(json.dumps({"notebooks": notebooks, "machine": machine, "ways": ways}, indent=2) + "\n", encoding="utf-8")
    print(f"{notebooks} notebooks of 6 cells on {machine['cores']} cores, Python {machine['python']}")
    for name, times in seconds.items():
        half = (max(times) - min(times)) / 2
        print(f"{name:<36} {medians[name]:7.2f} s  ± {half:5.2f} s  {peer / medians[name]:5.2f}x")


if __name__ == "__main__":
    main()
