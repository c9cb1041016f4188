"""The dead-man signal: a file or an address that hears from the scheduler as long as it lives."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path

_SECONDS = 10.0


def tell(place: str, now: datetime) -> str:
    """Give a sign of life where others look for one.

    Args:
        place: a file, whose text and time of change become this moment's, or an ``http`` address, which is asked once.
        now: the time.

    Returns:
        Why it could not be given; empty where it could, or where nobody is to be told.

    """
    if not place:
        return ""
    return _ask(place) if place.startswith(("http://", "https://")) else _touch(Path(place), now)


def _touch(path: Path, now: datetime) -> str:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(now.isoformat() + "\n", encoding="utf-8")
        new.replace(path)  # whoever reads it finds one moment or the other, never half of one
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        return f"{path} cannot be written: {error.strerror}"
    return ""


def _ask(address: str) -> str:
    import httpx

    try:
        answer = httpx.get(address, timeout=_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        # The address is often the secret itself, so that it is not told.
        return f"the address of `alive` did not answer: {type(error).__name__}"
    return "" if answer.is_success else f"the address of `alive` answered HTTP status {answer.status_code}"


class Teller:
    """Tells in a thread of its own, so that an address that hangs holds up no schedule; one sign at a time."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._telling: threading.Thread | None = None
        self.trouble = ""

    def tell(self, now: datetime) -> None:
        """Give a sign of life, unless the one before is still on its way."""
        if self._place and (self._telling is None or not self._telling.is_alive()):
            self._telling = threading.Thread(target=self._do, args=(now,), name="alive", daemon=True)
            self._telling.start()

    def _do(self, now: datetime) -> None:
        self.trouble = tell(self._place, now)
