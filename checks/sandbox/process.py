"""One stand-in's process: ``python -P -m checks.sandbox.process SYSTEM FOLDER``, started by the keeper.

It lives as long as its standard input stays open: the keeper holds the other end, so however the keeper ends, this
process ends too.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from checks.sandbox.kit_store import write_json
from checks.sandbox.systems import find_class

_STOPPING_AT_MOST = 4.0  # seconds, after which the process ends as it is


def main(system: str, folder: Path) -> int:
    """Be the stand-in of `system` until standard input ends; the exit code."""
    ready = folder / "ready.json"
    stopping = threading.Event()

    def watch_keeper() -> None:
        sys.stdin.buffer.read()
        stopping.set()

    threading.Thread(target=watch_keeper, name="keeper", daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    try:
        service = find_class(system)(folder)
        service.start()
    except Exception as error:
        write_json(ready, {"pid": os.getpid(), "error": f"{type(error).__name__}: {error}"})
        raise
    write_json(ready, {"pid": os.getpid(), "url": service.url, "variables": service.variables()})
    while not stopping.wait(0.1) and not service.ended.is_set():
        pass
    ready.unlink(missing_ok=True)
    code = service.exit_code or 0
    last_resort = threading.Timer(_STOPPING_AT_MOST, os._exit, (code,))
    last_resort.daemon = True
    last_resort.start()
    service.stop()
    return code


if __name__ == "__main__":
    exit_code = main(sys.argv[1], Path(sys.argv[2]))
    sys.stderr.flush()
    os._exit(exit_code)  # a handler that still sleeps must not keep the process
