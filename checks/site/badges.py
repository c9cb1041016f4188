"""A system's status as a small picture for other pages; it says of when it is, as a picture cannot turn stale by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from checks.site import views, words

if TYPE_CHECKING:
    from checks.journal.report import SystemReport
    from checks.site.facts import Facts

_COLOURS = {"ok": "#1b7a47", "warning": "#9a5b00", "critical": "#b3261e", "unknown": "#6a4fa3", "stale": "#5f6c78"}
_SHAPES = {
    "ok": '<circle cx="8" cy="8" r="7" fill="#fff"/><path d="M4.6 8.2l2.3 2.3 4.4-4.7" class="c"/>',
    "warning": '<path d="M8 1.2L15.4 14.6H.6z" fill="#fff"/><path d="M8 6v4.2M8 11.6v1.4" class="c"/>',
    "critical": '<path d="M4.9 1h6.2L15 4.9v6.2L11.1 15H4.9L1 11.1V4.9z" fill="#fff"/>'
    '<path d="M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6" class="c"/>',
    "unknown": '<path d="M8 .8L15.2 8 8 15.2.8 8z" fill="#fff"/><path d="M8 4.6v4M8 10.4v1.4" class="c"/>',
    "stale": '<circle cx="8" cy="8" r="6.4" fill="none" stroke="#fff" stroke-width="1.6" stroke-dasharray="2.6 2.2"/>',
}
_WIDE = 6.6
_MOST = 40


def badge(facts: Facts, report: SystemReport) -> str:
    """A system's badge as an SVG document of its own."""
    shown = views.badge(report)
    title = words.harmless(report.title)
    title = title if len(title) <= _MOST else title[: _MOST - 1] + "…"
    at = words.clock(report.newest_at, facts.zone, report.newest_at) if report.newest_at else "never measured"
    day = f"{report.newest_at.astimezone(facts.zone):%Y-%m-%d} " if report.newest_at else ""
    said = f"{shown.word} · {day}{at}"
    left, right = round(len(title) * _WIDE + 14), round(len(said) * _WIDE + 34)
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="22" viewBox="0 0 {w} 22" role="img" '
            'aria-label="{label}">'
            "<title>{label}</title><style>.c{{fill:none;stroke:{colour};stroke-width:1.8}}</style>"
            '<rect width="{w}" height="22" rx="3" fill="#2a333c"/>'
            '<path d="M{left} 0h{straight}a3 3 0 0 1 3 3v16a3 3 0 0 1-3 3H{left}z" fill="{colour}"/>'
            '<g font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" fill="#fff">'
            '<text x="7" y="15" textLength="{left_text}" lengthAdjust="spacingAndGlyphs">{title}</text>'
            '<text x="{x}" y="15" textLength="{right_text}" lengthAdjust="spacingAndGlyphs">{said}</text></g>'
            '<g transform="translate({mark} 4) scale(.875)">{shape}</g></svg>\n'
        ).format(
            w=left + right,
            label=f"{title}: {said}",
            colour=_COLOURS[shown.shape],
            left=left,
            straight=right - 3,
            left_text=left - 14,
            title=title,
            x=left + 26,
            right_text=right - 34,
            said=said,
            mark=left + 7,
            shape=Markup(_SHAPES[shown.shape]),  # noqa: S704 - our own drawing, without values
        )
    )
