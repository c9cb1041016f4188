"""What every Proofbook site needs of MkDocs, Material and mkdocs-macros, so that a project's mkdocs.yml stays short.

Nothing here may fetch from outside: no fonts, no scripts, no search shim from a CDN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mkdocs.exceptions import PluginError

from checks.site import own_files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

_NEEDED_PLUGINS = ("macros", "search", "offline")

_EXTENSIONS: dict[str, dict[str, Any]] = {
    "admonition": {},
    "attr_list": {},
    "def_list": {},
    "footnotes": {},
    "md_in_html": {},
    # Columns are aligned by an attribute: a style in the page is what the policy of contents forbids.
    "tables": {"use_align_attribute": True},
    "toc": {"permalink": True},
    "pymdownx.details": {},
    "pymdownx.highlight": {"anchor_linenums": False},
    "pymdownx.inlinehilite": {},
    "pymdownx.superfences": {},
}

_THEMES_SEPARATOR = r"[\s\-]+"
_SEPARATOR = r"[\s\-,:;!=\[\]()\"`/]+|\.(?!\d)|&[lg]t;"
"""What ends a word for the search: `shop/error-rate` is three of them."""
_THEMES_TAGS = {"boost": 1e6}
_TAGS = {"boost": 1e3}
"""How much more a word in a tag counts than one in a text: as much as one in a title. A metric's name is a tag of its page."""

_FEATURES = ("content.code.copy", "navigation.tabs", "navigation.top", "toc.follow")

_PALETTE = [
    {
        "media": "(prefers-color-scheme)",
        "scheme": "default",
        "toggle": {"icon": "material/brightness-auto", "name": "Follow the system's colours; switch to light"},
    },
    {
        "media": "(prefers-color-scheme: light)",
        "scheme": "default",
        "toggle": {"icon": "material/weather-sunny", "name": "Light; switch to dark"},
    },
    {
        "media": "(prefers-color-scheme: dark)",
        "scheme": "slate",
        "toggle": {"icon": "material/weather-night", "name": "Dark; switch to the system's colours"},
    },
]


def settle(config: MkDocsConfig) -> None:
    """Set what a Proofbook site cannot do without, and what its author left open.

    Raises:
        PluginError: the theme is not Material, or a plugin that is needed is not listed.

    """
    if config.theme.name != "material":
        raise PluginError(
            f"theme: expected material, found {config.theme.name}\n  remedy: write `theme: {{name: material}}` in mkdocs.yml"
        )
    missing = [name for name in _NEEDED_PLUGINS if not _plugin(config, name)]
    if missing:
        raise PluginError(
            f"plugins: expected {', '.join(missing)} beside proofbook\n  remedy: list `- {missing[0]}` in mkdocs.yml"
        )
    config.use_directory_urls = False
    config.copyright = config.copyright or '<span data-live="publication"></span>'
    _settle_macros(config)
    _settle_search(config)
    _settle_theme(config)
    _settle_extensions(config)
    style, script = own_files.address("proofbook.css"), own_files.address("proofbook.js")
    if style not in config.extra_css:
        config.extra_css.append(style)
    if script not in config.extra_javascript:
        config.extra_javascript.append(script)
    config.extra.setdefault("generator", False)
    # The offline plugin adds a script from a CDN unless one of this name is there already.
    config.extra["polyfills"] = [own_files.address("iframe-worker.js")]


def _plugin(config: MkDocsConfig, name: str) -> Any:
    return config.plugins.get(name) or config.plugins.get(f"material/{name}")


def _settle_macros(config: MkDocsConfig) -> None:
    macros = _plugin(config, "macros").config
    macros["on_error_fail"] = True
    macros["on_undefined"] = "strict"
    if "checks.site.macros" not in macros["modules"]:
        macros["modules"] = [*macros["modules"], "checks.site.macros"]


def _settle_search(config: MkDocsConfig) -> None:
    search = _plugin(config, "search").config
    if search.get("separator") in (None, _THEMES_SEPARATOR):
        search["separator"] = _SEPARATOR
    fields = search.get("fields") or {}
    if fields.get("tags", _THEMES_TAGS) == _THEMES_TAGS:
        search["fields"] = {**fields, "tags": _TAGS}


def _settle_theme(config: MkDocsConfig) -> None:
    theme = config.theme
    theme["font"] = False
    theme["features"] = list(dict.fromkeys([*(theme.get("features") or []), *_FEATURES]))
    if not theme.get("palette"):
        theme["palette"] = [dict(entry) for entry in _PALETTE]
    if not theme.get("icon"):
        theme["icon"] = {"logo": "material/notebook-check-outline"}


def _settle_extensions(config: MkDocsConfig) -> None:
    for name, options in _EXTENSIONS.items():
        if name not in config.markdown_extensions:
            config.markdown_extensions.append(name)
            config.mdx_configs.setdefault(name, dict(options))
        elif name == "toc":
            config.mdx_configs.setdefault(name, {}).setdefault("permalink", True)
