"""The site's page of what was measured: ``python -m tests.benchmarks.page bench.json …`` puts figures into ``docs/reference``.

Each subject keeps the machine that it was measured on, so figures of several runs may stand on the page together; a newer one
of a subject replaces an older. The figures themselves are kept beside the page, in ``performance.json``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import charts as drawing
from tests.benchmarks.promises import Promise, measured
from tests.benchmarks.recording import read

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
KEPT, PAGE = "performance.json", "performance.md"

_TITLES = {
    "run": "Executing notebooks",
    "fresh": "Running again when little has changed",
    "site": "Publishing",
    "scale": "Publishing a large house",
    "history": "History",
    "sampling": "Sampling",
    "judge": "Judging",
    "soak": "A thousand runs in a row",
}
_ENOUGH_TO_DRAW = 3
# What the names of figures leave out.
_SAID = {
    "executing": "A run of all notebooks",
    "again": "One notebook changed, all run again",
    "deciding_s": "Deciding what to run, seconds",
    "one": "One light runbook, the whole command",
    "kernel": "One kernel",
    "ready": "until it is ready",
    "gone": "until it is gone",
    "memory_mb": "memory of all together, MB (PSS)",
    "cell_ms": "one cell more, milliseconds",
    "growth": "Seconds for each notebook, by how many there are",
    "thousand_pages": "A thousand pages",
}
_INTRODUCTION = """---
title: Performance
render_macros: false
---

# Performance

Read here what Proofbook costs, measured side by side with the programs that do the same work. Each ratio is of medians; rounds
of all ways are interleaved, so that a noisy machine is noisy to all. Figures in seconds hold for the machine that each table
names; take the ratios to yours. To measure on your own machine, in a clone of the repository:

```bash
nox -s bench -- run
```

It takes half an hour on two cores, and may be stopped: the same command goes on with the round that it was stopped in. "At
least" is what a change of Proofbook must not fall below; what is below it says so.
"""


def main(arguments: Sequence[str], folder: Path = FOLDER) -> None:
    """Take figures in and write the page and its charts anew."""
    beside = folder / KEPT
    kept = read(beside)
    for name in arguments:
        kept |= read(Path(name))
    beside.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    for name, text in rendered(kept).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def rendered(kept: Mapping[str, Any]) -> dict[str, str]:
    """The page as Markdown and its charts, by their names.

    Args:
        kept: by subject, the machine and the figures, as ``performance.json`` has them.

    """
    parts, charts = [_INTRODUCTION], dict[str, str]()
    promises = list(measured(kept))
    if promises:
        head = "| work | compared with | at least | measured |\n| --- | --- | --- | --- |\n"
        parts.append("## What is promised\n\n" + head + "".join(_promise(*one) for one in promises))
    for subject in [*(name for name in _TITLES if name in kept), *sorted(kept.keys() - _TITLES.keys())]:
        title = _TITLES.get(subject, subject.capitalize())
        parts.append(f"## {title}\n\n{_machine(kept[subject]['machine'])}\n")
        parts.extend(_tables(kept[subject]["figures"], (), subject, charts))
    return {PAGE: "\n".join(parts), **charts}


def _promise(promise: Promise, times: float) -> str:
    less = "" if times >= promise.least else ", less than promised"
    return f"| {promise.work} | {promise.peer} | {promise.least:g} times | **{times:.1f} times**{less} |\n"


def _machine(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    cores = f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gb']:g} GB of memory"
    return (
        f"Measured on {machine['system']}, {cores}, load {machine['load_before']:.1f} when it began, Python {machine['python']}; "
        f"{versions}. Digest of Proofbook and all packages: {machine['source']}.\n"
    )


def _tables(figures: Mapping[str, Any], above: tuple[str, ...], subject: str, charts: MutableMapping[str, str]) -> Iterator[str]:
    """A table of ways where there are some, one of names and values for the rest, and so on below."""
    plain = {name: value for name, value in figures.items() if _is_plain(value)}
    if plain:
        rows = "".join(f"| {_words(name)} | {_value(value)} |\n" for name, value in plain.items())
        yield f"{_heading(above)}| figure | value |\n| --- | --- |\n{rows}"
    for name, value in figures.items():
        if _are_ways(value):
            yield _heading((*above, name)) + _ways(value)
            if len(value) >= _ENOUGH_TO_DRAW:
                at = f"performance/{'-'.join((subject, *above, name)).replace('_', '-')}.svg"
                charts[at] = drawing.bars(value, {way: _seconds(about["median_s"]) for way, about in value.items()})
                yield f"![{_words(name)}: the same medians as bars, and the slowest and quickest round of each]({at})\n"
        elif isinstance(value, dict):
            yield from _tables(value, (*above, name), subject, charts)
        elif not _is_plain(value):
            for number, item in enumerate(value, 1):
                yield from _tables(item, (*above, name, str(number)), subject, charts)


def _ways(ways: Mapping[str, Any]) -> str:
    first = next(iter(ways))
    head = f"| way | median | spread | compared with {first} |\n| --- | --- | --- | --- |\n"
    return head + "".join(
        f"| {name} | {_seconds(about['median_s'])} | ± {_seconds(about['spread_s'] / 2)} "
        f"| {'—' if name == first else format(about['faster_than'][first], '.1f') + ' times as fast'} |\n"
        for name, about in ways.items()
    )


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict) and not (isinstance(value, list) and value and isinstance(value[0], dict))


def _are_ways(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(way, dict) and "median_s" in way for way in value.values())


def _heading(path: tuple[str, ...]) -> str:
    return f"### {_words(': '.join(path))}\n\n" if path else ""


def _words(name: str) -> str:
    text = ": ".join(_SAID.get(part, part.replace("_", " ")) for part in name.split(": "))
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
