"""The page for an address where nothing stands: whole in itself, as nobody knows how deep below the site it will be shown.

Its look is in attributes of its elements: a style beside it could not be found from every address, and one within it is what the
policy of contents forbids. A sheet of paper stays white in the dark, too.
"""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

from checks.site.words import harmless

_SIGN = (
    '<svg width="40" height="40" viewBox="0 0 16 16" aria-hidden="true"><path d="M8 .8L15.2 8 8 15.2.8 8z" fill="none" '
    'stroke="currentColor"/><path d="M6.4 6.4a1.6 1.6 0 1 1 2.3 1.5c-.5.3-.7.5-.7 1.2M8 10.6v1.1" fill="none" '
    'stroke="currentColor"/></svg>'
)


def page(site_name: str, site_url: str | None) -> str:
    """The page as HTML.

    Args:
        site_name: of the site.
        site_url: where it lies, if anybody has said so; else its start is taken to be that of its server.

    """
    name = escape(harmless(site_name))
    home = escape(urlsplit(site_url or "").path.rstrip("/") + "/")
    return f"""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">
<title>Nothing stands here: {name}</title></head>
<body link="#1f4e79" vlink="#1f4e79" alink="#1f4e79"><main>
<table role="presentation" align="center" width="90%" cellpadding="24" bgcolor="#ffffff"><tr><td>
<font face="Inter, system-ui, sans-serif" color="#14202b">
<p>{_SIGN}</p>
<h1>Nothing stands at this address</h1>
<p>The page was renamed or removed, or the address has a slip of the pen. It says nothing about how any system is.</p>
<p><a href="{home}">The start of {name}</a> has every system and what needs someone; its search finds runbooks and metrics.</p>
</font></td></tr></table></main></body></html>
"""
