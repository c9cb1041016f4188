"""A program with its arguments, bounded in time and output; its whole process group ends with it."""

from __future__ import annotations

import json
import re
import shlex
import signal
from datetime import datetime
from typing import TYPE_CHECKING

from checks.catalogue.environment import Settled
from checks.model import Observation, Unmeasured
from checks.probes._counted import counted
from checks.probes._programs import last_line, run
from checks.probes._support import Measuring, clipped, select

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import CommandProbe

_NUMBER = re.compile(r"(?<![\w.,])[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w,]|\.\w)")


def probe(declaration: CommandProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Start a program and take its exit status or a number that it prints; see `CommandProbe`."""
    argv = [settled.fill(argument) for argument in declaration.argv]
    measuring = Measuring(
        now, clipped(shlex.join(argv), 200) + (f" → {declaration.select}" if declaration.select else ""), settled
    )
    if taken := _taken_for_an_option(declaration.argv, argv):
        return measuring.failed(
            f"{clipped(taken, 60)} would be an option for {argv[0]}, and comes from a setting; write `--` before it in argv"
        )
    ended = run(argv, declaration.timeout.total_seconds(), measuring)
    if isinstance(ended, Unmeasured):
        return ended
    if ended.status < 0:
        return measuring.failed(f"{argv[0]} was ended by signal {signal.Signals(-ended.status).name}")
    if declaration.take == "exit":
        return measuring.gave(ended.status, "", last_line(ended.errors))
    if ended.status != 0:
        said = last_line(ended.errors)
        return measuring.failed(f"{argv[0]} ended with exit status {ended.status}" + (f": {said}" if said else ""))
    text = ended.output.decode("utf-8", "replace")
    if declaration.take == "text":
        return _only_line(text, measuring, unit)
    if declaration.take == "number":
        return _only_number(text, measuring, unit)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return measuring.failed(f"the output of {argv[0]} is not JSON: {clipped(text, 60) or 'it is empty'}")
    return counted(select(str(declaration.select), document, measuring, unit), declaration.samples, document, measuring)


def _taken_for_an_option(declared: list[str], argv: list[str]) -> str | None:
    """An argument that only its setting's value makes begin with a dash, and that no ``--`` stands before."""
    for written, argument in zip(declared, argv, strict=True):
        if written == "--":
            return None
        if argument.startswith("-") and not written.startswith("-"):
            return argument
    return None


def _only_line(text: str, measuring: Measuring, unit: str) -> Observation | Unmeasured:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 1:
        found = f"{len(lines)} lines" if lines else "no line"
        return measuring.failed(f"{found} in the output of {measuring.source}, not one: {clipped(text, 60) or 'it is empty'}")
    return measuring.gave(lines[0], unit, name="the line")


def _only_number(text: str, measuring: Measuring, unit: str) -> Observation | Unmeasured:
    numbers = _NUMBER.findall(text)
    if len(numbers) != 1:
        found = f"{len(numbers)} numbers" if numbers else "no number"
        return measuring.failed(f"{found} in the output of {measuring.source}: {clipped(text, 60) or 'it is empty'}")
    return measuring.gave(float(numbers[0]), unit)
