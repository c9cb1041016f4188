"""The sampler at thousands of HTTP probes: processor time, lag, memory.

``python -m tests.benchmarks.sampling ADDRESS METRICS EVERY SECONDS`` samples in a process of its own and prints its figures.
Each of twenty targets is the same server under an address of its own, so that politeness has something to hold back.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.benchmarks.measuring import server

_TARGETS = 20


def measure(metrics: int, every: int, rounds: int) -> dict[str, Any]:
    """Measure and print; the figures."""
    seconds = 2 * every
    with server(host="0.0.0.0") as url:  # noqa: S104 - reached by loopback's many addresses only
        command = [sys.executable, "-m", "tests.benchmarks.sampling", url, str(metrics), str(every), str(seconds)]
        found = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(rounds)]
    for one in found:
        print(
            f"{metrics:,} HTTP probes every {every} s for {seconds} s: {one['taken']:,} samples, {one['gaps']} gaps, "
            f"{one['cpu_percent_of_a_core']:.0f} % of a core, {one['cpu_ms_a_sample']:.1f} ms of the processor a sample, "
            f"latest {one['worst_lag_s']:.2f} s late, {one['threads']} threads, {one['memory_mb']:.0f} MB"
        )
    return {"metrics": metrics, "every_s": every, "rounds": found}


def _sample(url: str, metrics: int, every: int, seconds: int) -> dict[str, Any]:
    from checks.catalogue.environment import Settled
    from checks.journal import open_journal
    from checks.judge import parse_limit
    from checks.model import Metric
    from checks.schedule.sampler import Sampler, Task

    limit, port = parse_limit("> 300"), url.rpartition(":")[2]
    settled = Settled("production", {f"url_{n}": f"http://127.0.0.{n + 1}:{port}" for n in range(_TARGETS)}, {}, frozenset())
    tasks = [
        Task(
            Metric(
                f"system-{number % _TARGETS}",
                f"metric-{number}",
                "A metric",
                "",
                {"kind": "http", "url": f"{{url_{number % _TARGETS}}}/", "measure": "status"},
                critical=limit,
                every=timedelta(seconds=every),
            ),
            settled,
            timedelta(seconds=every),
        )
        for number in range(metrics)
    ]

    async def live() -> None:
        until = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, until.set)
        await sampler.run(tasks, until)

    with tempfile.TemporaryDirectory() as folder, open_journal(f"sqlite:///{folder}/journal.db") as journal:
        sampler = Sampler(journal, "production", clock=lambda: datetime.now(UTC))
        before, started = time.process_time(), time.monotonic()
        asyncio.run(live())
        spent, took = time.process_time() - before, time.monotonic() - started
    figures = sampler.figures
    return {
        "taken": figures.taken,
        "gaps": figures.gaps,
        "worst_lag_s": figures.worst_lag.total_seconds(),
        "cpu_percent_of_a_core": 100 * spent / took,
        "cpu_ms_a_sample": 1000 * spent / max(1, figures.taken),
        "threads": sampler._threads.made,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    print(json.dumps(_sample(sys.argv[1], *(int(argument) for argument in sys.argv[2:]))))
