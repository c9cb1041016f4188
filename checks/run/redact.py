"""Blots secrets out of texts: known values in every form that they are commonly written in, and what looks like a key."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Collection, Iterable
from enum import Enum
from urllib.parse import quote, quote_plus

MASK = "•••"
# A shorter value is blotted out only where it stands alone: inside other words it would be everywhere.
_SHORTEST_INSIDE = 4
# A base64 text of anything around a secret holds one of three texts, by where in a group of three bytes the secret begins;
# of each, the characters that it shares with its neighbours are left out.
_SHARED_AT_START = (0, 2, 3)


class Also(Enum):
    """What is blotted out beside the known values."""

    NOTHING = "nothing"
    PATTERNS = "patterns"


# A text that the pattern cannot do without, which is found much sooner than the pattern; the pattern, in which the group
# named `kept` stays.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (sign, re.compile(pattern, re.DOTALL))
    for sign, pattern in (
        ("://", r"(?P<kept>\b[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s:/@'\"<>]{0,200}:)(?!•••@)[^\s/@'\"<>]{1,500}(?=@)"),
        ("earer", r"(?P<kept>\b[Bb]earer\s+)(?=[A-Za-z._~+/=-]{0,200}\d)[A-Za-z0-9._~+/=-]{16,}"),
        ("uthorization", r"(?P<kept>\b[Aa]uthorization[\"']?\s*[:=]\s*[\"']?[A-Za-z]{1,20}\s+)[A-Za-z0-9._~+/=-]{8,}"),
        ("PRIVATE KEY", r"(?P<kept>-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)(?!•••).+?(?=-----END|\Z)"),
        ("AKIA", r"(?P<kept>)\bAKIA[0-9A-Z]{16}\b"),
        ("gh", r"(?P<kept>)\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
        ("glpat-", r"(?P<kept>)\bglpat-[A-Za-z0-9_-]{20,}"),
        ("xox", r"(?P<kept>)\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
        ("_live_", r"(?P<kept>)\b[rs]k_live_[A-Za-z0-9]{16,}"),
        ("AIza", r"(?P<kept>)\bAIza[0-9A-Za-z_-]{35}"),
        ("eyJ", r"(?P<kept>)\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    )
)


class Redactor:
    """Blots out secrets and counts what it found.

    Attributes:
        found: how many places it has blotted out.
        longest: the length of the longest text that it looks for; what is cut off may end in the middle of one.

    """

    def __init__(self, secrets: Collection[str], also: Also = Also.NOTHING) -> None:
        forms = _forms(secret for secret in secrets if len(secret) >= _SHORTEST_INSIDE)
        alone = sorted({secret for secret in secrets if 0 < len(secret) < _SHORTEST_INSIDE}, key=len, reverse=True)
        parts = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
        parts += [rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])" for form in alone]
        self._known = re.compile("|".join(parts)) if parts else None
        self._patterns = _PATTERNS if also is Also.PATTERNS else ()
        self._forms = [*forms, *alone]
        self.found = 0
        self.longest = max(map(len, [*forms, *alone]), default=0)

    def __call__(self, text: str) -> str:
        """The text with every secret in it replaced by ``•••``."""
        if self._known is not None:
            text, found = self._known.subn(MASK, text)
            self.found += found
        for sign, pattern in self._patterns:
            if sign in text:
                text, found = pattern.subn(rf"\g<kept>{MASK}", text)
                self.found += found
        return text

    def without_a_beginning(self, text: str) -> str:
        """A text that may go on with every secret replaced, and without what at its end may be the beginning of another."""
        text = self(text)
        tail = text[-self.longest :] if self.longest else ""
        held = max((size for form in self._forms for size in range(1, len(form)) if tail.endswith(form[:size])), default=0)
        return text[: len(text) - held]


def masker(secrets: Collection[str]) -> Callable[[str], str]:
    """A function that blots out secret values, also where they are quoted for a URL, JSON or HTML, or in base64."""
    return Redactor(secrets)


def _forms(secrets: Iterable[str]) -> set[str]:
    forms: set[str] = set()
    for secret in secrets:
        raw = secret.encode()
        forms |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret)}
        forms |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms |= {encode(raw).decode(), encode(raw).decode().rstrip("=")}
            for ahead, shared in enumerate(_SHARED_AT_START):
                packed = encode(b"\0" * ahead + raw).decode().rstrip("=")[shared:]
                forms.add(packed if (ahead + len(raw)) % 3 == 0 else packed[:-1])
    return {form for form in forms if len(form) >= _SHORTEST_INSIDE}
