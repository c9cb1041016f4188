"""Pictures that cells drew: each is a file of its own beside the pages of evidence, named by the SHA-256 of its bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FOLDER = "evidence/images"
_MOST_BYTES = 2_000_000
_MOST_PIXELS = 40_000_000
"""A browser takes four bytes for each, however few the file has."""
_MOST_ALT = 300
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD_LENGTH = 13
_HEAD = struct.Struct(">I4s")
_SUM = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG.

    Attributes:
        digest: the SHA-256 of its bytes.
        width, height: how large it is shown, in pixels.
        said: what is to be seen on it, for whoever does not see it; empty where the cell does not say.

    """

    digest: str
    width: int
    height: int
    said: str = ""
    content: bytes = field(default=b"", repr=False, compare=False)

    @property
    def address(self) -> str:
        """Where it lies on the site."""
        return address(self.digest)


def address(digest: str) -> str:
    """Where a picture lies on the site."""
    return f"{FOLDER}/{digest}.png"


def read(encoded: str, about: Mapping[str, Any]) -> Picture | str:
    """A picture as a notebook holds it; or in words, why it is not shown.

    Args:
        encoded: its bytes in base64.
        about: what the output's metadata say of it: ``alt``, and ``width`` and ``height`` where it is to be shown smaller.

    """
    try:
        content = _whole(base64.b64decode("".join(encoded.split()), validate=True))
    except (binascii.Error, ValueError):
        return "[an image that cannot be read]"
    width, height = struct.unpack_from(">II", content, len(_SIGNATURE) + _HEAD.size)
    if len(content) > _MOST_BYTES or not 0 < width * height <= _MOST_PIXELS:
        size = f"{len(content):,} bytes and {width:,} by {height:,} pixels"
        return f"[an image of {size} that is not shown; the evidence file has it]"
    wide, high = about.get("width"), about.get("height")
    if isinstance(wide, int) and isinstance(high, int) and 1 < wide <= width and 1 < high <= height:
        width, height = wide, high
    said = about.get("alt")
    text = " ".join(said.split())[:_MOST_ALT] if isinstance(said, str) else ""
    return Picture(hashlib.sha256(content).hexdigest(), width, height, text, content)


def _whole(content: bytes) -> bytes:
    """A PNG (ISO/IEC 15948) from its signature to its end, without anything behind that.

    Raises:
        ValueError: it is none, or not whole.

    """
    if not content.startswith(_SIGNATURE):
        raise ValueError("no PNG")
    at, first = len(_SIGNATURE), True
    while at + _HEAD.size + _SUM.size <= len(content):
        length, kind = _HEAD.unpack_from(content, at)
        end = at + _HEAD.size + length
        if end + _SUM.size > len(content) or first is not (kind == b"IHDR") or (first and length != _HEAD_LENGTH):
            break
        if _SUM.unpack_from(content, end)[0] != zlib.crc32(content[at + 4 : end]):
            break
        at, first = end + _SUM.size, False
        if kind == b"IEND":
            return content[:at]
    raise ValueError("no whole PNG")
