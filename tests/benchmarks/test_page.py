"""The page of what was measured says what the figures say."""

from __future__ import annotations

import json
from pathlib import Path

from tests.benchmarks import page
from tests.benchmarks.measuring import summary
from tests.benchmarks.run import LOOP, NBCLIENT

MACHINE = {"cores": 2, "python": "3.11.2", "system": "Linux", "load_before": 0.25, "versions": {"papermill": "2.7"}}


def test_a_promise_stands_beside_what_was_measured() -> None:
    """Ratios of medians, their spread and the machine are on the page; a promise that was not measured is not."""
    ways = {LOOP: [96.0, 98.0, 100.0], NBCLIENT: [28.0], "proofbook run, 4 jobs": [7.0]}
    kept = {"run": {"machine": MACHINE, "figures": {"notebooks": 40, "executing": summary(ways)}}}
    text = page.rendered(kept)
    assert f"| a run of many notebooks, from nothing | {LOOP} | 12 times | **14.0 times** |" in text
    assert f"| a run of many notebooks, from nothing | {NBCLIENT} | 3.5 times | **4.0 times** |" in text
    assert "a process that stays" not in text
    assert f"| {LOOP} | 98.00 s | ± 2.00 s | — |" in text
    assert "Measured on Linux, 2 cores, load 0.2 when it began, Python 3.11.2; papermill 2.7." in text
    assert "| Notebooks | 40 |" in text


def test_a_newer_figure_replaces_an_older_of_its_subject(tmp_path: Path) -> None:
    """Figures of several runs stand together, each subject with the machine that it was measured on."""
    kept, written = tmp_path / "performance.json", tmp_path / "performance.md"
    old, new, other = ({"machine": MACHINE | {"cores": cores}} for cores in (1, 2, 4))
    for number, told in enumerate(
        (old | {"judge": {"a": 1}, "soak": {"runs": 10}}, new | {"judge": {"a": 2}}, other | {"x": {}})
    ):
        (tmp_path / f"{number}.json").write_text(json.dumps(told))
        page.main([str(tmp_path / f"{number}.json")], kept, written)
    figures = json.loads(kept.read_text())
    assert {subject: (about["machine"]["cores"], about["figures"]) for subject, about in figures.items()} == {
        "judge": (2, {"a": 2}),
        "soak": (1, {"runs": 10}),
        "x": (4, {}),
    }
    assert written.read_text() == page.rendered(figures)


def test_the_page_of_this_site_is_made_from_its_figures() -> None:
    """Nobody wrote a figure by hand: the page is what its figures render to."""
    if not page.KEPT.exists():
        assert not page.PAGE.exists()
        return
    assert page.PAGE.read_text(encoding="utf-8") == page.rendered(json.loads(page.KEPT.read_text(encoding="utf-8")))
