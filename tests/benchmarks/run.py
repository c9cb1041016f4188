"""Executing notebooks: the whole of it against the named peers, how it grows, and what one kernel costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks import kernels
from tests.benchmarks import notebooks as laying
from tests.benchmarks.measuring import PROGRAMS, interleaved, server, show, summary

_JOBS = os.cpu_count() or 1
_AT_ONCE = 4
_FEW_ROUNDS = 2
LOOP = "papermill CLI, one after another"
NBCLIENT = f"nbclient async, {_AT_ONCE} at once"


def measure(count: int, rounds: int, sizes: Sequence[int]) -> dict[str, Any]:
    """Measure and print; the figures.

    Args:
        count: how many notebooks.
        rounds: how often each way is taken; those that no promise is made against at most twice, to be done in time.
        sizes: how many notebooks `proofbook run` executes at once where its growth is measured, in rising order.

    """
    with tempfile.TemporaryDirectory() as folder, server() as url:
        site = Path(folder)
        kinds = laying.lay_out(site, count, url)
        ways: dict[str, Callable[[], float | None]] = {
            LOOP: partial(_papermill, site),
            f"papermill in a pool of {_JOBS} processes": partial(_peer, "papermill-pool", site, _JOBS),
            NBCLIENT: partial(_peer, "nbclient-async", site, _AT_ONCE),
            **({"jupyter-cache, parallel": partial(_peer, "jupyter-cache", site, _JOBS)} if find_spec("jupyter_cache") else {}),
            f"proofbook run, stock kernels, {_AT_ONCE} jobs": partial(_proofbook, site, "stock"),
            f"proofbook run, {_AT_ONCE} jobs": partial(_proofbook, site, "fork"),
            f"proofbook resident, {_AT_ONCE} jobs": partial(_resident, site),
        }
        promised = (LOOP, NBCLIENT, *list(ways)[-2:])
        executing = summary(interleaved(ways, rounds, {name: _FEW_ROUNDS for name in ways if name not in promised}))
    show(f"{count} notebooks of 6 cells ({', half '.join(kinds)}) on {os.cpu_count()} cores", executing)
    for peer in (LOOP, NBCLIENT):
        for name in list(ways)[-2:]:
            print(f"  {name}: {executing[name]['faster_than'][peer]:.1f} times as fast as {peer}")
    one = _one_light_runbook(rounds)
    show("one light runbook, the whole command", one)
    kernel = kernels.measure(rounds)
    growth = _growth(sizes)
    return {
        "notebooks": count,
        "kinds": kinds,
        "rounds": rounds,
        "executing": executing,
        "one": one,
        "kernel": kernel,
        "growth": growth,
    }


def _one_light_runbook(rounds: int) -> dict[str, Any]:
    """One runbook of plain Python, by each kind of kernel: forking must not cost it anything."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        laying.lay_out(site, 1, "", kinds={"the standard library": laying.PLAIN})
        _proofbook(site, "stock")
        return summary(
            interleaved({f"{origin} kernels": partial(_proofbook, site, origin) for origin in ("stock", "fork")}, rounds)
        )


def _growth(sizes: Sequence[int]) -> dict[str, float]:
    """Seconds for each notebook of `proofbook run --all`, by how many there are."""
    figures = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder, server() as url:
            site = Path(folder)
            laying.lay_out(site, size, url)
            started = time.perf_counter()
            _proofbook(site, "fork")
            figures[str(size)] = (time.perf_counter() - started) / size
            print(f"  {size:>5} notebooks: {figures[str(size)]:.3f} s each")
    return figures


def _papermill(site: Path) -> None:
    for path in sorted((site / "notebooks" / "bench").glob("*.ipynb")):
        options = ["--no-progress-bar", "--kernel", "python3", "--cwd", str(path.parent)]
        subprocess.run([PROGRAMS / "papermill", *options, path, site / "out.ipynb"], check=True, capture_output=True)


def _peer(way: str, site: Path, jobs: int) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.peers", way, str(site / "notebooks" / "bench"), str(jobs)]
    subprocess.run(command, check=True, capture_output=True)


def _proofbook(site: Path, origin: str) -> None:
    command = [str(PROGRAMS / "proofbook"), "run", "--all", "--jobs", str(_AT_ONCE), "--format", "json"]
    env = {**os.environ, "PROOFBOOK_KERNELS": origin}
    ended = subprocess.run(command, cwd=site, env=env, capture_output=True, check=False)
    states = {run["state"] for run in json.loads(ended.stdout)["runs"]}
    if states != {"finished"}:
        raise SystemExit(f"proofbook run: {states}\n{ended.stderr.decode()}")


def _resident(site: Path) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.resident", str(site), str(_AT_ONCE)]
    env = {**os.environ, "PROOFBOOK_KERNELS": "fork"}
    return float(subprocess.run(command, env=env, capture_output=True, check=True).stdout)
