"""The MkDocs plugin: it hands MkDocs generated pages, navigation and assets, and under ``serve`` fills the pages."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mkdocs.config import config_options
from mkdocs.config.base import Config
from mkdocs.exceptions import PluginError
from mkdocs.plugins import BasePlugin, CombinedEvent, event_priority
from mkdocs.structure.files import File, InclusionLevel

from checks import catalogue
from checks.catalogue.known_steps import KnownSteps
from checks.errors import ProofbookError
from checks.site import (
    coverage_page,
    lost_page,
    macros,
    metric_page,
    navigation,
    own_files,
    page_cache,
    prose,
    ready,
    redirects,
    rendering,
    settled,
    skeleton,
    touched,
)

if TYPE_CHECKING:
    from jinja2 import Environment
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.livereload import LiveReloadServer
    from mkdocs.structure.files import Files
    from mkdocs.structure.nav import Navigation
    from mkdocs.structure.pages import Page

    from checks.model import Runbook
    from checks.site.facts import Facts

_THEMES_SEARCH = "assets/javascripts/workers/search.*.js"
_KEPT_OUT = ("system.yml", "requirements.yml", "incident-report.txt")


class ProofbookConfig(Config):  # type: ignore[no-untyped-call]  # MkDocs has no types here
    """What the plugin's block in ``mkdocs.yml`` may hold; `checks.catalogue` reads and judges it."""

    environment = config_options.Type(str, default="production")
    timezone = config_options.Type(str, default="UTC")
    journal = config_options.Type(str, default="")
    limits = config_options.Type(dict, default={})
    redirects = config_options.Type(dict, default={})
    alive = config_options.Type(str, default="")


