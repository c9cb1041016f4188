"""What people wrote in Markdown, as HTML in which nothing acts: no script, no handler, no address that is a program.

Authors are trusted with words, tables, pictures and layout. A page that they paste into their Markdown is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from html import unescape
from typing import TYPE_CHECKING, Any

import nh3
from mkdocs.structure.files import InclusionLevel
from mkdocs.structure.toc import AnchorLink, TableOfContents

from checks.site.words import letters

if TYPE_CHECKING:
    from mkdocs.structure.pages import Page

_TAGS = frozenset(
    re.findall(
        r"\w+",
        """
        a abbr article aside audio b bdi bdo blockquote br button caption center cite code col colgroup dd del details dfn div dl
        dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header hgroup hr i img input ins kbd label li main mark meter nav ol p
        picture pre progress q rp rt ruby s samp section small source span strong sub summary sup table tbody td tfoot th thead
        time tr track tt u ul var video wbr
        svg circle desc ellipse g line path polygon polyline rect text title tspan
        """,
    )
)
_SHAPES = ("svg", "circle", "ellipse", "g", "line", "path", "polygon", "polyline", "rect", "text", "tspan")
_OF_SHAPES = frozenset(
    re.findall(
        r"\S+",
        """
        viewBox xmlns width height fill stroke stroke-width stroke-linecap stroke-linejoin stroke-dasharray fill-rule clip-rule d
        x y x1 x2 y1 y2 cx cy r rx ry points transform opacity text-anchor font-size preserveAspectRatio focusable
        """,
    )
)
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"class", "id", "title", "lang", "dir", "role", "hidden", "tabindex", "align", "name"},
    "a": {"href", "hreflang", "target", "download"},
    "audio": {"src", "controls", "loop", "muted", "preload"},
    "button": {"type", "disabled"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "del": {"cite", "datetime"},
    "details": {"open"},
    "img": {"src", "alt", "width", "height", "loading", "decoding"},
    "input": {"type", "checked", "disabled", "value"},
    "ins": {"cite", "datetime"},
    "label": {"for"},
    "li": {"value"},
    "meter": {"value", "min", "max", "low", "high", "optimum"},
    "ol": {"start", "type", "reversed"},
    "progress": {"value", "max"},
    "q": {"cite"},
    "source": {"src", "type", "media"},
    "td": {"colspan", "rowspan", "headers", "valign"},
    "th": {"colspan", "rowspan", "headers", "scope", "valign", "abbr"},
    "time": {"datetime"},
    "track": {"src", "kind", "srclang", "label", "default"},
    "video": {"src", "controls", "loop", "muted", "preload", "poster", "width", "height"},
    **{tag: set(_OF_SHAPES) for tag in _SHAPES},
}
_SCHEMES = {"http", "https", "mailto", "tel"}
# What is allowed is told once: telling it for each page takes longer than cleaning most of them.
_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    attributes=_ATTRIBUTES,
    url_schemes=_SCHEMES,
    generic_attribute_prefixes={"aria-", "data-"},
    link_rel=None,
)
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Controls, and what turns the order of a line; other marks of direction belong to words of some languages."""

_ELSEWHERE = re.compile(
    r'(<(?:audio|img|input|source|track|video)\b(?:[^>"]|"[^"]*")*?)'
    r' (?:src|poster)="(?:https?:|[\s/\\]*[/\\]\s*[/\\])[^"]*"',
    re.IGNORECASE,
)
"""What a reader's browser would ask another site for, in HTML as nh3 writes it."""


def seen(text: str) -> str:
    """The text with its controls, and the marks that turn the direction of a line, shown by their number."""
    return _UNSEEN.sub(lambda mark: f"[U+{ord(mark.group()):04X}]", text)


def inert(html: str) -> str:
    """The HTML of a page's content without what would act.

    Left out are scripts, styles, frames, forms, handlers, comments, addresses of another kind than http, https, mailto and tel,
    and pictures that another site would be asked for. Controls, and marks that turn the direction of a line, are shown by their
    number.

    """
    return _ELSEWHERE.sub(r"\1", _ELSEWHERE.sub(r"\1", _CLEANER.clean(seen(html))))


def name(page: Page) -> None:
    """Make letters of the title that a page's front matter gives: the theme takes it for HTML, macros for a template."""
    meta: MutableMapping[str, Any] = page.meta
    if meta.get("title") is not None:
        meta["title"] = letters(unescape(str(meta["title"])), quote=False).replace("{", "&#123;")


_HEADING = re.compile(r'(<h1\b[^>]*>.*?)(<a class="headerlink"|</h1>)', re.DOTALL)
_PLAIN_HEADING = re.compile("<h1>")
_TOP = "top"
_GROUP = re.compile(
    r'(<h([23])\b[^>]*>(?P<said>[^<]*)(?:<a class="headerlink"[^>]*>[^<]*</a>)?</h\2>\s*)'
    r'(<div data-live="metrics:[^/"]+/(?P<group>[^"]*)"></div>)'
)


def belongs(page: Page, system: str, *, first: bool = False) -> None:
    """Note of which system a page is, by its title as somebody typed it, so that its title in the browser names the system, too.

    What the navigation calls a page stays: where that is taken from the page's own title, the title stays as well. The first
    page of a system is named as the system is.
    """
    meta: MutableMapping[str, Any] = page.meta
    said = letters(system, quote=False).replace("{", "&#123;")
    if first:
        meta.setdefault("title", said)
        return
    named_by_navigation = "title" in vars(page)
    meta["heading"] = page.title
    meta["of_system"] = said
    if named_by_navigation or page.file.inclusion is InclusionLevel.NOT_IN_NAV:
        meta["title"] = f"{meta.get('title', page.title)} of {said}"


def headed(html: str, page: Page) -> str:
    """The content of a page of a system, whose heading names the system: five checklists are told apart, and found."""
    of = f' <span class="pb-of">of {page.meta["of_system"]}</span>'
    if "<h1" not in html:
        return f"<h1>{page.meta['heading']}{of}</h1>\n{html}"
    return _HEADING.sub(lambda found: f"{found[1]}{of}{found[2]}", html, count=1)


def begins(html: str, page: Page) -> str:
    """The content of a page whose heading the theme knows: who skips the navigation comes to it, not to its first section."""
    first = next(iter(page.toc), None)
    found = _PLAIN_HEADING.search(html)
    if found is None or (first is not None and first.level == 1):
        return html
    page.toc = TableOfContents([_top(page.toc)])
    return f'{html[: found.start()]}<h1 id="{_TOP}">{html[found.end() :]}'


def _top(sections: Iterable[AnchorLink]) -> AnchorLink:
    top = AnchorLink("", _TOP, 1)
    top.children = list(sections)
    return top


def titled(html: str) -> str:
    """The content of a page on which a table of one group of metrics below a heading of the same words does not repeat them."""

    def once(found: re.Match[str]) -> str:
        same = unescape(found["said"]).strip() == unescape(found["group"]).strip()
        return f'{found[1]}<div class="pb-titled">{found[4]}</div>' if same else found[0]

    return _GROUP.sub(once, html)
