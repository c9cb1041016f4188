"""The command line: parses, calls, prints; decides nothing."""

from __future__ import annotations

from contextlib import suppress

__all__ = ["command", "main"]

_SELDOM = (50_000, 20, 20)
_UNWRITTEN = 120  # as Python itself ends where standard output cannot be written
_INTERRUPTED = 130
_BUG = 70  # Python itself would end with 1, which says of a system that it is a warning


def command() -> None:
    """Be the program ``proofbook``: `main`, and then the end of this process."""
    import gc

    # What is loaded stays. Looking through all of it again and again for garbage would be a tenth of what a command takes.
    gc.set_threshold(*_SELDOM)
    code: object = 0
    try:
        main()
    except SystemExit as asked:
        code = asked.code
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except BaseException as error:
        import traceback

        with suppress(OSError):
            traceback.print_exception(error)
        code = _BUG
    _leave(code if isinstance(code, int) else 0 if code is None else 1)


def main() -> None:
    """Run the command line; every error of ours ends as one readable text and its exit code."""
    import sys

    from checks.run import ahead

    ahead.begin(sys.argv[1:])
    from checks.cli import _main

    _main.main()


def _leave(code: int) -> None:
    """End as Python does, but without taking apart what was loaded, which takes longer than many commands."""
    import atexit
    import os
    import sys
    import threading

    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the end of every program does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            continue
        except (OSError, ValueError):
            # A closed one has been flushed.
            code = code if stream.closed else _UNWRITTEN
    os._exit(code)
