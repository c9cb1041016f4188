"""Runs a piece of bash so that nothing in it can fail unseen, and streams what it says."""

from __future__ import annotations

import codecs
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Sequence

# On the script's first line, so that bash still counts lines as the cell does. A substitution `$(…)` does not inherit -e
# by itself; bash older than 4.4 cannot be told to, and goes on without. The trap says which line failed.
_PROLOGUE = (
    "shopt -s inherit_errexit 2>/dev/null || :; "
    """trap 'echo "line $LINENO failed" >&2' ERR; """
)
_STRICT = ("bash", "-euo", "pipefail", "-c")
# A background process may hold the pipes open after bash has ended: what it says later is not waited for.
_QUIET_SECONDS = 0.2
_CHUNK_BYTES = 65536


def run_strict(
    script: str, arguments: Sequence[str] = (), *, on_output: Callable[[str], object], on_error: Callable[[str], object]
) -> int:
    """Run a script by ``bash -euo pipefail`` with nothing on its standard input.

    The script is an argument, not standard input: a command that reads its input cannot swallow the lines after it.

    Args:
        script: the lines, as written in a cell.
        arguments: what ``$1`` and the following are.
        on_output: is called with each piece of standard output.
        on_error: is called with each piece of standard error.

    Returns:
        The exit status; 128 and the signal's number where a signal ended it, as bash says it.

    Raises:
        OSError: bash could not be started.
        KeyboardInterrupt: the script was interrupted; it has been ended.

    """
    with subprocess.Popen(
        [*_STRICT, _PROLOGUE + script, "bash", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            _pump(process, on_output, on_error)
            code = process.wait()
        except BaseException:
            _end(process)
            raise
    return 128 - code if code < 0 else code


def _pump(process: subprocess.Popen[bytes], on_output: Callable[[str], object], on_error: Callable[[str], object]) -> None:
    with selectors.DefaultSelector() as selector:
        for pipe, tell in ((process.stdout, on_output), (process.stderr, on_error)):
            if pipe is not None:
                # An incremental decoder, because a character may lie across two reads.
                selector.register(pipe, selectors.EVENT_READ, (tell, codecs.getincrementaldecoder("utf-8")("replace")))
        while selector.get_map():
            ready = selector.select(_QUIET_SECONDS)
            for key, _ in ready:
                tell, decoder = key.data
                data = os.read(key.fd, _CHUNK_BYTES)
                if text := decoder.decode(data, final=not data):
                    tell(text)
                if not data:
                    selector.unregister(key.fileobj)
            if not ready and process.poll() is not None:
                return


def _end(process: subprocess.Popen[bytes]) -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        process.send_signal(signum)
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue
        return
