"""The theme's part of a build, shared among the processors: each process of a few renders some of the pages, and writes them.

What MkDocs' own loop would do with one page after the other is done with all of them when it comes to the first one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mkdocs.commands import build

from checks.site.sharing import shared

if TYPE_CHECKING:
    from jinja2 import Environment
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import File
    from mkdocs.structure.nav import Navigation
    from mkdocs.structure.pages import Page

    from checks.site.touched import Touched


def share(touched: Touched) -> None:
    """Let several processes render the pages of the build that is about to begin.

    Args:
        touched: which pages are left as they were; it is told what the search has seen of each of the others.

    """
    write = build._build_page
    loud = _Loud(logging.WARNING)
    begun = False

    def built(
        page: Page,  # noqa: ARG001 - MkDocs' name
        config: MkDocsConfig,
        doc_files: Sequence[File],
        nav: Navigation,
        env: Environment,
        dirty: bool = False,
        excluded: bool = False,  # noqa: ARG001 - MkDocs' name
    ) -> None:
        nonlocal begun
        if begun:
            return
        begun = True

        def one(file: File) -> list[Any]:
            if file.page is None:
                raise AssertionError("a page that was read is gone")
            excluded = file.inclusion.is_excluded()  # type: ignore[no-untyped-call]  # MkDocs has no types here
            write(file.page, config, doc_files, nav, env, dirty, excluded)
            return touched.seen_of(file.src_uri)

        anew = [file for file in doc_files if not touched.leaves(file.src_uri)]
        logger = logging.getLogger("mkdocs")
        logger.handlers.insert(0, loud)
        try:
            for file, entries in zip(anew, shared(anew, one), strict=True):
                touched.saw(file.src_uri, entries)
        finally:
            logger.removeHandler(loud)

    build._build_page = built


class _Loud(logging.Handler):
    """Ends a helper that has something to complain of: what it was to render is rendered again where complaints are counted."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._here = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        if os.getpid() != self._here:
            raise ChildProcessError(record.getMessage())
