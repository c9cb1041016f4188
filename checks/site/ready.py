"""Pages of which all but the headings is HTML of ours: MkDocs reads their headings, once for all pages that have the same ones.

There are thousands of such pages, one of each metric. What Markdown would only hand on, and what the search would only leave out,
neither of them need look at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from checks.site import prose, words
from checks.site.page_cache import noted, restore

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_MARK = re.compile(r'<div data-ready="(\d+)"></div>')


class Ready:
    """The pages of one build whose lines are headings in Markdown, or begin with a tag of ours."""

    def __init__(self) -> None:
        self._pages: set[str] = set()
        self._read: dict[str, dict[str, Any]] = {}
        self._left: dict[str, dict[int, str]] = {}

    def add(self, src_uri: str) -> None:
        """Take a generated page for one of them."""
        self._pages.add(src_uri)

    def has(self, page: Page) -> bool:
        """Whether a page is one of them."""
        return bool(page.file.generated_by) and page.file.src_uri in self._pages

    def markdown(self, page: Page) -> None:
        """Let Markdown read the headings of a page only, unless it has read the same ones before."""
        render = page.render

        def read(config: MkDocsConfig, files: Files) -> None:
            whole = page.markdown or ""
            page.markdown, blocks, unsearched = _apart(whole)
            if page.markdown not in self._read:
                render(config, files)
                self._read[page.markdown] = noted(page)
            restore(page, self._read[page.markdown], files)
            page.markdown = whole
            self._left[page.file.src_uri] = {number: blocks[number] for number in unsearched}
            page.content = _put(page.content or "", lambda number: None if number in unsearched else blocks[number])

        page.render = read  # type: ignore[method-assign]

    def finish(self, page: Page) -> None:
        """Put in what the search leaves out, once it has looked at a page."""
        left = self._left.pop(page.file.src_uri, {})
        page.content = _put(page.content or "", lambda number: prose.inert(left[number]) if number in left else None)


def _apart(markdown: str) -> tuple[str, list[str], set[int]]:
    """A page with a mark in the place of each block of HTML, those blocks, and which of them the search leaves out."""
    lines: list[str] = []
    blocks: list[list[str]] = []
    unsearched: set[int] = set()
    within = excluded = False
    for line in filter(None, markdown.split("\n")):
        if line.startswith("<"):
            if not within:
                if excluded:
                    unsearched.add(len(blocks))
                lines += [f'<div data-ready="{len(blocks)}"></div>', ""]
                blocks.append([])
            blocks[-1].append(line)
        else:
            excluded = line.endswith(words.UNSEARCHED)
            lines += [line, ""]
        within = line.startswith("<")
    return "\n".join(lines), ["\n".join(block) for block in blocks], unsearched


def _put(html: str, block: Callable[[int], str | None]) -> str:
    def one(mark: re.Match[str]) -> str:
        said = block(int(mark.group(1)))
        return mark.group() if said is None else said

    return _MARK.sub(one, html)
