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

from tests.benchmarks import fresh, kernels
from tests.benchmarks import notebooks as laying
from tests.benchmarks.measuring import PROGRAMS, interleaved, server, show, summary
from tests.benchmarks.peers import LOOP, papermill
from tests.benchmarks.recording import Sheet, seconds_of

_JOBS = os.cpu_count() or 1
_AT_ONCE = 4
_FEW_ROUNDS = 3
_AGAIN = "again: "
NBCLIENT = f"nbclient async, {_AT_ONCE} at once"
_STOCK = f"proofbook run, stock kernels, {_AT_ONCE} jobs"


def measure(sheet: Sheet, count: int, rounds: int, sizes: Sequence[int]) -> None:
    """Measure and print; the figures are kept after each round.

    Running again is measured in the same rounds, so that both are compared with the same loop.

    Args:
        sheet: where the figures go.
        count: how many notebooks.
        rounds: how often each way is taken; those that no promise is made against three times, to be done in half an hour.
        sizes: how many notebooks `proofbook run` executes at once where its growth is measured, in rising order.

    """
    figures = sheet.of(notebooks=count)
    with tempfile.TemporaryDirectory() as folder, server() as url:
        site = Path(folder) / "site"
        figures["kinds"] = laying.lay_out(site, count, url)
        again = fresh.Again(Path(folder), count, url)
        ours: dict[str, Callable[[], float | None]] = {
            f"proofbook run, {_AT_ONCE} jobs": partial(_proofbook, site, "fork"),
            f"proofbook resident, {_AT_ONCE} jobs": partial(_resident, site),
        }
        ways: dict[str, Callable[[], float | None]] = {
            LOOP: partial(papermill, site),
            f"papermill in a pool of {_JOBS} processes": partial(_peer, "papermill-pool", site, _JOBS),
            NBCLIENT: partial(_peer, "nbclient-async", site, _AT_ONCE),
            **({fresh.CACHE: partial(_peer, "jupyter-cache", site, _JOBS)} if find_spec("jupyter_cache") else {}),
            _STOCK: partial(_proofbook, site, "stock"),
            **ours,
            **{_AGAIN + name: work for name, work in again.ways.items()},
        }

        def keep(seconds: dict[str, list[float]]) -> None:
            figures["executing"] = summary({name: times for name, times in seconds.items() if not name.startswith(_AGAIN)})
            repeated = {name.removeprefix(_AGAIN): times for name, times in seconds.items() if name.startswith(_AGAIN)}
            figures["again"] = summary({LOOP: seconds[LOOP], **repeated})
            sheet.keep()

        repeated = {_AGAIN + name: times for name, times in seconds_of(figures, "again").items() if name != LOOP}
        promised = (LOOP, NBCLIENT, *ours)
        few = {name: _FEW_ROUNDS for name in ways if name not in promised and not name.startswith(_AGAIN)}
        interleaved(ways, rounds, few, {**seconds_of(figures, "executing"), **repeated}, keep)
        figures["deciding_s"] = again.deciding()
    sheet.keep()
    show(f"{count} notebooks of 6 cells ({', half '.join(figures['kinds'])}) on {_JOBS} cores", figures["executing"])
    fresh.tell(figures["again"], count, figures["deciding_s"])
    if "one" not in figures:
        figures["one"] = _one_light_runbook(rounds)
        sheet.keep()
    show("one light runbook, the whole command", figures["one"])
    if "kernel" not in figures:
        figures["kernel"] = kernels.measure(rounds)
        sheet.keep()
    kernels.tell(figures["kernel"])
    growth = figures.setdefault("growth", {})
    for size in sizes:
        if str(size) not in growth:
            growth[str(size)] = _seconds_each(size)
            sheet.keep()
        print(f"  {size:>5} notebooks: {growth[str(size)]:.3f} s each")


def _one_light_runbook(rounds: int) -> dict[str, Any]:
    """One runbook of plain Python, by each kind of kernel: forking must not cost it anything."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        laying.lay_out(site, 1, "", kinds={"the standard library": laying.PLAIN})
        _proofbook(site, "stock")
        return summary(
            interleaved({f"{origin} kernels": partial(_proofbook, site, origin) for origin in ("stock", "fork")}, rounds)
        )


def _seconds_each(size: int) -> float:
    """Seconds for each notebook of `proofbook run --all`, of so many."""
    with tempfile.TemporaryDirectory() as folder, server() as url:
        site = Path(folder)
        laying.lay_out(site, size, url, paired=False)
        started = time.perf_counter()
        _proofbook(site, "fork")
        return (time.perf_counter() - started) / size


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
