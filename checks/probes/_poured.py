"""Programs that are fed: bytes poured into one, its output taken as it comes, its whole group ended at the deadline."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from checks.probes._steps import note
from checks.probes._support import clipped

_BLOCK = 65536
_LOOK_EVERY = 0.05
_LINE = 4096


@dataclass(frozen=True, slots=True)
class Drained:
    """How a program ended: its exit status, and the first line of what it wrote of errors."""

    status: int
    said: str


class ProgramMissing(Exception):
    """A program cannot be started; its text is the reason."""


def pour(
    argv: Sequence[str], chunks: Iterable[bytes], ends: float, environment: Mapping[str, str], take: Callable[[bytes], None]
) -> Drained:
    """Start a program, pour bytes into it and take its output until it ends.

    Args:
        argv: the program and its arguments; no shell reads them.
        chunks: what it reads.
        ends: the deadline on the monotonic clock, seconds.
        environment: all of its variables.
        take: is given each block of its output.

    Raises:
        ProgramMissing: it cannot be started.
        TimeoutError: the deadline passed.
        Exception: whatever `chunks` or `take` raised.

    """
    failures: list[Exception] = []
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env=dict(environment),
                cwd="/",
            )
        except OSError as error:
            raise ProgramMissing(f"the program {argv[0]} cannot be started: {error.strerror or error}") from error
        note(f"started {clipped(shlex.join(argv), 160)}")
        feeder = threading.Thread(target=_feed, args=(process, chunks, failures), name="pour", daemon=True)
        feeder.start()
        try:
            _drain(process, ends, take)
            status = process.wait(max(0.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise TimeoutError("the deadline passed") from error
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            feeder.join(max(0.1, ends - time.monotonic()))
            if process.stdout is not None:
                process.stdout.close()
        if failures:
            raise failures[0]
        errors.seek(0)
        # The first line says what is wrong; those after it say where, and what to try.
        said = clipped(errors.readline(_LINE).decode("utf-8", "replace"), 160)
        note(f"{argv[0]} ended with exit status {status}" + (f": {said}" if said else ""))
        return Drained(status, said)


def _feed(process: subprocess.Popen[bytes], chunks: Iterable[bytes], failures: list[Exception]) -> None:
    assert process.stdin is not None  # noqa: S101 - it was asked for as a pipe
    try:
        for chunk in chunks:
            process.stdin.write(chunk)
    except BrokenPipeError:
        pass  # it reads no more; its exit status tells why
    except Exception as error:
        # It is raised again in the thread that asked; what was poured so far must not be taken for the whole.
        failures.append(error)
        process.kill()
    with contextlib.suppress(OSError):
        process.stdin.close()


def _drain(process: subprocess.Popen[bytes], ends: float, take: Callable[[bytes], None]) -> None:
    assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            remaining = ends - time.monotonic()
            if remaining <= 0:
                raise subprocess.TimeoutExpired(process.args, 0)
            if not selector.select(min(_LOOK_EVERY, remaining)):
                continue
            block = os.read(process.stdout.fileno(), _BLOCK)
            if not block:
                return
            take(block)
