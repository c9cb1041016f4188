"""The page of what was measured says what the figures say."""

from __future__ import annotations

import json
from pathlib import Path

from tests.benchmarks import page
from tests.benchmarks.measuring import interleaved, summary
from tests.benchmarks.peers import LOOP
from tests.benchmarks.recording import Sheet, read, seconds_of
from tests.benchmarks.run import NBCLIENT

MACHINE = {
    "cores": 2,
    "python": "3.11.2",
    "system": "Linux",
    "processor": "One",
    "memory_gb": 4.0,
    "source": "0123",
    "load_before": 0.25,
    "versions": {"papermill": "2.7"},
}


def test_a_promise_stands_beside_what_was_measured() -> None:
    """Ratios of medians, their spread and the machine are on the page; a promise that was not measured is not."""
    ways = {LOOP: [96.0, 98.0, 100.0], NBCLIENT: [28.0], "proofbook run, 4 jobs": [7.0]}
    kept = {"run": {"machine": MACHINE, "figures": {"notebooks": 40, "executing": summary(ways)}}}
    written = page.rendered(kept)
    text = written[page.PAGE]
    assert f"| a run of many notebooks, from nothing | {LOOP} | 12 times | **14.0 times** |" in text
    assert f"| a run of many notebooks, from nothing | {NBCLIENT} | 3.5 times | **4.0 times** |" in text
    assert "a process that stays" not in text
    assert f"| {LOOP} | 98.00 s | ± 2.00 s | — |" in text
    assert "Measured on Linux, 2 cores of One, 4 GB of memory, load 0.2 when it began, Python 3.11.2; papermill 2.7." in text
    assert "| Notebooks | 40 |" in text
    assert "](performance/run-executing.svg)" in text
    assert written["performance/run-executing.svg"].count("<rect") == 3


def test_what_falls_short_says_so() -> None:
    """A ratio below what is promised is on the page, and called less."""
    ways = {LOOP: [100.0], "proofbook run, 4 jobs": [10.0]}
    text = page.rendered({"run": {"machine": MACHINE, "figures": {"executing": summary(ways)}}})[page.PAGE]
    assert "| 12 times | **10.0 times**, less than promised |" in text


def test_a_measurement_that_was_stopped_goes_on(tmp_path: Path) -> None:
    """Rounds that are in the file are not measured again; those of other sources do not count."""
    file, asked = tmp_path / "bench.json", list[str]()
    ways = {"a": lambda: asked.append("a"), "b": lambda: asked.append("b")}

    def measure(rounds: int, source: str) -> dict[str, list[float]]:
        sheet = Sheet(file, "run", MACHINE | {"source": source})
        figures = sheet.of(notebooks=40)

        def keep(seconds: dict[str, list[float]]) -> None:
            figures["executing"] = summary(seconds)
            sheet.keep()

        return interleaved(ways, rounds, known=seconds_of(figures, "executing"), after=keep)

    first = measure(2, "one")
    assert asked == ["a", "b", "a", "b"]
    assert seconds_of(read(file)["run"]["figures"], "executing") == first
    assert {name: times[:2] for name, times in measure(3, "one").items()} == first
    assert asked[4:] == ["a", "b"]
    measure(1, "another")
    assert asked[6:] == ["a", "b"]


def test_a_newer_figure_replaces_an_older_of_its_subject(tmp_path: Path) -> None:
    """Figures of several runs stand together, each subject with the machine that it was measured on."""
    old, new, other = (MACHINE | {"cores": cores} for cores in (1, 2, 4))
    files: list[dict[str, tuple[dict[str, object], dict[str, int]]]] = [
        {"judge": (old, {"a": 1}), "soak": (old, {"runs": 10})},
        {"judge": (new, {"a": 2})},
        {"x": (other, {})},
    ]
    for number, told in enumerate(files):
        file = {subject: {"machine": machine, "figures": figures} for subject, (machine, figures) in told.items()}
        (tmp_path / f"{number}.json").write_text(json.dumps(file))
        page.main([str(tmp_path / f"{number}.json")], tmp_path)
    figures = read(tmp_path / page.KEPT)
    assert {subject: (about["machine"]["cores"], about["figures"]) for subject, about in figures.items()} == {
        "judge": (2, {"a": 2}),
        "soak": (1, {"runs": 10}),
        "x": (4, {}),
    }
    assert (tmp_path / page.PAGE).read_text() == page.rendered(figures)[page.PAGE]


def test_the_page_of_this_site_is_made_from_its_figures() -> None:
    """Nobody wrote a figure by hand: the page and its charts are what its figures render to."""
    written = page.rendered(read(page.FOLDER / page.KEPT)) if (page.FOLDER / page.KEPT).exists() else {}
    found = [path for path in (page.FOLDER / page.PAGE, *page.FOLDER.glob("performance/*.svg")) if path.exists()]
    assert {str(path.relative_to(page.FOLDER)): path.read_text(encoding="utf-8") for path in found} == written