class ProofbookPlugin(BasePlugin[ProofbookConfig]):  # type: ignore[no-untyped-call]  # MkDocs has no types here
    """Runbook pages out of notebooks, navigation out of the catalogue."""

    catalogue: catalogue.Catalogue

    def __init__(self) -> None:
        self._serving = False
        self._facts: Facts | None = None
        self._cache: page_cache.PageCache | None = None
        self._touched: touched.Touched | None = None
        self._nav: Navigation | None = None
        self._files: Files | None = None
        self._ready = ready.Ready()
        self._systems: dict[str, str] = {}
        self._steps: KnownSteps | None = None

    def on_startup(self, *, command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:  # noqa: ARG002 - MkDocs' names
        """Remember whether readers will see these pages at once."""
        self._serving = command == "serve"

    @event_priority(100)  # before mkdocs-macros reads its own settings
    def on_config(self, config: MkDocsConfig) -> MkDocsConfig:
        """Load the catalogue and settle what every Proofbook site needs."""
        root = Path(config.config_file_path).parent
        try:
            self.catalogue = catalogue.load(root)
        except ProofbookError as error:
            raise PluginError(f"the catalogue cannot be read\n{error}") from error
        settled.settle(config)
        # Of few systems each page lists all runbooks of its own; of many, it shows the part of the navigation that it is in.
        feature = "navigation.prune" if len(self.catalogue.systems) > navigation.FEW else "navigation.sections"
        config.theme["features"] = list(dict.fromkeys([*config.theme["features"], feature]))
        self._facts = None
        self._ready = ready.Ready()
        self._systems = {}
        # Who fills the pages asks for the steps, too.
        self._steps = KnownSteps(self.catalogue.settings.state)
        self._cache = None if self._serving else page_cache.opened()
        self._touched = touched.opened() if self._cache else None
        if self._touched:
            self._touched.declared(self.catalogue, macros.macros(self.catalogue), config.plugins)
        return config

    def on_files(self, files: Files, *, config: MkDocsConfig) -> Files:
        """Add a page for each runbook and metric, and our assets; keep the catalogue's own files out; build the navigation."""
        for file in list(files):
            if file.src_uri.startswith("systems/") and Path(file.src_uri).name in _KEPT_OUT:
                files.remove(file)
        for name, content in own_files.contents().items():
            files.append(File.generated(config, name, content=content))
        for file in [file for file in files if fnmatch(file.src_uri, _THEMES_SEARCH)]:
            files.remove(file)
            files.append(File.generated(config, file.src_uri, content=file.content_string + own_files.search()))
        for runbook in self.catalogue.runbooks.values():
            try:
                page = self._runbook_page(runbook)
            except ProofbookError as error:
                raise PluginError(f"the page of {runbook.slug} cannot be made\n{error}") from error
            files.append(File.generated(config, skeleton.page_of(runbook), content=page))
        for system in self.catalogue.systems.values():
            for metric in system.metrics.values():
                page = metric_page.metric_page(metric, self.catalogue)
                hidden = InclusionLevel.NOT_IN_NAV
                files.append(File.generated(config, metric_page.page_of(metric), content=page, inclusion=hidden))
                self._ready.add(metric_page.page_of(metric))
        try:
            coverage = coverage_page.pages(self.catalogue)
        except ProofbookError as error:
            raise PluginError(f"the coverage of the plans cannot be told\n{error}") from error
        for name, page in coverage.items():
            files.append(File.generated(config, name, content=page))
        try:
            left = redirects.pages(self.config.redirects, {file.dest_uri for file in files.documentation_pages()})
        except ProofbookError as error:
            raise PluginError(str(error)) from error
        for name, page in left.items():
            files.append(File.generated(config, name, content=page))
        if config.nav is None:
            pages = {file.src_uri: file for file in files.documentation_pages()}
            config.nav = navigation.build(self.catalogue, pages, lambda path: pages[path].content_string)
        return files

    def on_page_content(self, html: str, *, page: Page, **_: Any) -> str:
        """Take out of every page what would act, and name its system."""
        content = prose.titled(prose.inert(html))
        return prose.begins(prose.headed(content, page) if "of_system" in page.meta else content, page)

    @event_priority(-100)  # when no other plugin will move a page any more
    def on_nav(self, nav: Navigation, *, config: MkDocsConfig, files: Files) -> Navigation:
        """Remember the navigation, which every page shows."""
        self._nav = nav
        self._files = files
        # All of that stays until the end: the collector of garbage would look at it again and again, in vain.
        gc.freeze()
        if self._cache:
            self._cache.files_are(files)
        if self._touched:
            self._touched.choose(files, config)
        return nav

    @event_priority(100)  # before macros are run, which would run those in a title, too
    def _named(self, /, markdown: str, *, page: Page, **_: Any) -> str:
        prose.name(page)
        page.meta.pop("of_system", None)
        top, system, *rest = f"{page.file.src_uri}//".split("/")
        if top == "systems" and system in self.catalogue.systems:
            prose.belongs(page, self.catalogue.systems[system].title, first=rest[0] == "index.md")
        return prose.seen(markdown)

    @event_priority(-100)  # after macros have been run
    def _known(self, /, markdown: str, *, page: Page, **_: Any) -> str:
        """Spare MkDocs a page that it has rendered before."""
        if self._ready.has(page):
            self._ready.markdown(page)
            if self._cache:
                self._cache.made_of(markdown, page)
        elif self._cache:
            self._cache.markdown(markdown, page)
        return markdown

    on_page_markdown = CombinedEvent(_named, _known)

    @event_priority(-100)  # when no other plugin has anything to add
    def on_env(self, env: Environment, *, files: Files, config: MkDocsConfig, **_: Any) -> Environment:
        """Spare the theme the pages that it has rendered before, and share the others among the processors."""
        if self._cache and self._nav:
            pages = [file.page for file in files.documentation_pages() if file.page and file.page.content is not None]
            if self._touched:
                self._touched.navigation_is(self._nav, pages)
            self._cache.environment(env, pages, self._nav)
            if self._touched and self._touched.each_for_itself and _index(config) is not None:
                rendering.share(self._touched)
        gc.freeze()
        return env

    @event_priority(-100)  # after the search has looked at the page
    def on_page_context(self, context: Any, *, page: Page, config: MkDocsConfig, **_: Any) -> Any:
        """Remember what the search knows of a page; then make cards of steps, in which it would lose what they say."""
        if self._ready.has(page):
            self._ready.finish(page)
        elif page.file.generated_by:
            page.content = skeleton.wrap_steps(page.content or "")
        if self._touched and (index := _index(config)) is not None:
            self._touched.indexed(page, index.entries)
        return context

    def on_post_template(self, output: str, *, template_name: str, config: MkDocsConfig) -> str:
        """Take our own page for what is not there, which needs no style that could not be found from where it is shown."""
        return lost_page.page(config.site_name, config.site_url) if template_name == "404.html" else output

    @event_priority(100)  # before any other plugin changes what the theme has made
    def _rendered(self, /, output: str, *, page: Page, **_: Any) -> str:
        if self._cache:
            self._cache.rendered(output, page)
        return output

    @event_priority(-100)  # after every other plugin has had its say about the page
    def _filled(self, /, output: str, *, page: Page, **_: Any) -> str:
        """Under ``mkdocs serve``, fill the page from the journal."""
        if not self._serving:
            return output
        from checks.site import fill

        return fill.fill_page(output, page.file.dest_uri, self._live())

    on_post_page = CombinedEvent(_rendered, _filled)

    @event_priority(100)  # before the search writes its index
    def _finished(self, /, *, config: MkDocsConfig) -> None:
        if self._touched and self._cache and self._files and (index := _index(config)) is not None:
            self._touched.finish(self._files, index, self._cache.keys())
        if self._cache and self._steps:
            self._steps.keep(frozenset(book.digest for book in self.catalogue.runbooks.values()))

    @event_priority(-200)  # after the offline search has written its index
    def _exported(self, /, *, config: MkDocsConfig) -> None:
        """Under ``mkdocs serve``, write the evidence and the exports that the pages link to."""
        if self._serving:
            from checks.site import exports, writing

            writing.write_evidence(self._live(), Path(config.site_dir))
            exports.write(self._live(), Path(config.site_dir))

    on_post_build = CombinedEvent(_finished, _exported)

    def on_serve(self, server: LiveReloadServer, **_: Any) -> LiveReloadServer:
        """Build again when a runbook changes."""
        notebooks = self.catalogue.root / "notebooks"
        if notebooks.is_dir():
            server.watch(str(notebooks))
        return server

    def _runbook_page(self, runbook: Runbook) -> str:
        if self._cache is None:
            return skeleton.runbook_page(runbook, self.catalogue)
        made_of = page_cache.digest(self._cache.key, repr(runbook), self._declared(runbook.system))
        if self._touched and self._touched.spares(skeleton.page_of(runbook), made_of):
            return ""
        make = partial(skeleton.runbook_page, runbook, self.catalogue, self._steps)
        return self._cache.text(skeleton.page_of(runbook), made_of, make)

    def _declared(self, system: str) -> str:
        """All that is declared of a system, which each of its runbooks' pages may show."""
        if system not in self._systems:
            self._systems[system] = page_cache.digest(repr(self.catalogue.systems.get(system)))
        return self._systems[system]

    def _live(self) -> Facts:
        if self._facts is None:
            from checks.journal import open_journal
            from checks.site.facts import gather

            settings = self.catalogue.settings
            with open_journal(settings.journal) as journal:
                self._facts = gather(self.catalogue, journal, settings.environment, datetime.now(UTC))
        return self._facts


def _index(config: MkDocsConfig) -> Any:
    """What Material's search knows; ``None`` where another search, or none, takes part."""
    plugin = config.plugins.get("search") or config.plugins.get("material/search")
    index = getattr(plugin, "search_index", None)
    return index if isinstance(getattr(index, "entries", None), list) else None
