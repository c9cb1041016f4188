"""The peers. Those that have no command for what is measured: ``python -m tests.benchmarks.peers WAY FOLDER JOBS``.

Each executes the notebooks of a folder as its documentation shows, and fails where one of them does.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

LOOP = "papermill CLI, one after another"


def papermill(site: Path) -> None:
    """Papermill's command for each notebook of a site, one after another."""
    program = Path(sys.executable).with_name("papermill")
    for path in sorted((site / "notebooks" / "bench").glob("*.ipynb")):
        options = ["--no-progress-bar", "--kernel", "python3", "--cwd", str(path.parent)]
        subprocess.run([program, *options, path, site / "out.ipynb"], check=True, capture_output=True)


def papermill_pool(folder: Path, jobs: int) -> None:
    """Papermill's API in a pool of processes."""
    with tempfile.TemporaryDirectory() as out, ProcessPoolExecutor(jobs) as pool:
        work = [(str(path), f"{out}/{path.name}") for path in sorted(folder.glob("*.ipynb"))]
        list(pool.map(_papermill, work))


def _papermill(paths: tuple[str, str]) -> None:
    from papermill.execute import execute_notebook

    execute_notebook(*paths, kernel_name="python3", progress_bar=False)


def nbclient_async(folder: Path, jobs: int) -> None:
    """Nbclient's coroutine, so many at once in one process."""
    import nbformat
    from nbclient import NotebookClient

    async def execute_all() -> None:
        places = asyncio.Semaphore(jobs)

        async def execute(path: Path) -> None:
            async with places:
                notebook = nbformat.read(path, as_version=4)
                await NotebookClient(notebook, kernel_name="python3").async_execute()
                nbformat.write(notebook, Path(out) / path.name)

        await asyncio.gather(*(execute(path) for path in sorted(folder.glob("*.ipynb"))))

    with tempfile.TemporaryDirectory() as out:
        asyncio.run(execute_all())


def jupyter_cache(folder: Path, _jobs: int) -> None:
    """Execute by jupyter-cache's parallel executor, into an empty cache, or into the one that a third argument names."""
    from jupyter_cache import get_cache
    from jupyter_cache.executors import load_executor

    with tempfile.TemporaryDirectory() as out:
        cache = get_cache(sys.argv[4] if len(sys.argv) > 4 else out)
        for path in sorted(folder.glob("*.ipynb")):
            cache.add_nb_to_project(str(path))
        result = load_executor("local-parallel", cache=cache).run_and_cache()
        if result.excepted or result.errored:
            raise SystemExit(f"not executed: {result.excepted + result.errored}")


WAYS: dict[str, Callable[[Path, int], None]] = {
    "papermill-pool": papermill_pool,
    "nbclient-async": nbclient_async,
    "jupyter-cache": jupyter_cache,
}

if __name__ == "__main__":
    WAYS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
