"""Running again when one notebook of many has changed and the rest are fresh: what is decided, and what it costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks import notebooks as laying
from tests.benchmarks.measuring import PROGRAMS, interleaved, server, show, summary
from tests.benchmarks.peers import LOOP, papermill
from tests.benchmarks.recording import Sheet, seconds_of

_JUDGED = "\n```python\nfrom checks import check\ncheck('disk')\n```\n"
CACHE = "jupyter-cache, parallel"


def measure(sheet: Sheet, count: int, rounds: int) -> None:
    """Measure and print; the figures are kept after each round."""
    figures = sheet.of(notebooks=count)
    with tempfile.TemporaryDirectory() as folder, server() as url:
        again = Again(Path(folder), count, url)
        figures["kinds"] = again.kinds

        def keep(seconds: dict[str, list[float]]) -> None:
            figures["again"] = summary(seconds)
            sheet.keep()

        ways: dict[str, Callable[[], float | None]] = {LOOP: partial(papermill, again.site), **again.ways}
        interleaved(ways, rounds, known=seconds_of(figures, "again"), after=keep)
        figures["deciding_s"] = again.deciding()
    sheet.keep()
    tell(figures["again"], count, figures["deciding_s"])


def tell(again: Mapping[str, Mapping[str, Any]], count: int, deciding: float) -> None:
    """Print what running again costs."""
    show(f"run again, 1 of {count} notebooks changed, on {os.cpu_count()} cores", again)
    print(f"  deciding for {count} fresh notebooks: {deciding * 1000:.1f} ms")


class Again:
    """A site all of whose runbooks have run, and a cache that holds the same notebooks executed.

    Attributes:
        ways: each changes one notebook and has it executed; of ours, from nothing and in a process that stays.

    """

    def __init__(self, folder: Path, count: int, url: str) -> None:
        self.site = folder / "again"
        self.kinds = laying.lay_out(self.site, count, url)
        books = sorted((self.site / "notebooks" / "bench").glob("*.md"))
        for book in books:
            # A run that judged nothing is unknown and never fresh; the peers' notebooks do without this cell.
            book.write_text(book.read_text(encoding="utf-8") + _JUDGED, encoding="utf-8")
        _again(self.site)
        self.ways: dict[str, Callable[[], float | None]] = {}
        if find_spec("jupyter_cache"):
            cache = folder / "cache"
            _cached(self.site, cache)
            self.ways[CACHE] = partial(_cached_again, self.site, cache)
        self.ways["proofbook run --fresh-enough"] = partial(_changed, self.site, books[0])
        self.ways["proofbook resident"] = partial(_resident, self.site, books[0])

    def deciding(self) -> float:
        """Seconds that deciding takes when nothing has to run, the catalogue and the journal being open."""
        return _decide(self.site)


def _again(site: Path) -> list[dict[str, Any]]:
    command = [str(PROGRAMS / "proofbook"), "run", "--all", "--fresh-enough", "--format", "json"]
    ended = subprocess.run(command, cwd=site, env=_env(), capture_output=True, check=False)
    runs: list[dict[str, Any]] = json.loads(ended.stdout)["runs"]
    if {run["status"] for run in runs} != {"ok"}:
        raise SystemExit(f"proofbook run: {ended.stderr.decode()}")
    return runs


def _env() -> dict[str, str]:
    return {**os.environ, "PROOFBOOK_KERNELS": "fork"}


def touch(book: Path) -> None:
    """Change a runbook so that it has to run again."""
    book.write_text(book.read_text(encoding="utf-8") + f"\n<!-- {time.time_ns()} -->\n", encoding="utf-8")


def _changed(site: Path, book: Path) -> float:
    touch(book)
    started = time.perf_counter()
    runs = _again(site)
    took = time.perf_counter() - started
    _require_one([run["executed"] for run in runs])
    return took


def _require_one(executed: list[bool]) -> None:
    if executed.count(True) != 1:
        raise SystemExit(f"{executed.count(True)} runbooks were executed; expected 1")


def _resident(site: Path, book: Path) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.fresh", str(site), str(book)]
    return float(subprocess.run(command, env=_env(), capture_output=True, check=True).stdout)


def resident(site: Path, book: Path) -> float:
    """Seconds of the second of two rounds in one process: the catalogue is read again, one runbook executed, the rest reused.

    As a resident scheduler does, it has the fork server load what the site's runbooks import.
    """
    from checks.journal import open_journal
    from checks.run import kernels

    kernels.warm_up(path.read_text(encoding="utf-8") for path in book.parent.glob("*.md"))
    with open_journal(f"sqlite:///{site}/.proofbook/journal.db") as journal:
        took = 0.0
        for _ in range(2):
            touch(book)
            started = time.perf_counter()
            _require_one(_round(site, journal))
            took = time.perf_counter() - started
    return took


def _round(site: Path, journal: Any) -> list[bool]:
    from checks.catalogue import load
    from checks.model import Trigger
    from checks.run import fresh, selection
    from checks.run.many import run_many

    now = datetime.now(UTC)
    catalogue = load(site)
    prepared = selection.prepare_all(
        selection.here(catalogue, "production"),
        catalogue,
        environment="production",
        variables=os.environ,
        parameters={},
        trigger=Trigger.COMMAND,
        now=now,
    )
    decisions = fresh.decide(prepared, journal, now)
    run_many([one.prepared for one in decisions if one.reused is None], journal, clock=lambda: datetime.now(UTC))
    return [one.reused is None for one in decisions]


def _decide(site: Path) -> float:
    from checks.catalogue import load
    from checks.journal import open_journal
    from checks.model import Trigger
    from checks.run import fresh, selection

    catalogue = load(site)
    _again(site)
    with open_journal(catalogue.settings.journal) as journal:
        best = float("inf")
        for _ in range(5):
            now = datetime.now(UTC)
            started = time.perf_counter()
            prepared = selection.prepare_all(
                selection.here(catalogue, "production"),
                catalogue,
                environment="production",
                variables=os.environ,
                parameters={},
                trigger=Trigger.COMMAND,
                now=now,
            )
            decisions = fresh.decide(prepared, journal, now)
            best = min(best, time.perf_counter() - started)
            if any(one.reused is None for one in decisions):
                raise SystemExit(f"not fresh: {next(one.because for one in decisions if one.reused is None)}")
    return best


def _cached(site: Path, cache: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.peers",
        "jupyter-cache",
        str(site / "notebooks" / "bench"),
        "0",
        str(cache),
    ]
    subprocess.run(command, check=True, capture_output=True)


def _cached_again(site: Path, cache: Path) -> float:
    import nbformat

    first = sorted((site / "notebooks" / "bench").glob("*.ipynb"))[0]
    notebook = nbformat.read(first, as_version=4)
    # The cache looks at code only.
    notebook.cells[-1].source += f"\n# {time.time_ns()}"
    nbformat.write(notebook, first)
    started = time.perf_counter()
    _cached(site, cache)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(resident(Path(sys.argv[1]), Path(sys.argv[2])))
