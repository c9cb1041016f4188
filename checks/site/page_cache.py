"""Pages that MkDocs need not render again: while a publication builds, what a page was rendered to is kept by all it came of.

MkDocs still reads every page and runs every macro; what is left out are Markdown and the theme's templates, which take nearly
all of the time. A page's Markdown comes of its text after macros, its front matter, the settings and the site's files that links
may lead to. Its whole HTML comes of that and of the navigation, with the titles of all pages. Other plugins see a kept page as
any other one. Only MkDocs' own objects are touched, none of the theme's.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import ChoiceLoader, DictLoader
from mkdocs.structure.toc import AnchorLink, TableOfContents

from checks.site.kept import FOLDER_VARIABLE, KEY_VARIABLE

if TYPE_CHECKING:
    from jinja2 import Environment
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.nav import Navigation
    from mkdocs.structure.pages import Page

_TEMPLATE = "proofbook-kept.html"
_MKDOCS = "1.6."
"""The MkDocs whose pages are known; another one renders all of them."""


@dataclass(slots=True)
class PageCache:
    """The pages of one build, and what is known of them from earlier ones.

    Attributes:
        folder: where earlier builds are read from; what is new goes to `fresh` in it, which a build that succeeds takes over.
        key: what every page depends on.

    """

    folder: Path
    key: str
    _contents: dict[str, str] = field(default_factory=dict)
    _outputs: dict[str, str] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)

    @property
    def fresh(self) -> Path:
        """Where this build leaves what it rendered."""
        return self.folder / "fresh"

    def files_are(self, files: Files) -> None:
        """Take into account which files there are, before any page is rendered."""
        known = sorted((file.src_uri, file.dest_uri, str(file.inclusion)) for file in files)
        self.key = digest(self.key, known)

    def text(self, src_uri: str, made_of: str, make: Callable[[], str]) -> str:
        """The text of a generated page that takes long to make: the one that was made of the same, or a new one."""
        self._texts[src_uri] = made_of
        known = self._read(made_of, "md")
        if known is None:
            known = make()
            self._write(made_of, "md", known)
        return known

    def keys(self) -> dict[str, list[str]]:
        """By source path, the names of the files that a page's parts are kept in."""
        parts = ((self._texts, "md"), (self._contents, "json"), (self._outputs, "html"))
        found: dict[str, list[str]] = {}
        for known, kind in parts:
            for src_uri, key in known.items():
                found.setdefault(src_uri, []).append(f"{key}.{kind}")
        return found

    def made_of(self, markdown: str, page: Page) -> str:
        """Take into account what a page is made of, whose Markdown need not be kept; a digest of it."""
        key = digest(self.key, page.file.src_uri, markdown, page.meta, bool(page.file.generated_by))
        self._contents[page.file.src_uri] = key
        return key

    def markdown(self, markdown: str, page: Page) -> None:
        """Give a page its HTML where it is known what its Markdown is rendered to; else note what comes of it."""
        key = self.made_of(markdown, page)
        known = self._read(key, "json")
        render = page.render

        def recall(_config: MkDocsConfig, files: Files) -> None:
            restore(page, json.loads(known or "{}"), files)

        def note(config: MkDocsConfig, files: Files) -> None:
            render(config, files)
            self._write(key, "json", json.dumps(noted(page)))

        if known is None:
            page.render = note  # type: ignore[method-assign]
        else:
            page.render = recall  # type: ignore[method-assign, assignment]

    def environment(self, env: Environment, pages: Iterable[Page], nav: Navigation) -> None:
        """Once all pages are read, let those keep their whole HTML for which it is known."""
        around = digest(self.key, [seen_in_navigation(item) for item in nav.items])
        for page in pages:
            uri = page.file.src_uri
            neighbours = [one and (one.title, one.url) for one in (page.previous_page, page.next_page)]
            key = digest(around, self._contents.get(uri, os.urandom(8).hex()), page.title, neighbours)
            self._outputs[uri] = key
            known = self._read(key, "html")
            if known is not None:
                page.kept_output = known  # type: ignore[attr-defined]
                page.meta = {**page.meta, "template": _TEMPLATE}
        if env.loader is not None:
            env.loader = ChoiceLoader([DictLoader({_TEMPLATE: "{{ page.kept_output }}"}), env.loader])

    def rendered(self, output: str, page: Page) -> None:
        """Note what the theme made of a page."""
        if not hasattr(page, "kept_output"):
            self._write(self._outputs[page.file.src_uri], "html", output)

    def _read(self, key: str, kind: str) -> str | None:
        path = self.folder / "known" / f"{key}.{kind}"
        try:
            text = path.read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            return None
        if not (to := self.fresh / path.name).exists():
            os.link(path, to)
        return text

    def _write(self, key: str, kind: str, text: str) -> None:
        (self.fresh / f"{key}.{kind}").write_bytes(text.encode())


def opened() -> PageCache | None:
    """The cache that a publication has asked for; ``None`` where MkDocs was called by a person, or is another one."""
    import mkdocs

    folder, key = os.environ.get(FOLDER_VARIABLE), os.environ.get(KEY_VARIABLE)
    if not (folder and key and mkdocs.__version__.startswith(_MKDOCS)):
        return None
    cache = PageCache(Path(folder), key)
    cache.fresh.mkdir(parents=True, exist_ok=True)
    return cache


def noted(page: Page) -> dict[str, Any]:
    """What Markdown has made of a page."""
    links = {file.src_uri: anchors for file, anchors in (page.links_to_anchors or {}).items()}
    return {
        "content": page.content,
        "toc": [_anchor(item) for item in page.toc],
        "title": page._title_from_render,
        "anchors": sorted(page.present_anchor_ids or ()),
        "links": links if page.links_to_anchors is not None else None,
    }


def restore(page: Page, known: dict[str, Any], files: Files) -> None:
    """Give a page what Markdown has made of it, or of one like it, before."""
    page.content = known["content"]
    items = [_link(item) for item in known["toc"]]
    if items:
        # As MkDocs does: the first one is where a reader begins.
        items[0].active = True  # type: ignore[attr-defined]
    page.toc = TableOfContents(items)
    page._title_from_render = known["title"]
    page.present_anchor_ids = set(known["anchors"])
    if known["links"] is not None:
        found = ((files.get_file_from_path(uri), anchors) for uri, anchors in known["links"].items())
        page.links_to_anchors = {file: anchors for file, anchors in found if file is not None}


def _anchor(item: AnchorLink) -> list[Any]:
    return [item.title, item.id, item.level, [_anchor(child) for child in item.children]]


def _link(noted: list[Any]) -> AnchorLink:
    title, id_, level, children = noted
    made = AnchorLink(title, id_, level)
    made.children = [_link(child) for child in children]
    return made


def seen_in_navigation(item: Any) -> Any:
    """What a page shows of an item of the navigation."""
    if item.children is not None:
        return [item.title, [seen_in_navigation(child) for child in item.children]]
    return [item.title, getattr(item, "url", ""), dict(getattr(item, "meta", {}))]


def digest(*parts: Any) -> str:
    """A digest of some values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=repr).encode()).hexdigest()
