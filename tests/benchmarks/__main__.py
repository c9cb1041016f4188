"""``nox -s bench``: the same work by Proofbook and by the named peers, in one run, as ratios.

Prints tables and writes JSON: each way's seconds of each round, their median and spread, the ratios, and the machine.
Rounds are interleaved (A B A B), so that a noisy machine is noisy to all. Nothing is gated on a time.

The JSON is written after every round of `run` and `fresh`: stopped in the fifth, four are there, and the same command goes on
with the fifth. Figures of other sources or versions are never mixed; remove the file to begin anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks import fresh, history, judging, promises, run, sampling, scale, site, soak
from tests.benchmarks.recording import Sheet, read

SUBJECTS: dict[str, Callable[[Sheet, argparse.Namespace], None]] = {
    "fresh": lambda sheet, options: fresh.measure(sheet, options.notebooks, options.rounds),
    "history": lambda sheet, options: sheet.keep(history.measure(options.rows, options.rounds, options.databases)),
    "judge": lambda sheet, options: sheet.keep(judging.measure(options.rounds)),
    "run": lambda sheet, options: run.measure(sheet, options.notebooks, options.rounds, options.growth),
    "sampling": lambda sheet, options: sheet.keep(sampling.measure(options.metrics, 30, min(3, options.rounds))),
    "scale": lambda sheet, options: sheet.keep(scale.measure(options)),
    "soak": lambda sheet, options: sheet.keep(soak.measure(options.in_a_row)),
    "site": lambda sheet, options: sheet.keep(site.measure(options)),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"what to measure: {', '.join(SUBJECTS)} (default: all)")
    parser.add_argument("--notebooks", type=int, default=40, help="how many notebooks (default 40)")
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[10**5, 10**6, 10**7], help="how many observations (default 10^5 10^6 10^7)"
    )
    parser.add_argument(
        "--databases", nargs="+", choices=history.DATABASES, default=history.DATABASES, help="where the history is (default both)"
    )
    parser.add_argument("--metrics", type=int, default=2000, help="how many metrics are sampled (default 2000)")
    parser.add_argument("--systems", type=int, default=200, help="how many systems a large house has (default 200)")
    parser.add_argument("--runbooks", type=int, default=3000, help="how many runbooks it has (default 3000)")
    parser.add_argument("--results", type=int, default=10**6, help="how many results its journal holds (default 10^6)")
    parser.add_argument("--on-a-page", type=int, default=3000, help="how many results one page shows (default 3000)")
    parser.add_argument("--runs", type=int, default=10_000, help="how many runs the journal of that page holds (default 10000)")
    parser.add_argument(
        "--growth", type=int, nargs="*", default=[10, 100, 1000], help="how many notebooks one run executes (default 10 100 1000)"
    )
    parser.add_argument("--in-a-row", type=int, default=1000, help="how many runs the soak makes (default 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds of each way (default 5)")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go (default bench.json)")
    options = parser.parse_args(arguments)
    unknown = set(options.subjects) - set(SUBJECTS)
    if unknown:
        parser.error(f"there is nothing called {', '.join(sorted(unknown))}; there is {', '.join(SUBJECTS)}")
    subjects = options.subjects or list(SUBJECTS)
    for name in subjects:
        if name == "fresh" and "run" in subjects:
            # It is part of that one, compared with the same loop.
            continue
        SUBJECTS[name](Sheet(options.json, name), options)
    for line in promises.lines(read(options.json)):
        print(line)


if __name__ == "__main__":
    main()
