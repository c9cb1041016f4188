"""The sitemap that MkDocs writes, with the day of the publication: its pages show what was known on that day.

A sitemap holds whole addresses; where nobody has said under which the site lies (``site_url``), there is none instead of an
empty one, which its schema forbids.
"""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_DAY = re.compile(rb"<lastmod>[^<]*</lastmod>")


def date(site: Path, now: datetime) -> None:
    """Date every page of a site's sitemap, and take one away that has none."""
    plain, packed = site / "sitemap.xml", site / "sitemap.xml.gz"
    if not plain.is_file():
        return
    day = f"<lastmod>{now.astimezone(UTC):%Y-%m-%d}</lastmod>".encode()
    content, pages = _DAY.subn(day, plain.read_bytes())
    # The files are the skeleton's own until now, and are replaced instead of being written into.
    for path, written in ((plain, content), (packed, gzip.compress(content, mtime=0))):
        path.unlink(missing_ok=True)
        if pages:
            path.write_bytes(written)
