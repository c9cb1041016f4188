"""Marks: a status and a moment as pages show them, thousands of times a publication; so they are written here, not by templates.

Nothing that somebody typed or observed stands in them but what `maybe_link` is given, which is made harmless and escaped.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from checks.site import words

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from checks.site.facts import Facts
    from checks.site.views import Badge, RunbookRow, SystemRow


def due(shown: Badge) -> Markup:
    """The attributes from which the browser knows when a status turns stale."""
    if shown.until is None or shown.measured is None:
        return Markup()
    return Markup(f' data-measured="{shown.measured.isoformat()}" data-fresh-for="{shown.fresh_for}"')  # noqa: S704


def status(shown: Badge) -> Markup:
    """A status: its symbol and its word."""
    return Markup(f'{_symbol(shown)}<span class="pb-word">{shown.word}</span></span>')  # noqa: S704 - our own words


def status_value(shown: Badge, value: str) -> Markup:
    """A value in a sentence: of what is well, the word is there for those who listen; else for everyone."""
    hidden = " pb-hidden" if shown.label == "ok" and value else ""
    said = f"<span>{escape(words.harmless(value))}</span>" if value else ""
    return Markup(f'{_symbol(shown)}<span class="pb-word{hidden}">{shown.word}</span>{said}</span>')  # noqa: S704 - escaped above


def maybe_link(href: str, text: str) -> Markup:
    """A text, which is a link where there is something to go to."""
    said = escape(words.harmless(text))
    return Markup(f'<a href="{escape(href)}">{said}</a>') if href else said  # noqa: S704 - escaped above


def _symbol(shown: Badge) -> str:
    shape = shown.shape
    begin = f'<span class="pb-status pb-{shape}" data-status="{shape}"{due(shown)}>'
    return f'{begin}<svg class="pb-icon" aria-hidden="true"><use href="#pb-{shape}"/></svg>'


class Marks:
    """The marks of one page: times are those of its readers.

    Args:
        facts: what is shown; the day of its `now` is asked for only where a page says a time of today without its day, as such
            a page is another one on the next.

    """

    due = staticmethod(due)
    status = staticmethod(status)
    status_value = staticmethod(status_value)
    maybe_link = staticmethod(maybe_link)

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._zone = facts.zone
        self._day: datetime | None = None

    def clock(self, moment: datetime) -> str:
        """When something was, as short as it stays clear."""
        if self._day is None:
            self._day = self._facts.day
        return words.clock(moment, self._zone, self._day)

    def precise(self, moment: datetime) -> str:
        """A moment to the second."""
        return words.precise(moment, self._zone)

    def moment(self, at: datetime) -> Markup:
        """A moment: its time in words; with JavaScript, its age."""
        return Markup(f'<time class="pb-age" {self._title(at)}>{self.clock(at)}</time>')  # noqa: S704 - figures

    def at(self, when: datetime) -> Markup:
        """A moment: its time in words."""
        return Markup(f"<time {self._title(when)}>{self.clock(when)}</time>")  # noqa: S704 - figures

    def exactly(self, when: datetime) -> Markup:
        """A moment so that it reads the same on any later day."""
        day, _, time = self.precise(when).partition(" ")
        parts = f'<span class="pb-figure">{day}</span> <span class="pb-figure">{time}</span>'
        return Markup(f'<time datetime="{when.isoformat()}">{parts}</time>')  # noqa: S704 - figures

    def due_next(self, row: RunbookRow | SystemRow) -> Markup:
        """When something is due next, or since when it is overdue."""
        if row.overdue:
            return Markup(f'<span class="pb-overdue" title="since {self.precise(row.overdue)}">overdue</span>')  # noqa: S704
        return self.at(row.due) if row.due else Markup('<span class="pb-soft">on demand</span>')

    def _title(self, at: datetime) -> str:
        return _title(at, self._zone)


# As with words.precise: the same moments are said on several pages.
@lru_cache(maxsize=32_768)
def _title(at: datetime, zone: tzinfo) -> str:
    return f'datetime="{at.isoformat()}" title="{words.precise(at, zone)}"'
