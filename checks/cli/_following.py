"""Staying, and publishing again when there is something new."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import TYPE_CHECKING

from checks.cli._shared import say
from checks.errors import DataError, ProofbookError

if TYPE_CHECKING:
    from checks.site.publish import Published

_EVERY = 5.0
"""Seconds from one look to the next."""
_REDRAWN = 600.0
"""After so many seconds drawings have moved on, whatever was written."""


def follow(look: Callable[[], object], again: Callable[[], Published]) -> None:
    """Publish again whenever there is something new, until the person stops it or the process is asked to end.

    What is refused meanwhile is said once, and readers go on with what was published. Text that does not build is tried again
    when it has changed, all else at the next look.

    Args:
        look: gives what tells whether there is anything new.
        again: publishes.

    """
    said = ""
    try:
        seen, at = look(), monotonic()
        while True:
            sleep(_EVERY)
            try:
                found = look()
                if found == seen and monotonic() - at < _REDRAWN:
                    continue
                seen, at = found, monotonic()
                published = again()
            except ProofbookError as error:
                if str(error) != said:
                    said = str(error)
                    say(said)
                if not isinstance(error, DataError):
                    at = -_REDRAWN
            else:
                said = ""
                took = monotonic() - at
                print(f"publication {published.number}, {published.rewritten} pages written anew in {took:.1f} s", flush=True)
    except KeyboardInterrupt:
        say("stopped")
