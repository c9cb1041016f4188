"""Times, spans and schedules in the reader's words; and observed text made harmless."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from html import escape

from checks.model import Cron, Parameter

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"  # all other escapes
    r"|\x9b[0-?]*[ -/]*[@-~]"  # CSI as one character
)
UNSEARCHED = "{ data-search-exclude }"
"""What is put behind a heading of which each page of a kind has one: the search would list hundreds that are all alike."""

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def harmless(text: str) -> str:
    """Observed text without what would act instead of being read: escape sequences, controls, bidi and zero-width marks.

    Terminal colours vanish; a carriage return rewrites its line as a terminal would; other such characters are
    shown by their number, so that nothing hides.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _ESCAPE_SEQUENCE.sub("", text).replace("\r\n", "\n")
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t" or character.isprintable():
        return character
    category = unicodedata.category(character)
    return character if category in ("Zs", "Co") else f"[U+{ord(character):04X}]"


# The pages of one publication say the same moments thousands of times.
@lru_cache(maxsize=32_768)
def clock(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """When something was, as short as it stays clear: ``10:42 UTC`` today, ``Mon 2 Nov 10:42 UTC`` on other days."""
    local, today = moment.astimezone(zone), now.astimezone(zone)
    if local.date() == today.date():
        return f"{local:%H:%M %Z}"
    day = f"{local:%a} {local.day} {local:%b}"
    return f"{day} {local:%H:%M %Z}" if local.year == today.year else f"{local.day} {local:%b %Y %H:%M %Z}"


@lru_cache(maxsize=32_768)
def precise(moment: datetime, zone: tzinfo) -> str:
    """A moment to the second, for titles and evidence: ``2024-11-02 10:42:10 UTC``."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def age(then: datetime, now: datetime) -> str:
    """How long ago something was: ``just now``, ``2 min ago``, ``26 h ago``, ``3 d ago``."""
    seconds = (now - then).total_seconds()
    return "just now" if seconds < 10 else f"{short(timedelta(seconds=seconds))} ago"


def short(length: timedelta) -> str:
    """A span in one number, rounded down: ``42 s``, ``11 min``, ``26 h``, ``3 d``."""
    seconds = max(0, int(length.total_seconds()))
    for most, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < most:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86400} d"


def span(length: timedelta) -> str:
    """A span in full: ``5 min``, ``26 h``, ``1 h 30 min``."""
    left = int(length.total_seconds())
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        # Operators speak of 26 h and 36 h, not of days and hours.
        if unit == "d" and left % 86400:
            continue
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or f"{length.total_seconds():g} s"


def took(seconds: float) -> str:
    """How long something took: ``2 ms``, ``1.2 s``, ``12 s``, ``4 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.2g} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else short(timedelta(seconds=seconds))


def schedule(cron: Cron | None) -> str:
    """When a runbook is due, in words where the cron fields are plain: ``daily at 09:00 UTC (0 9 * * *)``."""
    if cron is None:
        return "on demand"
    said = _cron_in_words(cron.expression.split())
    written = f"cron {cron.expression}, {cron.timezone}"
    return f"{said} {cron.timezone} (cron {cron.expression})" if said else written


def _cron_in_words(fields: list[str]) -> str:
    if len(fields) != 5 or fields[3] != "*":
        return ""
    minute, hour, day, _, weekday = fields
    every = re.fullmatch(r"\*/(\d+)", minute)
    if every and hour == day == weekday == "*":
        return f"every {every.group(1)} min,"
    if not minute.isdecimal():
        return ""
    if hour == day == weekday == "*":
        return f"hourly at minute {int(minute)},"
    if not all(part.isdecimal() for part in hour.split(",")):
        return ""
    at = " and ".join(f"{int(part):02d}:{int(minute):02d}" for part in hour.split(","))
    if day == weekday == "*":
        return f"daily at {at}"
    if day == "*":
        if weekday in ("1-5", "MON-FRI", "Mon-Fri", "mon-fri"):
            return f"Monday to Friday at {at}"
        if weekday.isdecimal() and int(weekday) < len(_DAYS):
            return f"weekly on {_DAYS[int(weekday)]} at {at}"
    if day.isdecimal() and weekday == "*":
        return f"monthly on day {int(day)} at {at}"
    return ""


def allowed(parameter: Parameter) -> str:
    """What a parameter may be: its choices, or its bounds."""
    if parameter.choices:
        return ", ".join(parameter.choices)
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return f"at most {high:g}" if high is not None else "any"


def letters(text: str, *, quote: bool = True) -> str:
    """A text that somebody typed, as HTML that shows it letter by letter; on one line, where Markdown finds nothing in it.

    It stands within a tag of ours, as in ``<p>…</p>``, on a page whose macros are not run.

    Args:
        text: what was typed.
        quote: whether quotation marks are escaped, too, as an attribute needs.

    """
    return escape(" ".join(harmless(text).split()), quote)


def fulfils(rows: Sequence[str]) -> str:
    """The rows of a plan that something fulfils, as HTML for a list of facts; folded, as few look for them."""
    if not rows:
        return ""
    listed = " ".join(f"<code>{letters(row)}</code>" for row in rows)
    count = f"{len(rows)} row{'' if len(rows) == 1 else 's'} of its plan"
    fold = f'<details class="pb-more"><summary>{count}</summary>{listed}</details>'
    return f'<div class="pb-fact-long" data-search-exclude><dt>Fulfils</dt><dd>{fold}</dd></div>'
