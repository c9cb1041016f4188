"""The site's page of what was measured: ``python -m tests.benchmarks.page bench.json`` puts figures into ``docs/reference``.

Each subject keeps the machine that it was measured on, so figures of several runs may stand on the page together; a newer one
of a subject replaces an older. The figures themselves are kept beside the page, in ``performance.json``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.run import LOOP, NBCLIENT

_FOLDER = Path(__file__).parents[2] / "docs" / "reference"
KEPT, PAGE = _FOLDER / "performance.json", _FOLDER / "performance.md"

_TITLES = {
    "run": "Executing notebooks",
    "fresh": "Running again when little has changed",
    "site": "Publishing",
    "history": "History",
    "sampling": "Sampling",
    "judge": "Judging",
    "soak": "A thousand runs in a row",
}
_CACHE = "jupyter-cache, parallel"
# What is promised: the work; where its ways stand; ours, by how its name begins; the peer's name; how many times at least.
_PROMISES = (
    ("a run of many notebooks, from nothing", ("run", "executing"), "proofbook run, 4 jobs", LOOP, 12.0),
    ("a run of many notebooks, from nothing", ("run", "executing"), "proofbook run, 4 jobs", NBCLIENT, 3.5),
    ("a run of many notebooks, in a process that stays", ("run", "executing"), "proofbook resident", LOOP, 16.0),
    ("a kernel is ready", ("run", "kernel", "ready"), "forked", "stock ipykernel, by jupyter_client", 8.0),
    ("run again, one notebook changed", ("fresh", "again"), "proofbook run", LOOP, 100.0),
    ("run again, one notebook changed", ("fresh", "again"), "proofbook run", _CACHE, 4.0),
    ("publish, figures of 25 pages changed", ("site", "thousand_pages", "ways"), "publish, figures of 25", "mkdocs build", 100.0),
    ("publish, figures of all changed", ("site", "thousand_pages", "ways"), "publish, figures of all", "mkdocs build", 30.0),
    ("publish, text of 25 pages changed", ("site", "thousand_pages", "ways"), "publish, text of 25", "mkdocs build", 10.0),
)
_INTRODUCTION = """---
title: Performance
render_macros: false
---

# Performance

Read here what Proofbook costs, measured side by side with the programs that do the same work. Each ratio is of medians; rounds
of all ways are interleaved, so that a noisy machine is noisy to all. Figures in seconds hold for the machine that each table
names; take the ratios to yours. To measure on your own machine, in a clone of the repository:

```bash
nox -s bench -- run fresh --rounds 5
```
"""


def main(arguments: Sequence[str], beside: Path = KEPT, page: Path = PAGE) -> None:
    """Take figures in and write the page anew."""
    kept: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    for name in arguments:
        told = json.loads(Path(name).read_text(encoding="utf-8"))
        machine = told.pop("machine")
        kept |= {subject: {"machine": machine, "figures": figures} for subject, figures in told.items()}
    beside.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    page.write_text(rendered(kept), encoding="utf-8")


def rendered(kept: Mapping[str, Any]) -> str:
    """The page as Markdown.

    Args:
        kept: by subject, the machine and the figures, as ``performance.json`` has them.

    """
    parts = [_INTRODUCTION]
    promises = list(_promises(kept))
    if promises:
        head = "| work | compared with | at least | measured |\n| --- | --- | --- | --- |\n"
        parts.append("## What is promised\n\n" + head + "".join(promises))
    for subject in [*(name for name in _TITLES if name in kept), *sorted(kept.keys() - _TITLES.keys())]:
        parts.append(f"## {_TITLES.get(subject, subject.capitalize())}\n\n{_machine(kept[subject]['machine'])}\n")
        parts.extend(_tables(kept[subject]["figures"], ()))
    return "\n".join(parts)


def _promises(kept: Mapping[str, Any]) -> Iterator[str]:
    for work, (subject, *path), ours, peer, least in _PROMISES:
        ways: Any = kept.get(subject, {}).get("figures", {})
        for name in path:
            ways = ways.get(name, {})
        way = next((about for name, about in ways.items() if name.startswith(ours)), None)
        if way is not None and peer in way["faster_than"]:
            yield f"| {work} | {peer} | {least:g} times | **{way['faster_than'][peer]:.1f} times** |\n"


def _machine(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    cores = f"{machine['cores']} cores, load {machine['load_before']:.1f} when it began"
    return f"Measured on {machine['system']}, {cores}, Python {machine['python']}; {versions}.\n"


def _tables(figures: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    """A table of ways where there are some, one of names and values for the rest, and so on below."""
    plain = {name: value for name, value in figures.items() if _is_plain(value)}
    if plain:
        rows = "".join(f"| {_words(name)} | {_value(value)} |\n" for name, value in plain.items())
        yield f"{_heading(above)}| figure | value |\n| --- | --- |\n{rows}"
    for name, value in figures.items():
        if _are_ways(value):
            yield _heading((*above, name)) + _ways(value)
        elif isinstance(value, dict):
            yield from _tables(value, (*above, name))
        elif not _is_plain(value):
            for number, item in enumerate(value, 1):
                yield from _tables(item, (*above, name, str(number)))


def _ways(ways: Mapping[str, Any]) -> str:
    first = next(iter(ways))
    head = f"| way | median | spread | compared with {first} |\n| --- | --- | --- | --- |\n"
    return head + "".join(
        f"| {name} | {_seconds(about['median_s'])} | ± {_seconds(about['spread_s'] / 2)} "
        f"| {'—' if name == first else format(about['faster_than'][first], '.1f') + ' times'} |\n"
        for name, about in ways.items()
    )


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict) and not (isinstance(value, list) and value and isinstance(value[0], dict))


def _are_ways(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(way, dict) and "median_s" in way for way in value.values())


def _heading(path: tuple[str, ...]) -> str:
    return f"### {_words(': '.join(path))}\n\n" if path else ""


def _words(name: str) -> str:
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


if __name__ == "__main__":
    main(sys.argv[1:])
