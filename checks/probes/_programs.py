"""Programs with their arguments, bounded in time and output; the whole process group ends with each."""

from __future__ import annotations

import math
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from checks.judge import format_value
from checks.model import Unmeasured
from checks.probes._steps import note
from checks.probes._support import BYTE_CAP, Measuring, clipped

_BLOCK = 65536
_LOOK_EVERY = 0.05
# What a program's children may still write after it has ended; then they are ended too.
_GRACE = 0.2


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that ended by itself, with what it wrote."""

    status: int
    output: bytes
    errors: bytes


def run(
    argv: Sequence[str],
    seconds: float,
    measuring: Measuring,
    environment: Mapping[str, str] | None = None,
    folder: str | None = None,
    shown: Sequence[str] | None = None,
) -> Ended | Unmeasured:
    """Start a program, read its output and wait for its end, all within one deadline.

    Args:
        argv: the program and its arguments; no shell reads them.
        seconds: the deadline.
        measuring: the measurement that this is for.
        environment: its variables; ``None``: the caller's.
        folder: where it works; ``None``: where the caller does.
        shown: the arguments that matter to who reads what happened; ``None``: all.

    Returns:
        How it ended, or why there is nothing to take from it: not found, too late, too much output.

    """
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**(os.environ if environment is None else environment), "LC_ALL": "C.UTF-8"},
            cwd=folder,
        )
    except FileNotFoundError:
        return measuring.failed(f"the program {argv[0]} is not found")
    except PermissionError as error:
        if folder is not None and error.filename == folder:
            return measuring.failed(f"the folder {folder} may not be entered")
        return measuring.failed(f"the program {argv[0]} cannot be started: {error.strerror}")
    except (OSError, ValueError) as error:
        return measuring.failed(f"the program {argv[0]} cannot be started: {getattr(error, 'strerror', None) or error}")
    note(f"started {clipped(shlex.join(shown or argv), 240)}")
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
    note(f"{argv[0]} ended with exit status {process.returncode}, wrote {format_value(len(output), 'B')}")
    if errors.strip():
        note(f"its last words: {last_line(errors)}")
    return Ended(process.returncode, output, errors)


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


def last_line(errors: bytes) -> str:
    """The last line of what a program wrote, short enough to show."""
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return clipped(lines[-1], 160) if lines else ""
