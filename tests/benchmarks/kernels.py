"""What one kernel costs: until it is ready, until it is gone, in memory, and for each cell."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import interleaved, show, summary

_STOCK, _FORKED, _STANDING_BY = "stock ipykernel, by jupyter_client", "forked", "forked, standing by"
_FEW, _MANY = 10, 110
# As long as a server takes at most to have the next kernel stand by.
_BREATH_SECONDS = 0.25


def measure(rounds: int, count: int = 10) -> dict[str, Any]:
    """Measure; the figures.

    Args:
        rounds: how often each way is taken; starting and ending, which is short, twice as often.
        count: how many kernels live at once where their memory is measured.

    """
    return {**_living(2 * rounds), "memory_mb": {"kernels": count, **_memory(count)}, "cell_ms": _cells(min(3, rounds))}


def tell(figures: Mapping[str, Any]) -> None:
    """Print them."""
    show("a kernel is ready", figures["ready"])
    show("a kernel is gone", figures["gone"])
    memory = dict(figures["memory_mb"])
    count = memory.pop("kernels")
    for name, megabytes in memory.items():
        print(f"  {count} kernels, {name:<44} {megabytes:8.1f} MB, {megabytes / count:6.1f} MB each (PSS)")
    for name, milliseconds in figures["cell_ms"].items():
        print(f"  one cell, {name:<46} {milliseconds:8.2f} ms")


def _living(rounds: int) -> dict[str, Any]:
    """How long kernels take to be ready and to be gone; the server's own start is part of whole runs, not of these."""
    ready: dict[str, list[float]] = {}
    gone: dict[str, list[float]] = {}
    with _origin("fork"):
        _ours()
        for _ in range(rounds):
            for name, work in {_STOCK: _theirs, _FORKED: _ours, _STANDING_BY: _waiting}.items():
                seconds = work()
                ready.setdefault(name, []).append(seconds[0])
                gone.setdefault(name, []).append(seconds[1])
    return {"ready": summary(ready), "gone": summary(gone)}


def _theirs() -> tuple[float, float]:
    from jupyter_client.manager import AsyncKernelManager

    async def live() -> tuple[float, float]:
        started = time.perf_counter()
        manager = AsyncKernelManager(kernel_name="python3")
        await manager.start_kernel(extra_arguments=["--log-level=40"])
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        ready = time.perf_counter()
        client.stop_channels()
        await manager.shutdown_kernel()
        return ready - started, time.perf_counter() - ready

    return asyncio.run(live())


def _waiting() -> tuple[float, float]:
    from checks.run import kernels

    kernels.stand_by(1)
    time.sleep(_BREATH_SECONDS)
    try:
        return _ours()
    finally:
        kernels.stand_by(0)
        # The one that took its place is of no use to the next way.
        _ours()


def _ours() -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="proofbook-") as folder:
        client = _client(Path(folder), [])
        started = time.perf_counter()
        client.open()
        ready = time.perf_counter()
        client.close()
        return ready - started, time.perf_counter() - ready


def _client(folder: Path, cells: Sequence[str]) -> Any:
    from nbformat.v4 import new_code_cell, new_notebook

    from checks.run import drive, kernels

    (folder / "work").mkdir()
    # What a server is chosen by is the same as for the kernels that stand by.
    own = dict.fromkeys(("HOME", "IPYTHONDIR", "TMPDIR", "JUPYTER_CONFIG_DIR"), str(folder))
    room = kernels.Room(folder, {**kernels.passed_on(), **own, "PATH": os.environ["PATH"]})
    driven = drive.Drive(room, 600, 600, clock=_now)
    return drive.client(new_notebook(cells=[new_code_cell(cell) for cell in cells]), driven)


def _now() -> datetime:
    return datetime.now(UTC)


def _memory(count: int) -> dict[str, float]:
    """Megabytes of so many kernels with what the measured notebooks import, each shared page counted in parts."""
    libraries = [name for name in ("pandas", "matplotlib", "httpx", "psutil") if find_spec(name)]
    cell = "import " + ", ".join(["json", *("matplotlib.pyplot" if name == "matplotlib" else name for name in libraries)])
    figures = {}
    for name, origin in (("stock", "stock"), ("forked, their server and wardens counted", "fork")):
        from checks.run import zygote

        zygote.close()
        zygote.ask_for(["probes", *libraries])
        with _origin(origin), ExitStack() as stack:
            for _ in range(count):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="proofbook-")))
                client = _client(folder, [cell])
                stack.callback(client.close)
                client.open()
                client.execute_one(0)
            figures[name] = _shares()
    return figures


def _shares() -> float:
    import psutil

    # A stock kernel is measured without the warden that we put before it.
    family = psutil.Process().children(recursive=True)
    counted = [child for child in family if not any(word.endswith("_warden.py") for word in child.cmdline())]
    return float(sum(child.memory_full_info().pss for child in counted) / 2**20)


def _cells(rounds: int) -> dict[str, float]:
    """Milliseconds that one cell more takes, which itself does next to nothing."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder, _origin("fork"):
        files = {count: _file(Path(folder), count) for count in (_FEW, _MANY)}
        ways: dict[str, Callable[[Path, int], None]] = {"papermill": _by_papermill, "nbclient": _by_nbclient, "Proofbook": _by_us}
        times = interleaved(
            {f"{name}, {count} cells": _timed(work, files[count], count) for name, work in ways.items() for count in files},
            rounds,
        )
    for name in ways:
        many, few = (statistics.median(times[f"{name}, {count} cells"]) for count in (_MANY, _FEW))
        figures[name] = (many - few) / (_MANY - _FEW) * 1000
    return figures


def _timed(work: Callable[[Path, int], None], path: Path, count: int) -> Callable[[], None]:
    return lambda: work(path, count)


def _file(folder: Path, count: int) -> Path:
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / f"{count}.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 + 1")] * count, metadata={"kernelspec": kernel}), path)
    return path


def _by_papermill(path: Path, _count: int) -> None:
    code = "import sys; from papermill import execute_notebook; execute_notebook(*sys.argv[1:], progress_bar=False)"
    subprocess.run([sys.executable, "-c", code, path, path.with_suffix(".out.ipynb")], check=True, capture_output=True)


def _by_nbclient(path: Path, _count: int) -> None:
    import nbformat
    from nbclient import NotebookClient

    NotebookClient(nbformat.read(path, as_version=4), kernel_name="python3").execute()


def _by_us(_path: Path, count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="proofbook-") as folder:
        client = _client(Path(folder), ["1 + 1"] * count)
        client.open()
        for position in range(count):
            client.execute_one(position)
        client.close()


@contextmanager
def _origin(name: str) -> Iterator[None]:
    before = os.environ.get("PROOFBOOK_KERNELS")
    os.environ["PROOFBOOK_KERNELS"] = name
    try:
        yield
    finally:
        del os.environ["PROOFBOOK_KERNELS"]
        if before is not None:
            os.environ["PROOFBOOK_KERNELS"] = before
