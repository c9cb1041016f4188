"""A program with its arguments, bounded in time and output; its whole process group ends with it."""

from __future__ import annotations

import json
import math
import os
import re
import selectors
import shlex
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from checks.catalogue.environment import Settled
from checks.model import Observation, Unmeasured
from checks.probes._support import BYTE_CAP, Measuring, clipped, select

if TYPE_CHECKING:
    from checks.catalogue.probe_kinds import CommandProbe

_BLOCK = 65536
_LOOK_EVERY = 0.05
# What a program's children may still write after it has ended; then they are ended too.
_GRACE = 0.2
_NUMBER = re.compile(r"(?<![\w.,])[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w,]|\.\w)")


@dataclass(frozen=True, slots=True)
class _Ended:
    """A program that ended by itself, with what it wrote."""

    status: int
    output: bytes
    errors: bytes


def probe(declaration: CommandProbe, settled: Settled, unit: str, now: datetime) -> Observation | Unmeasured:
    """Start a program and take its exit status or a number that it prints; see `CommandProbe`."""
    argv = [settled.fill(argument) for argument in declaration.argv]
    measuring = Measuring(
        now, clipped(shlex.join(argv), 200) + (f" → {declaration.select}" if declaration.select else ""), settled
    )
    ended = _run(argv, declaration.timeout.total_seconds(), measuring)
    if isinstance(ended, Unmeasured):
        return ended
    if ended.status < 0:
        return measuring.failed(f"{argv[0]} was ended by signal {signal.Signals(-ended.status).name}")
    if declaration.take == "exit":
        return measuring.gave(ended.status, "", _last_line(ended.errors))
    if ended.status != 0:
        said = _last_line(ended.errors)
        return measuring.failed(f"{argv[0]} ended with exit status {ended.status}" + (f": {said}" if said else ""))
    text = ended.output.decode("utf-8", "replace")
    if declaration.take == "number":
        return _only_number(text, measuring, unit)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return measuring.failed(f"the output of {argv[0]} is not JSON: {clipped(text, 60) or 'it is empty'}")
    return select(str(declaration.select), document, measuring, unit)


def _only_number(text: str, measuring: Measuring, unit: str) -> Observation | Unmeasured:
    numbers = _NUMBER.findall(text)
    if len(numbers) != 1:
        found = f"{len(numbers)} numbers" if numbers else "no number"
        return measuring.failed(f"{found} in the output of {measuring.source}: {clipped(text, 60) or 'it is empty'}")
    return measuring.gave(float(numbers[0]), unit)


def _run(argv: list[str], seconds: float, measuring: Measuring) -> _Ended | Unmeasured:
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError:
        return measuring.failed(f"the program {argv[0]} is not found")
    except (OSError, ValueError) as error:
        return measuring.failed(f"the program {argv[0]} cannot be started: {getattr(error, 'strerror', None) or error}")
    deadline = time.monotonic() + seconds
    with process:
        try:
            output, errors = _read(process, deadline)
            if len(output) > BYTE_CAP:
                return measuring.failed(f"{argv[0]} wrote more than {BYTE_CAP // 10**6} MB")
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return measuring.late(seconds)
        finally:
            _end_all(process)
    return _Ended(process.returncode, output, errors)


def _read(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes]:
    """Read until the program's end, its output's cap or the deadline; of its errors the last block is kept."""
    assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
    assert process.stderr is not None  # noqa: S101 - it too
    drained = math.inf
    kept = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for stream in kept:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and len(kept[process.stdout]) <= BYTE_CAP:
            if process.poll() is not None:
                drained = min(drained, time.monotonic() + _GRACE)
            remaining = min(deadline, drained) - time.monotonic()
            if remaining <= 0 and process.returncode is not None:
                break  # only children that it left behind still hold the pipes
            if remaining <= 0:
                raise subprocess.TimeoutExpired(process.args, 0)
            for key, _ in selector.select(min(_LOOK_EVERY, remaining)):
                stream = process.stdout if key.fileobj is process.stdout else process.stderr
                if block := os.read(stream.fileno(), _BLOCK):
                    kept[stream] += block
                else:
                    selector.unregister(stream)
            del kept[process.stderr][:-_BLOCK]
    return bytes(kept[process.stdout]), bytes(kept[process.stderr])


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the program: its group, and descendants that have left the group while it lived."""
    import psutil

    descendants: list[psutil.Process] = []
    with suppress(psutil.Error):
        descendants = psutil.Process(process.pid).children(recursive=True) if process.returncode is None else []
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for descendant in descendants:
        with suppress(psutil.Error):
            descendant.kill()


def _last_line(errors: bytes) -> str:
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return clipped(lines[-1], 160) if lines else ""
