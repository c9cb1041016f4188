"""Synthetic browsers: they open MASE's page, read what it embeds, change a colour, and report what went wrong."""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import dataclass
from random import Random
from urllib.parse import urlsplit

_CONFIG = re.compile(r'<script id="mase-config" type="application/json">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Visitor:
    """An administrator of a site that has MASE.

    Attributes:
        prefers_legacy: whether they leave the modern editor for the old one.

    """

    number: int
    locale: str
    prefers_legacy: bool


def visit(url: str, visitor: Visitor, chance: Random) -> None:
    """Open the page, preview and save a colour, read it back, and post the beacon a browser would post.

    Args:
        url: the site's address; a service that is away ends the visit.
        visitor: who visits.
        chance: where colours come from.

    """
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        _visit(connection, visitor, chance)
    except (OSError, http.client.HTTPException):
        return  # whoever cannot reach the site cannot report it either
    finally:
        connection.close()


def _visit(connection: http.client.HTTPConnection, visitor: Visitor, chance: Random) -> None:
    editor = "legacy" if visitor.prefers_legacy else "modern"
    query = f"user={visitor.number}&locale={visitor.locale}"
    status, page = _ask(connection, "GET", f"/wp-admin/admin.php?page=mase&{query}&editor={editor}")
    if status >= 400:
        return
    errors = _start_scripts(page)
    colour = f"#{chance.randrange(0x1000000):06x}"
    template = chance.choice(("default", "midnight", "forest"))
    _ask(connection, "GET", f"/wp-json/mase/v1/preview?{query}&primary=%23{colour[1:]}&template={template}")
    saved, _ = _ask(connection, "POST", f"/wp-json/mase/v1/settings?{query}", {"primary": colour, "template": template})
    read, text = _ask(connection, "GET", f"/wp-json/mase/v1/settings?{query}")
    # A refused save or read is an error of the API, not of the state; only an accepted save can be lost.
    kept = json.loads(text).get("primary") == colour if saved < 400 and read < 400 else None
    _ask(connection, "POST", "/beacon", {"user": visitor.number, "javascript_errors": errors, "settings_kept": kept})


def _start_scripts(page: str) -> list[str]:
    """What the page's scripts would throw: they read the configuration that the page embeds, if it embeds one."""
    match = _CONFIG.search(page)
    if not match:
        return []
    try:
        json.loads(match.group(1))
    except ValueError as error:
        return [f"SyntaxError: mase-config: {error}"]
    return []


def _ask(connection: http.client.HTTPConnection, method: str, path: str, body: object = None) -> tuple[int, str]:
    headers = {"User-Agent": "sandbox-browser", "Content-Type": "application/json"}
    connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
    response = connection.getresponse()
    return response.status, response.read().decode("utf-8", "replace")
