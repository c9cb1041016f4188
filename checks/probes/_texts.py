"""Text from outside that is safe to show: on one line, short, and without any secret."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

from checks.catalogue.environment import Settled


def masked(settled: Settled, text: str) -> str:
    """The text without any secret, also where one stands URL-encoded or JSON-escaped."""
    forms = {
        form
        for secret in settled.secrets
        for form in (quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1])
    }
    text = settled.mask(text)
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "•••")
    return text


def clipped(text: str, length: int = 120) -> str:
    """The text on one line of at most `length` characters, without control characters or lone surrogates."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return line if len(line) <= length else line[: length - 1] + "…"
