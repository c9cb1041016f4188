"""Executing notebooks: the whole of it against the named peers, and what one kernel costs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks import notebooks as laying
from tests.benchmarks.measuring import PROGRAMS, interleaved, server, show, summary

_JOBS = os.cpu_count() or 1
_AT_ONCE = 4


def measure(count: int, rounds: int) -> dict[str, Any]:
    """Measure and print; the figures."""
    with tempfile.TemporaryDirectory() as folder, server() as url:
        site = Path(folder)
        kinds = laying.lay_out(site, count, url)
        ways: dict[str, Callable[[], float | None]] = {
            "papermill CLI, one after another": partial(_papermill, site),
            f"papermill in a pool of {_JOBS} processes": partial(_peer, "papermill-pool", site, _JOBS),
            f"nbclient async, {_AT_ONCE} at once": partial(_peer, "nbclient-async", site, _AT_ONCE),
            **({"jupyter-cache, parallel": partial(_peer, "jupyter-cache", site, _JOBS)} if find_spec("jupyter_cache") else {}),
            f"proofbook run, stock kernels, {_JOBS} jobs": partial(_proofbook, site, "stock"),
            f"proofbook run, forked kernels, {_JOBS} jobs": partial(_proofbook, site, "fork"),
            f"proofbook resident, {_JOBS} jobs": partial(_resident, site),
        }
        executing = summary(interleaved(ways, rounds))
    show(f"{count} notebooks of 6 cells ({', half '.join(kinds)}) on {os.cpu_count()} cores", executing)
    kernels = _kernels(rounds)
    return {"notebooks": count, "kinds": kinds, "rounds": rounds, "executing": executing, **kernels}


def _papermill(site: Path) -> None:
    for path in sorted((site / "notebooks" / "bench").glob("*.ipynb")):
        options = ["--no-progress-bar", "--kernel", "python3", "--cwd", str(path.parent)]
        subprocess.run([PROGRAMS / "papermill", *options, path, site / "out.ipynb"], check=True, capture_output=True)


def _peer(way: str, site: Path, jobs: int) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.peers", way, str(site / "notebooks" / "bench"), str(jobs)]
    subprocess.run(command, check=True, capture_output=True)


def _proofbook(site: Path, origin: str) -> None:
    command = [str(PROGRAMS / "proofbook"), "run", "--all", "--jobs", str(_JOBS), "--format", "json"]
    env = {**os.environ, "PROOFBOOK_KERNELS": origin}
    ended = subprocess.run(command, cwd=site, env=env, capture_output=True, check=False)
    states = {run["state"] for run in json.loads(ended.stdout)["runs"]}
    if states != {"finished"}:
        raise SystemExit(f"proofbook run: {states}\n{ended.stderr.decode()}")


def _resident(site: Path) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.resident", str(site), str(_JOBS)]
    env = {**os.environ, "PROOFBOOK_KERNELS": "fork"}
    return float(subprocess.run(command, env=env, capture_output=True, check=True).stdout)


def _kernels(rounds: int) -> dict[str, Any]:
    """How long one kernel takes to be ready and to be gone: jupyter_client's own way, and ours."""
    ready: dict[str, list[float]] = {}
    gone: dict[str, list[float]] = {}
    os.environ["PROOFBOOK_KERNELS"] = "fork"
    _ours()  # the server is started once for all kernels; what that costs is part of the runs above
    for _ in range(2 * rounds):
        for name, work in {"stock ipykernel": _stock, "forked": _ours}.items():
            seconds = work()
            ready.setdefault(name, []).append(seconds[0])
            gone.setdefault(name, []).append(seconds[1])
    del os.environ["PROOFBOOK_KERNELS"]
    figures = {"kernel_ready": summary(ready), "kernel_gone": summary(gone)}
    show("a kernel is ready", figures["kernel_ready"])
    show("a kernel is gone", figures["kernel_gone"])
    return figures


def _stock() -> tuple[float, float]:
    from jupyter_client.manager import AsyncKernelManager

    async def live() -> tuple[float, float]:
        started = time.perf_counter()
        manager = AsyncKernelManager(kernel_name="python3")
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        ready = time.perf_counter()
        client.stop_channels()
        await manager.shutdown_kernel()
        return ready - started, time.perf_counter() - ready

    return asyncio.run(live())


def _ours() -> tuple[float, float]:
    from nbformat.v4 import new_notebook

    from checks.run import drive, kernels

    with tempfile.TemporaryDirectory(prefix="proofbook-") as folder:
        (Path(folder) / "work").mkdir()
        env = {"PATH": os.environ["PATH"], "HOME": folder, "IPYTHONDIR": folder, "TMPDIR": folder, "JUPYTER_CONFIG_DIR": folder}
        driven = drive.Drive(kernels.Room(Path(folder), env), 60, 60, clock=lambda: datetime.now(UTC))
        client = drive.client(new_notebook(), driven)
        started = time.perf_counter()
        client.open()
        ready = time.perf_counter()
        client.close()
        return ready - started, time.perf_counter() - ready
