"""Interleaved rounds, their medians and spread, and the machine they were measured on."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Thread
from typing import Any

from checks.run.basis import packages

PROGRAMS = Path(sys.executable).parent


def interleaved(
    ways: Mapping[str, Callable[[], float | None]],
    rounds: int,
    at_most: Mapping[str, int] | None = None,
    known: Mapping[str, Sequence[float]] | None = None,
    after: Callable[[dict[str, list[float]]], None] = lambda _: None,
) -> dict[str, list[float]]:
    """Seconds of each way in each round that it finished; a way that times itself gives its seconds.

    Args:
        ways: what is measured, by name, in the order of a round.
        rounds: how many there are.
        at_most: in how many rounds a way takes part, where not in all.
        known: the seconds of rounds that were measured before; each way goes on after its own.
        after: is told all seconds after each round in which something was measured.

    """
    seconds: dict[str, list[float]] = {name: list((known or {}).get(name, ())) for name in ways}
    for number in range(rounds):
        due = [name for name in ways if len(seconds[name]) <= number < (at_most or {}).get(name, rounds)]
        for name in due:
            started = time.perf_counter()
            try:
                told = ways[name]()
            except subprocess.CalledProcessError as error:
                # A peer with a deadline of its own may miss it on a busy machine; the others are still worth measuring.
                last = (error.stderr or b"").decode(errors="replace").strip().splitlines()[-1:]
                print(f"round {number + 1} of {rounds}: {name}: did not finish: {' '.join(last)}", file=sys.stderr)
                continue
            seconds[name].append(time.perf_counter() - started if told is None else told)
            print(f"round {number + 1} of {rounds}: {name}: {seconds[name][-1]:.3f} s", file=sys.stderr)
        if due:
            after(seconds)
    return seconds


def summary(seconds: Mapping[str, list[float]]) -> dict[str, dict[str, Any]]:
    """Median, spread and seconds of each way; ``faster_than``: how many times by its median, for every other way."""
    medians = {name: statistics.median(times) for name, times in seconds.items() if times}
    return {
        name: {
            "median_s": medians[name],
            "spread_s": max(times) - min(times),
            "faster_than": {other: medians[other] / medians[name] for other in medians if other != name},
            "seconds": times,
        }
        for name, times in seconds.items()
        if times
    }


def show(title: str, ways: Mapping[str, Mapping[str, Any]]) -> None:
    """Print a table; the ratio is to its first line."""
    print(title)
    first = next(iter(ways.values()))["median_s"]
    for name, about in ways.items():
        print(f"  {name:<40} {about['median_s']:8.3f} s  ± {about['spread_s'] / 2:6.3f} s  {first / about['median_s']:6.2f}x")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    versions = {}
    for name in ("ipykernel", "ipython", "jupyter_client", "nbclient", "papermill", "jupyter-cache", "pandas", "matplotlib"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    load = os.getloadavg()[0]
    with open("/proc/meminfo", encoding="ascii") as about:  # noqa: PTH123 - one line of a file that is none
        memory = int(about.readline().split()[1]) * 1024
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "memory_gb": round(memory / 2**30, 1),
        "source": packages()[:12],
        "load_before": load,
        "versions": versions,
    }


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as about:  # noqa: PTH123 - as above
        return next((line.partition(":")[2].strip() for line in about if line.startswith("model name")), platform.machine())


@contextmanager
def server(host: str = "127.0.0.1") -> Iterator[str]:
    """The address of a server that is always well, on loopback unless another host is named."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"status": "well"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer((host, 0), Handler) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
