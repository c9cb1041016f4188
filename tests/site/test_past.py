"""Every run of a runbook, on pages that are written once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from checks.catalogue import Catalogue, load
from checks.journal import Journal, open_journal
from checks.model import Run, RunState, Status, Trigger
from checks.site import kept, live
from checks.site.publish import Published, publish
from checks.site.shelf import Shelf
from tests.site.history import morning_cells, record
from tests.site.project import SYSTEM, small_project

MOMENT = datetime.fromisoformat("2024-11-12T10:42:10+00:00")
PAGE = "systems/shop/runbooks/morning.html"
FOLDER = "systems/shop/runbooks/morning"
RUNS = 120


def _run(catalogue: Catalogue, journal: Journal, number: int, at: datetime) -> None:
    cells = morning_cells(said=f"run {number}\n")
    record(catalogue, journal, at, {"latency": 90.0}, run_id=f"01RUN{number:04d}", cells=cells)


def _tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _clean(catalogue: Catalogue, journal: Journal, number: int, to: Path, now: datetime) -> dict[str, bytes]:
    Shelf(to).folder(number - 1).mkdir(parents=True)
    return _tree(publish(catalogue, journal, to, now).folder)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Catalogue, Journal, Path]]:
    """A shop whose morning check ran 120 times, an hour apart, and whose pages are built without MkDocs."""
    root = small_project(tmp_path_factory.mktemp("past") / "project")
    catalogue = load(root)

    def build(_root: Path, to: Path, *_: object) -> None:
        (to / PAGE).parent.mkdir(parents=True)
        (to / PAGE).write_text(f"<body>{live.block('runs', 'shop/morning')}</body>")

    catalogue.settings.state.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch, open_journal(catalogue.settings.journal) as journal:
        patch.setattr(kept, "build_skeleton", build)
        for number in range(RUNS):
            _run(catalogue, journal, number, MOMENT - timedelta(hours=RUNS - number))
        yield catalogue, journal, root / "public"


def _shown(made: Published, number: int) -> str:
    return (made.folder / FOLDER / f"runs-{number}.html").read_text(encoding="utf-8")


def test_every_run_is_found_and_a_full_page_stays(shop: tuple[Catalogue, Journal, Path], tmp_path: Path) -> None:
    """Each run stands once on the pages with its evidence, the newest first; a full page and old evidence are never written anew.

    That holds when runs come, when one comes late, when one ends after others began, and when a limit is declared anew; each
    time the publication is what a clean build is.
    """
    catalogue, journal, to = shop
    first = publish(catalogue, journal, to, MOMENT)
    assert sorted(path.name for path in (first.folder / FOLDER).iterdir()) == ["runs-1.html", "runs-2.html", "runs-3.html"]
    evidence = [re.findall(r"evidence/(\w{64})\.html", _shown(first, number)) for number in (3, 2, 1)]
    runs = journal.runs("shop/morning", limit=1_000)
    assert [digest for some in evidence for digest in some] == [run.evidence for run in runs]
    assert [len(some) for some in evidence] == [20, 50, 50]
    assert all((first.folder / "evidence" / f"{run.evidence}.html").is_file() for run in runs)
    front = (first.folder / PAGE).read_text(encoding="utf-8")
    assert re.findall(r'href="(morning/runs-\d\.html)"', front) == [f"morning/runs-{number}.html" for number in (3, 2, 1)]
    assert re.findall(r'href="(runs-\d\.html)"', _shown(first, 2)) == ["runs-3.html", "runs-1.html"] * 2

    _run(catalogue, journal, RUNS, MOMENT)
    second = publish(catalogue, journal, to, MOMENT + timedelta(days=1))
    old = [f"{FOLDER}/runs-1.html", f"{FOLDER}/runs-2.html", *(f"evidence/{run.evidence}.html" for run in runs)]
    assert [address for address in old if not (second.folder / address).samefile(first.folder / address)] == []
    assert _tree(second.folder) == _clean(catalogue, journal, second.number, tmp_path / "b", MOMENT + timedelta(days=1))

    begun = Run(
        id="01LATE",
        runbook="shop/morning",
        system="shop",
        environment="staging",
        trigger=Trigger.OPERATOR,
        state=RunState.RUNNING,
        status=Status.UNKNOWN,
        started_at=MOMENT - timedelta(hours=90, minutes=5),
    )
    journal.start_run(begun)
    third = publish(catalogue, journal, to, MOMENT + timedelta(days=2))
    assert "running" in _shown(third, 1)
    assert _tree(third.folder) == _clean(catalogue, journal, third.number, tmp_path / "c", MOMENT + timedelta(days=2))
    assert (third.folder / old[-1]).samefile(second.folder / old[-1])

    path = catalogue.root / "docs/systems/shop/system.yml"
    path.write_text(SYSTEM.replace("> 500 ms", "> 50 ms"))
    try:
        fourth = publish(load(catalogue.root), journal, to, MOMENT + timedelta(days=3))
    finally:
        path.write_text(SYSTEM)
    assert [address for address in old if not (fourth.folder / address).samefile(third.folder / address)] == []
