"""Headings of pages: they name the system, and tables below them do not repeat them."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, InclusionLevel
from mkdocs.structure.pages import Page
from mkdocs.structure.toc import AnchorLink, TableOfContents

from checks.site import prose

TABLE = '<div data-live="metrics:shop/Loaves &amp; rolls"></div>'


def page(root: Path, title: str | None, inclusion: InclusionLevel = InclusionLevel.UNDEFINED) -> Page:
    """A page of a system, as the navigation calls it."""
    (root / "systems/shop").mkdir(parents=True)
    (root / "systems/shop/a.md").write_text("Text", encoding="utf-8")
    config = MkDocsConfig()
    config.load_dict({"site_name": "Shop", "docs_dir": str(root)})
    made = Page(title, File("systems/shop/a.md", str(root), str(root / "site"), False, inclusion=inclusion), config)
    made.markdown, made.meta = "Text", {"title": "A"}
    return made


def test_a_page_of_a_system_names_it(tmp_path: Path) -> None:
    """The heading and the title in the browser say of which system a page is; what its navigation says stays as it is."""
    one = page(tmp_path, "Checklist")
    prose.belongs(one, "Corner <shop>")
    assert (one.title, one.meta["title"]) == ("Checklist", "A of Corner &lt;shop&gt;")
    headed = prose.headed('<h1 id="a">Checklist<a class="headerlink" href="#a">¶</a></h1><p>Text</p>', one)
    of = '<span class="pb-of">of Corner &lt;shop&gt;</span>'
    assert headed == f'<h1 id="a">Checklist {of}<a class="headerlink" href="#a">¶</a></h1><p>Text</p>'
    assert prose.headed("<p>Text</p>", one) == f"<h1>Checklist {of}</h1>\n<p>Text</p>"


def test_a_title_that_the_navigation_takes_from_the_page_stays(tmp_path: Path) -> None:
    """A page that the navigation lists by its own title keeps it; one that is in no navigation names its system."""
    listed, hidden = page(tmp_path / "a", None), page(tmp_path / "b", None, InclusionLevel.NOT_IN_NAV)
    for one in (listed, hidden):
        prose.belongs(one, "Corner shop")
    assert (listed.title, hidden.title) == ("A", "A of Corner shop")
    assert "<h1>A <span" in prose.headed("<p>Text</p>", hidden)
    first = page(tmp_path / "c", "Now")
    first.meta = {}
    prose.belongs(first, "Corner shop", first=True)
    assert (first.title, first.meta) == ("Now", {"title": "Corner shop"})


def test_a_table_does_not_repeat_its_heading() -> None:
    """A table of one group below a heading of the same words is marked as titled; below another one it is not."""
    for heading in ("<h2>Loaves &amp; rolls</h2>\n", '<h3 id="l">Loaves &amp; rolls<a class="headerlink" href="#l">¶</a></h3>'):
        assert prose.titled(heading + TABLE) == f'{heading}<div class="pb-titled">{TABLE}</div>'
    assert prose.titled(f"<h2>Bread</h2>\n{TABLE}") == f"<h2>Bread</h2>\n{TABLE}"


def test_who_skips_the_navigation_comes_to_the_heading(tmp_path: Path) -> None:
    """Past the navigation stands the page's heading, with what is wrong below it; the list of sections stays as it was."""
    one = page(tmp_path, "Now")
    one.toc = TableOfContents([AnchorLink("Systems", "systems", 2)])
    assert prose.begins("<div><h1>Well</h1></div><h1>x</h1>", one) == '<div><h1 id="top">Well</h1></div><h1>x</h1>'
    (top,) = one.toc
    assert (top.level, top.url, [item.title for item in top.children]) == (1, "#top", ["Systems"])
    assert prose.begins("<h1>Well</h1>", one) == "<h1>Well</h1>"
