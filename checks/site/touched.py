"""The pages that an edit touches: a publication's builder reads and renders those, and leaves all others as they were built.

Every build notes of each page what it was made of, and what other pages, the navigation and the search show of it. The next one
may then leave a page out whose source is as it was. It is given up, and the whole site is built, where the navigation has
changed, which every page shows. A page that may depend on more than its text is always read again.

MkDocs' own loop does the work; all that is changed of it is which pages it reads and writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.commands import build
from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

from checks.site.kept import BASE_VARIABLE, NOTES_VARIABLE
from checks.site.page_cache import digest, seen_in_navigation

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import File, Files
    from mkdocs.structure.nav import Navigation

    from checks.catalogue import Catalogue

_FORMAT = 1
_KNOWN_PLUGINS = frozenset({"search", "offline", "macros", "proofbook", "redirects", "meta", "minify"})
"""Plugins that look at each page for itself; others may want to see all of them."""
_MACRO = re.compile(r"\{\{\s*(\w*)|\{[%#]")


@dataclass(slots=True)
class Touched:
    """What is known of the pages of one build.

    Attributes:
        base: the notes of the build that this one goes on from; empty where all is built.
        to: where the notes of this one are written.
        each_for_itself: whether all plugins look at each page for itself.

    """

    base: Mapping[str, Any]
    to: Path
    each_for_itself: bool = False
    _declared: str = ""
    _alone: frozenset[str] = frozenset()
    _made: dict[str, str] = field(default_factory=dict)
    _left: dict[str, Any] = field(default_factory=dict)
    _found: dict[str, list[Any]] = field(default_factory=dict)
    _metas: dict[str, dict[str, Any]] = field(default_factory=dict)
    _counted: int = 0
    _navigation: str = ""

    @property
    def partial(self) -> bool:
        """Whether pages may be left as they were."""
        return bool(self.base)

    def declared(self, catalogue: Catalogue, macros: Iterable[str], plugins: Collection[str]) -> None:
        """Take into account what is declared, which macros write about.

        Args:
            catalogue: what is declared.
            macros: the names of those that depend on nothing else.
            plugins: the names of all plugins that take part.

        """
        self._declared = declared_digest(catalogue)
        self._alone = frozenset(macros)
        self.each_for_itself = not {name.removeprefix("material/") for name in plugins} - _KNOWN_PLUGINS
        if not self.each_for_itself:
            self.base = {}

    def spares(self, src_uri: str, made_of: str) -> bool:
        """Whether a generated page is left as it was, because it would be made of the same."""
        self._made[src_uri] = made_of
        return self.partial and self._known(src_uri).get("made") == made_of

    def choose(self, files: Files, config: MkDocsConfig) -> None:
        """Once all files are known, choose the pages that are read, and restore what is known of the others."""
        for file in files.documentation_pages():
            made = self._made.get(file.src_uri) or self._made_of(file)
            self._made[file.src_uri] = made
            known = self._known(file.src_uri)
            if self.partial and made and known.get("made") == made and known.get("meta") is not None:
                self._left[file.src_uri] = known
        if not self.partial:
            return
        for file in files.documentation_pages():
            if file.src_uri in self._left:
                if file.page is None:
                    Page(None, file, config)
                _restore(file, self._left[file.src_uri], files)
        self._leave_out(files)

    def navigation_is(self, nav: Navigation, pages: Iterable[Page]) -> None:
        """Take into account what every page shows, once those that are read are read.

        Raises:
            PluginError: it has changed, so that no page can be left as it was.

        """
        self._metas = {page.file.src_uri: dict(page.meta) for page in pages}
        self._navigation = digest([seen_in_navigation(item) for item in nav.items])
        if self.partial and self._navigation != self.base["navigation"]:
            raise PluginError("the navigation has changed, and every page with it")

    def indexed(self, page: Page, entries: list[Any]) -> None:
        """Note what the search has just been told of a page."""
        self._found[page.file.src_uri] = entries[self._counted :]
        self._counted = len(entries)

    def leaves(self, src_uri: str) -> bool:
        """Whether a page is left as it was."""
        return src_uri in self._left

    def seen_of(self, src_uri: str) -> list[Any]:
        """What the search was told of a page that this process has rendered."""
        return self._found.get(src_uri, [])

    def saw(self, src_uri: str, entries: list[Any]) -> None:
        """Take into account what the search was told of a page, by whichever process."""
        self._found[src_uri] = entries

    def finish(self, files: Files, search: Any, keys: Mapping[str, list[str]]) -> None:
        """Before the search writes its index, put in what it was told of the pages that are left; write the notes of all pages.

        Args:
            files: all files.
            search: the search's index.
            keys: by source path, how what a page was rendered to is kept.

        """
        notes = {}
        gone: set[str] = set()
        for file in files.documentation_pages():
            left = self._left.get(file.src_uri)
            if left is None:
                gone.update(self._known(file.src_uri).get("keys", ()))
            notes[file.src_uri] = left or self._note(file, keys.get(file.src_uri, []))
        search.entries = [entry for note in notes.values() for entry in note["search"]]
        gone -= {name for names in keys.values() for name in names}
        head = {"format": _FORMAT, "navigation": self._navigation, "gone": sorted(gone)}
        self.to.write_text(f"{json.dumps(head)}\n{json.dumps(notes, default=str)}", encoding="utf-8")

    def _known(self, src_uri: str) -> Mapping[str, Any]:
        known: Mapping[str, Any] = self.base["pages"].get(src_uri, {}) if self.base else {}
        return known

    def _made_of(self, file: File) -> str:
        """A digest of what a page is made of; empty where that cannot be known."""
        content = file.content_bytes
        own = hashlib.sha256(content).hexdigest()
        if file.generated_by:
            return own
        calls = [match.group(1) for match in _MACRO.finditer(content.decode(errors="replace"))]
        if not calls and not file.src_uri.startswith("systems/"):
            return own
        return f"{own} {self._declared}" if self._alone.issuperset(name or "?" for name in calls) else ""

    def _leave_out(self, files: Files) -> None:
        populate, write = build._populate_page, build._build_page
        left = self._left

        def populated(page: Page, *arguments: Any, **options: Any) -> None:
            if page.file.src_uri not in left:
                populate(page, *arguments, **options)

        def built(page: Page, *arguments: Any, **options: Any) -> None:
            if page.file.src_uri not in left:
                write(page, *arguments, **options)

        build._populate_page, build._build_page = populated, built
        # Nothing but text has changed, so whatever is only copied is there.
        files.copy_static_files = _nothing  # type: ignore[method-assign, assignment]

    def _note(self, file: File, keys: list[str]) -> dict[str, Any]:
        page = file.page
        if page is None:
            raise AssertionError("a page that was built is gone")
        meta = self._metas.get(file.src_uri, {})
        links = {to.src_uri: anchors for to, anchors in (page.links_to_anchors or {}).items()}
        return {
            "made": self._made[file.src_uri],
            "title": page.title,
            # What does not come back as it was is read from its page each time.
            "meta": meta if _survives(meta) else None,
            "anchors": sorted(page.present_anchor_ids or ()),
            "links": links if page.links_to_anchors is not None else None,
            "search": self._found.get(file.src_uri, []),
            "keys": keys,
        }


def opened() -> Touched | None:
    """What a publication has asked for; ``None`` where MkDocs was called by a person."""
    to = os.environ.get(NOTES_VARIABLE)
    if not to:
        return None
    base = os.environ.get(BASE_VARIABLE)
    return Touched(read(Path(base)) if base else {}, Path(to))


def read(path: Path) -> Mapping[str, Any]:
    """The notes of a build; empty where they are missing or not ours."""
    try:
        head, pages = (json.loads(line) for line in path.read_bytes().splitlines())
        return {"navigation": head["navigation"], "pages": pages} if head["format"] == _FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def declared_digest(catalogue: Catalogue) -> str:
    """A digest of all that is declared, but not of the text of runbooks."""
    books = [
        [getattr(book, name) for name in book.__dataclass_fields__ if name not in ("digest", "checks")]
        for book in catalogue.runbooks.values()
    ]
    declared = (catalogue.systems, books, catalogue.incidents, catalogue.checklists, catalogue.settings.site_name)
    return hashlib.sha256(repr(declared).encode()).hexdigest()


def _restore(file: File, known: Mapping[str, Any], files: Files) -> None:
    page = file.page
    if page is None:
        raise AssertionError("a page of the navigation is gone")
    page.title = known["title"]
    page.meta = dict(known["meta"])
    page.present_anchor_ids = set(known["anchors"])
    if known["links"] is not None:
        found = ((files.get_file_from_path(uri), anchors) for uri, anchors in known["links"].items())
        page.links_to_anchors = {to: anchors for to, anchors in found if to is not None}


def _survives(meta: Mapping[str, Any]) -> bool:
    try:
        return bool(json.loads(json.dumps(meta)) == meta)
    except (TypeError, ValueError):
        return False


def _nothing(**_: object) -> None:
    return
